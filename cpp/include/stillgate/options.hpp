// The options of a fleet and of its calls, and how far a running call has come.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <stillgate/event.hpp>
#include <stillgate/report.hpp>

namespace stillgate {

// What numbers may be, ends included, and how many bytes a text may have.
inline constexpr std::chrono::milliseconds shortest_hold{100};
inline constexpr std::chrono::milliseconds longest_wait{3'600'000};
inline constexpr std::size_t longest_owner = 200;
inline constexpr std::size_t longest_reason = 1000;

// Each struct of options has `each(options, visit)`, the one list of them: it calls
// `visit(name, field)`, and for what has bounds `visit(name, number, least, most)` or
// `visit(name, text, most_bytes)`. The checks of input walk it, and the bindings by its names.

/// Deadlines and bounds of one fleet. Each deadline is per endpoint and phase.
struct FleetOptions {
  std::chrono::milliseconds connect_timeout{2000};
  std::chrono::milliseconds greeting_timeout{2000};  ///< HAProxy's first answer
  std::chrono::milliseconds reply_timeout{5000};     ///< from sent to complete reply
  std::size_t max_reply_bytes{64U << 20U};           ///< per endpoint
  EventOptions events;                               ///< who is told what happens to holds

  template <class Self, class Visit>
  static void each(Self& self, const Visit& visit) {
    using std::chrono::milliseconds;
    visit("connect_timeout", self.connect_timeout, milliseconds{1}, longest_wait);
    visit("greeting_timeout", self.greeting_timeout, milliseconds{1}, longest_wait);
    visit("reply_timeout", self.reply_timeout, milliseconds{1}, longest_wait);
    visit("max_reply_bytes", self.max_reply_bytes, std::size_t{1000}, std::size_t{1} << 30U);
    visit("on_event", self.events.on_event, std::size_t{4096});
    visit("event_format", self.events.format);
  }
};

struct SuspendOptions {
  Method method{Method::automatic};
  bool accept_unproven{false};        ///< a gate that is loaded counts as one, proof or not
  Expiry on_expiry{Expiry::release};  ///< `reject` needs the gate
  /// Above so many waiting requests per frontend a gate answers 503; 0: no bound.
  std::int64_t max_waiting{0};
  bool no_lease{false};       ///< start no guard: nothing ends a hold by maxconn but a resume
  bool accept_hazard{false};  ///< overrule the table of hazards
  std::string owner;          ///< default: user@host
  std::string reason;
  /// The gate itself ends the hold then, or a guard does.
  std::chrono::milliseconds max_hold{15'000};
  /// No longer than max_hold; 0: requests already in flight are not waited for.
  std::chrono::milliseconds drain_timeout{5'000};

  template <class Self, class Visit>
  static void each(Self& self, const Visit& visit) {
    using std::chrono::milliseconds;
    visit("max_hold", self.max_hold, shortest_hold, longest_wait);
    visit("drain_timeout", self.drain_timeout, milliseconds{0}, longest_wait);
    visit("max_waiting", self.max_waiting, std::int64_t{0}, std::int64_t{1'000'000'000});
    visit("method", self.method);
    visit("accept_unproven", self.accept_unproven);
    visit("on_expiry", self.on_expiry);
    visit("no_lease", self.no_lease);
    visit("accept_hazard", self.accept_hazard);
    visit("owner", self.owner, longest_owner);
    visit("reason", self.reason, longest_reason);
  }
};

struct ResumeOptions {
  std::optional<std::int64_t> limit;  ///< in place of the recorded one
  bool accept_hazard{false};
  std::chrono::milliseconds retry_for{10000};  ///< unreachable endpoints are retried
  std::chrono::milliseconds ramp{0};           ///< the limits are raised over that time
  /// Nothing is released before every backend has a server that is up. If that does not come
  /// within retry_for, the hold goes on, and the report says application_down.
  bool wait_up{false};
  bool at_deadline{false};  ///< it is the deadline that resumes: told as `expired`
  /// Before its deadline a hold is ended only by its holder: by the same owner, from where its
  /// journal is, or by whoever names its id. Else nothing is released: not_the_holder.
  std::string hold;   ///< this one, and no other
  std::string owner;  ///< default: user@host
  bool force{false};  ///< overrules the holder, and wants a reason
  std::string reason;

  template <class Self, class Visit>
  static void each(Self& self, const Visit& visit) {
    using std::chrono::milliseconds;
    visit("limit", self.limit, std::int64_t{1}, std::int64_t{2'147'483'647});
    visit("retry_for", self.retry_for, milliseconds{0}, longest_wait);
    visit("ramp", self.ramp, milliseconds{0}, longest_wait);
    visit("accept_hazard", self.accept_hazard);
    visit("wait_up", self.wait_up);
    visit("at_deadline", self.at_deadline);
    visit("hold", self.hold);
    visit("owner", self.owner, longest_owner);
    visit("force", self.force);
    visit("reason", self.reason, longest_reason);
  }
};

struct ExtendOptions {
  std::chrono::milliseconds by{0};  ///< the new deadline is so much later
  std::string hold;                 ///< as for resume, and the three below too
  std::string owner;
  bool force{false};
  std::string reason;

  template <class Self, class Visit>
  static void each(Self& self, const Visit& visit) {
    using std::chrono::milliseconds;
    visit("seconds", self.by, shortest_hold, longest_wait);
    visit("hold", self.hold);
    visit("owner", self.owner, longest_owner);
    visit("force", self.force);
    visit("reason", self.reason, longest_reason);
  }
};

/// How far a running call has come. Written by the call, read by any thread.
struct Progress {
  std::atomic<std::size_t> connected{0};
  std::atomic<std::size_t> answered{0};
  std::atomic<std::int64_t> in_flight{-1};  ///< requests still being served; -1: not known
  std::atomic<const char*> phase{"idle"};   ///< a string literal
};

}  // namespace stillgate
