// Arming: the record of a hold goes into each HAProxy before anything else changes there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "../runtime_api/batch.hpp"
#include "findings.hpp"
#include "record.hpp"
#include "survey.hpp"

namespace stillgate::hold {

/// This HAProxy can keep a record.
[[nodiscard]] bool remembers(const Seen& seen);

/// Writes the record and reads it back. Those that cannot keep one are asked for something short:
/// the batch is also a round trip right before the commit, by which its writes are aligned.
/// Errors: bad_command, where the record is too long for one line.
[[nodiscard]] Result<runtime_api::Batch> arming(const Question& question,
                                                const std::vector<Seen>& seen,
                                                const Record& record);

/// Why the record with this id does not stand in that HAProxy, by its answer.
[[nodiscard]] std::optional<Error> unarmed(const Question& question, const Seen& seen,
                                           std::size_t endpoint, const runtime_api::Answer& answer,
                                           const std::string& id);

}  // namespace stillgate::hold
