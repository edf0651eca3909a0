// Writes and reads the gate's token.
#include "gate_token.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/numbers.hpp"
#include "record_variable.hpp"

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

std::string_view id_in(std::string_view token) {
  const std::size_t from = token.find('.') + 1;
  return token.substr(from, token.find('.', from) - from);
}

}  // namespace

std::string gate_token(const Record& record, const GateOrder& order) {
  const std::string until = order.until_ms ? fmt::format("_{}", *order.until_ms) : "";
  // A gate of an older release knows no second word, which is the usual case.
  const std::string reload = order.on_reload == OnReload::reject ? "_reject" : "";
  return fmt::format("1.{}.{}{}.{}{}.{}.{}", record.id, order.lasts.count(), until,
                     name(order.on_expiry), reload, order.max_waiting, pack(record));
}

std::string longer_token(std::string_view token, milliseconds by, const Record& record) {
  std::vector<std::string> parts;
  for (std::string_view rest = token;;) {
    const std::size_t dot = rest.find('.');
    parts.emplace_back(rest.substr(0, dot));
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  if (parts.size() != 6) return std::string(token);
  const std::string times = parts[2];
  const std::size_t bar = times.find('_');
  const auto lasts = runtime_api::parse_number<std::int64_t>(times.substr(0, bar));
  if (!lasts) return std::string(token);
  parts[2] = std::to_string(*lasts + by.count());
  if (bar != std::string::npos) {
    const auto until = runtime_api::parse_number<std::int64_t>(times.substr(bar + 1));
    if (!until) return std::string(token);
    parts[2] += fmt::format("_{}", *until + by.count());
  }
  parts[5] = pack(record);
  return fmt::format("{}", fmt::join(parts, "."));
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
  std::string words = "open";
  if (ramp.count() > 0 || handle.names) words += fmt::format(".{}", ramp.count());
  if (handle.names) words += fmt::format(".{}", id_in(handle.token));
  return with_sync(
      {Command::allow_experiments(), *Command::set_variable(switch_variable(frontend), words)},
      frontend);
}

}  // namespace stillgate::hold
