// The report of check, suspend, resume and status: one switch per endpoint and frontend.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <stillgate/error.hpp>

namespace stillgate {

using WallTime = std::chrono::system_clock::time_point;

/// How a frontend is held. `automatic`: by the gate where it is proven, else by maxconn.
enum class Method { automatic, gate, maxconn };

/// What a gate does at the deadline, if nobody has resumed by then.
enum class Expiry {
  release,  ///< release the waiting requests
  reject,   ///< answer 503 with Retry-After, until somebody resumes
};

/// The state of one frontend at one endpoint after the call, as read back.
enum class Verdict {
  unchanged,  ///< nothing was changed there
  held,       ///< read back: new connections wait
  reverted,   ///< was held in this call, and read back as it was before
  resumed,    ///< read back: the old limit is in effect, or the gate is open
  open,       ///< not held (status)
  unknown,    ///< it could not be read back; `error` says why
};
[[nodiscard]] std::string_view name(Verdict verdict) noexcept;

enum class Level { info, warning, refusal };
[[nodiscard]] std::string_view name(Level level) noexcept;

/// One line of a check's result. A refusal means that suspend would hold nothing.
struct Finding {
  std::string code;  ///< the name of an Errc for a refusal, else one of docs/errors.md, "Findings"
  Level level{};
  std::string message;
};

/// The gate's counters for the hold in effect, or for the last one.
struct GateCounters {
  std::int64_t most_waiting{0};
  std::int64_t held{0};      ///< requests that had to wait
  std::int64_t released{0};  ///< of those, released
  std::int64_t given_up{0};  ///< of those, whose clients gave up, as far as HAProxy noticed
  std::int64_t rejected{0};  ///< answered 503: above max_waiting, or past the deadline
  double longest_wait_ms{0};
};

struct Switch {
  std::string endpoint;
  std::string frontend;
  std::optional<std::string> hold_id;
  Verdict verdict{Verdict::unchanged};
  /// "gate" or "maxconn": how it is held, or for a check how it would be held; else empty.
  std::optional<std::string> method;
  /// What ends it at the deadline. "haproxy": the gate itself; "guard": a guard on the machine that
  /// suspended; "guard+wait": the guard, with HAProxy's own `wait` as its backup; "none": nothing.
  std::optional<std::string> lease;
  std::optional<std::int64_t> limit_before;
  std::optional<std::int64_t> limit_now;
  std::optional<std::int64_t> waiting;    ///< waiting requests; empty under maxconn: unknown
  std::optional<GateCounters> gate;       ///< empty under maxconn
  std::optional<std::int64_t> in_flight;  ///< requests already in flight; empty: unknown
  std::optional<std::int64_t>
      leaked;  ///< an upper bound: requests that reached servers since the drain
  std::optional<std::string> version;  ///< HAProxy's version
  std::optional<double> rtt_ms;
  std::vector<Finding> findings;
  std::optional<Error> error;
};

struct Hold {
  std::string id;
  std::string owner;
  std::string reason;
  std::vector<std::string> frontends;
  WallTime started_at;
  std::optional<WallTime> deadline;  ///< empty: only a resume ends the hold
  std::optional<double> max_hold_s;
};

/// How the call ended; the value is the command line's exit status.
enum class Ending {
  done = 0,
  endpoint_failed = 1,  ///< suspend: all others rolled back; resume: see the verdicts
  refused = 3,          ///< by the check; nothing was changed anywhere
  held_by_other = 4,
  cancelled = 130,  ///< the caller stopped it; suspend: rolled back
};

struct Report {
  std::string action;  ///< "check", "suspend", "resume" or "status"
  Ending ending{Ending::done};
  std::vector<Hold> holds;
  std::vector<Switch> switches;  ///< in the order of the endpoints, then of the frontends
  std::optional<double>
      commit_window_ms;  ///< from the first byte of the commit sent to the last answer received
  std::optional<double> skew_ms;  ///< estimated spread of the instants of switching
  std::optional<bool>
      drained;  ///< suspend: the requests in flight have been served; empty: not waited for
  std::optional<double> drain_ms;
  std::optional<Error> error;  ///< of the call as a whole

  [[nodiscard]] bool ok() const noexcept { return ending == Ending::done; }
};

}  // namespace stillgate
