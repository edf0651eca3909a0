// Starts the command, as a child of this process.
#pragma once

#include <array>

#include <signal.h>
#include <sys/types.h>

#include "group.hpp"
#include "message.hpp"

namespace stillgate::leash {

struct Started {
  pid_t pid = -1;
  int error = 0;  ///< errno, where it could not be started
};

/// In a session and a group of its own, with these standard streams and this signal mask. It is
/// killed when this process is. `arguments` ends with a null; its first is searched in the PATH
/// where it has no slash. The descriptors are closed.
[[nodiscard]] Started start_command(char* const* arguments, const std::array<int, streams>& given,
                                    const sigset_t& mask, const Group& group);

}  // namespace stillgate::leash
