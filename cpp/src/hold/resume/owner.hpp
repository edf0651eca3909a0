// Whose holds a resume leaves alone, and how the HAProxies learn that one has ended.
#pragma once

#include <vector>

#include "resume_rows.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold::owner {

/// Settles what somebody else holds, and adds these holds to the report. Whether there is any that
/// is in effect. One that shows itself only late, at an endpoint that could not be reached before,
/// is left alone in the same way.
bool leave_foreign(ResumeRows& rows, const ResumeRequest& request, Report& report, WallTime now);

/// Goes with a release. No commands where there is nothing to mark.
[[nodiscard]] std::vector<runtime_api::Command> mark_resumed(const ResumedSwitch& row,
                                                             const ResumeRequest& request,
                                                             WallTime now);

/// Empties the records of what is over, and marks its locks as ended. A record that stays although
/// its hold is over does no harm. No commands: there is nothing to take back.
[[nodiscard]] runtime_api::Batch disarm(const ResumeRows& rows, const ResumeRequest& request,
                                        WallTime now);

}  // namespace stillgate::hold::owner
