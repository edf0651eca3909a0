// A resume that comes too late: which holds had ended before it, how, and what passed since.
#pragma once

#include "resume_rows.hpp"

namespace stillgate::hold::lateness {

/// Says of each switch that this call has not seen held whether a hold of the caller's had ended
/// there, with `ended` and the error hold_ended, and adds that hold to the report. Concerned is the
/// hold that the caller names by its id; else the last one that this machine and user began there,
/// or the same owner. What was told once is not told again.
void tell(ResumeRows& rows, const ResumeRequest& request, Report& report, WallTime now);

[[nodiscard]] inline bool is_late(const ResumedSwitch& row) { return row.report.ended.has_value(); }

}  // namespace stillgate::hold::lateness
