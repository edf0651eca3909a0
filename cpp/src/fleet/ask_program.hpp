// Running another program for its answer, for a bounded time.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <vector>

#include <sys/types.h>

namespace stillgate::fleet {

struct ProgramAnswer {
  bool ended_well{false};  ///< it ended in time, with status 0
  std::string text;        ///< what it wrote to standard output and error, or why there is none
};

/// Found on the PATH where the first word has no slash. Has no standard input. After `patience`, or
/// if the caller stops, it is killed with what it started.
[[nodiscard]] ProgramAnswer ask_program(const std::vector<std::string>& words,
                                        std::chrono::milliseconds patience,
                                        const std::stop_token& stop);

/// Reaps a child that leads a process group of its own. If it still runs, it is killed with its
/// group. Its status, as waitpid(2) has it.
int end_child(pid_t child);

}  // namespace stillgate::fleet
