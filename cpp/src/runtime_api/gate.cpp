// Reading the gate's answers.
#include "gate.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

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
  boost::system::error_code failure;
  const auto number = value->to_number<double>(failure);
  return failure ? 0 : number;
}

/// Counts beyond that are none.
std::int64_t count_of(const json::object& object, std::string_view key) {
  constexpr double largest = 1e15;
  const double number = number_of(object, key);
  return number > 0 && number < largest ? static_cast<std::int64_t>(number) : 0;
}

std::optional<std::int64_t> optional_count(const json::object& object, std::string_view key) {
  if (!object.contains(key)) return std::nullopt;
  return count_of(object, key);
}

Result<json::object> parse(std::string_view text) {
  boost::system::error_code failure;
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

bool flag_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::optional<OldWorkers> old_workers_in(const json::object& object) {
  const auto* value = object.if_contains("old");
  if (value == nullptr || !value->is_object()) return std::nullopt;
  const auto& old = value->get_object();
  return OldWorkers{count_of(old, "waiting"), count_of(old, "released"), count_of(old, "rejected"),
                    count_of(old, "silent"), text_of(old, "pids").value_or("")};
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
  gate_switch.counters = {count_of(object, "most_waiting"),
                          count_of(object, "held"),
                          count_of(object, "released"),
                          count_of(object, "given_up"),
                          count_of(object, "rejected"),
                          number_of(object, "longest_wait_ms"),
                          {},
                          {}};
  gate_switch.malformed = text_of(object, "malformed");
  gate_switch.unseen = optional_count(object, "unseen");
  gate_switch.all_unseen = optional_count(object, "all_unseen");
  gate_switch.all_counted = count_of(object, "all_counted");
  gate_switch.counters.bound = optional_count(object, "most");
  gate_switch.counters.bound_by = text_of(object, "most_by");
  gate_switch.old = old_workers_in(object);
  return gate_switch;
}

}  // namespace

Result<GateStatus> parse_gate_status(std::string_view text) {
  auto object = parse(text);
  if (!object) return object.error();
  GateStatus status;
  status.table = flag_of(*object, "table");
  // A gate that has locks, but none behind another one, would give each of two suspends a part.
  status.locks = flag_of(*object, "locks_behind");
  status.reloads = flag_of(*object, "reloads");
  status.stopping = flag_of(*object, "stopping");
  status.names = flag_of(*object, "names");
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

Result<GateProofs> parse_gate_proofs(std::string_view text) {
  const auto object = parse(text);
  if (!object) return object.error();
  GateProofs proofs;
  const auto* room = object->if_contains("room");
  proofs.room = room == nullptr || !room->is_bool() || room->get_bool();
  for (const auto& [name, value] : object->at("frontends").get_object()) {
    if (!value.is_object()) return broken("a frontend has an unknown proof");
    const auto& proof = value.get_object();
    const auto* proven = proof.if_contains("proven");
    const bool yes = proven != nullptr && proven->is_bool() && proven->get_bool();
    GateProof& found = proofs.frontends[std::string(name)];
    if (!yes) found.doubt = text_of(proof, "why").value_or("the gate gave no reason");
    found.most = optional_count(proof, "most");
    found.most_by = text_of(proof, "most_by").value_or("");
    found.longest_ms = optional_count(proof, "longest_ms");
    found.longest_by = text_of(proof, "longest_by").value_or("");
    found.notes = text_of(proof, "notes");
  }
  return proofs;
}

Result<std::map<std::string, std::string>> parse_gate_held(std::string_view text) {
  const auto object = parse(text);
  if (!object) return object.error();
  std::map<std::string, std::string> listed;
  for (const auto& [name, value] : object->at("frontends").get_object()) {
    if (!value.is_object()) return broken("a frontend has an unknown probe");
    if (auto number = text_of(value.get_object(), "listed")) {
      listed.emplace(std::string(name), *std::move(number));
    }
  }
  return listed;
}

}  // namespace stillgate::runtime_api
