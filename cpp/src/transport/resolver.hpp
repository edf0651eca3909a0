// Resolves host names without making a deadline wait for getaddrinfo.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>

namespace stillgate::transport {

struct Address {
  sockaddr_storage storage{};
  socklen_t size{0};
};

/// getaddrinfo blocks for seconds when a name server is down, and cannot be cancelled. It runs on
/// detached threads that share only a mailbox with the caller, so a caller that leaves (deadline,
/// Ctrl-C) does not wait. Numeric addresses need no thread.
class Resolver {
 public:
  /// `failure`: getaddrinfo's message, or empty.
  using Handler =
      std::function<void(const std::vector<Address>& addresses, const std::string& failure)>;

  explicit Resolver(boost::asio::io_context& io) : io_(io) {}
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  ~Resolver();

  /// Calls `handler` on the io_context's thread, for a numeric address before it returns. With a
  /// `family` only its addresses are found; a numeric one of another does not resolve.
  void resolve(const std::string& host, std::uint16_t port, Handler handler,
               int family = AF_UNSPEC);

  /// Starts a thread that stays: later names can be resolved also where no thread is to be had any
  /// more. std::system_error where there is none now.
  void keep_thread();

 private:
  struct Mailbox;
  std::shared_ptr<Mailbox> mailbox();
  boost::asio::io_context& io_;
  std::shared_ptr<Mailbox> mailbox_;  ///< once there was a name: most that have a resolver ask none
};

}  // namespace stillgate::transport
