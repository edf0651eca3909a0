// The commit of a suspend: the one batch that holds, its answers, and the counters that are added
// to the records after the drain.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "runtime_api/batch.hpp"
#include "suspend_rows.hpp"

namespace stillgate::hold::commit {

/// What a gate is told. `deadline`: since the call began; empty: nobody ends the hold.
struct Terms {
  GateOrder order;
  std::optional<std::chrono::milliseconds> deadline;
};

/// Error: bad_command, where a record is too long for one line.
[[nodiscard]] std::optional<Error> prepare(SuspendRows& rows, const Record& hold,
                                           const Terms& terms);
[[nodiscard]] runtime_api::Batch write(const SuspendRows& rows, const Record& hold);
/// Whether it may have reached anybody.
[[nodiscard]] bool read(SuspendRows& rows, const std::vector<runtime_api::Answer>& answers);

/// Adds to the records from where leaks are counted, so that whoever resumes can count them.
[[nodiscard]] runtime_api::Batch seal(SuspendRows& rows, const Record& hold, const Terms& terms);

}  // namespace stillgate::hold::commit
