// What a suspend makes of what it reads back after the commit.
#pragma once

#include <vector>

#include "runtime_api/batch.hpp"
#include "suspend_rows.hpp"

namespace stillgate::hold::verdict {

[[nodiscard]] runtime_api::Batch read_back(const SuspendRows& rows, const SuspendRequest& request);

/// What was read back decides, not the answer to the commit: a lost answer with the limit at 0
/// is a hold. Whether all are held.
[[nodiscard]] bool judge(SuspendRows& rows, const SuspendRequest& request,
                         const std::vector<runtime_api::Answer>& answers);

}  // namespace stillgate::hold::verdict
