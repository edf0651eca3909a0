// Frontends that are held or stopped already.
#include "already_held.hpp"

#include <fmt/format.h>

#include "hold/record/lookup.hpp"

namespace stillgate::hold {

std::optional<Error> held_already(Switch& target, const Seen& seen, std::size_t frontend,
                                  const Record* record) {
  const auto* gate = seen.gate_holds(frontend) ? seen.gate_switch(frontend) : nullptr;
  if (gate == nullptr && seen.limit(frontend) != 0) return std::nullopt;
  if (record != nullptr) {
    target.hold_id = record->id;
    const std::string until = record->deadline ? " until " + clock(*record->deadline)
                                               : std::string(", without a deadline");
    return Error{
        Errc::already_held,
        fmt::format("already held by {} since {}{}{}{}; 'stillgate resume {}' ends that hold",
                    record->owner, clock(record->started_at), until,
                    record->reason.empty() ? "" : ": ", record->reason, target.frontend)};
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
