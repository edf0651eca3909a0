// Frontends that are held or stopped already.
#include "already_held.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "hold/record/lookup.hpp"
#include "hold/record/owner.hpp"

namespace stillgate::hold {

namespace {

std::string held_words(const Record& record, std::string_view frontend, const Asking& asking) {
  const bool is_known = std::ranges::any_of(
      asking.journal, [&record](const Record& one) { return one.id == record.id; });
  const bool is_mine = is_known || record.owner == asking.owner;
  const std::string since =
      fmt::format("since {}, {}{}{}", clock(record.started_at), time_left(record, asking.now),
                  record.reason.empty() ? "" : ": ", record.reason);
  if (is_mine) {
    return fmt::format("already held by you ({}) {}; 'stillgate resume {}' ends that hold",
                       record.owner, since, frontend);
  }
  return fmt::format(
      "already held by {}, not by you, {}; ask them, or wait; with their word 'stillgate resume {} "
      "--hold {}' ends that hold, without it 'stillgate resume {} --force --reason TEXT' does",
      record.owner, since, frontend, record.id, frontend);
}

}  // namespace

std::optional<Error> held_already(Switch& target, const Seen& seen, std::size_t frontend,
                                  const Record* record, const Asking& asking) {
  const auto* gate = seen.gate_holds(frontend) ? seen.gate_switch(frontend) : nullptr;
  if (gate == nullptr && seen.limit(frontend) != 0) return std::nullopt;
  if (record != nullptr) {
    target.hold_id = record->id;
    return Error{Errc::already_held, held_words(*record, target.frontend, asking)};
  }
  if (gate != nullptr) {
    target.hold_id = gate->id;
    return Error{
        Errc::already_held,
        fmt::format(
            "already held by the gate, by an unknown owner; 'stillgate resume {}' ends that hold",
            target.frontend)};
  }
  return Error{Errc::limit_is_zero,
               fmt::format("the limit is already 0, and no record has the old limit; run "
                           "'stillgate resume {} --limit N' to set it to N",
                           target.frontend)};
}

Error stopped(std::string_view frontend) {
  return {Errc::frontend_stopped, fmt::format("frontend '{}' is disabled or shut down, and refuses "
                                              "its clients; enable it, or leave it out",
                                              frontend)};
}

}  // namespace stillgate::hold
