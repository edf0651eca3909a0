// The report of each call: one switch per endpoint and frontend, and what became of a cutover.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>

namespace [[gnu::visibility("default")]] stillgate {

using WallTime = std::chrono::system_clock::time_point;

/// How a frontend is held. words.def has all values of this and the next ones, with their meaning.
enum class Method {
#define STILLGATE_METHOD(method, name, meaning) method,
#include <stillgate/words.def>
};
[[nodiscard]] constexpr std::string_view name(Method method) noexcept {
  constexpr std::array names{
#define STILLGATE_METHOD(method, name, meaning) std::string_view(name),
#include <stillgate/words.def>
  };
  return names.at(static_cast<std::size_t>(method));
}
[[nodiscard]] std::optional<Method> method(std::string_view name) noexcept;

/// What a gate does at the deadline, if nobody has resumed by then.
enum class Expiry {
#define STILLGATE_EXPIRY(expiry, meaning) expiry,
#include <stillgate/words.def>
};
[[nodiscard]] std::string_view name(Expiry expiry) noexcept;
[[nodiscard]] std::optional<Expiry> expiry(std::string_view name) noexcept;

/// What a gate does in a worker that a reload replaces during the hold.
enum class OnReload {
#define STILLGATE_ON_RELOAD(choice, meaning) choice,
#include <stillgate/words.def>
};
[[nodiscard]] std::string_view name(OnReload choice) noexcept;
[[nodiscard]] std::optional<OnReload> on_reload(std::string_view name) noexcept;

/// How a hold had ended before its resume.
enum class End {
#define STILLGATE_END(end, meaning) end,
#include <stillgate/words.def>
};
[[nodiscard]] std::string_view name(End end) noexcept;
[[nodiscard]] std::optional<End> end_named(std::string_view name) noexcept;

/// The state of one frontend at one endpoint after the call, as read back.
enum class Verdict {
#define STILLGATE_VERDICT(verdict, meaning) verdict,
#include <stillgate/words.def>
};
[[nodiscard]] std::string_view name(Verdict verdict) noexcept;

/// What became of one change of a cutover.
enum class ChangeState {
#define STILLGATE_CHANGE(change, meaning) change,
#include <stillgate/words.def>
};
[[nodiscard]] std::string_view name(ChangeState state) noexcept;

/// What became of a whole cutover.
enum class CutoverState {
#define STILLGATE_CUTOVER(state, meaning) state,
#include <stillgate/words.def>
};
[[nodiscard]] std::string_view name(CutoverState state) noexcept;

enum class Level {
#define STILLGATE_LEVEL(level, meaning) level,
#include <stillgate/words.def>
};
[[nodiscard]] std::string_view name(Level level) noexcept;

/// What a check or a status may find, but for refusals; findings.def has all with their meaning.
enum class FindingCode {
#define STILLGATE_FINDING(code, level, worst, meaning) code,
#include <stillgate/findings.def>
#undef STILLGATE_FINDING
};
[[nodiscard]] std::string_view name(FindingCode code) noexcept;

/// One line of a check's result. A refusal means that suspend would hold nothing.
struct Finding {
  std::string code;  ///< the name of an Errc for a refusal, else of a FindingCode
  Level level{};
  std::string message;

  /// At the code's usual level, or at its worst.
  [[nodiscard]] static Finding of(FindingCode code, std::string message, bool at_worst = false);
  [[nodiscard]] bool is(FindingCode other) const noexcept { return code == name(other); }
};

/// The gate's counters for the hold in effect, or for the last one.
struct GateCounters {
  std::int64_t most_waiting{0};
  std::int64_t held{0};      ///< requests that had to wait
  std::int64_t released{0};  ///< of those, released
  std::int64_t given_up{0};  ///< of those, whose clients gave up, as far as HAProxy noticed
  std::int64_t rejected{0};  ///< answered 503: above max_waiting, or past the deadline
  double longest_wait_ms{0};
  std::optional<std::int64_t> bound{};    ///< how many may wait; empty unless it holds
  std::optional<std::string> bound_by{};  ///< max_waiting, maxconn or tune.lua.maxmem
};

/// Requests that waited in workers that a reload replaced, of the same hold.
struct OldWorkers {
  std::int64_t waiting{0};
  std::int64_t released{0};  ///< to the servers of that worker's own configuration
  std::int64_t rejected{0};  ///< answered 503
  std::int64_t silent{0};    ///< that waited in a worker which says nothing any more
  std::string pids{};        ///< of those in which some wait, with spaces between
};

/// The end of a hold that had ended before its resume.
struct HoldEnd {
  End how{};
  std::optional<WallTime> at;     ///< empty: unknown
  std::optional<std::string> by;  ///< "haproxy", "guard", or who resumed; empty: unknown
  /// The most that can have reached a server since the hold was found drained; empty: unknown.
  std::optional<std::int64_t> requests_since;
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
  std::optional<OldWorkers> old_workers;  ///< empty where the gate knows of none
  std::optional<HoldEnd> ended;  ///< resume: the hold had ended before; `error` says so, too
  std::string endpoint_name{};   ///< the short one, as messages have it
  /// Requests in the last second, in tcp mode connections, as HAProxy counted when it was surveyed;
  /// a suspend's is of before the hold. Empty: unknown.
  std::optional<std::int64_t> rate{};
};

/// One change at one endpoint.
struct CutoverChange {
  std::string endpoint;
  std::string what;  ///< `server BACKEND/SERVER state`, `server ... weight`, `map FILE KEY`
  std::optional<std::string> before;  ///< what stood there when the call began; empty: unknown
  std::string wanted;
  std::optional<std::string> now;  ///< as last read; empty: unknown
  std::int64_t written{0};  ///< so often; more than once where a reload or a lost answer undid it
  ChangeState state{ChangeState::unchanged};
  std::optional<Error> error;
  std::string endpoint_name{};  ///< the short one
};

struct CutoverResult {
  std::string name;
  CutoverState state{CutoverState::refused};
  std::vector<CutoverChange> changes;  ///< in the order of the endpoints
  /// In words, what counts as up although no check shows it: servers without a check, or with
  /// `fall 1`.
  std::vector<std::string> unshown{};
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
#define STILLGATE_ENDING(ending, exit_status, meaning) ending = (exit_status),
#include <stillgate/words.def>
};

struct Report {
  std::string action;  ///< "check", "suspend", "resume", "extend", "status" or "cutover"
  Ending ending{Ending::done};
  std::vector<Hold> holds;
  std::vector<Switch> switches;  ///< in the order of the endpoints, then of the frontends
  std::optional<double>
      commit_window_ms;  ///< from the first byte of the commit sent to the last answer received
  std::optional<double> skew_ms;  ///< estimated spread of the instants of switching
  std::optional<bool>
      drained;  ///< suspend: the requests in flight have been served; empty: not waited for
  std::optional<double> drain_ms;
  std::optional<Error> error;            ///< of the call as a whole
  std::optional<CutoverResult> cutover;  ///< where one was asked for

  [[nodiscard]] bool ok() const noexcept { return ending == Ending::done; }
};

/// The document that docs/schema.json calls a report. Bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string to_json(const Report& report);
// clang-format off
}  // namespace stillgate, whose attribute clang-format takes for a part of its name
