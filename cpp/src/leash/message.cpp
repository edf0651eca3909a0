// Packets in and out, with descriptors.
#include "message.hpp"

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
  iovec piece{&received.told, sizeof received.told};
  msghdr packet{};
  packet.msg_iov = &piece;
  packet.msg_iovlen = 1;
  packet.msg_control = room.data();
  packet.msg_controllen = room.size();
  const ssize_t count = ::recvmsg(peer, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  // A start whose descriptors did not fit is none.
  lost = count != sizeof received.told || (packet.msg_flags & MSG_CTRUNC) != 0;
  if (lost) return std::nullopt;
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
