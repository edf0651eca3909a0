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
        fmt::format("held already by {} since {}{}{}{}; 'stillgate resume {}' ends that hold",
                    record->owner, clock(record->started_at), until,
                    record->reason.empty() ? "" : ": ", record->reason, target.frontend)};
  }
  if (gate != nullptr) {
    target.hold_id = gate->id;
    return Error{Errc::already_held,
                 fmt::format("held already by the gate, and its switch does not say by whom; "
                             "'stillgate resume {}' ends that hold",
                             target.frontend)};
  }
  return Error{Errc::limit_is_zero,
               fmt::format("the limit is 0 already, and no record says what it was before; "
                           "'stillgate resume {} --limit N' restores it to N",
                           target.frontend)};
}

Error stopped(std::string_view frontend) {
  return {Errc::frontend_stopped,
          fmt::format("frontend '{}' takes no connections: it was disabled or shut down, and its "
                      "clients are refused",
                      frontend)};
}

}  // namespace stillgate::hold
