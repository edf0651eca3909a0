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

/// What a gate does with requests at the deadline, if nobody has resumed by then.
enum class Expiry {
  release,
  reject,  ///< 503 with Retry-After, until somebody resumes
};

/// What is true of one frontend at one endpoint after the call.
enum class Verdict {
  unchanged,  ///< nothing was changed there
  held,       ///< read back: new connections wait
  reverted,   ///< was held in this call, and read back as it was before
  resumed,    ///< read back: the limit that stood before is in force again
  open,       ///< not held (status)
  unknown,    ///< it could not be read back; `error` says what is known
};
[[nodiscard]] std::string_view name(Verdict verdict) noexcept;

enum class Level { info, warning, refusal };
[[nodiscard]] std::string_view name(Level level) noexcept;

/// Something that the check found. A refusal keeps a hold from being started.
struct Finding {
  std::string code;  ///< the name of an Errc for a refusal, else one of docs/errors.md, "Findings"
  Level level{};
  std::string message;
};

/// What the gate counted of the hold that is in effect, or of the last one.
struct GateCounters {
  std::int64_t most_waiting{0};
  std::int64_t held{0};      ///< requests that had to wait
  std::int64_t released{0};  ///< of those, let through
  std::int64_t given_up{0};  ///< of those, whose clients left, as far as HAProxy noticed
  std::int64_t rejected{0};  ///< answered 503: the bound, or past the deadline
  double longest_wait_ms{0};
};

struct Switch {
  std::string endpoint;
  std::string frontend;
  std::optional<std::string> hold_id;
  Verdict verdict{Verdict::unchanged};
  /// "gate" or "maxconn": how it is held, or in a check how it would be; else empty.
  std::optional<std::string> method;
  /// Who ends it at the deadline. "haproxy": the gate itself; "guard": a guard on the machine that
  /// suspended; "guard+wait": HAProxy's own `wait` behind that; "none": nobody.
  std::optional<std::string> lease;
  std::optional<std::int64_t> limit_before;
  std::optional<std::int64_t> limit_now;
  std::optional<std::int64_t> waiting;    ///< requests now; empty under maxconn: not known
  std::optional<GateCounters> gate;       ///< empty under maxconn
  std::optional<std::int64_t> in_flight;  ///< requests that have a backend; empty: not known
  std::optional<std::int64_t> leaked;     ///< at most so many reached servers since it was drained
  std::optional<std::string> version;     ///< HAProxy's, as it says itself
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
  std::optional<WallTime> deadline;  ///< empty where nobody ends the hold
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
      commit_window_ms;           ///< first byte of the commit sent, to last answer received
  std::optional<double> skew_ms;  ///< estimated spread of the instants of switching
  std::optional<bool> drained;    ///< suspend: nothing was being served any more; empty: not asked
  std::optional<double> drain_ms;
  std::optional<Error> error;  ///< of the call as a whole

  [[nodiscard]] bool ok() const noexcept { return ending == Ending::done; }
};

/// The document that docs/schema.json calls a report. Bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace stillgate
