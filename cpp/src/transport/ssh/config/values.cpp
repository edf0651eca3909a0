// Parsing of flags, ports, families of addresses, times and jumps.
#include "values.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

#include <sys/socket.h>

#include "pattern.hpp"

namespace stillgate::transport::ssh {
namespace {

constexpr std::string_view uri_scheme = "ssh://";

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<int> seconds_in(char unit) {
  switch (unit) {
    case 's':
    case 'S':
      return 1;
    case 'm':
    case 'M':
      return 60;
    case 'h':
    case 'H':
      return 60 * 60;
    case 'd':
    case 'D':
      return 24 * 60 * 60;
    case 'w':
    case 'W':
      return 7 * 24 * 60 * 60;
    default:
      return std::nullopt;
  }
}

/// `%20` and the like, in a URI's user.
std::optional<std::string> decode(std::string_view text) {
  std::string decoded;
  for (; !text.empty(); text.remove_prefix(1)) {
    if (text[0] != '%') {
      decoded += text[0];
      continue;
    }
    unsigned char byte = 0;
    if (text.size() < 3) return std::nullopt;
    const auto [end, code] = std::from_chars(text.data() + 1, text.data() + 3, byte, 16);
    if (code != std::errc() || end != text.data() + 3 || byte == 0) return std::nullopt;
    decoded += static_cast<char>(byte);
    text.remove_prefix(2);
  }
  return decoded;
}

/// `host`, `host:port`, `[host]` or `[host]:port`; an empty port is as good as none.
bool parse_host_port(std::string_view text, Destination& hop) {
  std::string_view behind;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    behind = text.substr(close + 1);
    if (!behind.empty() && behind[0] != ':') return false;
    hop.host = text.substr(1, close - 1);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    behind = text.substr(colon);
    hop.host = text.substr(0, colon);
  }
  if (hop.host.empty() || hop.host.find('/') != std::string::npos) return false;
  if (behind.size() < 2) return true;
  hop.port = parse_port(behind.substr(1));
  return hop.port.has_value();
}

std::optional<Destination> parse_hop(std::string_view text) {
  Destination hop;
  const bool uri = lower(text.substr(0, uri_scheme.size())) == uri_scheme;
  if (uri) {
    text.remove_prefix(uri_scheme.size());
    if (text.ends_with('/')) text.remove_suffix(1);
  }
  const std::size_t at = text.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view user = text.substr(0, at);
    // A URI may have parameters of the connection after the user; ssh ignores them.
    hop.user = uri ? decode(user.substr(0, user.find(';'))) : std::string(user);
    if (!hop.user || hop.user->empty()) return std::nullopt;
    text.remove_prefix(at + 1);
  }
  if (!parse_host_port(text, hop)) return std::nullopt;
  return hop;
}

}  // namespace

std::optional<bool> parse_flag(std::string_view text) {
  const std::string flag = lower(text);
  if (flag == "yes" || flag == "true") return true;
  if (flag == "no" || flag == "false") return false;
  return std::nullopt;
}

std::optional<HostKeyChecking> parse_checking(std::string_view text) {
  const std::string value = lower(text);
  if (value == "ask") return HostKeyChecking::ask;
  if (value == "accept-new") return HostKeyChecking::accept_new;
  if (value == "off") return HostKeyChecking::no;
  const auto flag = parse_flag(value);
  if (!flag) return std::nullopt;
  return *flag ? HostKeyChecking::yes : HostKeyChecking::no;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto port = parse_number<std::uint16_t>(text);
  return port && *port != 0 ? port : std::nullopt;
}

std::optional<int> parse_family(std::string_view text) {
  const std::string family = lower(text);
  if (family == "any") return AF_UNSPEC;
  if (family == "inet") return AF_INET;
  if (family == "inet6") return AF_INET6;
  return std::nullopt;
}

std::optional<std::chrono::seconds> parse_time(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = parse_number<std::int32_t>(text.substr(0, digits));
    text.remove_prefix(digits);
    const auto unit = text.empty() ? 1 : seconds_in(text[0]);
    if (!number || !unit) return std::nullopt;
    text.remove_prefix(text.empty() ? 0 : 1);
    total += std::int64_t{*number} * *unit;
    if (total > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  }
  return std::chrono::seconds(total);
}

std::optional<std::vector<Destination>> parse_jumps(std::string_view text) {
  std::vector<Destination> jumps;
  if (lower(text) == "none") return jumps;
  for (;;) {
    const std::size_t comma = text.find(',');
    auto hop = parse_hop(text.substr(0, comma));
    if (!hop) return std::nullopt;
    jumps.push_back(*std::move(hop));
    if (comma == std::string_view::npos) return jumps;
    text.remove_prefix(comma + 1);
  }
}

bool valid_variable(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace stillgate::transport::ssh
