// Starting a standby, sending it the order, and being one.
#include "standby.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "engine/ssh_sessions.hpp"
#include "fleet/send_all.hpp"

namespace stillgate::guard {

using std::chrono::milliseconds;

namespace {

constexpr std::string_view farewell = "bye\n";
constexpr std::string_view end_of_order = "\ngo\n";
constexpr std::string_view here = "here\n";

/// One that lived for so long was a good one: the next one is started at once.
constexpr milliseconds long_enough{1000};
constexpr milliseconds first_pause{100};
constexpr milliseconds longest_pause{5000};

std::string system_message(int number) {
  std::string words = std::system_category().message(number);
  if (number == EAGAIN) {
    words +=
        "; this user's limit of processes and threads may be reached: raise it (ulimit -u, "
        "LimitNPROC= or TasksMax= of a systemd unit, a container's pids limit)";
  }
  return words;
}

/// In a child of a process with threads: only async-signal-safe calls.
[[noreturn]] void become_standby(int end, char* const* arguments) {
  ::setsid();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(end, standby_descriptor);
  ::syscall(SYS_execveat, program_descriptor, "", arguments, environ, AT_EMPTY_PATH);
  constexpr std::string_view words = "its program cannot be started\n";
  (void)!::write(standby_descriptor, words.data(), words.size());
  ::_exit(1);
}

/// By two forks, so that nothing is left to wait for. Returns an errno.
int fork_standby(int end) {
  std::string name = "stillgate-guard";
  std::string role = "--standby";
  const std::array<char*, 3> arguments{name.data(), role.data(), nullptr};
  const pid_t child = ::fork();
  if (child < 0) return errno;
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) become_standby(end, arguments.data());
    ::_exit(grandchild < 0 ? errno : 0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EAGAIN;
}

}  // namespace

std::optional<std::string> keep_program() {
  int fd = ::open("/proc/self/exe", O_PATH);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel gives addresses as numbers
  const auto* path = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  if (fd < 0 && path != nullptr) fd = ::open(path, O_PATH);
  if (fd < 0) return fmt::format("cannot open its own program: {}", system_message(errno));
  if (fd == program_descriptor) return std::nullopt;
  const bool kept = ::dup2(fd, program_descriptor) >= 0;
  const int number = errno;
  ::close(fd);
  if (kept) return std::nullopt;
  return fmt::format("cannot keep its own program open: {}", system_message(number));
}

Standby::~Standby() { close(); }

void Standby::close() noexcept {
  watch_.reset();
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  ready_ = false;
  said_.clear();
  fleet::wipe(unsent_);
  unsent_ = {};
  written_ = 0;
  sent_ = 0;
}

void Standby::keep(milliseconds now, const fleet::GuardOrder& order, std::uint64_t revision) {
  if (fd_ < 0 && now >= start_at_) start(now, order, revision);
  if (fd_ < 0) return;
  if (!flush()) return lose(now, "it is gone");
  if (unsent_.empty() && sent_ != revision) {
    send(order, revision);
    if (!flush()) return lose(now, "it is gone");
  }
  listen(now);
}

/// It is born with the order, as far as a socket takes one: this guard may die as soon as it has
/// forked, and a standby without an order ends with it.
void Standby::start(milliseconds now, const fleet::GuardOrder& order, std::uint64_t revision) {
  started_at_ = now;
  send(order, revision);
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return lose(now, system_message(errno));
  }
  // A dup2 onto itself would leave it closed on exec.
  if (ends[1] == standby_descriptor) {
    ends[1] = ::fcntl(ends[1], F_DUPFD_CLOEXEC, program_descriptor + 1);
    ::close(standby_descriptor);
  }
  fd_ = ends[0];
  if (ends[1] < 0) return lose(now, system_message(errno));
  (void)flush();
  const int error = fork_standby(ends[1]);
  ::close(ends[1]);
  if (error != 0) return lose(now, system_message(error));
  watch_ = std::make_unique<engine::Watch>(loop_, fd_);
}

void Standby::listen(milliseconds now) {
  while (watch_->take()) {
    std::array<char, 1024> piece{};
    const ssize_t n = ::recv(fd_, piece.data(), piece.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) return lose(now, said_.empty() ? "it died" : said_);
    said_.append(piece.data(), static_cast<std::size_t>(n));
    if (said_ == here) {
      ready_ = true;
      failure_.reset();
      said_.clear();
    }
  }
}

void Standby::lose(milliseconds now, std::string why) {
  died_ = died_ || ready_;
  const bool was_good = ready_ && now - started_at_ >= long_enough;
  close();
  pause_ = was_good ? milliseconds(0) : std::clamp(2 * pause_, first_pause, longest_pause);
  start_at_ = now + pause_;
  if (!why.empty() && why.back() == '\n') why.pop_back();
  if (!was_good) failure_ = std::move(why);
}

void Standby::send(fleet::GuardOrder order, std::uint64_t revision) {
  order.secrets = engine::export_secrets();
  unsent_ = fleet::encode(order);
  written_ = 0;
  sent_ = revision;
  fleet::wipe(order.secrets);
}

/// False: nobody is there any more.
bool Standby::flush() {
  if (unsent_.empty()) return true;
  while (written_ < unsent_.size()) {
    const ssize_t n = ::send(fd_, unsent_.data() + written_, unsent_.size() - written_,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    written_ += static_cast<std::size_t>(n);
  }
  fleet::wipe(unsent_);
  unsent_ = {};
  written_ = 0;
  return true;
}

void Standby::dismiss() {
  // A part of an order may be under way: the farewell would not be read as one.
  if (fd_ >= 0 && flush() && unsent_.empty()) {
    (void)!::send(fd_, farewell.data(), farewell.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  close();
}

std::optional<fleet::GuardOrder> stand_by(Provisions& provisions) {
  std::string unread;
  std::string last_order;
  bool ready = false;
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
    if (ready || last_order.empty()) continue;
    const auto order = fleet::decode_order(last_order);
    if (!order) return std::nullopt;
    if (const auto error = provisions.take(*order)) {
      if (fleet::send_all(standby_descriptor, error->message + "\n")) return std::nullopt;
      // Its guard has died, and nobody else is left: it tries again until it has what it needs.
      break;
    }
    provisions.show(*order, milliseconds(1000));
    ready = fleet::send_all(standby_descriptor, here);
  }
  ::close(standby_descriptor);
  auto order = fleet::decode_order(last_order);
  if (!order) return std::nullopt;
  return *std::move(order);
}

}  // namespace stillgate::guard
