// Reading the gate's answers.
#include "gate.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

namespace stillgate::runtime_api {
namespace {

namespace json = boost::json;

/// The format that this release speaks, in both directions.
constexpr std::int64_t format = 1;

Error broken(std::string_view why) {
  return {Errc::malformed_reply, fmt::format("the gate's answer: {}", why)};
}

std::optional<std::string> text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

double number_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) return 0;
  json::error_code failure;
  const auto number = value->to_number<double>(failure);
  return failure ? 0 : number;
}

/// Counts beyond that are none.
std::int64_t count_of(const json::object& object, std::string_view key) {
  constexpr double largest = 1e15;
  const double number = number_of(object, key);
  return number > 0 && number < largest ? static_cast<std::int64_t>(number) : 0;
}

Result<json::object> parse(std::string_view text) {
  json::error_code failure;
  auto value = json::parse(json::string_view(text.data(), text.size()), failure);
  if (failure || !value.is_object()) return broken("is not a JSON object");
  auto object = std::move(value.get_object());
  if (count_of(object, "format") != format) {
    return broken(
        "has a format that this release does not know; install the Lua file that 'stillgate gate' "
        "prints");
  }
  const auto* frontends = object.if_contains("frontends");
  if (frontends == nullptr || !frontends->is_object()) return broken("names no frontends");
  return object;
}

std::optional<GateSwitch> switch_of(const json::value& value) {
  if (!value.is_object()) return std::nullopt;
  const auto& object = value.get_object();
  GateSwitch gate_switch;
  const auto mode = text_of(object, "mode");
  if (mode == "held") {
    gate_switch.mode = GateSwitch::Mode::held;
  } else if (mode == "rejecting") {
    gate_switch.mode = GateSwitch::Mode::rejecting;
  } else if (mode != "open") {
    return std::nullopt;
  }
  gate_switch.id = text_of(object, "id").value_or("");
  gate_switch.token = text_of(object, "token").value_or("");
  gate_switch.lock_id = text_of(object, "lock_id").value_or("");
  gate_switch.lock_record = text_of(object, "lock_record").value_or("");
  gate_switch.waiting = count_of(object, "waiting");
  gate_switch.counters = {count_of(object, "most_waiting"), count_of(object, "held"),
                          count_of(object, "released"),     count_of(object, "given_up"),
                          count_of(object, "rejected"),     number_of(object, "longest_wait_ms")};
  gate_switch.malformed = text_of(object, "malformed");
  return gate_switch;
}

}  // namespace

Result<GateStatus> parse_gate_status(std::string_view text) {
  auto object = parse(text);
  if (!object) return object.error();
  GateStatus status;
  const auto* table = object->if_contains("table");
  status.table = table != nullptr && table->is_bool() && table->get_bool();
  const auto* locks = object->if_contains("locks");
  status.locks = locks != nullptr && locks->is_bool() && locks->get_bool();
  status.state_error = text_of(*object, "state_error");
  status.error = text_of(*object, "error");
  // The Lua file of an older release does not report it.
  if (object->contains("now_ms")) status.now_ms = count_of(*object, "now_ms");
  for (const auto& [name, value] : object->at("frontends").get_object()) {
    auto gate_switch = switch_of(value);
    if (!gate_switch) return broken("a frontend has an unknown mode");
    status.frontends.emplace(std::string(name), *std::move(gate_switch));
  }
  return status;
}

Result<std::map<std::string, std::optional<std::string>>> parse_gate_proofs(std::string_view text) {
  const auto object = parse(text);
  if (!object) return object.error();
  std::map<std::string, std::optional<std::string>> proofs;
  for (const auto& [name, value] : object->at("frontends").get_object()) {
    if (!value.is_object()) return broken("a frontend has an unknown proof");
    const auto& proof = value.get_object();
    const auto* proven = proof.if_contains("proven");
    const bool yes = proven != nullptr && proven->is_bool() && proven->get_bool();
    auto& why = proofs[std::string(name)];
    if (!yes) why = text_of(proof, "why").value_or("the gate gave no reason");
  }
  return proofs;
}

}  // namespace stillgate::runtime_api
