// Encoding and decoding a guard's order and its refusal.
#include "order.hpp"

#include <algorithm>

#include <string.h>

#include <fmt/format.h>

#include "hold/record/record_variable.hpp"
#include "model/numbers.hpp"

namespace stillgate::fleet {
namespace {

constexpr std::string_view heading = "stillgate-guard 1";
constexpr std::string_view mode_names[] = {"arming", "holding", "ending"};

Error broken(std::string_view line) {
  return {
      Errc::guard_failed,
      fmt::format(
          "the guard's order has an unknown line: '{}'; is stillgate-guard from another release?",
          line.substr(0, line.find(' ')))};
}

std::string_view take(std::string_view& text, char until) {
  const std::size_t end = text.find(until);
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return word;
}

bool read_name(GuardOrder& order, std::string_view value) {
  const auto url = hold::unescape(take(value, ' '));
  const auto name = hold::unescape(value);
  if (url && name) order.names.emplace(*url, *name);
  return url && name;
}

bool read_line(GuardOrder& order, std::string_view key, std::string_view value) {
  if (key == "name") return read_name(order, value);
  const auto text = hold::unescape(value);
  if (!text) return false;
  if (key == "mode") {
    const auto* found = std::find(std::begin(mode_names), std::end(mode_names), value);
    if (found == std::end(mode_names)) return false;
    order.mode = static_cast<hold::GuardMode>(found - std::begin(mode_names));
  } else if (key == "record") {
    auto record = hold::decode(*text);
    if (!record) return false;
    order.record = *std::move(record);
  } else if (key == "deadline") {
    const auto ms = runtime_api::parse_number<std::int64_t>(value);
    if (!ms) return false;
    order.deadline = std::chrono::milliseconds(*ms);
  } else if (key == "state-folder") {
    order.state_folder = *text;
  } else if (key == "on-event") {
    order.on_event = *text;
  } else if (key == "event-format") {
    order.event_format = *text;
  } else if (key == "secrets") {
    order.secrets = *text;
  } else {
    return false;
  }
  return true;
}

}  // namespace

void wipe(std::string& text) {
  ::explicit_bzero(text.data(), text.size());
  text.clear();
}

std::string encode(const GuardOrder& order) {
  std::string secrets = hold::escape(order.secrets);
  std::string names;
  for (const auto& [url, name] : order.names) {
    names += fmt::format("name {} {}\n", hold::escape(url), hold::escape(name));
  }
  std::string text = fmt::format(
      "{}\nmode {}\nrecord {}\ndeadline {}\nstate-folder {}\non-event {}\nevent-format {}\n"
      "{}secrets {}\ngo\n",
      heading, mode_names[static_cast<std::size_t>(order.mode)],
      hold::escape(hold::encode(order.record)), order.deadline.count(),
      hold::escape(order.state_folder), hold::escape(order.on_event),
      hold::escape(order.event_format), names, secrets);
  wipe(secrets);
  return text;
}

Result<GuardOrder> decode_order(std::string_view text) {
  GuardOrder order;
  if (take(text, '\n') != heading) return broken("no heading");
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    if (line == "go") {
      if (order.record.switches.empty() || order.state_folder.empty()) return broken("too short");
      return order;
    }
    const std::string_view whole = line;
    const std::string_view key = take(line, ' ');
    if (!read_line(order, key, line)) return broken(whole);
  }
  return broken("no end");
}

std::string encode_refusal(const std::string& endpoint, const Error& error) {
  return fmt::format("refused {} {} {} {}\n", hold::escape(endpoint), name(error.code),
                     hold::escape(error.message), hold::escape(error.haproxy.value_or("")));
}

Error decode_refusal(std::string_view line) {
  take(line, ' ');
  const auto endpoint = hold::unescape(take(line, ' '));
  const std::string_view code = take(line, ' ');
  const auto message = hold::unescape(take(line, ' '));
  const auto haproxy = hold::unescape(line);
  Error error{Errc::guard_failed, message.value_or("the guard refused")};
  for (const Errc known : all_errors()) {
    if (name(known) == code) error.code = known;
  }
  if (haproxy && !haproxy->empty()) error.haproxy = haproxy;
  error.field = endpoint.value_or("");
  return error;
}

}  // namespace stillgate::fleet
