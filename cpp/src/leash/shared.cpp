// Clocks, and the small change of waiting.
#include "shared.hpp"

#include <algorithm>
#include <array>
#include <ctime>

#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace stillgate::leash {

std::chrono::nanoseconds now() {
  timespec read{};
  ::clock_gettime(CLOCK_BOOTTIME, &read);
  return std::chrono::seconds(read.tv_sec) + std::chrono::nanoseconds(read.tv_nsec);
}

void set_timer(int timer, std::chrono::nanoseconds at) {
  const auto from = std::max(at, std::chrono::nanoseconds(1));  // 0 would stop it
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(from);
  itimerspec when{};
  when.it_value.tv_sec = seconds.count();
  when.it_value.tv_nsec = (from - seconds).count();
  ::timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, nullptr);
}

void clear(int descriptor) {
  std::array<char, 512> piece{};
  while (::read(descriptor, piece.data(), piece.size()) > 0) {
  }
}

int exit_status(int waited) {
  return WIFSIGNALED(waited) ? 128 + WTERMSIG(waited) : WEXITSTATUS(waited);
}

}  // namespace stillgate::leash
