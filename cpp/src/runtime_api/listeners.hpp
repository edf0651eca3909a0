// The listening sockets of frontends, and their clients, out of `show fd`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stillgate::runtime_api {

struct Listener {
  std::string frontend;  ///< `GLOBAL` for a stats socket
  std::uint16_t port{0};
};

/// Those on TCP ports. Lines that are no such listener are passed over: their form is not fixed.
[[nodiscard]] std::vector<Listener> parse_listeners(std::string_view text);

/// The connections of clients to that frontend.
[[nodiscard]] std::int64_t count_clients(std::string_view text, std::string_view frontend);

}  // namespace stillgate::runtime_api
