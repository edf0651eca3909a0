// What Stillgate and its leash tell each other: one packet of a socket each.
// python/stillgate/run_until.py has the same.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace stillgate::leash {

/// The socket to Stillgate.
inline constexpr int peer = 0;
inline constexpr int streams = 3;

struct Told {
  /// arm: a start that takes place when Stillgate is gone, or stopped for too long; disarm: or not
  /// at all, unless it has taken place; ask: whether it has.
  enum Kind : std::int32_t { start, move, end, interrupt, kill, arm, disarm, ask };
  std::int32_t kind;
  /// start, arm: bit N is set where standard stream N is open; the packet brings those descriptors.
  std::int32_t open;
  /// start, arm, move: the deadline, nanoseconds on CLOCK_BOOTTIME.
  std::int64_t deadline;
  /// start, arm: nanoseconds.
  std::int64_t grace;
  /// start, arm: 1 where SIGINT comes before SIGTERM.
  std::int64_t gently;
  /// arm: a process that has to be gone before, or 0.
  std::int64_t after;
  /// arm: it starts by itself so many nanoseconds before the deadline.
  std::int64_t share;
  /// arm: 1 where Stillgate is continued whenever somebody stops it, until it is disarmed.
  std::int64_t awake;
};

/// What may follow a start or an arm, in the same packet: NAME=VALUE, each with a NUL behind it.
inline constexpr std::size_t most_environment = 16384;

struct Said {
  enum Kind : std::int32_t { ready, started, unstarted, ended, disarmed };
  std::int32_t kind;
  /// ready: the inner process, with the descriptor that kills the command's group where there is
  /// one. started: the command's. unstarted: errno. ended: the exit status, or 128 and the signal
  /// that ended it. disarmed, to an ask, too: 0 where it has been started.
  std::int32_t value;
  /// ended: the deadline has ended it.
  std::int32_t by_deadline;
};

/// With the descriptors of a start, -1 where one is closed, and what the command's environment has
/// beside the leash's.
struct Received {
  Told told;
  std::array<int, streams> given;
  std::string environment;
};

/// Nothing where no packet was there after all. `lost`: there will be no other.
std::optional<Received> receive(bool& lost);
/// Whether anybody hears it does not matter.
void say(Said::Kind kind, int value, bool by_deadline = false, int descriptor = -1);

}  // namespace stillgate::leash
