// The clock of deadlines: it is never stepped, and runs on while the machine sleeps.
#pragma once

#include <chrono>

#include <time.h>

namespace stillgate::engine {

/// Time since the machine was started, the same in all its processes.
[[nodiscard]] inline std::chrono::milliseconds boot_time() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

}  // namespace stillgate::engine
