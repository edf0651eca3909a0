// The values of an ssh_config's keywords, from text.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "settings.hpp"

namespace stillgate::transport::ssh {

[[nodiscard]] std::optional<bool> parse_flag(std::string_view text);
[[nodiscard]] std::optional<HostKeyChecking> parse_checking(std::string_view text);
[[nodiscard]] std::optional<std::uint16_t> parse_port(std::string_view text);

/// AddressFamily, as getaddrinfo takes it: AF_UNSPEC, AF_INET or AF_INET6.
[[nodiscard]] std::optional<int> parse_family(std::string_view text);

/// Seconds, or such as `1m30s`; not `none`.
[[nodiscard]] std::optional<std::chrono::seconds> parse_time(std::string_view text);

/// A ProxyJump, the first hop first: `[user@]host[:port]` or `ssh://...`, with commas. `none` in
/// any case gives no hop at all.
[[nodiscard]] std::optional<std::vector<Destination>> parse_jumps(std::string_view text);

/// What ssh takes for a variable's name after a `$`.
[[nodiscard]] bool valid_variable(std::string_view name);

}  // namespace stillgate::transport::ssh
