// The events of a guard: what its endpoints' plans noticed, and how the hold ended.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <stillgate/event.hpp>

#include "errands.hpp"
#include "fleet/events.hpp"
#include "fleet/guard/order.hpp"
#include "hold_state.hpp"

namespace stillgate::guard {

/// Writes them to the history, and each as a line `event JSON` to standard output, as errands: the
/// disk and the operator's command may take long. The loop's thread's alone.
class GuardEvents {
 public:
  /// `state` and `errands` must outlive it. `urls`: of the endpoints, in the order of their
  /// numbers.
  GuardEvents(HoldState& state, Errands& errands, std::vector<std::string> urls);

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

  void write(Event event);

  std::shared_ptr<fleet::EventLog> log_;
  HoldState& state_;
  Errands& errands_;
  std::vector<std::string> urls_;
  bool released_{false};  ///< by the guard, anywhere
  WallTime released_at_;
  std::vector<std::string> releases_;
  std::vector<std::string> given_up_;
  bool end_reported_{false};
};

}  // namespace stillgate::guard
