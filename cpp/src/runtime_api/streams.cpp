// Parsing `show sess`.
#include "streams.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "model/numbers.hpp"

namespace stillgate::runtime_api {
namespace {

std::string_view take_word(std::string_view& text) {
  const std::size_t first = std::min(text.find_first_not_of(' '), text.size());
  text.remove_prefix(first);
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

/// `7s`, `3m12s`, `2h5m`, `4d3h`: HAProxy prints the two largest units.
std::optional<std::int64_t> parse_age(std::string_view text) {
  static constexpr std::array<std::pair<char, std::int64_t>, 4> units{
      {{'d', 86'400}, {'h', 3600}, {'m', 60}, {'s', 1}}};
  if (text.empty()) return std::nullopt;
  std::int64_t seconds = 0;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = parse_number<std::int32_t>(text.substr(0, digits));
    if (!number || digits == text.size()) return std::nullopt;
    const auto* const unit = std::find_if(
        units.begin(), units.end(), [&](const auto& entry) { return entry.first == text[digits]; });
    if (unit == units.end()) return std::nullopt;
    seconds += *number * unit->second;
    text.remove_prefix(digits + 1);
  }
  return seconds;
}

/// What stands behind the first such key, up to the next space or comma; empty: nothing.
std::string_view value_of(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + key.size());
  return text.substr(0, text.find_first_of(" ,\n]"));
}

/// By the analysers of its request, which comes first. The one of 4h waits for the head.
bool is_in_rules(std::string_view analysers) {
  const auto bits = parse_hexadecimal(analysers.substr(0, analysers.find('h')));
  return bits && *bits != 0 && (*bits & 4U) == 0;
}

std::optional<std::string> unless(std::string_view value, std::string_view none) {
  return value == none ? std::nullopt : std::optional(std::string(value));
}

std::optional<Stream> parse_stream(std::string_view line) {
  const std::string_view pointer = take_word(line);
  if (!pointer.starts_with("0x")) return std::nullopt;
  Stream stream;
  stream.pointer = pointer.substr(0, pointer.find(':'));
  for (auto word = take_word(line); !word.empty(); word = take_word(line)) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) continue;
    const auto key = word.substr(0, equals);
    const auto value = word.substr(equals + 1);
    if (key == "src") stream.source = value;
    if (key == "fe") stream.frontend = value;
    if (key == "be") stream.backend = unless(value, "<NONE>");
    if (key == "srv") stream.server = unless(value, "<none>");
    if (key == "age") {
      stream.age_s = parse_age(value);
      break;  // what follows is the state of its buffers
    }
  }
  // Up to 2.7 the timer is the buffer's, and from 2.8 on the client side's.
  const bool is_old = line.find(",rx=") != std::string_view::npos;
  stream.left_s = parse_age(value_of(line, is_old ? ",rx=" : "rex="));
  stream.in_rules = is_in_rules(value_of(line, ",an="));
  if (stream.frontend.empty()) return std::nullopt;
  return stream;
}

}  // namespace

Result<std::vector<Stream>> parse_streams(std::string_view text) {
  std::vector<Stream> streams;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    // What HAProxy's own code began, such as a socket of Lua's, has no frontend.
    if (line.empty() || line.find(": proto=? ts=") != std::string_view::npos) continue;
    auto stream = parse_stream(line);
    if (!stream) {
      return Error{Errc::malformed_reply, "show sess: a line is not a stream"};
    }
    streams.push_back(*std::move(stream));
  }
  return streams;
}

Result<StreamDetails> parse_stream_details(std::string_view text) {
  StreamDetails details;
  details.number = value_of(text, " id=");
  details.frontend = value_of(text, "frontend=");
  // The client's side comes first.
  const auto timeout = parse_age(value_of(text, "ioto="));
  if (details.number.empty() || details.frontend.empty() || !timeout) {
    return Error{Errc::malformed_reply, "show sess 0x...: its id, frontend or ioto is missing"};
  }
  details.timeout_s = *timeout;
  return details;
}

}  // namespace stillgate::runtime_api
