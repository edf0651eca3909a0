// Parsing `show fd`, as far as listeners go.
#include "listeners.hpp"

#include <optional>

#include "numbers.hpp"

namespace stillgate::runtime_api {
namespace {

/// What stands behind ` key=`, up to the next space.
std::optional<std::string_view> value_of(std::string_view line, std::string_view key) {
  const std::size_t at = line.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  line.remove_prefix(at + key.size());
  return line.substr(0, line.find(' '));
}

}  // namespace

std::vector<Listener> parse_listeners(std::string_view text) {
  std::vector<Listener> listeners;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!value_of(line, " l.st=")) continue;
    const auto frontend = value_of(line, " fe=");
    const auto port = value_of(line, " lport=");
    const auto number = port ? parse_number<std::uint16_t>(*port) : std::nullopt;
    if (frontend && number) listeners.push_back({std::string(*frontend), *number});
  }
  return listeners;
}

}  // namespace stillgate::runtime_api
