// The whole face of a transport: connect, write, read, close; what happens goes to a listener.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>

#include <stillgate/endpoint.hpp>
#include <stillgate/error.hpp>

#include "resolver.hpp"

namespace stillgate::transport {

/// Told on the thread that runs the io_context, perhaps from within the call that caused it.
class Listener {
 public:
  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  virtual ~Listener() = default;

  virtual void on_connected() = 0;
  virtual void on_bytes(std::string_view bytes) = 0;  ///< valid during the call only
  virtual void on_end_of_stream() = 0;
  virtual void on_failed(Error error) = 0;
};

namespace ssh {
class Access;
}

/// What the transports of one thread share.
struct Shared {
  Shared(boost::asio::io_context& context, std::chrono::milliseconds timeout);
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared();

  /// Before the first of them is connected: what these endpoints need and only a terminal can tell.
  void prepare(const std::vector<Endpoint>& endpoints, const std::stop_token& stop);

  boost::asio::io_context& io;
  std::chrono::milliseconds connect_timeout;
  Resolver resolver;
  std::unique_ptr<ssh::Access> ssh;  ///< once there is an ssh endpoint
  /// One for all: a connection that waits needs no buffer of its own. Made at the first reading,
  /// and not cleared, so that only what is read into takes memory.
  static constexpr std::size_t read_bytes = std::size_t{64} * 1024;
  std::unique_ptr<char[]> read_buffer{};
};

/// One connection. Not thread-safe. After close() the listener hears nothing more.
class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  /// Then on_connected or on_failed. A full listen queue is tried again until close().
  virtual void connect() = 0;
  /// Writes what the kernel takes at once and the rest as it takes it.
  virtual void write(std::string bytes) = 0;
  /// Then once on_bytes, on_end_of_stream or on_failed.
  virtual void read() = 0;
  virtual void close() = 0;

  /// Connected, and the peer has neither closed nor said anything unasked.
  [[nodiscard]] virtual bool idle() = 0;
  [[nodiscard]] virtual bool has_unsent() const = 0;
  /// The listen queue refused so far (EAGAIN of a unix socket).
  [[nodiscard]] virtual bool queue_full() const = 0;
  /// The process that listens on a unix socket, where the kernel tells.
  [[nodiscard]] virtual std::optional<int> peer_pid() const = 0;
  /// How long connect() may take, where `configured` is asked for.
  [[nodiscard]] virtual std::chrono::milliseconds connect_timeout(
      std::chrono::milliseconds configured) const = 0;
};

/// `never`: read() is not called, and what the peer says is not to be taken off its hands by
/// anybody on the way.
enum class Reading { usual, never };

/// `shared`, `endpoint` and `listener` must outlive the transport's last callback.
std::shared_ptr<Transport> make_transport(Shared& shared, const Endpoint& endpoint,
                                          Listener& listener, Reading reading = Reading::usual);

/// As long as somebody holds the result, SSH sessions outlive the transports that made them. Null
/// where none of these endpoints needs one. Thread-safe.
[[nodiscard]] std::shared_ptr<void> keep_sessions(const std::vector<Endpoint>& endpoints);

/// What was typed on the terminal, for a process of ours that has none. Thread-safe, both; to be
/// wiped.
[[nodiscard]] std::string typed_secrets();
void know_secrets(std::string_view told);

}  // namespace stillgate::transport
