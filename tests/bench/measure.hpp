// What the C++ peers of the bench share: clocks, the endpoint file, the line printed per round.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace bench {

inline double now_ms() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(since).count();
}

/// User and system time of this process so far, in microseconds.
inline double cpu_us() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto micros = [](const timeval& time) {
    return 1e6 * static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec);
  };
  return micros(used.ru_utime) + micros(used.ru_stime);
}

/// One round, in the words of the driver.
struct Round {
  double total_ms{0};
  double window_ms{0};  ///< first byte of the command sent, to the last answer
  double cpu_us{0};     ///< of the timed part
  std::size_t ok{0};    ///< endpoints that answered in full
};

/// Flushed, for the driver waits for the line.
inline void print(const Round& round, std::size_t endpoints) {
  std::printf(
      "{\"total_ms\": %.4f, \"window_ms\": %.4f, \"cpu_us_per_endpoint\": %.3f, \"ok\": %zu}\n",
      round.total_ms, round.window_ms,
      round.cpu_us / static_cast<double>(std::max<std::size_t>(endpoints, 1)), round.ok);
  std::fflush(stdout);
}

/// The lines of a file that are not empty.
inline std::vector<std::string> read_lines(const char* path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

/// As many open files as the hard limit allows: the soft one is 1,024 on most machines.
inline void raise_file_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace bench
