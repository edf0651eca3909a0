// Endpoint URLs: parsing and the canonical form.
#include <stillgate/endpoint.hpp>

#include <algorithm>

#include <fmt/format.h>

#include "numbers.hpp"

namespace stillgate {
namespace {

constexpr std::string_view unix_scheme = "unix://";
constexpr std::string_view tcp_scheme = "tcp://";
constexpr std::size_t longest_shown = 200;

Error bad(std::string_view text, std::string_view why) {
  const std::string_view shown = text.substr(0, longest_shown);
  return {Errc::bad_endpoint,
          fmt::format("endpoint '{}{}': {}", shown, shown.size() < text.size() ? "..." : "", why),
          {},
          {},
          "endpoint"};
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f;
  });
}

bool host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

bool address6_character(char c) {
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' ||
         c == '.' || c == '%';
}

struct HostPort {
  std::string host;
  std::string_view port;
};

/// `host:port` or `[address6]:port`, without the scheme.
std::optional<HostPort> split_host_port(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || text.substr(close + 1, 1) != ":") return std::nullopt;
    const std::string_view host = text.substr(1, close - 1);
    // Without a colon it is no IPv6 address, and would lose its brackets in the canonical form.
    if (host.find(':') == std::string_view::npos ||
        !std::all_of(host.begin(), host.end(), address6_character)) {
      return std::nullopt;
    }
    return HostPort{std::string(host), text.substr(close + 2)};
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string_view host = text.substr(0, colon);
  if (!std::all_of(host.begin(), host.end(), host_character)) return std::nullopt;
  return HostPort{std::string(host), text.substr(colon + 1)};
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

}  // namespace

Result<Endpoint> Endpoint::parse(std::string_view text) {
  if (text.empty()) return bad(text, "is empty");
  if (!printable(text)) return bad("", "contains a space or a control character");
  Endpoint endpoint;
  if (text.starts_with('/') || text.starts_with(unix_scheme)) {
    const std::string_view path = text.starts_with('/') ? text : text.substr(unix_scheme.size());
    if (!path.starts_with('/')) return bad(text, "the path must be absolute: unix:///run/...");
    if (path.size() > max_path) {
      return bad(text, fmt::format("the path has {} bytes, a unix socket's has at most {}",
                                   path.size(), max_path));
    }
    if (path.ends_with('/')) return bad(text, "the path names a folder, not a socket");
    endpoint.kind_ = Kind::unix_socket;
    endpoint.path_ = path;
    endpoint.url_ = fmt::format("{}{}", unix_scheme, path);
    return endpoint;
  }
  if (text.starts_with(tcp_scheme)) {
    const auto parts = split_host_port(text.substr(tcp_scheme.size()));
    if (!parts) return bad(text, "expected tcp://host:port or tcp://[address]:port");
    const auto port = runtime_api::parse_number<std::uint16_t>(parts->port);
    if (!port || *port == 0) return bad(text, "the port must be a number from 1 to 65535");
    endpoint.kind_ = Kind::tcp;
    endpoint.host_ = lower(parts->host);
    endpoint.port_ = *port;
    const bool six = endpoint.host_.find(':') != std::string::npos;
    endpoint.url_ = fmt::format("{}{}{}{}:{}", tcp_scheme, six ? "[" : "", endpoint.host_,
                                six ? "]" : "", *port);
    return endpoint;
  }
  if (text.starts_with("ssh://")) {
    return bad(text, "ssh endpoints are not supported by this release; use unix:// or tcp://");
  }
  return bad(text, "expected unix:///path, /path or tcp://host:port");
}

}  // namespace stillgate
