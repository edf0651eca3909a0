// Secrets on memory pages of their own, and the prompt on the terminal.
#include "secret.hpp"

#include <algorithm>
#include <new>

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

namespace stillgate::transport::ssh {
namespace {

constexpr std::size_t longest_answer = 1024;
constexpr int slice_ms = 20;  ///< between two checks whether the caller stops

/// Names come from files of configuration: none steers the terminal. UTF-8 stays what it is, but
/// for the control characters of two bytes.
std::string tamed(std::string text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool is_c1 =
        byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (byte < 0x20 || byte == 0x7f) text[i] = '?';
    if (is_c1) text.replace(i, 2, "?");
  }
  return text;
}

/// The terminal with its echo off, and as it was at the end.
class Terminal {
 public:
  Terminal() : fd_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
    if (fd_ < 0 || ::tcgetattr(fd_, &before_) != 0) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet.c_lflag |= ECHONL;
    quiet_ = ::tcsetattr(fd_, TCSAFLUSH, &quiet) == 0;
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    if (quiet_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] bool quiet() const noexcept { return quiet_; }
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
  termios before_{};
  bool quiet_{false};
};

}  // namespace

Secret::Secret(std::string_view text)
    : size_(text.size()),
      mapped_(text.size() + 1),
      text_(static_cast<char*>(
          ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
  if (text_ == MAP_FAILED) throw std::bad_alloc();
  // Best effort, both: what may be locked is little on some machines.
  (void)::madvise(text_, mapped_, MADV_DONTDUMP);
  (void)::mlock(text_, mapped_);
  std::copy(text.begin(), text.end(), text_);
}

Secret::~Secret() {
  ::explicit_bzero(text_, mapped_);
  ::munmap(text_, mapped_);
}

std::shared_ptr<const Secret> Secret::take(std::string&& text) {
  std::shared_ptr<const Secret> secret(new Secret(text));
  ::explicit_bzero(text.data(), text.size());
  return secret;
}

std::shared_ptr<const Secret> ask_on_terminal(const std::string& prompt,
                                              const std::stop_token& stop) {
  const Terminal terminal;
  if (!terminal.quiet()) return nullptr;
  const std::string shown = tamed(prompt);
  if (::write(terminal.fd(), shown.data(), shown.size()) < 0) return nullptr;
  pollfd typed{terminal.fd(), POLLIN, 0};
  while (::poll(&typed, 1, slice_ms) == 0 || typed.revents == 0) {
    if (stop.stop_requested()) return nullptr;
  }
  std::string answer(longest_answer, '\0');
  const ssize_t n = ::read(terminal.fd(), answer.data(), answer.size());
  const auto end = n > 0 ? answer.find_first_of("\r\n") : std::string::npos;
  if (end == std::string::npos || end == 0) {
    ::explicit_bzero(answer.data(), answer.size());
    return nullptr;
  }
  // Copied and wiped rather than cut short: a string keeps the bytes after its end.
  std::string said = answer.substr(0, end);
  ::explicit_bzero(answer.data(), answer.size());
  return Secret::take(std::move(said));
}

}  // namespace stillgate::transport::ssh
