// The options of a fleet and of its calls, and how far a running call has come.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <stillgate/cutover.hpp>
#include <stillgate/event.hpp>
#include <stillgate/report.hpp>

namespace [[gnu::visibility("default")]] stillgate {

// Ranges of numbers (both ends allowed) and maximum lengths of texts in bytes.
inline constexpr std::chrono::milliseconds shortest_hold{100};
inline constexpr std::chrono::milliseconds longest_wait{3'600'000};
inline constexpr std::size_t longest_owner = 200;
inline constexpr std::size_t longest_reason = 1000;
inline constexpr std::size_t longest_list = 4000;

// Each struct has `each(options, visit)`, the list of its options: it calls `visit(name, field)`,
// or for an option with limits `visit(name, number, least, most)` or `visit(name, text,
// most_bytes)`. The checks of input and the bindings use that list. An option outside its limits is
// refused with bad_option or bad_number.

/// Timeouts and limits of one fleet. Each timeout counts per endpoint and phase.
struct FleetOptions {
  std::chrono::milliseconds connect_timeout{2000};
  std::chrono::milliseconds greeting_timeout{2000};  ///< until HAProxy's first answer
  std::chrono::milliseconds reply_timeout{5000};  ///< from the command sent to the complete reply
  std::size_t max_reply_bytes{64U << 20U};        ///< limit of the replies of one endpoint
  EventOptions events;                            ///< who gets the events of holds

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
  bool accept_unproven{false};            ///< accept a gate that is loaded but not proven
  Expiry on_expiry{Expiry::release};      ///< `reject` needs the gate
  OnReload on_reload{OnReload::release};  ///< `reject` needs the gate
  /// Above this many waiting requests per frontend a gate answers 503; 0: no limit.
  std::int64_t max_waiting{0};
  bool no_lease{false};       ///< start no guard: only a resume ends a hold by maxconn
  bool accept_hazard{false};  ///< overrule the table of releases that crash on resume
  /// Hold by maxconn also where the guard would end with whoever starts it (docs/guard.md).
  bool accept_shared_fate{false};
  Cutover cutover;  ///< check: is it possible? Empty: none
  /// Before anything is held, bring the cutover's servers to `drain` and wait so long until a check
  /// has shown each of them to be up; else hold nothing. 0: do not.
  std::chrono::milliseconds ready_first{0};
  bool holder_stays{false};  ///< the caller stays, watches the guard and ends the hold itself
  std::string owner;         ///< default: user@host
  std::string reason;
  /// The deadline: after this time the gate, or a guard, ends the hold.
  std::chrono::milliseconds max_hold{15'000};
  /// How long to wait for the requests already in flight, at most max_hold; then roll back. 0: do
  /// not wait.
  std::chrono::milliseconds drain_timeout{5'000};
  /// Backends that the drain does not wait for, with commas between: of endless streams.
  std::string drain_except;
  /// Of the resume that will end the hold: only that there are such backends is looked at now.
  std::string wait_up_for;

  template <class Self, class Visit>
  static void each(Self& self, const Visit& visit) {
    using std::chrono::milliseconds;
    visit("max_hold", self.max_hold, shortest_hold, longest_wait);
    visit("drain_timeout", self.drain_timeout, milliseconds{0}, longest_wait);
    visit("ready_first", self.ready_first, milliseconds{0}, longest_wait);
    visit("max_waiting", self.max_waiting, std::int64_t{0}, std::int64_t{1'000'000'000});
    visit("method", self.method);
    visit("accept_unproven", self.accept_unproven);
    visit("on_expiry", self.on_expiry);
    visit("on_reload", self.on_reload);
    visit("drain_except", self.drain_except, longest_list);
    visit("wait_up_for", self.wait_up_for, longest_list);
    visit("no_lease", self.no_lease);
    visit("accept_hazard", self.accept_hazard);
    visit("accept_shared_fate", self.accept_shared_fate);
    visit("cutover", self.cutover);
    visit("holder_stays", self.holder_stays);
    visit("owner", self.owner, longest_owner);
    visit("reason", self.reason, longest_reason);
  }
};

struct ResumeOptions {
  std::optional<std::int64_t> limit;  ///< restore this limit, instead of the recorded one
  bool accept_hazard{false};
  std::chrono::milliseconds retry_for{10000};  ///< retry unreachable endpoints for this time
  std::chrono::milliseconds ramp{0};           ///< raise the limits over this time; 0: at once
  /// Release nothing before every backend has a server that is up, but for those that had none when
  /// the hold began. If one has none within retry_for, the hold stays in effect, and the report
  /// says application_down.
  bool wait_up{false};
  std::string wait_up_for;  ///< the same for these backends only, with commas between
  /// Applied to all behind the hold, before anything is released. If it cannot be had, nothing is
  /// released. Empty: none.
  Cutover cutover;
  bool at_deadline{false};  ///< the deadline resumes: the event is `expired`
  /// Before its deadline only the holder may end a hold: the same owner, or the machine and user
  /// whose journal has it, or whoever names its id. Otherwise: not_the_holder, nothing released.
  std::string hold;   ///< the id of the hold to end, and of no other
  std::string owner;  ///< default: user@host
  bool force{false};  ///< overrule the holder; needs a reason
  std::string reason;

  template <class Self, class Visit>
  static void each(Self& self, const Visit& visit) {
    using std::chrono::milliseconds;
    visit("limit", self.limit, std::int64_t{1}, std::int64_t{2'147'483'647});
    visit("retry_for", self.retry_for, milliseconds{0}, longest_wait);
    visit("ramp", self.ramp, milliseconds{0}, longest_wait);
    visit("accept_hazard", self.accept_hazard);
    visit("wait_up", self.wait_up);
    visit("wait_up_for", self.wait_up_for, longest_list);
    visit("cutover", self.cutover);
    visit("at_deadline", self.at_deadline);
    visit("hold", self.hold);
    visit("owner", self.owner, longest_owner);
    visit("force", self.force);
    visit("reason", self.reason, longest_reason);
  }
};

struct CutoverOptions {
  Cutover cutover;
  bool back{false};     ///< restores what stood before; of `cutover` only the name counts
  bool dry_run{false};  ///< proves it, and changes nothing
  /// First bring its servers to `drain` and wait so long until a check has shown each to be up.
  std::chrono::milliseconds ready_first{0};
  /// How long to ask again where an answer was lost; after it all is undone, which has as long.
  std::chrono::milliseconds retry_for{10'000};
  /// Inside the hold of this id: all of its frontends must be held still, and it must have time for
  /// the cutover (else cutover_too_late), or nothing is changed.
  std::string hold{};
  std::vector<std::string> frontends{};  ///< of that hold
  /// So much of that hold is left afterwards, for what must be done inside it then.
  std::chrono::milliseconds keep{0};

  template <class Self, class Visit>
  static void each(Self& self, const Visit& visit) {
    using std::chrono::milliseconds;
    visit("cutover", self.cutover);
    visit("back", self.back);
    visit("dry_run", self.dry_run);
    visit("ready_first", self.ready_first, milliseconds{0}, longest_wait);
    visit("retry_for", self.retry_for, milliseconds{0}, longest_wait);
    visit("hold", self.hold);
    visit("frontends", self.frontends);
    visit("keep", self.keep, milliseconds{0}, longest_wait);
  }
};

struct ExtendOptions {
  std::chrono::milliseconds by{0};  ///< move the deadline by this time
  /// Everywhere or nowhere, and over before the old deadline less `keep`; where that leaves no time
  /// for it on one of the paths: cutover_too_late, and nothing is changed. Else an HAProxy that it
  /// does not reach in time opens, with what must not serve yet.
  bool for_cutover{false};
  std::chrono::milliseconds keep{0};  ///< of the old time, for what must be done in it
  std::string hold;                   ///< this and the next three: as for resume
  std::string owner;
  bool force{false};
  std::string reason;

  template <class Self, class Visit>
  static void each(Self& self, const Visit& visit) {
    using std::chrono::milliseconds;
    visit("seconds", self.by, shortest_hold, longest_wait);
    visit("for_cutover", self.for_cutover);
    visit("keep", self.keep, milliseconds{0}, longest_wait);
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
  std::atomic<std::int64_t> in_flight{-1};  ///< requests still being served; -1: unknown
  std::atomic<const char*> phase{"idle"};   ///< a string literal
};
// clang-format off
}  // namespace stillgate, whose attribute clang-format takes for a part of its name
