// Asking the kernel by sock_diag(7), as ss(8) does.
#include "listen_queues.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <stillgate/listen_depths.hpp>

#include "runtime_api/listeners.hpp"

namespace stillgate::fleet {
namespace {

using Queues = std::map<std::uint16_t, ListenQueue>;

constexpr unsigned listening = 10;  // TCP_LISTEN, which <netinet/tcp.h> has for C only
constexpr timeval patience{0, 200'000};
constexpr std::size_t buffer_bytes = 32'768;

struct Request {
  nlmsghdr header;
  inet_diag_req_v2 what;
};

bool ask(int fd, int family) {
  Request request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.what.sdiag_family = static_cast<std::uint8_t>(family);
  request.what.sdiag_protocol = IPPROTO_TCP;
  request.what.idiag_states = 1U << listening;
  return ::send(fd, &request, sizeof request, 0) == static_cast<ssize_t>(sizeof request);
}

/// Reads one datagram of the answer into `queues`. False: it was the last one, or is broken.
bool read_some(int fd, Queues& queues) {
  alignas(nlmsghdr) std::array<std::byte, buffer_bytes> buffer{};
  const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (n <= 0) return false;
  auto left = static_cast<std::size_t>(n);
  const std::byte* at = buffer.data();
  while (left >= sizeof(nlmsghdr)) {
    nlmsghdr header{};
    std::memcpy(&header, at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > left) return false;
    if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) return false;
    if (header.nlmsg_len >= NLMSG_LENGTH(sizeof(inet_diag_msg))) {
      inet_diag_msg found{};
      std::memcpy(&found, at + NLMSG_HDRLEN, sizeof found);
      ListenQueue& queue = queues[ntohs(found.id.idiag_sport)];
      // Of a listening socket: how many may wait, and one more gets in.
      queue.depth += static_cast<std::int64_t>(found.idiag_wqueue) + 1;
      queue.waiting += static_cast<std::int64_t>(found.idiag_rqueue);
    }
    const std::size_t whole = std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), left);
    at += whole;
    left -= whole;
  }
  return true;
}

}  // namespace

Queues listen_queues() {
  Queues queues;
  for (const int family : {AF_INET, AF_INET6}) {
    const int fd = ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) return {};
    // A kernel that does not answer, or a sandbox's, must not delay the call.
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (ask(fd, family)) {
      while (read_some(fd, queues)) {
      }
    }
    ::close(fd);
  }
  return queues;
}

std::map<std::uint16_t, std::int64_t> listen_depths() {
  std::map<std::uint16_t, std::int64_t> depths;
  for (const auto& [port, queue] : listen_queues()) depths.emplace(port, queue.depth);
  return depths;
}

}  // namespace stillgate::fleet

namespace stillgate {

std::map<std::string, std::int64_t> listen_depths_of(std::string_view show_fd) {
  std::map<std::string, std::int64_t> found;
  const auto depths = fleet::listen_depths();
  for (auto& one : runtime_api::parse_listeners(show_fd)) {
    const auto depth = depths.find(one.port);
    if (depth == depths.end()) continue;
    const auto [place, is_new] = found.emplace(std::move(one.frontend), depth->second);
    if (!is_new) place->second = std::min(place->second, depth->second);
  }
  return found;
}

}  // namespace stillgate
