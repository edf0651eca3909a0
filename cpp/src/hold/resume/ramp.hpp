// The ramp of a resume: the limits are raised step by step.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "resume_rows.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold::ramp {

/// A ramp has so many steps, but none shorter than shortest_step.
inline constexpr std::int64_t most_steps = 20;
inline constexpr std::chrono::milliseconds shortest_step{50};

/// Says on the records that a ramp is under way: a limit between 0 and the old one is then no sign
/// that somebody opened the frontend, and whoever comes after a crash finishes the ramp. A gate is
/// released with it: HAProxy itself lets its queue go over that time, without steps.
[[nodiscard]] runtime_api::Batch mark(ResumeRows& rows, const ResumeRequest& request);
/// What could not be marked does not take part: a ramp that broke off there would leave a limit
/// that nobody knows for a wrong one. It is released at once, with the ramp's last step.
void read_marks(ResumeRows& rows, const std::vector<runtime_api::Answer>& answers);

[[nodiscard]] std::int64_t steps_of(const ResumeRequest& request);
[[nodiscard]] std::chrono::milliseconds pause_of(const ResumeRequest& request);
/// `step`: from 1 on. The last one is the release.
[[nodiscard]] runtime_api::Batch raise(const ResumeRows& rows, const ResumeRequest& request,
                                       std::int64_t step);

}  // namespace stillgate::hold::ramp
