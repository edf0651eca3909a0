// The fleet: one command to all endpoints at once, and holds over all of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
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

namespace stillgate {

struct SuspendOptions {
  Method method{Method::automatic};
  bool accept_unproven{false};        ///< a gate that is loaded counts as one, proof or not
  Expiry on_expiry{Expiry::release};  ///< `reject` needs the gate
  /// Above so many waiting requests per frontend a gate answers 503; 0: no bound; up to 10^9.
  std::int64_t max_waiting{0};
  bool no_lease{false};       ///< start no guard: nothing ends a hold by maxconn but a resume
  bool accept_hazard{false};  ///< overrule the table of hazards
  std::string owner;          ///< default: user@host; up to 200 bytes
  std::string reason;         ///< up to 1,000 bytes
  /// 0.1 s to 1 h. The gate itself ends the hold then, or a guard does.
  std::chrono::milliseconds max_hold{15'000};
  /// 0 to 1 h, and no longer than max_hold; 0: what was let in before is not waited for.
  std::chrono::milliseconds drain_timeout{5'000};
};

struct ResumeOptions {
  std::optional<std::int64_t> limit;  ///< in place of the recorded one; 1 to 2^31-1
  bool accept_hazard{false};
  std::chrono::milliseconds retry_for{10000};  ///< 0 to 1 h; unreachable endpoints are retried
  std::chrono::milliseconds ramp{0};           ///< 0 to 1 h; the limits are raised over that time
  /// Nothing is released before every backend has a server that is up. If that does not come
  /// within retry_for, the hold goes on, and the report says application_down.
  bool wait_up{false};
  bool at_deadline{false};  ///< it is the deadline that resumes: told as `expired`
  /// Before its deadline a hold is ended only by its holder: by the same owner, from where its
  /// journal is, or by whoever names its id. Else nothing is released: not_the_holder.
  std::string hold;    ///< this one, and no other
  std::string owner;   ///< default: user@host; up to 200 bytes
  bool force{false};   ///< overrules the holder, and wants a reason
  std::string reason;  ///< up to 1,000 bytes
};

struct ExtendOptions {
  std::chrono::milliseconds by{0};  ///< 0.1 s to 1 h: the new deadline is so much later
  std::string hold;                 ///< as for resume, and the three below too
  std::string owner;
  bool force{false};
  std::string reason;
};

/// Thread-safety: one call at a time per Fleet; progress() from any thread. Calls block; they
/// end early with Errc::cancelled within milliseconds after a stop was requested.
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

  /// Errors (nothing sent): bad_name, bad_option. All else is in the report.
  Result<Report> check(const std::vector<std::string>& frontends,
                       const SuspendOptions& options = {}, const std::stop_token& stop = {});
  /// All or nothing: a failure, and a stop, roll back what was done.
  Result<Report> suspend(const std::vector<std::string>& frontends,
                         const SuspendOptions& options = {}, const std::stop_token& stop = {});
  /// Releases all it can reach and retries the rest.
  Result<Report> resume(const std::vector<std::string>& frontends,
                        const ResumeOptions& options = {}, const std::stop_token& stop = {});

  /// Moves the deadline of a hold. Refused with not_held or not_the_holder, nothing is changed;
  /// what cannot be reached ends at the deadline that it knows.
  Result<Report> extend(const std::vector<std::string>& frontends, const ExtendOptions& options,
                        const std::stop_token& stop = {});

  /// What is held, by whom, since when; changes nothing. Without frontends: all there are, and an
  /// endpoint that cannot be asked has one switch of the frontend `*`.
  Result<Report> status(const std::vector<std::string>& frontends,
                        const std::stop_token& stop = {});

  /// Readable once the guard of the last hold has something to tell or has died; -1: there is
  /// none. What it tells are lines `event` and a JSON object.
  [[nodiscard]] int guard_descriptor() const noexcept;
  /// Starts another guard for the hold in effect after the first one died. Errors: guard_failed,
  /// deadline_passed, and those of an endpoint.
  std::optional<Error> renew_guard(const std::stop_token& stop = {});

  [[nodiscard]] const std::vector<Endpoint>& endpoints() const noexcept;
  [[nodiscard]] const Progress& progress() const noexcept;

 private:
  struct State;
  explicit Fleet(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The folder of the journal: $STILLGATE_STATE_DIR, else $XDG_STATE_HOME/stillgate, else
/// ~/.local/state/stillgate (root: /var/lib/stillgate).
[[nodiscard]] std::filesystem::path state_directory();

/// The version of Stillgate, such as "0.1.0".
[[nodiscard]] const char* version() noexcept;

}  // namespace stillgate
