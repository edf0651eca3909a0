// How many connections may wait in this machine's kernel for the frontends of an HAProxy.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace stillgate {

/// By frontend, from `show fd` of an HAProxy on this machine: connections, at least 1. Of several
/// ports the smallest queue counts. A frontend is left out where the kernel (netlink,
/// sock_diag(7)) or the text does not tell. Thread-safe.
[[nodiscard]] std::map<std::string, std::int64_t> listen_depths_of(std::string_view show_fd);

}  // namespace stillgate
