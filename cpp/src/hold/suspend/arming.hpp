// Arming: the record of a hold goes into each HAProxy before anything else changes there.
#pragma once

#include <optional>
#include <vector>

#include "runtime_api/batch.hpp"
#include "suspend_rows.hpp"

/// Writes the record and reads it back, for the switches that are to be held by maxconn; a gate's
/// switch carries its record itself. An HAProxy with nothing to keep is asked something short: the
/// batch is also a round trip right before the commit, by which its writes are aligned.
namespace stillgate::hold::arming {

/// Error: bad_command, where the record is too long for one line.
[[nodiscard]] std::optional<Error> prepare(SuspendRows& rows, const Record& hold);
[[nodiscard]] runtime_api::Batch write(const SuspendRows& rows, const Record& hold);
/// Whether the record stands everywhere; where it does not, the switches say why.
[[nodiscard]] bool read(SuspendRows& rows, const std::vector<runtime_api::Answer>& answers,
                        const Record& hold);

}  // namespace stillgate::hold::arming
