// How the guard's program is started.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include <stillgate/error.hpp>

namespace stillgate::fleet {

/// Starts guard_program() with these descriptors as standard input and output, by the command
/// `way_out` if there is one. Returns its first process, which leads a group of its own and ends as
/// soon as the guard is in the background: the caller ends it by `end_child`, so that no zombie is
/// left to the embedding program. Error: guard_failed with the system's words.
[[nodiscard]] Result<pid_t> launch_guard(int input, int output,
                                         const std::vector<std::string>& way_out);

/// Starts it as the one that proves waiting releases (prover.hpp), with that descriptor as both,
/// and as a child of this process.
[[nodiscard]] Result<pid_t> launch_prover(int control);

}  // namespace stillgate::fleet
