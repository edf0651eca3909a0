// What the two processes of a leash share: a page of memory, and the outer one's alarm clock.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include <signal.h>
#include <sys/types.h>

namespace stillgate::leash {

/// So much later than the inner process the outer one does its work.
inline constexpr std::chrono::milliseconds lag{50};

class Group;

struct Page {
  std::atomic<std::int64_t> grace{0};  ///< nanoseconds
  std::atomic<pid_t> command{-1};
  std::atomic<bool> by_deadline{false};
  /// The command does not end with Stillgate.
  std::atomic<bool> stays{false};
  /// The inner one has nothing left to do.
  std::atomic<bool> over{false};
};

/// The same in both: made before they part.
struct Shared {
  Page* page;
  /// A timer on CLOCK_BOOTTIME: readable when the inner process is late. The inner one sets it.
  int alarm;
  /// Of the outer process: readable when it is gone.
  int outer;
  /// For SIGCHLD, which is blocked like all others.
  int children;
  /// As the command is to have it.
  sigset_t mask;
  /// The command's.
  const Group* group;
};

/// Since the machine was started (CLOCK_BOOTTIME).
[[nodiscard]] std::chrono::nanoseconds now();
/// An instant that has passed is now.
void set_timer(int timer, std::chrono::nanoseconds at);
/// Reads what makes a timer or a descriptor of signals readable.
void clear(int descriptor);
/// 0 to 255, as a shell has it.
[[nodiscard]] int exit_status(int waited);

}  // namespace stillgate::leash
