// Switching the gate: the token that switches it, and the record in that.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/report.hpp>

#include "record.hpp"
#include "runtime_api/command.hpp"

namespace stillgate::hold {

/// How one switch is held by the gate, if it is.
struct GateHandle {
  bool used{false};
  bool table{false};  ///< switched by a stick table: there are no process variables below 2.4
  std::string token;  ///< the token it is, or will be, switched to
  bool names{false};  ///< its releases say whose they are: the Lua file of an older release cannot
};

/// What a gate's token has besides the record.
struct GateOrder {
  std::chrono::milliseconds lasts{0};  ///< from when the gate first sees the hold's id
  /// And not after this instant of the gate's own clock, even if the switch was long in transit.
  std::optional<std::int64_t> until_ms;
  Expiry on_expiry{Expiry::release};
  OnReload on_reload{OnReload::release};
  std::int64_t max_waiting{0};
};

/// `1.ID.MILLISECONDS[_UNTIL].release|reject[_reject].BOUND.RECORD`. `record` should have that
/// switch only.
[[nodiscard]] std::string gate_token(const Record& record, const GateOrder& order);

/// The same switch with a later deadline, and a record that says so. A token that cannot be read is
/// returned unchanged.
[[nodiscard]] std::string longer_token(std::string_view token, std::chrono::milliseconds by,
                                       const Record& record);

/// The record in a token. Error: journal_failed.
[[nodiscard]] Result<Record> record_in(std::string_view token, std::string_view endpoint,
                                       std::string_view frontend);

/// The last command of each is the gate's `sync`, which makes it so. One write carries them all.
/// Error: bad_command, where the token is too long for one line.
[[nodiscard]] Result<std::vector<runtime_api::Command>> hold_gate(std::string_view frontend,
                                                                  const GateHandle& handle);
/// Over `ramp`, or at once. It releases that hold and no other, and has a commit that comes behind
/// it do nothing.
[[nodiscard]] std::vector<runtime_api::Command> open_gate(std::string_view frontend,
                                                          const GateHandle& handle,
                                                          std::chrono::milliseconds ramp);

}  // namespace stillgate::hold
