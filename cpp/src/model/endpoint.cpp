// Endpoint URLs: parsing and the canonical form.
#include <stillgate/endpoint.hpp>

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "host_port.hpp"

namespace stillgate {
namespace {

constexpr std::string_view unix_scheme = "unix://";
constexpr std::string_view tcp_scheme = "tcp://";
constexpr std::string_view ssh_scheme = "ssh://";
constexpr std::size_t longest_shown = 200;

/// Hides what may be a password, between a ':' and the '@' or after `pass...=`, from messages and
/// logs, for endpoints of any kind.
std::string without_secrets(std::string_view text) {
  constexpr std::string_view hidden = "***";
  std::string shown(text);
  const std::size_t scheme = shown.find("://");
  const std::size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t end = std::min(shown.find_first_of("/?", begin), shown.size());
  const std::size_t at = shown.substr(0, end).rfind('@');
  const std::size_t colon = shown.find(':', begin);
  if (at != std::string::npos && colon < at) shown.replace(colon + 1, at - colon - 1, hidden);
  for (std::size_t from = shown.find('?'); from < shown.size();) {
    const std::size_t next = std::min(shown.find('&', from + 1), shown.size());
    const std::size_t equals = shown.find('=', from);
    std::size_t step = next;
    if (equals < next && shown.substr(from, equals - from).find("pass") != std::string::npos) {
      shown.replace(equals + 1, next - equals - 1, hidden);
      step = equals + 1 + hidden.size();
    }
    from = step;
  }
  return shown;
}

Error bad(std::string_view text, std::string_view why) {
  const std::string whole = without_secrets(text);
  const std::string_view shown = std::string_view(whole).substr(0, longest_shown);
  return {Errc::bad_endpoint,
          fmt::format("endpoint '{}{}': {}", shown, shown.size() < whole.size() ? "..." : "", why),
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

/// The path of a unix socket, here or at an SSH server.
std::optional<std::string> wrong_path(std::string_view path) {
  if (path.size() > Endpoint::max_path) {
    return fmt::format("the path has {} bytes; a unix socket's path has at most {}", path.size(),
                       Endpoint::max_path);
  }
  if (path.ends_with('/')) return "the path names a folder, not a socket";
  return std::nullopt;
}

/// One `name=value` of an ssh endpoint's query; returns what is wrong with it, if anything.
std::optional<std::string> take_parameter(std::string_view name, const std::string& value,
                                          SshAccess& access) {
  const auto absolute = [&value] { return value.starts_with('/') && !value.ends_with('/'); };
  if (name == "tcp") {
    auto place = runtime_api::parse_host_port(value);
    if (!place || !place->port || !access.tcp_host.empty()) return "tcp= takes one host:port";
    access.tcp_host = std::move(place->host);
    access.tcp_port = *place->port;
  } else if (name == "identity") {
    if (!absolute()) return "identity= takes the absolute path of a private key";
    access.identities.push_back(value);
  } else if (name == "config") {
    if (value != "none" && (!absolute() || !access.config.empty())) {
      return "config= takes the absolute path of one ssh_config, or none";
    }
    access.config = value;
  } else if (name == "jump") {
    for (std::size_t from = 0; from <= value.size();) {
      const std::size_t comma = std::min(value.find(',', from), value.size());
      auto hop = runtime_api::parse_hop(std::string_view(value).substr(from, comma - from));
      if (!hop) return "jump= takes [user@]host[:port], several separated by commas";
      access.jumps.push_back(*std::move(hop));
      from = comma + 1;
    }
  } else if (name == "auth") {
    if (value == "password") {
      access.asked = SshAccess::Asked::password;
    } else if (value == "keyboard-interactive") {
      access.asked = SshAccess::Asked::keyboard_interactive;
    } else {
      return "auth= takes password or keyboard-interactive";
    }
  } else {
    return fmt::format("unknown parameter '{}'; expected tcp, identity, jump, config or auth",
                       name.substr(0, longest_shown));
  }
  return std::nullopt;
}

std::optional<std::string> take_query(std::string_view query, SshAccess& access) {
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    const std::size_t sign = one.find('=');
    const auto value = runtime_api::percent_decode(
        sign == std::string_view::npos ? std::string_view() : one.substr(sign + 1));
    if (!value || value->empty()) return "the query must be name=value, several separated by &";
    if (auto wrong = take_parameter(one.substr(0, sign), *value, access)) return wrong;
  }
  return std::nullopt;
}

std::string query_of(const SshAccess& access) {
  std::vector<std::string> parts;
  const auto add = [&parts](std::string_view name, std::string_view value) {
    parts.push_back(fmt::format("{}={}", name, runtime_api::percent_encode(value)));
  };
  if (!access.tcp_host.empty()) {
    add("tcp", fmt::format("{}:{}", runtime_api::bracketed(access.tcp_host), access.tcp_port));
  }
  for (const std::string& identity : access.identities) add("identity", identity);
  std::vector<std::string> hops;
  for (const SshHop& hop : access.jumps) hops.push_back(runtime_api::to_string(hop));
  if (!hops.empty()) add("jump", fmt::format("{}", fmt::join(hops, ",")));
  if (!access.config.empty()) add("config", access.config);
  if (access.asked == SshAccess::Asked::password) add("auth", "password");
  if (access.asked == SshAccess::Asked::keyboard_interactive) add("auth", "keyboard-interactive");
  return parts.empty() ? "" : fmt::format("?{}", fmt::join(parts, "&"));
}

bool is_name(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= Endpoint::max_name &&
         std::all_of(text.begin(), text.end(), fits);
}

}  // namespace

/// `NAME=URL`: a URL has a ':' or a '/' before its first '='.
Result<Endpoint> Endpoint::parse(std::string_view text) {
  const std::size_t sign = text.find('=');
  if (sign == std::string_view::npos || text.find_first_of(":/") < sign) return parse_url(text);
  const std::string_view name = text.substr(0, sign);
  if (!is_name(name)) {
    return bad(text.substr(sign + 1),
               fmt::format("its name has 1 to {} letters, digits, '.', '_' or '-'", max_name));
  }
  auto endpoint = parse_url(text.substr(sign + 1));
  if (endpoint) endpoint->name_ = name;
  return endpoint;
}

Result<Endpoint> Endpoint::parse_url(std::string_view text) {
  if (text.empty()) return bad(text, "is empty");
  if (!printable(text)) return bad("", "contains a space or a control character");
  if (text.starts_with('/') || text.starts_with(unix_scheme)) return parse_unix(text);
  if (text.starts_with(tcp_scheme)) return parse_tcp(text);
  if (text.starts_with(ssh_scheme)) return parse_ssh(text);
  return bad(text, "expected unix:///path, /path, tcp://host:port or ssh://[user@]host/path");
}

Result<Endpoint> Endpoint::parse_unix(std::string_view text) {
  const std::string_view path = text.starts_with('/') ? text : text.substr(unix_scheme.size());
  if (!path.starts_with('/')) return bad(text, "the path must be absolute: unix:///run/...");
  if (const auto wrong = wrong_path(path)) return bad(text, *wrong);
  Endpoint endpoint;
  endpoint.kind_ = Kind::unix_socket;
  endpoint.path_ = path;
  endpoint.url_ = fmt::format("{}{}", unix_scheme, path);
  return endpoint;
}

Result<Endpoint> Endpoint::parse_tcp(std::string_view text) {
  auto place = runtime_api::parse_host_port(text.substr(tcp_scheme.size()));
  if (!place || !place->port) {
    return bad(text,
               "expected tcp://host:port or tcp://[address]:port, with a port from 1 to 65535");
  }
  Endpoint endpoint;
  endpoint.kind_ = Kind::tcp;
  endpoint.host_ = std::move(place->host);
  endpoint.port_ = *place->port;
  endpoint.url_ =
      fmt::format("{}{}:{}", tcp_scheme, runtime_api::bracketed(endpoint.host_), endpoint.port_);
  return endpoint;
}

Result<Endpoint> Endpoint::parse_ssh(std::string_view text) {
  const std::string_view rest = text.substr(ssh_scheme.size());
  const std::size_t mark = std::min(rest.find('?'), rest.size());
  const std::size_t slash = std::min(rest.find('/'), mark);
  const std::string_view server = rest.substr(0, slash);
  if (server.find(':') < server.find('@') && server.find('@') != std::string_view::npos) {
    // Not shown: that it is a secret is the point.
    return bad("ssh://...", "do not write a password into a URL; use a key or an agent");
  }
  auto hop = runtime_api::parse_hop(server);
  if (!hop) return bad(text, "expected ssh://[user@]host[:port]/path");
  Endpoint endpoint;
  endpoint.kind_ = Kind::ssh;
  endpoint.server_ = *std::move(hop);
  const std::string_view path = rest.substr(slash, mark - slash);
  if (mark < rest.size()) {
    if (const auto wrong = take_query(rest.substr(mark + 1), endpoint.access_)) {
      return bad(text, *wrong);
    }
  }
  if (endpoint.access_.tcp_host.empty()) {
    if (path.empty())
      return bad(text,
                 "the socket is missing; expected for example ssh://host/run/haproxy/admin.sock");
    if (const auto wrong = wrong_path(path)) return bad(text, *wrong);
    endpoint.path_ = path;
  } else if (!path.empty() && path != "/") {
    return bad(text, "has both a path and tcp=; give one of them");
  }
  endpoint.url_ = fmt::format("{}{}{}{}", ssh_scheme, runtime_api::to_string(endpoint.server_),
                              endpoint.path_, query_of(endpoint.access_));
  return endpoint;
}

}  // namespace stillgate
