// The release at the end of a resume: the gates are opened, and the limits set.
#pragma once

#include <vector>

#include "resume_rows.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold::release {

[[nodiscard]] runtime_api::Batch write(ResumeRows& rows, const ResumeRequest& request);
/// What is read back afterwards decides; a refusal only says why it is so.
void read(ResumeRows& rows, const std::vector<runtime_api::Answer>& answers);

}  // namespace stillgate::hold::release
