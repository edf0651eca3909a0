// The survey: what each HAProxy reports of itself, its proxies and the holds that it stores.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>
#include <stillgate/info.hpp>

#include "hold/record/gate_token.hpp"
#include "hold/record/lock_variables.hpp"
#include "hold/record/name_list.hpp"
#include "hold/record/record.hpp"
#include "hold/record/record_variable.hpp"
#include "runtime_api/batch.hpp"
#include "runtime_api/gate.hpp"

namespace stillgate::hold {

struct FrontendSeen {
  std::int64_t limit{0};
  bool http{true};
  bool stopped{false};          ///< takes no connections: disabled, or shut down
  std::int64_t sessions{0};     ///< connections now, idle ones too
  std::int64_t rate{0};         ///< new connections in the last second
  std::int64_t busy{0};         ///< requests in the last second; connections in tcp mode
  std::int64_t connections{0};  ///< so far
  /// Requests so far, counted when their head was read; connections in tcp mode.
  std::int64_t begun{0};
};

struct BackendSeen {
  std::string name;
  std::int64_t running{0};  ///< streams that have this backend
  std::int64_t queued{0};
  std::int64_t reached{0};  ///< sessions so far
  bool up{true};            ///< a server is there, or none is configured
  /// In Scope::up: what makes it up by HAProxy's word alone, and why no check shows it.
  std::string unshown;
  /// In Scope::up: the servers that are not, and why, as HAProxy says it.
  std::string down;
  std::optional<std::int64_t> slots;      ///< sum of the servers' maxconn, where each has one
  std::optional<std::int64_t> answer_ms;  ///< a session's average time of late
};

/// The gate of one HAProxy, with one entry per frontend asked.
struct GateSeen {
  bool locks{false};     ///< has a lock of its own
  bool reloads{false};   ///< can refuse in old workers
  bool stopping{false};  ///< its process is being replaced, or stopped
  bool names{false};     ///< a release may name its hold
  bool table{false};
  std::optional<std::string> state_error;
  std::optional<std::string> error;
  std::vector<runtime_api::GateSwitch> switches;
  std::vector<std::optional<Record>> records;  ///< of the holds that are in effect
  bool room{true};                             ///< for what a suspend writes, where that was asked
  std::vector<runtime_api::GateProof> proofs;  ///< where that was asked
  /// When HAProxy itself would end a held request, of a frontend.
  struct Cut {
    std::optional<std::int64_t> after_s{};  ///< nothing: it would not, or there is no probe to tell
    std::optional<std::string> unknown{};   ///< why a probe did not tell
  };
  std::vector<Cut> cuts{};  ///< per frontend, where that was asked
  /// Its own clock, at the earliest when the call had lasted for `asked_at_ms`.
  std::optional<std::int64_t> now_ms{};
  double asked_at_ms{0};
};

/// One endpoint. All else is there unless `error` is.
struct Seen {
  std::optional<Error> error;
  std::optional<Info> info;
  std::vector<std::optional<FrontendSeen>> frontends;  ///< per frontend asked; empty: no such one
  std::vector<std::string> names;                      ///< of all its frontends
  std::vector<BackendSeen> backends;
  std::vector<Remembered> remembered;  ///< per frontend asked, where that was asked
  std::vector<LockSeen> locks;         ///< as `remembered`
  std::optional<GateSeen> gate;        ///< where one is loaded, and was asked for
  std::optional<std::string> level;    ///< of the socket; empty if HAProxy does not report it
  std::optional<double> rtt_ms;

  /// The same process answers as before.
  [[nodiscard]] bool same_process(const Seen& before) const;
  [[nodiscard]] std::optional<std::int64_t> limit(std::size_t frontend) const;
  /// Streams that have a backend, and requests queued there, over all backends but these.
  [[nodiscard]] std::int64_t in_flight(const NameList& except = {}) const;
  [[nodiscard]] bool has_backend(std::string_view name) const;
  /// nullptr if there is no gate.
  [[nodiscard]] const runtime_api::GateSwitch* gate_switch(std::size_t frontend) const;
  [[nodiscard]] bool gate_holds(std::size_t frontend) const;
  /// Has process variables, as far as was asked.
  [[nodiscard]] bool has_variables() const;
  /// Has compare and set for them, too, so that of two suspends only one gets the lock.
  [[nodiscard]] bool can_lock() const;
  /// Its gate has a lock of its own, which is for those who have no compare and set.
  [[nodiscard]] bool can_lock_by_gate() const;
  /// How this frontend's gate is switched; `used` if it holds now.
  [[nodiscard]] GateHandle gate_handle(std::size_t frontend) const;
  [[nodiscard]] std::optional<Counters> counters(std::size_t frontend) const;
};

/// How much is asked: frontends and backends; the gate too; the records of holds too; and the
/// servers and the gate's proof too. `up`: as holds, and whether a check has shown a server of each
/// backend to be up since its last change of state. `standing`: as proxies, and the servers.
enum class Scope { proxies, gates, holds, servers, up, standing };

/// The scope of a second survey of an HAProxy that answered like this.
[[nodiscard]] Scope lean_scope(const Seen& before);

/// The commands of a survey, for one endpoint.
[[nodiscard]] std::vector<runtime_api::Command> survey_commands(
    const std::vector<std::string>& frontends, Scope scope);

/// The answer to the commands of that scope.
[[nodiscard]] Seen read_survey(const runtime_api::Answer& answer, const std::string& endpoint,
                               const std::vector<std::string>& frontends, Scope scope);

/// Whether one of these names is no backend's there; says which there are.
[[nodiscard]] std::optional<Error> no_such_backend(std::string_view option, const NameList& names,
                                                   const Seen& seen);

/// The record of a hold on this frontend: what the HAProxy itself stores comes before
/// `records` (the journal), because it lives and ends with the hold.
[[nodiscard]] const Record* record_of(const Seen& seen, std::size_t frontend,
                                      std::string_view endpoint, std::string_view name,
                                      const std::vector<Record>& records);

/// An upper bound of the requests that reached servers between two surveys; nothing if another
/// process counted. HAProxy does not say which backends belong to a frontend. So it is the smaller
/// of two numbers: requests that reached any backend, and requests that the frontend began.
[[nodiscard]] std::optional<std::int64_t> leaked(const std::optional<Counters>& before,
                                                 const std::optional<Counters>& now);

/// The same at a frontend that is held now. What its gate let pass, as an exempt request, is no
/// leak.
[[nodiscard]] std::optional<std::int64_t> leaked(const std::optional<Counters>& before,
                                                 const Seen& seen, std::size_t frontend);

}  // namespace stillgate::hold
