// The events of a guard: what its endpoints' plans noticed, and how the hold ended.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <stillgate/event.hpp>

#include "fleet/events.hpp"
#include "fleet/guard/order.hpp"
#include "shared_state.hpp"

namespace stillgate::guard {

/// Writes them to the history, and each as a line `event JSON` to standard output. The main
/// thread's alone.
class GuardEvents {
 public:
  /// `state` must outlive it. `urls`: of the endpoints, in the order of their numbers.
  GuardEvents(const fleet::GuardOrder& order, SharedState& state, std::vector<std::string> urls);

  void report(EventKind kind, const std::string& message, std::optional<std::size_t> endpoint = {},
              const std::string& frontend = {});
  /// What the plans have noticed since the last call.
  void report_notices();
  /// How the hold ended: once, as soon as that is known of some endpoint or, with `last`, at all
  /// events.
  void report_end(bool last);
  /// The same for the journal. `mode`: the guard's.
  [[nodiscard]] hold::RecordEnd end_of_hold(hold::GuardMode mode) const;

 private:
  [[nodiscard]] Event event(EventKind kind, const std::string& message) const;

  fleet::EventLog log_;
  SharedState& state_;
  std::vector<std::string> urls_;
  bool released_{false};  ///< by the guard, anywhere
  WallTime released_at_;
  std::vector<std::string> releases_;
  std::vector<std::string> given_up_;
  bool end_reported_{false};
};

}  // namespace stillgate::guard
