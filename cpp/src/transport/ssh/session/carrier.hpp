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

class Hub;

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

/// A carrier to the server of `route`. `hub` provides the jump host's session.
[[nodiscard]] std::unique_ptr<Carrier> make_carrier(boost::asio::io_context& io, Resolver& resolver,
                                                    const std::weak_ptr<Hub>& hub,
                                                    const Route& route, Timeouts timeouts);

}  // namespace stillgate::transport::ssh
