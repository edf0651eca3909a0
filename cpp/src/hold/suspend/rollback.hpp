// The way back of a suspend that failed: set the limits, read them back, again if it must be.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "runtime_api/batch.hpp"
#include "suspend_rows.hpp"

namespace stillgate::hold::rollback {

inline constexpr int attempts = 3;
inline constexpr std::chrono::milliseconds pause{200};

void begin(SuspendRows& rows);

/// Opens what that hold may hold.
[[nodiscard]] runtime_api::Batch revert(const SuspendRows& rows, const std::string& id);
[[nodiscard]] runtime_api::Batch read_back(const SuspendRows& rows, const SuspendRequest& request);
void judge(SuspendRows& rows, const SuspendRequest& request,
           const std::vector<runtime_api::Answer>& answers);

/// Empties the records, and frees the locks, of what is not held. A record without its hold does no
/// harm, and a lock ends with its deadline, so that this is tried once. No commands: nothing is
/// left to take back.
[[nodiscard]] runtime_api::Batch disarm(const SuspendRows& rows, const Record& hold, WallTime now);

}  // namespace stillgate::hold::rollback
