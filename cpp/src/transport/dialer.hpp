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

/// Tries addresses in order. Starts the next when the last has failed or has not answered for a
/// while; the slow one stays in the race (RFC 8305, section 5). Names often have a dead IPv6
/// address, which by itself would use up the connect timeout. Not thread-safe. Destroying it ends
/// its attempts.
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

  /// Call once. Calls `handler` on the io_context's thread, never from within this call, unless
  /// destroyed before. `addresses` must not be empty. The caller sets the deadline.
  void start(std::vector<Address> addresses, Handler handler);

 private:
  struct Race;
  std::shared_ptr<Race> race_;
};

}  // namespace stillgate::transport
