// A relay that adds delay: long paths for the bench and the tests, on one machine.
//
//   relay [--handshake] FILE
//
// FILE has a path per line: listen-url target-url delay_ms_forward delay_ms_back, the URLs as
// tcp://a.b.c.d:port or unix:///path. Prints "ready" when it listens on all of them.
//
// Each read is passed on whole after its delay, the end of the stream too, so a half-close stays
// one. What is not delayed is the handshake of the client's connection: the loopback answers it at
// once. With --handshake no byte of the client counts as sent before one round trip of the path
// has passed since the accept, as over a real path.
//
// One thread. Everything is edge-triggered: an end or an error that cannot be acted on yet is told
// once and not again and again.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <iostream>
#include <memory>
#include <queue>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "address.hpp"
#include "measure.hpp"

namespace {

/// No more is read from one side while so much of it waits.
constexpr std::size_t most_waiting = std::size_t{4} << 20U;
constexpr double connect_retry_ms = 5;

struct Path {
  bench::Address listen;
  bench::Address target;
  double forward_ms{0};
  double back_ms{0};
};

/// What epoll tells of: a listening socket, or one end of a connection.
class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;
  virtual void ready(std::uint32_t events) = 0;
};

class Connection;

/// The loop: epoll, and one timer for all that waits.
class Loop {
 public:
  Loop() : epoll_(::epoll_create1(0)), timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event);
  }

  void add(int fd, Source& source) const {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = &source;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  /// Calls the connection's on_due() then; not at all if it is gone.
  void at(double due_ms, std::weak_ptr<Connection> connection) {
    due_.push({due_ms, std::move(connection)});
  }
  /// Events of this turn may still point at it: it goes at the turn's end.
  void discard(std::shared_ptr<Connection> connection) { gone_.push_back(std::move(connection)); }
  [[noreturn]] void run();

  std::array<char, std::size_t{256} * 1024> buffer{};

 private:
  struct Due {
    double at;
    std::weak_ptr<Connection> connection;
    bool operator<(const Due& other) const { return at > other.at; }
  };
  void call_due();
  void arm();

  int epoll_;
  int timer_;
  double armed_for_{0};
  std::priority_queue<Due> due_;
  std::vector<std::shared_ptr<Connection>> gone_;
};

/// One direction: what was read, until its time.
struct Pipe {
  struct Chunk {
    double due;
    std::string bytes;  // empty: the end of the stream
    bool reset{false};  // an end by an error: it overtakes nothing either
  };
  std::deque<Chunk> waiting;
  std::size_t bytes{0};  // of all that waits
  std::size_t sent{0};   // of the first chunk
  double delay{0};
  double not_before{0};  // no byte counts as sent before
  bool read_all{false};
  bool passed_all{false};
};

/// A client's socket and the target's, and the two pipes between them. Owns itself.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Loop& loop, const Path& path, int client, bool handshake);
  void begin();
  void on_due();

 private:
  struct End : Source {
    void ready(std::uint32_t events) override { owner->on_ready(*this, events); }
    Connection* owner{nullptr};
    int fd{-1};
    Pipe pipe;  // what is read here
    End* other{nullptr};
  };
  void connect();
  void on_ready(End& end, std::uint32_t events);
  void read(End& end);
  void pass(End& from);
  void close(bool reset);

  Loop& loop_;
  const Path& path_;
  End client_;
  End target_;
  bool connected_{false};
  bool retry_{false};
  std::shared_ptr<Connection> self_;
};

Connection::Connection(Loop& loop, const Path& path, int client, bool handshake)
    : loop_(loop), path_(path) {
  client_.fd = client;
  client_.owner = target_.owner = this;
  client_.other = &target_;
  target_.other = &client_;
  client_.pipe.delay = path.forward_ms;
  target_.pipe.delay = path.back_ms;
  if (handshake) client_.pipe.not_before = bench::now_ms() + path.forward_ms + path.back_ms;
}

void Connection::begin() {
  self_ = shared_from_this();
  connect();
  if (self_) loop_.add(client_.fd, client_);
}

void Connection::connect() {
  retry_ = false;
  target_.fd =
      ::socket(path_.target.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (target_.fd < 0) return close(true);
  const int on = 1;
  if (!path_.target.is_unix()) {
    ::setsockopt(target_.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  const int number = ::connect(target_.fd, path_.target.get(), path_.target.size) == 0 ? 0 : errno;
  if (number == EAGAIN) {  // a unix socket whose listen queue is full
    ::close(target_.fd);
    target_.fd = -1;
    retry_ = true;
    loop_.at(bench::now_ms() + connect_retry_ms, weak_from_this());
  } else if (number != 0 && number != EINPROGRESS) {
    close(true);
  } else {
    loop_.add(target_.fd, target_);
  }
}

void Connection::on_ready(End& end, std::uint32_t events) {
  if (!self_) return;
  if (&end == &target_ && !connected_) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(target_.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return close(true);
    if ((events & EPOLLOUT) == 0) return;
    connected_ = true;
    pass(client_);
  }
  // Writable: what the other end read may go on.
  if (self_ && (events & EPOLLOUT) != 0) pass(*end.other);
  if (self_) read(end);
}

/// To the last byte that is there: an edge is told once. Goes on from pass() where it paused.
void Connection::read(End& end) {
  Pipe& pipe = end.pipe;
  while (!pipe.read_all && pipe.bytes < most_waiting) {
    const ssize_t n = ::recv(end.fd, loop_.buffer.data(), loop_.buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    const auto size = static_cast<std::size_t>(std::max(n, ssize_t{0}));
    const double due = std::max(bench::now_ms(), pipe.not_before) + pipe.delay;
    pipe.waiting.push_back({due, std::string(loop_.buffer.data(), size), n < 0});
    pipe.bytes += size;
    pipe.read_all = n <= 0;
    loop_.at(due, weak_from_this());
  }
}

void Connection::on_due() {
  if (!self_) return;
  if (retry_) return connect();
  pass(client_);
  if (self_) pass(target_);
}

/// Passes on what is due.
void Connection::pass(End& from) {
  Pipe& pipe = from.pipe;
  if (!connected_) return;
  const bool full = pipe.bytes >= most_waiting;
  const double now = bench::now_ms();
  while (!pipe.waiting.empty() && pipe.waiting.front().due <= now) {
    const std::string& bytes = pipe.waiting.front().bytes;
    if (bytes.empty()) {
      if (pipe.waiting.front().reset) return close(true);
      ::shutdown(from.other->fd, SHUT_WR);
      pipe.waiting.clear();
      pipe.passed_all = true;
      break;
    }
    const ssize_t n =
        ::send(from.other->fd, bytes.data() + pipe.sent, bytes.size() - pipe.sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return close(true);
    pipe.sent += static_cast<std::size_t>(n);
    pipe.bytes -= static_cast<std::size_t>(n);
    if (pipe.sent < bytes.size()) continue;
    pipe.sent = 0;
    pipe.waiting.pop_front();
  }
  if (client_.pipe.passed_all && target_.pipe.passed_all) return close(false);
  if (full && pipe.bytes < most_waiting) read(from);
}

void Connection::close(bool reset) {
  for (const End* end : {&client_, &target_}) {
    if (end->fd < 0) continue;
    // So that a failure does not look like an orderly end.
    const linger at_once{1, 0};
    if (reset) ::setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(end->fd);
  }
  loop_.discard(std::move(self_));
  self_.reset();
}

class Listener final : public Source {
 public:
  Listener(Loop& loop, const Path& path, bool handshake)
      : loop_(loop), path_(path), handshake_(handshake) {
    fd_ = ::socket(path.listen.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  bool listen() {
    if (::bind(fd_, path_.listen.get(), path_.listen.size) != 0) return false;
    if (::listen(fd_, 4096) != 0) return false;
    loop_.add(fd_, *this);
    return true;
  }
  void ready(std::uint32_t /*events*/) override {
    for (;;) {
      const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
      if (fd < 0) return;
      const int on = 1;
      if (!path_.listen.is_unix()) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      std::make_shared<Connection>(loop_, path_, fd, handshake_)->begin();
    }
  }

 private:
  Loop& loop_;
  Path path_;
  bool handshake_;
  int fd_;
};

void Loop::run() {
  std::vector<epoll_event> events(1024);
  for (;;) {
    const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.ptr == nullptr) {
        armed_for_ = 0;
        continue;
      }
      static_cast<Source*>(event.data.ptr)->ready(event.events);
    }
    call_due();
    gone_.clear();
    arm();
  }
}

void Loop::call_due() {
  while (!due_.empty() && due_.top().at <= bench::now_ms()) {
    const auto connection = due_.top().connection.lock();
    due_.pop();
    if (connection) connection->on_due();
  }
}

void Loop::arm() {
  if (due_.empty() || due_.top().at == armed_for_) return;
  armed_for_ = due_.top().at;
  const auto nanos = static_cast<std::int64_t>(armed_for_ * 1e6) + 1;
  itimerspec time{};
  time.it_value.tv_sec = nanos / 1'000'000'000;
  time.it_value.tv_nsec = nanos % 1'000'000'000;
  ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &time, nullptr);
}

std::vector<Path> read_paths(const char* file) {
  std::vector<Path> paths;
  for (const std::string& line : bench::read_lines(file)) {
    std::istringstream words(line);
    std::string listen;
    std::string target;
    Path path;
    if (!(words >> listen >> target >> path.forward_ms >> path.back_ms)) return {};
    const auto from = bench::parse_address(listen);
    const auto to = bench::parse_address(target);
    if (!from || !to || path.forward_ms < 0 || path.back_ms < 0) return {};
    path.listen = *from;
    path.target = *to;
    paths.push_back(path);
  }
  return paths;
}

}  // namespace

int main(int argc, char** argv) {
  const bool handshake = argc == 3 && std::string_view(argv[1]) == "--handshake";
  if (argc != (handshake ? 3 : 2)) return 2;
  bench::raise_file_limit();
  const std::vector<Path> paths = read_paths(argv[argc - 1]);
  if (paths.empty()) {
    std::cerr << "wanted, per line: listen-url target-url delay_ms_forward delay_ms_back\n";
    return 2;
  }
  Loop loop;
  std::deque<Listener> listeners;
  for (const Path& path : paths) {
    if (!listeners.emplace_back(loop, path, handshake).listen()) {
      std::cerr << "cannot listen: " << std::strerror(errno) << '\n';
      return 1;
    }
  }
  std::cout << "ready" << std::endl;
  loop.run();
}
