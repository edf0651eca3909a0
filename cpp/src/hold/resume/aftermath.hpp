// After a resume that may kill its HAProxy: whether it lives, until that risk is over.
#pragma once

#include <chrono>
#include <vector>

#include "hold/plan.hpp"
#include "resume_rows.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold::aftermath {

/// The watchdog has ended the process by then (docs/haproxy-facts.md, section 1).
inline constexpr std::chrono::seconds risk_lasts{5};
/// What does not answer then, may be about to end, or hangs.
inline constexpr std::chrono::seconds patience{10};
inline constexpr std::chrono::milliseconds pause{200};

/// From now on those are watched whose release was sent in spite of the hazard.
void begin(ResumeRows& rows, std::chrono::milliseconds elapsed);
[[nodiscard]] bool must_look(const ResumeRows& rows, const Observation& observation);
[[nodiscard]] runtime_api::Batch look(const ResumeRows& rows);
/// One that is gone, or whose process is another one now, has died: crashed_on_resume.
void read(ResumeRows& rows, const std::vector<runtime_api::Answer>& answers);
/// Says of those that live that they were watched; of those that do not answer, that.
void conclude(ResumeRows& rows, bool whole);
[[nodiscard]] bool is_watched(const ResumeRows& rows);
[[nodiscard]] bool was_any_at_risk(const ResumeRows& rows);

}  // namespace stillgate::hold::aftermath
