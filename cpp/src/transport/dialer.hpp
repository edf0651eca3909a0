// A TCP connection to whichever of a name's addresses answers first.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include "resolver.hpp"

namespace stillgate::transport {

/// One address after the other, in their order: the next one when the one before has failed, or has
/// not answered for a while, which stays in the race (RFC 8305, section 5). A name often has an
/// IPv6 address that leads nowhere, and its silence alone would use up the time for connecting.
/// Not thread-safe. Dropping it ends its attempts.
class Dialer {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  /// A connected socket that does not block, or the last failure's errno.
  using Handler = std::function<void(Socket socket, int error)>;

  /// What RFC 8305 recommends.
  static constexpr std::chrono::milliseconds head_start{250};

  explicit Dialer(boost::asio::io_context& io);
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;
  ~Dialer();

  /// Once. Calls `handler` on the io_context's thread and never from within, unless it is dropped
  /// before. `addresses` must not be empty; for how long they may be silent is the caller's affair.
  void start(std::vector<Address> addresses, Handler handler);

 private:
  struct Race;
  std::shared_ptr<Race> race_;
};

}  // namespace stillgate::transport
