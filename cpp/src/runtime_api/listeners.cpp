// Parsing `show fd`, as far as frontends go.
#include "listeners.hpp"

#include <optional>

#include "model/numbers.hpp"

namespace stillgate::runtime_api {
namespace {

/// The value after ` key=`, up to the next space.
std::optional<std::string_view> value_of(std::string_view line, std::string_view key) {
  const std::size_t at = line.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  line.remove_prefix(at + key.size());
  return line.substr(0, line.find(' '));
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

}  // namespace

std::vector<Listener> parse_listeners(std::string_view text) {
  std::vector<Listener> listeners;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (!value_of(line, " l.st=")) continue;
    const auto frontend = value_of(line, " fe=");
    const auto port = value_of(line, " lport=");
    const auto number = port ? parse_number<std::uint16_t>(*port) : std::nullopt;
    if (frontend && number) listeners.push_back({std::string(*frontend), *number});
  }
  return listeners;
}

std::int64_t count_clients(std::string_view text, std::string_view frontend) {
  std::int64_t count = 0;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    // A listener has no ` back=`.
    if (value_of(line, " back=") == "0" && value_of(line, " fe=") == frontend) ++count;
  }
  return count;
}

}  // namespace stillgate::runtime_api
