// Sending, as often as it takes.
#include "send_all.hpp"

#include <cerrno>

#include <sys/socket.h>

namespace stillgate::fleet {

bool send_all(int to, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::send(to, text.data(), text.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace stillgate::fleet
