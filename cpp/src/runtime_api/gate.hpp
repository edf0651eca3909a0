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
};

/// The answer to `stillgate status`, and to `stillgate sync`.
struct GateStatus {
  bool locks{false};  ///< it has `stillgate lock`; the Lua file of an older release has not
  bool table{false};  ///< there is a stick table to switch by, as releases below 2.4 need
  std::optional<std::string> state_error;  ///< why a hold would not survive a reload
  std::optional<std::string> error;        ///< the last error inside the gate
  std::optional<std::int64_t> now_ms;      ///< on the clock that its deadlines are kept by
  std::map<std::string, GateSwitch> frontends;
};

/// Error: malformed_reply.
[[nodiscard]] Result<GateStatus> parse_gate_status(std::string_view text);

/// The answer to `stillgate prove`: by frontend, why it is not proven, or nothing. Error:
/// malformed_reply.
[[nodiscard]] Result<std::map<std::string, std::optional<std::string>>> parse_gate_proofs(
    std::string_view text);

}  // namespace stillgate::runtime_api
