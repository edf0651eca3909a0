// The server's loop: one thread, one epoll, lines in, answers out.
#include "fake_haproxy.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace stillgate::engine {
namespace {

constexpr std::chrono::seconds patience{10};
constexpr int longest_queue = 4096;
constexpr std::size_t flood = 100'000;

int listen_on(const std::filesystem::path& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, longest_queue) != 0) {
    throw std::runtime_error("cannot listen on " + path.string());
  }
  return fd;
}

void watch(int poller, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ::epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

bool say(int fd, const std::string& text) {
  return ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

}  // namespace

FakeHaproxy::FakeHaproxy(const std::filesystem::path& path, Manner manner,
                         std::chrono::milliseconds lag)
    : manner_(manner),
      lag_(lag),
      listener_(listen_on(path)),
      poller_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (::pipe(static_cast<int*>(orders_)) != 0) throw std::runtime_error("no pipe");
  watch(poller_, listener_);
  watch(poller_, orders_[0]);
  thread_ = std::thread([this] { serve(); });
}

FakeHaproxy::~FakeHaproxy() {
  tell('q');
  thread_.join();
  for (const auto& [fd, connection] : connections_) ::close(fd);
  for (const int fd : {listener_, poller_, orders_[0], orders_[1]}) ::close(fd);
}

void FakeHaproxy::tell(char what) {
  if (::write(orders_[1], &what, 1) != 1) throw std::runtime_error("the pipe is full");
}

void FakeHaproxy::delay_greeting_of(std::size_t number) {
  const std::scoped_lock lock(mutex_);
  delayed_ = number;
}

void FakeHaproxy::break_off_next() {
  const std::scoped_lock lock(mutex_);
  manner_ = Manner::breaks_off;
  lag_ = std::chrono::milliseconds(0);
}

void FakeHaproxy::wait_for_the_lag() {
  std::chrono::milliseconds lag{0};
  {
    const std::scoped_lock lock(mutex_);
    lag = lag_;
    ++state_.taken;
  }
  changed_.notify_all();
  std::this_thread::sleep_for(lag);
}

void FakeHaproxy::greet_all() {
  {
    const std::scoped_lock lock(mutex_);
    delayed_ = 0;
  }
  tell('g');
}

void FakeHaproxy::close_all() {
  tell('c');
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] { return closed_all_; });
  closed_all_ = false;
}

FakeHaproxy::State FakeHaproxy::state() {
  const std::scoped_lock lock(mutex_);
  return state_;
}

bool FakeHaproxy::wait_until(const std::function<bool(const State&)>& wanted) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return wanted(state_); });
}

void FakeHaproxy::serve() {
  std::array<epoll_event, 64> events{};
  while (running_) {
    const int count = ::epoll_wait(poller_, events.data(), events.size(), -1);
    const bool spoken =
        std::any_of(events.begin(), events.begin() + std::max(count, 0),
                    [this](const auto& event) { return connections_.contains(event.data.fd); });
    if (spoken) wait_for_the_lag();
    const std::scoped_lock lock(mutex_);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == orders_[0]) {
        obey();
      } else if (fd == listener_) {
        accept_all();
      } else if (connections_.contains(fd)) {
        read_from(fd);
      }
    }
    changed_.notify_all();
  }
}

void FakeHaproxy::obey() {
  char order = 0;
  if (::read(orders_[0], &order, 1) != 1) return;
  if (order == 'q') running_ = false;
  std::vector<int> all;
  for (const auto& [fd, connection] : connections_) all.push_back(fd);
  for (const int fd : all) {
    if (order == 'c') drop(fd);
    if (order == 'g') take_lines(fd, connections_[fd]);
  }
  closed_all_ = order == 'c';
}

void FakeHaproxy::accept_all() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    connections_[fd].number = ++state_.accepted;
    state_.most_open = std::max(state_.most_open, ++state_.open);
    watch(poller_, fd);
    if (manner_ == Manner::speaks_ssh) say(fd, "SSH-2.0-other\r\n");
  }
}

void FakeHaproxy::read_from(int fd) {
  if (manner_ == Manner::silent) {
    // Unread, so that a writer meets a full buffer; looked at no more, or epoll would spin.
    ::epoll_ctl(poller_, EPOLL_CTL_DEL, fd, nullptr);
    return;
  }
  if (manner_ == Manner::resets) {
    drop(fd);
    return;
  }
  std::array<char, 65536> buffer{};
  const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (n <= 0) {
    drop(fd);
    return;
  }
  Connection& connection = connections_[fd];
  connection.unread.append(buffer.data(), static_cast<std::size_t>(n));
  take_lines(fd, connection);
}

void FakeHaproxy::take_lines(int fd, Connection& connection) {
  if (connection.number == delayed_) return;
  for (std::size_t end = 0; (end = connection.unread.find('\n')) != std::string::npos;) {
    const std::string line = connection.unread.substr(0, end);
    connection.unread.erase(0, end + 1);
    if (!take_line(fd, connection, line)) {
      drop(fd);
      return;
    }
  }
}

bool FakeHaproxy::take_line(int fd, Connection& connection, const std::string& line) {
  if (connection.lines < 2) return greet(fd, connection);
  if (line == "quit") return false;
  state_.commands.push_back(line);
  state_.greeted_at.push_back(state_.greeted);
  return answer(fd, line);
}

bool FakeHaproxy::greet(int fd, Connection& connection) {
  if (manner_ == Manner::is_a_master) return say(fd, "master> ");
  if (++connection.lines == 2) ++state_.greeted;
  return say(fd, "\n> ");
}

bool FakeHaproxy::answer(int fd, const std::string& command) {
  switch (manner_) {
    case Manner::greets_only:
      return true;
    case Manner::breaks_off:
      say(fd, "answer to");
      return false;
    case Manner::floods:
      return say(fd, std::string(flood, 'x') + "\n\n> ");
    default:
      return say(fd, "answer to " + command + "\n\n> ");
  }
}

void FakeHaproxy::drop(int fd) {
  ::close(fd);
  connections_.erase(fd);
  --state_.open;
}

}  // namespace stillgate::engine
