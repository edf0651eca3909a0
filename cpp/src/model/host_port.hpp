// Hosts, ports and SSH servers as endpoints' URLs name them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <stillgate/endpoint.hpp>

namespace stillgate::runtime_api {

struct HostPort {
  std::string host;  ///< lower case, no brackets
  std::optional<std::uint16_t> port;
};

/// `host`, `host:port`, `[address6]` or `[address6]:port`; a port is 1 to 65535.
[[nodiscard]] std::optional<HostPort> parse_host_port(std::string_view text);

/// With brackets where it needs them.
[[nodiscard]] std::string bracketed(std::string_view host);

/// `[user@]host[:port]`, as ssh's own -J takes it.
[[nodiscard]] std::optional<SshHop> parse_hop(std::string_view text);
[[nodiscard]] std::string to_string(const SshHop& hop);

/// `%41` to `A`; nothing where a `%` is not followed by two hexadecimal digits, or stands for a
/// control character.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);
/// All but letters, digits and `-._~/:@,[]`.
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace stillgate::runtime_api
