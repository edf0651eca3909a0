// What an SSH session runs over: a TCP connection, a channel of a jump host, or a command's pipes.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

#include <stillgate/error.hpp>

#include "target.hpp"
#include "transport/resolver.hpp"
#include "transport/ssh/login/route.hpp"

namespace stillgate::transport::ssh {

/// Not thread-safe. Destroying it stops it. The receiver owns the descriptor.
class Carrier {
 public:
  /// A connected file descriptor that does not block.
  using Handler = std::function<void(Result<int> descriptor)>;

  Carrier() = default;
  Carrier(const Carrier&) = delete;
  Carrier& operator=(const Carrier&) = delete;
  virtual ~Carrier() = default;

  /// Calls `handler` once, on the io_context's thread, unless destroyed before.
  virtual void start(Handler handler) = 0;
};

/// A carrier to the server of `route`, directly or by its ProxyCommand.
[[nodiscard]] std::unique_ptr<Carrier> make_carrier(boost::asio::io_context& io, Resolver& resolver,
                                                    const Route& route);

/// A carrier through the jump host of `route`. Handed down by the hub, which has the jump host's
/// session.
using MakeJump = std::function<std::unique_ptr<Carrier>(boost::asio::io_context& io,
                                                        const Route& route, Timeouts timeouts)>;

}  // namespace stillgate::transport::ssh
