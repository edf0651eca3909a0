// What a leash does to its command, and when: a state machine without I/O.
#pragma once

#include <chrono>
#include <optional>

namespace stillgate::leash {

using Nanoseconds = std::chrono::nanoseconds;
/// Since the machine was started, its sleep included (CLOCK_BOOTTIME).
using Instant = std::chrono::nanoseconds;

/// Before the deadline, so that the hold's end still fits.
inline constexpr Nanoseconds margin = std::chrono::milliseconds(200);
/// For what was killed to be gone; half the margin.
inline constexpr Nanoseconds reaping = std::chrono::milliseconds(100);

/// For everything that the command started, at once.
enum class Order { interrupt, terminate, kill };

struct Step {
  std::optional<Order> order;
  /// Call next() again then, or as soon as something has happened.
  Instant wake{0};
  bool over = false;
};

/// One command, from its start to the end of all that it started. Not thread-safe.
class Course {
 public:
  /// `grace`: from the first signal to SIGKILL. `first`: that signal; behind an interrupt SIGTERM
  /// follows half-way.
  Course(Instant deadline, Nanoseconds grace, Order first = Order::terminate);

  /// Another deadline; too late once the command is being ended.
  void move(Instant deadline);
  /// The hold is over, or is about to be.
  void end(Instant now);
  /// Whoever has started the command is gone, or half of the leash is.
  void lose(Instant now);
  /// As Ctrl-C.
  void interrupt(Instant now);
  void kill(Instant now);
  /// The command's own process has ended. What it has left behind is killed.
  void ended(Instant now);

  /// `alone`: nothing is left of what the command started.
  [[nodiscard]] Step next(Instant now, bool alone);

  /// When everything is killed at the latest, as things are.
  [[nodiscard]] Instant kill_at() const noexcept { return kill_at_; }
  [[nodiscard]] bool ended_by_deadline() const noexcept { return by_deadline_; }

 private:
  enum class Phase { running, ending, killing };
  void begin_end(Order order, Instant now);
  void begin_first(Instant now);

  Phase phase_ = Phase::running;
  Nanoseconds grace_;
  Order first_;
  Instant first_at_{0};
  /// Where SIGTERM comes behind another first signal.
  std::optional<Instant> term_at_;
  Instant kill_at_{0};
  Instant give_up_at_{0};
  std::optional<Order> due_;
  bool by_deadline_ = false;
};

}  // namespace stillgate::leash
