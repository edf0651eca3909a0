// Connecting to SSH servers, directly and by a ProxyCommand.
#include "carrier.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include "transport/dialer.hpp"
#include "transport/ssh/base/failure.hpp"

namespace stillgate::transport::ssh {
namespace {

/// A connection counts as dead when bytes stay unacknowledged this long.
constexpr unsigned dead_after_ms = 15'000;

void tune(int fd) {
  const int on = 1;
  // Nagle against the server's delayed ACK is 40 ms for each channel
  // (docs/haproxy-facts.md, section 7).
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_after_ms, sizeof dead_after_ms);
}

/// The resolver's message, with the restriction that may be the cause.
std::string in_family(int family, const std::string& words) {
  if (words.empty() || family == AF_UNSPEC) return words;
  return fmt::format("{}; AddressFamily in ssh_config allows only {} addresses", words,
                     family == AF_INET ? "IPv4" : "IPv6");
}

class Tcp final : public Carrier {
 public:
  Tcp(boost::asio::io_context& io, Resolver& resolver, const Route& route)
      : resolver_(resolver),
        host_(route.settings.host_name),
        port_(route.settings.port),
        family_(route.settings.address_family),
        attempt_(std::make_shared<Attempt>(io, route.name())) {}

  void start(Handler handler) override {
    attempt_->handler = std::move(handler);
    resolver_.resolve(
        host_, port_,
        [weak = std::weak_ptr(attempt_), family = family_](const auto& found, const auto& words) {
          if (const auto attempt = weak.lock()) attempt->dial(found, in_family(family, words));
        },
        family_);
  }

 private:
  struct Attempt {
    Attempt(boost::asio::io_context& io, std::string server)
        : name(std::move(server)), dialer(io) {}

    std::string name;
    Handler handler{};
    Dialer dialer;

    void dial(const std::vector<Address>& found, const std::string& words) {
      if (found.empty()) {
        handler(failure(Errc::name_not_found, name, "the host's name does not resolve", words));
        return;
      }
      dialer.start(found, [callback = handler, server = name](Dialer::Socket socket, int error) {
        if (error != 0) {
          callback(connection_failure(error, server));
          return;
        }
        boost::system::error_code ignored;
        const int fd = socket.release(ignored);
        tune(fd);
        callback(fd);
      });
    }
  };

  Resolver& resolver_;
  std::string host_;
  std::uint16_t port_;
  int family_;
  std::shared_ptr<Attempt> attempt_;
};

/// A ProxyCommand, run by a shell with one end of a socket pair.
class Command final : public Carrier {
 public:
  Command(boost::asio::io_context& io, const Route& route)
      : io_(io), command_("exec " + route.settings.proxy_command), name_(route.name()) {}

  ~Command() override {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    // It may end late, and nothing else reaps it.
    std::thread([pid = pid_] {
      int status = 0;
      while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
      }
    }).detach();
  }

  void start(Handler handler) override {
    std::array<int, 2> ends{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      answer(std::move(handler), connection_failure(errno, name_));
      return;
    }
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    const int error = spawn(ends[1]);
    ::close(ends[1]);
    if (error == 0) {
      answer(std::move(handler), ends[0]);
      return;
    }
    ::close(ends[0]);
    answer(std::move(handler),
           failure(Errc::ssh_proxy, name_, "the ProxyCommand cannot be run", std::strerror(error)));
  }

 private:
  /// In its own process session: Ctrl-C at the terminal must not end a connection that holds
  /// traffic.
  int spawn(int end) {
    posix_spawn_file_actions_t files{};
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_adddup2(&files, end, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, end, STDOUT_FILENO);
    posix_spawnattr_t how{};
    ::posix_spawnattr_init(&how);
    sigset_t none;
    ::sigemptyset(&none);
    sigset_t broken_pipe = none;
    ::sigaddset(&broken_pipe, SIGPIPE);
    ::posix_spawnattr_setsigmask(&how, &none);
    ::posix_spawnattr_setsigdefault(&how, &broken_pipe);
    ::posix_spawnattr_setflags(&how,
                               POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    std::string shell = "sh";
    std::string option = "-c";
    std::array<char*, 4> arguments{shell.data(), option.data(), command_.data(), nullptr};
    const int error = ::posix_spawn(&pid_, "/bin/sh", &files, &how, arguments.data(), environ);
    ::posix_spawnattr_destroy(&how);
    ::posix_spawn_file_actions_destroy(&files);
    return error;
  }

  void answer(Handler handler, Result<int> result) {
    boost::asio::post(io_, [handler = std::move(handler), result = std::move(result)]() mutable {
      handler(std::move(result));
    });
  }

  boost::asio::io_context& io_;
  std::string command_;
  std::string name_;
  pid_t pid_{0};
};

}  // namespace

std::unique_ptr<Carrier> make_carrier(boost::asio::io_context& io, Resolver& resolver,
                                      const Route& route) {
  if (!route.settings.proxy_command.empty()) return std::make_unique<Command>(io, route);
  return std::make_unique<Tcp>(io, resolver, route);
}

}  // namespace stillgate::transport::ssh
