// The guard's program: where it lies, and how it is started.
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include <stillgate/error.hpp>

namespace stillgate::fleet {

/// $STILLGATE_GUARD, or `stillgate-guard` beside the library or program that this code is in.
[[nodiscard]] std::string guard_executable();

/// Starts it with these descriptors as standard input and output. It puts itself into the
/// background, so that no zombie is left to the embedding program. Returns why it did not start.
[[nodiscard]] std::optional<std::string> launch_guard(int input, int output);

/// Starts it as the one that proves waiting releases (prover.hpp), with that descriptor as both,
/// and as a child of this process.
[[nodiscard]] Result<pid_t> launch_prover(int control);

}  // namespace stillgate::fleet
