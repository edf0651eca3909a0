// What the gate, the Lua file inside HAProxy, answers on the runtime API: docs/gate.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <stillgate/error.hpp>
#include <stillgate/report.hpp>

namespace stillgate::runtime_api {

/// One frontend, as the gate sees it.
struct GateSwitch {
  enum class Mode {
    open,
    held,
    rejecting,  ///< past its deadline: refuses requests until resumed
  };
  Mode mode{Mode::open};
  std::string id;           ///< of the hold; empty where it is open
  std::string token;        ///< as it was switched; empty where it is open
  std::string lock_id;      ///< who may hold, as its lock says; empty where it is free
  std::string lock_record;  ///< his record, packed
  std::int64_t waiting{0};
  GateCounters counters;
  std::optional<std::string> malformed;  ///< a switch or a state file that it did not understand
  /// Requests that the frontend began during the last hold, and that never came to the gate. Empty
  /// as long as some may be on their way, and where the Lua file does not count.
  std::optional<std::int64_t> unseen;
  /// The same whenever it counted, of so many; empty where the Lua file does not count.
  std::optional<std::int64_t> all_unseen;
  std::int64_t all_counted{0};
  std::optional<OldWorkers> old;  ///< what old workers told of this hold
};

/// The answer to `stillgate status`, and to `stillgate sync`.
struct GateStatus {
  bool locks{false};     ///< it has `stillgate lock`; the Lua file of an older release has not
  bool names{false};     ///< likewise: a release may name the hold that it ends
  bool reloads{false};   ///< it can refuse in old workers
  bool stopping{false};  ///< this process is being replaced, or stopped
  bool table{false};     ///< there is a stick table to switch by, as releases below 2.4 need
  std::optional<std::string> state_error;  ///< why a hold would not survive a reload
  std::optional<std::string> error;        ///< the last error inside the gate
  std::optional<std::int64_t> now_ms;      ///< on the clock that its deadlines are kept by
  std::map<std::string, GateSwitch> frontends;
};

/// Error: malformed_reply.
[[nodiscard]] Result<GateStatus> parse_gate_status(std::string_view text);

struct GateProof {
  std::optional<std::string> doubt;          ///< why it is not proven
  std::optional<std::int64_t> most;          ///< how many could wait, if a hold set no limit
  std::string most_by;                       ///< and what says so
  std::optional<std::int64_t> longest_ms{};  ///< no connection waits longer, in tcp mode
  std::string longest_by{};                  ///< the line of haproxy.cfg that says so
  std::optional<std::string> notes{};  ///< what haproxy.cfg has that a hold does not go well with
};

/// The answer to `stillgate prove`.
struct GateProofs {
  bool room{true};  ///< for what a suspend writes into process variables
  std::map<std::string, GateProof> frontends;
};

/// Error: malformed_reply.
[[nodiscard]] Result<GateProofs> parse_gate_proofs(std::string_view text);

/// The answer to `stillgate held`: by frontend the number of the bind that its waiting probe came
/// by. Error: malformed_reply.
[[nodiscard]] Result<std::map<std::string, std::string>> parse_gate_held(std::string_view text);

}  // namespace stillgate::runtime_api
