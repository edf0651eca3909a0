// Starting a standby, sending it the order, and being one.
#include "standby.hpp"

#include <array>
#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/ssh_sessions.hpp"

namespace stillgate::guard {
namespace {

constexpr std::string_view farewell = "bye\n";
constexpr std::string_view end_of_order = "\ngo\n";

bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

Standby::~Standby() { close(); }

void Standby::close() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool Standby::start() {
  close();
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return false;
  // A dup2 onto itself would leave it closed on exec.
  if (ends[1] == standby_descriptor)
    ends[1] = ::fcntl(ends[1], F_DUPFD_CLOEXEC, standby_descriptor + 1);
  posix_spawn_file_actions_t actions{};
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], standby_descriptor);
  std::string name = "stillgate-guard";
  std::string role = "--standby";
  std::array<char*, 3> arguments{name.data(), role.data(), nullptr};
  pid_t child = 0;
  const int error =
      ::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (error != 0) {
    ::close(ends[0]);
    return false;
  }
  int status = 0;
  // It goes into the background: its first process ends at once, as ours did.
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  fd_ = ends[0];
  return true;
}

void Standby::send(fleet::GuardOrder order) {
  order.secrets = engine::export_secrets();
  std::string text = fleet::encode(order);
  if (fd_ >= 0 && !send_all(fd_, text)) close();
  fleet::wipe(text);
  fleet::wipe(order.secrets);
}

void Standby::dismiss() {
  if (fd_ >= 0) send_all(fd_, farewell);
  close();
}

bool Standby::is_alive() {
  std::array<char, 64> piece{};
  const ssize_t n = ::recv(fd_, piece.data(), piece.size(), MSG_DONTWAIT);
  if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) return true;
  close();
  return false;
}

std::optional<fleet::GuardOrder> stand_by() {
  std::string unread;
  std::string last_order;
  for (;;) {
    std::array<char, 4096> piece{};
    const ssize_t n = ::read(standby_descriptor, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    unread.append(piece.data(), static_cast<std::size_t>(n));
    for (std::size_t end = unread.find(end_of_order); end != std::string::npos;
         end = unread.find(end_of_order)) {
      last_order = unread.substr(0, end + end_of_order.size());
      unread.erase(0, last_order.size());
    }
    if (unread == farewell) return std::nullopt;
  }
  ::close(standby_descriptor);
  auto order = fleet::decode_order(last_order);
  if (!order) return std::nullopt;
  return *std::move(order);
}

}  // namespace stillgate::guard
