// Parsing hosts, ports and SSH servers.
#include "host_port.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "numbers.hpp"

namespace stillgate::runtime_api {
namespace {

bool letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool host_character(char c) { return letter_or_digit(c) || c == '.' || c == '-' || c == '_'; }

bool address6_character(char c) {
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' ||
         c == '.' || c == '%';
}

std::string lower(std::string_view text) {
  std::string low(text);
  std::transform(low.begin(), low.end(), low.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return low;
}

}  // namespace

std::optional<HostPort> parse_host_port(std::string_view text) {
  HostPort found;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view host = text.substr(1, close - 1);
    // Without a colon it is not an IPv6 address, and would lose its brackets in the canonical form.
    if (host.find(':') == std::string_view::npos ||
        !std::all_of(host.begin(), host.end(), address6_character)) {
      return std::nullopt;
    }
    found.host = lower(host);
    rest = text.substr(close + 1);
  } else {
    const std::string_view host = text.substr(0, text.find(':'));
    // A leading dash would be an option to whatever program is given the name.
    if (host.empty() || host.starts_with('-') ||
        !std::all_of(host.begin(), host.end(), host_character)) {
      return std::nullopt;
    }
    found.host = lower(host);
    rest = text.substr(host.size());
  }
  if (rest.empty()) return found;
  if (!rest.starts_with(':')) return std::nullopt;
  found.port = parse_number<std::uint16_t>(rest.substr(1));
  if (!found.port || *found.port == 0) return std::nullopt;
  return found;
}

std::string bracketed(std::string_view host) {
  return host.find(':') == std::string_view::npos ? std::string(host) : fmt::format("[{}]", host);
}

std::optional<SshHop> parse_hop(std::string_view text) {
  SshHop hop;
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    const std::string_view user = text.substr(0, at);
    const bool plain = std::all_of(user.begin(), user.end(), [](char c) {
      return host_character(c) || c == '+' || c == '$' || c == '@' || c == '\\';
    });
    if (user.empty() || user.starts_with('-') || !plain) return std::nullopt;
    hop.user = user;
    text.remove_prefix(at + 1);
  }
  auto place = parse_host_port(text);
  if (!place) return std::nullopt;
  hop.host = std::move(place->host);
  hop.port = place->port;
  return hop;
}

std::string to_string(const SshHop& hop) {
  return fmt::format("{}{}{}", hop.user ? *hop.user + "@" : "", bracketed(hop.host),
                     hop.port ? fmt::format(":{}", *hop.port) : "");
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const auto byte = i + 2 < text.size() ? parse_hexadecimal(text.substr(i + 1, 2)) : std::nullopt;
    if (!byte || *byte < 0x20 || *byte == 0x7f) return std::nullopt;
    plain += static_cast<char>(*byte);
    i += 2;
  }
  return plain;
}

std::string percent_encode(std::string_view text) {
  std::string coded;
  for (const char c : text) {
    if (letter_or_digit(c) || std::string_view("-._~/:@,[]").find(c) != std::string_view::npos) {
      coded += c;
    } else {
      coded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return coded;
}

}  // namespace stillgate::runtime_api
