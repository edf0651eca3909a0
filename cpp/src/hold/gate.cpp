// The gate's words.
#include "gate.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "variable.hpp"

namespace stillgate::hold {

using runtime_api::Command;
using std::chrono::milliseconds;

namespace {

std::string switch_variable(std::string_view frontend) {
  return "stillgate_gate_" + encode_name(frontend);
}

std::vector<Command> with_sync(std::vector<Command> commands, std::string_view frontend) {
  commands.push_back(*Command::gate_sync(frontend));
  return commands;
}

}  // namespace

std::string gate_token(const Record& record, const GateOrder& order) {
  return fmt::format("1.{}.{}.{}.{}.{}", record.id, order.lasts.count(),
                     order.on_expiry == Expiry::reject ? "reject" : "release", order.max_waiting,
                     pack(record));
}

Result<Record> record_in(std::string_view token, std::string_view endpoint,
                         std::string_view frontend) {
  const std::size_t dot = token.rfind('.');
  return unpack(dot == std::string_view::npos ? token : token.substr(dot + 1), endpoint, frontend);
}

Result<std::vector<Command>> hold_gate(std::string_view frontend, const GateHandle& handle) {
  if (handle.table) {
    auto set = Command::set_gate_entry(frontend, handle.token, 1);
    if (!set) return set.error();
    return with_sync({*std::move(set)}, frontend);
  }
  auto set = Command::set_variable(switch_variable(frontend), handle.token);
  if (!set) return set.error();
  return with_sync({Command::allow_experiments(), *std::move(set)}, frontend);
}

std::vector<Command> open_gate(std::string_view frontend, const GateHandle& handle,
                               milliseconds ramp) {
  if (handle.table) {
    // 1 would mean that it holds.
    const std::int64_t number = ramp.count() == 0 ? 0 : std::max<std::int64_t>(2, ramp.count());
    auto set = Command::set_gate_entry(frontend, handle.token, number);
    // A token that another release wrote may not fit; then only its own deadline ends that hold.
    if (!set) return {};
    return with_sync({*std::move(set)}, frontend);
  }
  const std::string words = ramp.count() == 0 ? "open" : fmt::format("open.{}", ramp.count());
  return with_sync(
      {Command::allow_experiments(), *Command::set_variable(switch_variable(frontend), words)},
      frontend);
}

}  // namespace stillgate::hold
