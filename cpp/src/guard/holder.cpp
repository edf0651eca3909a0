// Reading whole lines from the holder, and writing to it.
#include "holder.hpp"

#include <array>
#include <cerrno>

#include <sys/socket.h>

namespace stillgate::guard {

bool Holder::read() {
  std::array<char, 4096> piece{};
  const ssize_t n = ::read(STDIN_FILENO, piece.data(), piece.size());
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (n <= 0) {
    is_there_ = false;
    return false;
  }
  received_.append(piece.data(), static_cast<std::size_t>(n));
  return true;
}

std::optional<std::string> Holder::take_line() {
  const std::size_t end = received_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = received_.substr(0, end);
  received_.erase(0, end + 1);
  return line;
}

void Holder::say(const std::string& line) const {
  // One that is stopped, with its buffer full, must not keep the guard from a release.
  (void)!::send(STDOUT_FILENO, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace stillgate::guard
