// Releases that wait in HAProxy, before a hold begins: where its own may wait, and what others
// left.
#pragma once

#include <optional>

#include <stillgate/report.hpp>

#include "hold/waits/wait_proof.hpp"
#include "hold/waits/wait_sweep.hpp"
#include "suspend_rows.hpp"

namespace stillgate::hold::waits {

/// Where the guard's hold is to be backed by HAProxy's own `wait`: to be proven there.
[[nodiscard]] WaitProofs wanted(const SuspendRows& rows, const Record& hold);
/// Where it is proven the lease says so; where it is not, a finding says why.
void take(SuspendRows& rows, const WaitProofs& proofs);
/// The guard could not set one up, though it was proven.
void take_back(SuspendedSwitch& row);

/// Lines of the holds that had the lock before and are over: none may fire into the one that
/// begins. Asked before the lock is taken: whoever has it is the only one that is looked for next
/// time.
[[nodiscard]] WaitSweeps left_over(const SuspendRows& rows, WallTime now);
/// False where one is still there, or it is not known: then nothing may be held.
[[nodiscard]] bool are_gone(SuspendRows& rows, WaitSweeps& sweeps);

}  // namespace stillgate::hold::waits
