// The yardstick of the bench: `show info` to many endpoints by hand, with epoll and no library.
//
//   epoll_peer FILE      FILE has an endpoint per line: unix:///path or tcp://a.b.c.d:port
//
// Reads `cold`, `warm` and `barrier` from stdin and prints a line of JSON for each. It does what
// has to be done and no more: one system call per step and endpoint, one buffer, no memory taken in
// a round.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "address.hpp"
#include "measure.hpp"

namespace {

constexpr std::string_view greeting = "prompt\nset severity-output number\n";
constexpr std::string_view command = "show info\n";
constexpr std::string_view cold_text = "prompt\nset severity-output number\nshow info\nquit\n";
constexpr std::string_view prompt = "\n> ";
constexpr std::string_view proof = "\nPid: ";  // a line of each good answer
constexpr double give_up_ms = 20'000;
constexpr int retry_ms = 2;

enum class Step { idle, connecting, reading, done, failed };

struct Peer {
  bench::Address address;
  int fd{-1};
  Step step{Step::idle};
  bool proven{false};
  unsigned prompts_due{0};
  std::array<char, 8> tail{};  // the end of the last read: what is looked for may be cut in two
};

class Crowd {
 public:
  explicit Crowd(std::vector<Peer> peers) : peers_(std::move(peers)), epoll_(::epoll_create1(0)) {
    events_.resize(peers_.size());
    waiting_.reserve(peers_.size());
  }

  bench::Round cold();
  bench::Round warm();
  bench::Round barrier();

 private:
  void begin(std::string_view text, unsigned prompts);
  void open(Peer& peer);
  void send(Peer& peer);
  void watch(Peer& peer, std::uint32_t events, int how);
  void look(Peer& peer, std::uint32_t events);
  void read(Peer& peer, bool to_end);
  void take(Peer& peer, std::size_t n);
  void finish(Peer& peer, Step step);
  void run();
  void open_missing();
  void hang_up();
  [[nodiscard]] std::size_t proven() const;

  std::vector<Peer> peers_;
  int epoll_;
  std::vector<epoll_event> events_;
  std::vector<Peer*> waiting_;  // for a place in a full listen queue
  std::array<char, std::size_t{64} * 1024> buffer_{};
  std::string_view text_;  // what is sent on each new connection
  unsigned prompts_{0};    // prompts to read then; 0: to the end of the stream
  std::size_t unfinished_{0};
  double first_sent_{0};
};

void Crowd::begin(std::string_view text, unsigned prompts) {
  text_ = text;
  prompts_ = prompts;
  unfinished_ = 0;
  first_sent_ = 0;
}

void Crowd::open(Peer& peer) {
  peer.fd = ::socket(peer.address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (peer.fd < 0) return finish(peer, Step::failed);
  if (!peer.address.is_unix()) {
    const int on = 1;
    ::setsockopt(peer.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (::connect(peer.fd, peer.address.get(), peer.address.size) == 0) {
    send(peer);
    if (peer.step == Step::reading) watch(peer, EPOLLIN | EPOLLRDHUP, EPOLL_CTL_ADD);
  } else if (errno == EINPROGRESS) {
    peer.step = Step::connecting;
    watch(peer, EPOLLOUT, EPOLL_CTL_ADD);
  } else if (errno == EAGAIN) {
    // A unix socket whose listen queue is full: such a socket never becomes writable.
    ::close(peer.fd);
    peer.fd = -1;
    waiting_.push_back(&peer);
  } else {
    finish(peer, Step::failed);
  }
}

void Crowd::send(Peer& peer) {
  if (first_sent_ == 0) first_sent_ = bench::now_ms();
  peer.step = Step::reading;
  peer.prompts_due = prompts_;
  peer.proven = false;
  peer.tail.fill(0);
  // A fresh connection takes 60 bytes at once; where it does not, something is wrong.
  const ssize_t n = ::send(peer.fd, text_.data(), text_.size(), MSG_NOSIGNAL);
  if (n != static_cast<ssize_t>(text_.size())) finish(peer, Step::failed);
}

void Crowd::watch(Peer& peer, std::uint32_t events, int how) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &peer;
  ::epoll_ctl(epoll_, how, peer.fd, &event);
}

void Crowd::look(Peer& peer, std::uint32_t events) {
  if (peer.step == Step::reading) return read(peer, (events & (EPOLLRDHUP | EPOLLHUP)) != 0);
  if (peer.step != Step::connecting) {
    // Between rounds HAProxy closes what is idle for long: the next round opens it again.
    ::close(peer.fd);
    peer.fd = -1;
    return;
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(peer.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return finish(peer, Step::failed);
  send(peer);
  if (peer.step == Step::reading) watch(peer, EPOLLIN | EPOLLRDHUP, EPOLL_CTL_MOD);
}

/// Once; or, where the end is known to be there, up to it, which saves a turn of the loop.
void Crowd::read(Peer& peer, bool to_end) {
  constexpr std::size_t kept = sizeof peer.tail;
  do {
    const ssize_t n = ::recv(peer.fd, buffer_.data() + kept, buffer_.size() - kept, 0);
    if (n > 0) {
      take(peer, static_cast<std::size_t>(n));
    } else if (n == 0) {
      finish(peer, prompts_ == 0 ? Step::done : Step::failed);
    } else if (errno == EAGAIN || errno == EINTR) {
      return;
    } else {
      finish(peer, Step::failed);
    }
  } while (to_end && peer.step == Step::reading);
}

void Crowd::take(Peer& peer, std::size_t n) {
  constexpr std::size_t kept = sizeof peer.tail;
  std::memcpy(buffer_.data(), peer.tail.data(), kept);
  const std::string_view seen(buffer_.data(), kept + n);
  std::memcpy(peer.tail.data(), seen.data() + n, kept);
  peer.proven = peer.proven || seen.find(proof) != std::string_view::npos;
  if (prompts_ == 0) return;
  // A prompt counts in the read that holds its last byte.
  for (std::size_t at = kept + 1 - prompt.size();
       (at = seen.find(prompt, at)) != std::string_view::npos; at += prompt.size()) {
    if (peer.prompts_due > 0) --peer.prompts_due;
  }
  if (peer.prompts_due == 0) finish(peer, Step::done);
}

void Crowd::finish(Peer& peer, Step step) {
  peer.step = step;
  --unfinished_;
  // Closing takes it out of the epoll set as well.
  if (peer.fd >= 0 && (prompts_ == 0 || step == Step::failed)) {
    ::close(peer.fd);
    peer.fd = -1;
  }
}

void Crowd::run() {
  const double deadline = bench::now_ms() + give_up_ms;
  std::vector<Peer*> again;
  while (unfinished_ > 0 && bench::now_ms() < deadline) {
    const int n = ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()),
                               waiting_.empty() ? 1000 : retry_ms);
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events_[static_cast<std::size_t>(i)];
      look(*static_cast<Peer*>(event.data.ptr), event.events);
    }
    if (waiting_.empty()) continue;
    again.swap(waiting_);
    for (Peer* peer : again) open(*peer);
    again.clear();
  }
  waiting_.clear();
}

/// Opens and greets what is not open: all of them the first time.
void Crowd::open_missing() {
  begin(greeting, 2);
  for (Peer& peer : peers_) {
    char byte = 0;
    if (peer.fd >= 0 && ::recv(peer.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) {
      ::close(peer.fd);
      peer.fd = -1;
    }
    if (peer.fd >= 0) continue;
    ++unfinished_;
    open(peer);
  }
  run();
}

void Crowd::hang_up() {
  for (Peer& peer : peers_) {
    if (peer.fd >= 0) ::close(peer.fd);
    peer.fd = -1;
  }
}

std::size_t Crowd::proven() const {
  std::size_t n = 0;
  for (const Peer& peer : peers_) n += peer.step == Step::done && peer.proven ? 1U : 0U;
  return n;
}

bench::Round Crowd::cold() {
  hang_up();
  const double cpu = bench::cpu_us();
  const double begun = bench::now_ms();
  begin(cold_text, 0);
  unfinished_ = peers_.size();
  for (Peer& peer : peers_) open(peer);
  run();
  const double ended = bench::now_ms();
  const double window = first_sent_ == 0 ? 0 : ended - first_sent_;
  return {ended - begun, window, bench::cpu_us() - cpu, proven()};
}

bench::Round Crowd::warm() {
  open_missing();
  const double cpu = bench::cpu_us();
  begin(command, 1);
  for (Peer& peer : peers_) {
    peer.step = Step::failed;
    if (peer.fd < 0) continue;
    ++unfinished_;
    send(peer);
  }
  run();
  const double window = first_sent_ == 0 ? 0 : bench::now_ms() - first_sent_;
  return {window, window, bench::cpu_us() - cpu, proven()};
}

/// Cold, but the first command is sent when the last connection is open and greeted.
bench::Round Crowd::barrier() {
  hang_up();
  const double cpu = bench::cpu_us();
  const double begun = bench::now_ms();
  bench::Round round = warm();
  round.total_ms = bench::now_ms() - begun;
  round.cpu_us = bench::cpu_us() - cpu;
  return round;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  bench::raise_file_limit();
  std::vector<Peer> peers;
  for (const std::string& line : bench::read_lines(argv[1])) {
    const auto address = bench::parse_address(line);
    if (!address) {
      std::cerr << "no endpoint: " << line << '\n';
      return 2;
    }
    peers.emplace_back().address = *address;
  }
  const std::size_t endpoints = peers.size();
  Crowd crowd(std::move(peers));
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "cold") bench::print(crowd.cold(), endpoints);
    if (line == "warm") bench::print(crowd.warm(), endpoints);
    if (line == "barrier") bench::print(crowd.barrier(), endpoints);
  }
}
