// The yardstick of SSH in the bench: `show info` over libssh2 by hand, one thread, no engine.
//
//   libssh2_peer FILE    FILE has a host per line: ADDRESS PORT USER KEYFILE SOCKET
//
// Reads `cold`, `warm` and `commit` from stdin and prints a line of JSON for each. It does what a
// login costs whoever uses libssh2, and no more: it checks no host key, knows no ssh_config, has no
// deadlines, and ends at the first thing that goes wrong.
#include <arpa/inet.h>
#include <libssh2.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "measure.hpp"

namespace {

constexpr std::string_view greeting = "prompt\nset severity-output number\n";
constexpr std::string_view command = "show info\n";
constexpr std::string_view commit_text = "set maxconn frontend idle 100\n";  // as it is already
constexpr std::string_view channel_type = "direct-streamlocal@openssh.com";
constexpr std::string_view proof = "\nPid: ";
constexpr std::string_view prompt = "\n> ";
constexpr unsigned window_bytes = 256 * 1024;
constexpr unsigned packet_bytes = 32 * 1024;
constexpr std::size_t logins_at_once = 8;  // as the engine: sshd's MaxStartups begins at 10

enum class Step { handshake, login, open, greet, greeted, ask, answer, done };

struct Peer {
  sockaddr_in address{};
  std::string user;
  std::string key;
  std::string opening;  // the message behind the channel's type (OpenSSH's PROTOCOL, 2.4)
  int fd{-1};
  LIBSSH2_SESSION* session{nullptr};
  LIBSSH2_CHANNEL* channel{nullptr};
  Step step{Step::done};
  std::string text;
};

[[noreturn]] void give_up(const Peer& peer, const char* what) {
  char* words = nullptr;
  if (peer.session != nullptr) libssh2_session_last_error(peer.session, &words, nullptr, 0);
  std::cerr << what << ": " << (words == nullptr ? "" : words) << '\n';
  std::exit(1);
}

class Crowd {
 public:
  explicit Crowd(std::vector<Peer> peers) : peers_(std::move(peers)), epoll_(::epoll_create1(0)) {}

  bench::Round cold() {
    hang_up();
    const double cpu = bench::cpu_us();
    const double begun = bench::now_ms();
    run_all(Step::handshake);
    const std::size_t ok = proven();
    hang_up();
    const double ended = bench::now_ms();
    return {ended - begun, ended - first_sent_, bench::cpu_us() - cpu, ok};
  }

  bench::Round warm(std::string_view text = command) {
    if (peers_.front().fd < 0) run_all(Step::handshake);
    text_ = text;
    const double cpu = bench::cpu_us();
    run_all(Step::ask);
    const double window = bench::now_ms() - first_sent_;
    return {window, window, bench::cpu_us() - cpu, proven()};
  }

 private:
  void run_all(Step from);
  void begin(Peer& peer);
  void go_on(Peer& peer);
  int advance(Peer& peer);
  bool read(Peer& peer, int prompts);
  void hang_up();
  [[nodiscard]] std::size_t proven() const;

  std::vector<Peer> peers_;
  int epoll_;
  std::array<char, std::size_t{32} * 1024> buffer_{};
  std::deque<Peer*> waiting_;
  std::string_view text_{command};
  std::size_t unfinished_{0};
  double first_sent_{0};
};

void Crowd::run_all(Step from) {
  first_sent_ = 0;
  unfinished_ = peers_.size();
  for (Peer& peer : peers_) {
    peer.step = from;
    peer.text.clear();
    if (from == Step::handshake) {
      waiting_.push_back(&peer);
    } else {
      go_on(peer);
    }
  }
  for (std::size_t i = 0; i < logins_at_once && !waiting_.empty(); ++i) {
    begin(*waiting_.front());
    waiting_.pop_front();
  }
  std::array<epoll_event, 64> events{};
  while (unfinished_ > 0) {
    const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < n; ++i) {
      go_on(*static_cast<Peer*>(events[static_cast<std::size_t>(i)].data.ptr));
    }
  }
}

void Crowd::begin(Peer& peer) {
  peer.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(peer.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::connect(peer.fd, reinterpret_cast<const sockaddr*>(&peer.address), sizeof peer.address);
  peer.session = libssh2_session_init();
  libssh2_session_set_blocking(peer.session, 0);
  // Edges are enough: each step goes on until libssh2 has nothing more.
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLET;
  event.data.ptr = &peer;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, peer.fd, &event);
}

void Crowd::go_on(Peer& peer) {
  if (peer.step == Step::done) return;
  const int on = 1;
  ::setsockopt(peer.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
  for (;;) {
    const int code = advance(peer);
    if (code == LIBSSH2_ERROR_EAGAIN) return;
    if (code < 0) give_up(peer, "a step of the login failed");
    if (peer.step == Step::done) break;
  }
  --unfinished_;
}

int Crowd::advance(Peer& peer) {
  const auto write = [&peer](std::string_view text) {
    return static_cast<int>(libssh2_channel_write(peer.channel, text.data(), text.size()));
  };
  int code = 0;
  switch (peer.step) {
    case Step::handshake:
      code = libssh2_session_handshake(peer.session, peer.fd);
      break;
    case Step::login:
      code = libssh2_userauth_publickey_fromfile_ex(peer.session, peer.user.c_str(),
                                                    static_cast<unsigned>(peer.user.size()),
                                                    nullptr, peer.key.c_str(), nullptr);
      if (code == 0 && !waiting_.empty()) {
        begin(*waiting_.front());
        waiting_.pop_front();
      }
      break;
    case Step::open:
      peer.channel = libssh2_channel_open_ex(peer.session, channel_type.data(),
                                             static_cast<unsigned>(channel_type.size()),
                                             window_bytes, packet_bytes, peer.opening.data(),
                                             static_cast<unsigned>(peer.opening.size()));
      if (peer.channel == nullptr) code = libssh2_session_last_errno(peer.session);
      break;
    case Step::greet:
      code = write(greeting);
      break;
    case Step::greeted:
      if (!read(peer, 2)) return LIBSSH2_ERROR_EAGAIN;
      break;
    case Step::ask:
      if (first_sent_ == 0) first_sent_ = bench::now_ms();
      code = write(text_);
      break;
    case Step::answer:
      if (!read(peer, 1)) return LIBSSH2_ERROR_EAGAIN;
      break;
    case Step::done:
      break;
  }
  if (code >= 0) peer.step = static_cast<Step>(static_cast<int>(peer.step) + 1);
  return code;
}

/// True: so many prompts have come, the last at the end.
bool Crowd::read(Peer& peer, int prompts) {
  for (;;) {
    const auto n = libssh2_channel_read(peer.channel, buffer_.data(), buffer_.size());
    if (n == LIBSSH2_ERROR_EAGAIN) return false;
    if (n <= 0) give_up(peer, "reading failed");
    peer.text.append(buffer_.data(), static_cast<std::size_t>(n));
    int seen = 0;
    for (std::size_t at = 0; (at = peer.text.find(prompt, at)) != std::string::npos; ++at) ++seen;
    if (seen < prompts) continue;
    if (prompts > 1) peer.text.clear();
    return true;
  }
}

/// As the engine ends a session: a farewell in each channel would wait for the server.
void Crowd::hang_up() {
  for (Peer& peer : peers_) {
    if (peer.fd < 0) continue;
    ::shutdown(peer.fd, SHUT_RDWR);
    libssh2_session_free(peer.session);
    ::close(peer.fd);
    peer.fd = -1;
  }
}

std::size_t Crowd::proven() const {
  return static_cast<std::size_t>(std::count_if(peers_.begin(), peers_.end(), [](const Peer& peer) {
    return peer.text == prompt || peer.text.find(proof) != std::string::npos;
  }));
}

std::string opening_of(std::string_view path) {
  const auto size = static_cast<unsigned>(path.size());
  std::string message;
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    message += static_cast<char>(size >> shift & 0xffU);
  }
  return message.append(path).append(8, '\0');
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || libssh2_init(0) != 0) return 2;
  bench::raise_file_limit();
  std::vector<Peer> peers;
  for (const std::string& line : bench::read_lines(argv[1])) {
    std::istringstream words(line);
    std::string address;
    std::string path;
    std::uint16_t port = 0;
    Peer& peer = peers.emplace_back();
    words >> address >> port >> peer.user >> peer.key >> path;
    peer.address.sin_family = AF_INET;
    peer.address.sin_port = htons(port);
    peer.opening = opening_of(path);
    if (!words || ::inet_pton(AF_INET, address.c_str(), &peer.address.sin_addr) != 1) {
      std::cerr << "no host: " << line << '\n';
      return 2;
    }
  }
  const std::size_t endpoints = peers.size();
  Crowd crowd(std::move(peers));
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "cold") bench::print(crowd.cold(), endpoints);
    if (line == "warm") bench::print(crowd.warm(), endpoints);
    if (line == "commit") bench::print(crowd.warm(commit_text), endpoints);
  }
}
