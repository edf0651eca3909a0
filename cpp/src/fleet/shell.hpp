// Starts an operator's command without waiting for it.
#pragma once

#include <string>

namespace stillgate::fleet {

/// Runs `/bin/sh -c COMMAND` in its own session: `input` on its standard input, its output to
/// /dev/null, the variable `name` set to `value`. It inherits no other file of this process, and
/// SIGPIPE is not ignored. No child of this process is left, whatever the command does. A command
/// that cannot be started is not reported.
void start_shell(const std::string& command, const std::string& input, const std::string& name,
                 const std::string& value);

}  // namespace stillgate::fleet
