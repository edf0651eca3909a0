// The lock: of two who would hold the same frontend at the same moment, one gets it.
#pragma once

#include <optional>
#include <vector>

#include "runtime_api/batch.hpp"
#include "suspend_rows.hpp"

/// First on one HAProxy, which is the same one for everybody, one frontend after the other by name:
/// whoever loses there has lost, and nobody ends up with a part. Then on all the others at once.
/// That is one round for any number of frontends: each command takes its lock only where the one
/// before it is ours. A look behind an HAProxy's last lock also tells whether a hold has begun
/// since the check. HAProxy below 2.6 has no compare and set: there a hold by the gate takes the
/// gate's own lock, and for one by maxconn that look, and the record that is read back, are all
/// there is.
namespace stillgate::hold::lock {

/// A chain that is longer cannot be followed: each hold adds one to it, and the hint is its end.
inline constexpr int most_steps = 1000;

/// Whom to follow at each switch, and in which turn. Error: bad_command, where the record is too
/// long for one line.
[[nodiscard]] std::optional<Error> prepare(SuspendRows& rows, const Record& hold, WallTime now);

/// It is not taken everywhere yet.
[[nodiscard]] bool is_pending(const SuspendRows& rows);
[[nodiscard]] runtime_api::Batch take(const SuspendRows& rows, const SuspendRequest& request);
void read(SuspendRows& rows, const SuspendRequest& request,
          const std::vector<runtime_api::Answer>& answers, WallTime now);

/// It was lost, or could not be taken: then the report says so, and what was taken is to be freed.
[[nodiscard]] bool has_failed(const SuspendRows& rows);
void tell(SuspendRows& rows, Report& report);

/// Writes, for those who come later, who had the lock last at that endpoint.
[[nodiscard]] std::vector<runtime_api::Command> write_hints(const SuspendedEndpoint& endpoint);
/// Frees what may have been taken of that switch.
[[nodiscard]] std::vector<runtime_api::Command> release(const SuspendedSwitch& row,
                                                        const Record& hold, WallTime now);

}  // namespace stillgate::hold::lock
