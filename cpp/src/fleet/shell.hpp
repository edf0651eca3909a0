// Starting an operator's command that nobody waits for.
#pragma once

#include <string>

namespace stillgate::fleet {

/// Runs `/bin/sh -c COMMAND` in a session of its own: `input` on its standard input, its output to
/// /dev/null, the variable `name` set to `value`, nothing else of this process's files, and of its
/// ignored signals not SIGPIPE. No child of this process is left, whatever the command does. What
/// cannot be started is not told.
void start_shell(const std::string& command, const std::string& input, const std::string& name,
                 const std::string& value);

}  // namespace stillgate::fleet
