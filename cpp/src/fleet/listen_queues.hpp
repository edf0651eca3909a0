// The kernel's queues of listening TCP sockets on this machine.
#pragma once

#include <cstdint>
#include <map>

namespace stillgate::fleet {

/// By port: how many connections may wait there to be accepted, and how many do, summed over the
/// sockets that share the port. Empty if the kernel does not report it (netlink, sock_diag(7)).
struct ListenQueue {
  std::int64_t depth{0};
  std::int64_t waiting{0};
};
[[nodiscard]] std::map<std::uint16_t, ListenQueue> listen_queues();

/// Their depths alone.
[[nodiscard]] std::map<std::uint16_t, std::int64_t> listen_depths();

}  // namespace stillgate::fleet
