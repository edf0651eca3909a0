// Releases that wait in HAProxy for a hold that a resume ends: none may fire into the next one.
#pragma once

#include "hold/waits/wait_sweep.hpp"
#include "resume_rows.hpp"

namespace stillgate::hold::waits {

/// Of the holds that are over here. Their guard ends its own line, too, unless its machine is
/// frozen.
[[nodiscard]] WaitSweeps of_ended(const ResumeRows& rows, WallTime now);
/// A finding where one is still there, or may be.
void note_left(ResumeRows& rows, WaitSweeps& sweeps);

}  // namespace stillgate::hold::waits
