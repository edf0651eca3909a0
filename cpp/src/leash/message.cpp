// Packets in and out, with descriptors.
#include "message.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/uio.h>

namespace stillgate::leash {
namespace {

/// Those that came with a packet, in their places.
std::array<int, streams> take(msghdr& packet, int open) {
  std::array<int, streams> given{-1, -1, -1};
  const cmsghdr* const header = CMSG_FIRSTHDR(&packet);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return given;
  const unsigned char* next = CMSG_DATA(header);
  for (std::size_t at = 0; at < given.size(); ++at) {
    if ((open & (1 << at)) == 0) continue;
    std::memcpy(&given.at(at), next, sizeof(int));
    next += sizeof(int);
  }
  return given;
}

}  // namespace

std::optional<Received> receive(bool& lost) {
  Received received{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * streams)> room{};
  received.environment.resize(most_environment);
  std::array<iovec, 2> pieces{
      {{&received.told, sizeof received.told}, {received.environment.data(), most_environment}}};
  msghdr packet{};
  packet.msg_iov = pieces.data();
  packet.msg_iovlen = pieces.size();
  packet.msg_control = room.data();
  packet.msg_controllen = room.size();
  const ssize_t count = ::recvmsg(peer, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  // A start that did not fit, with its descriptors, is none.
  const auto size = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
  lost = size < sizeof received.told || (packet.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
  if (lost) return std::nullopt;
  received.environment.resize(size - sizeof received.told);
  received.given = take(packet, received.told.open);
  return received;
}

void say(Said::Kind kind, int value, bool by_deadline, int descriptor) {
  Said said{kind, value, by_deadline ? 1 : 0};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
  iovec piece{&said, sizeof said};
  msghdr packet{};
  packet.msg_iov = &piece;
  packet.msg_iovlen = 1;
  if (descriptor >= 0) {
    packet.msg_control = room.data();
    packet.msg_controllen = room.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  }
  ::sendmsg(peer, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace stillgate::leash
