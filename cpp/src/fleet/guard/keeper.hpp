// The guard of one fleet's hold, as the fleet uses it: to start, to inform, to watch, to replace.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <stillgate/event.hpp>

#include "hold/plan.hpp"
#include "order.hpp"
#include "process.hpp"

namespace stillgate::fleet {

/// Not thread-safe.
class GuardKeeper {
 public:
  GuardKeeper(std::string state_folder, const EventOptions& events);

  /// The command in front of those of the guards that are started from now on; empty: none.
  void start_by(std::vector<std::string> way_out) { way_out_ = std::move(way_out); }

  /// What its events call the endpoints, by their URLs.
  void call_them(std::map<std::string, std::string, std::less<>> names) {
    order_.names = std::move(names);
  }

  hold::observed::Guarded start(const hold::Record& record, const std::stop_token& stop);
  hold::observed::Guarded tell(hold::step::TellGuard::Word word);

  /// Readable when the guard of the last hold says something or has died; -1: there is none.
  [[nodiscard]] int descriptor() const noexcept { return process_ ? process_->descriptor() : -1; }
  /// Starts another guard for the hold in effect, after the first one's death. Errors:
  /// guard_failed; an endpoint's error; deadline_passed, where the hold is over.
  std::optional<Error> renew(const std::stop_token& stop);

 private:
  hold::observed::Guarded begin(const std::stop_token& stop);

  GuardOrder order_;
  std::vector<std::string> way_out_;
  std::optional<GuardProcess> process_;
};

}  // namespace stillgate::fleet
