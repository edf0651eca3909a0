// The release at the end of a resume: the gates are opened, and the limits set.
#pragma once

#include <vector>

#include "resume_rows.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold::release {

/// The mark that the hold was resumed goes with the release, in one write: whoever is killed behind
/// it has said what he did.
[[nodiscard]] runtime_api::Batch write(ResumeRows& rows, const ResumeRequest& request,
                                       WallTime now);
/// What is read back afterwards decides; a refusal only says why it is so.
void read(ResumeRows& rows, const std::vector<runtime_api::Answer>& answers);

}  // namespace stillgate::hold::release
