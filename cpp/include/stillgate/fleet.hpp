// The fleet: one command to all endpoints at once, and holds over all of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <stillgate/endpoint.hpp>
#include <stillgate/error.hpp>
#include <stillgate/options.hpp>
#include <stillgate/outcome.hpp>
#include <stillgate/report.hpp>

namespace [[gnu::visibility("default")]] stillgate {

class HeldFleet;

/// A cutover that is about to change something.
struct CutoverBegun {
  Cutover cutover;
  bool back{false};
  std::vector<std::string> frontends;  ///< that are held for it
  std::string hold;  ///< the id of their hold; empty: none is asked for, or several
  std::optional<std::chrono::milliseconds> left;  ///< of that hold
  std::chrono::milliseconds retry_for{0};
};

/// Who is told of cutovers, so that somebody else can continue one should this process be killed in
/// it. Both are called on the thread that makes the call, and must not throw.
struct CutoverWatch {
  std::function<void(const CutoverBegun&)> begins;  ///< right before its first change
  /// All of it is known: it is in effect, undone, or unknown. Nothing is released before.
  std::function<void()> ended;
};

/// Thread-safety: one call at a time per Fleet; progress() from any thread. Calls block. After a
/// stop request they end within milliseconds: execute with Errc::cancelled in its outcomes, the
/// others with Ending::cancelled.
class Fleet {
 public:
  /// Errors: empty_fleet, duplicate_endpoint, bad_option.
  static Result<Fleet> create(std::vector<Endpoint> endpoints, const FleetOptions& options = {});

  Fleet(Fleet&&) noexcept;
  Fleet& operator=(Fleet&&) noexcept;
  ~Fleet();

  /// Sends one runtime command to all endpoints at once. The outcomes are in the order of the
  /// endpoints. `payload` is what follows `<<` in HAProxy's syntax; the `<<` is added here.
  /// Errors (nothing sent): bad_command.
  Result<std::vector<Outcome>> execute(const std::string& command,
                                       const std::optional<std::string>& payload = {},
                                       const std::stop_token& stop = {});

  /// Reports what would stop or endanger a hold; changes nothing.
  /// Errors (nothing sent): bad_name, bad_option, bad_number. All other failures are in the report;
  /// that is true of the calls below, too.
  Result<Report> check(const std::vector<std::string>& frontends,
                       const SuspendOptions& options = {}, const std::stop_token& stop = {});
  /// Holds the frontends at all endpoints, or at none: after a failure, a stop (up to the last
  /// moment) or an exception all is rolled back. Only a report that is ok means a hold; one with
  /// the error still_held names what could not be rolled back. Returns when the requests already
  /// in flight have been served.
  Result<Report> suspend(const std::vector<std::string>& frontends,
                         const SuspendOptions& options = {}, const std::stop_token& stop = {});
  /// The same, as an object at whose end the hold is over (held_fleet.hpp).
  Result<HeldFleet> hold(const std::vector<std::string>& frontends,
                         const SuspendOptions& options = {}, const std::stop_token& stop = {});
  /// Releases the frontends at every endpoint that it can reach, and retries the others for
  /// `options.retry_for`. Repeatable: a frontend that is already open is no failure.
  /// What is wrong with these, for who will resume only later.
  static std::optional<Error> refuse(const ResumeOptions& options);
  Result<Report> resume(const std::vector<std::string>& frontends,
                        const ResumeOptions& options = {}, const std::stop_token& stop = {});

  /// Moves the deadline of a hold. If one switch is refused (not_held, not_the_holder), nothing is
  /// changed. At an endpoint that cannot be reached the hold ends at its old deadline.
  Result<Report> extend(const std::vector<std::string>& frontends, const ExtendOptions& options,
                        const std::stop_token& stop = {});

  /// Changes what serves, on every HAProxy or on none: what cannot be had everywhere is undone
  /// everywhere. What stood before is kept on record first, so that `options.back` can restore it.
  Result<Report> cutover(const CutoverOptions& options, const std::stop_token& stop = {});

  /// Of the cutovers of this fleet from now on, also of those before a release.
  void watch_cutovers(CutoverWatch watch);

  /// What is held, by whom, since when; changes nothing. Without frontends: all frontends. An
  /// endpoint that does not answer then has one switch, with the frontend `*`.
  Result<Report> status(const std::vector<std::string>& frontends,
                        const std::stop_token& stop = {});

  /// The same for who looks again and again: over connections that stay open from look to look.
  /// Under maxconn `waiting` is then the length of the kernel's queue, for an HAProxy on this
  /// machine.
  Result<Report> look(const std::vector<std::string>& frontends, const std::stop_token& stop = {});

  /// A file descriptor that is readable when the guard of the last hold has sent a line or has
  /// died; -1: there is no guard. A line is `event` and a JSON object.
  [[nodiscard]] int guard_descriptor() const noexcept;
  /// Starts another guard for the hold in effect after the first one died. Errors: guard_failed,
  /// deadline_passed, and those of an endpoint.
  std::optional<Error> renew_guard(const std::stop_token& stop = {});

  [[nodiscard]] const std::vector<Endpoint>& endpoints() const noexcept;
  [[nodiscard]] const Progress& progress() const noexcept;

 private:
  struct [[gnu::visibility("hidden")]] State;
  explicit Fleet(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  ///< also a HeldFleet's
};

/// The folder of the journal: $STILLGATE_STATE_DIR, else $XDG_STATE_HOME/stillgate, else
/// ~/.local/state/stillgate (root: /var/lib/stillgate).
[[nodiscard]] std::filesystem::path state_directory();

/// How many guards of that hold are alive: 2 where all is well. Only those of this machine, with
/// this folder of the journal; nothing where nobody knows.
[[nodiscard]] std::optional<int> live_guards(const std::string& hold_id);

/// The version of Stillgate that runs, such as "0.1.0"; version.hpp has that of the headers.
[[nodiscard]] const char* version() noexcept;

/// The program that ends a hold by maxconn at its deadline: $STILLGATE_GUARD, else the one beside
/// the library or program that this code is in, else that of the installation it was built for.
[[nodiscard]] std::string guard_program();
// clang-format off
}  // namespace stillgate, whose attribute clang-format takes for a part of its name
