// The interface of a transport: connect, write, read, close. Events go to a listener.
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

/// Called on the thread that runs the io_context, perhaps from within the call that caused it.
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

  /// Call before the first connect(): asks on the terminal for what these endpoints need.
  void prepare(const std::vector<Endpoint>& endpoints, const std::stop_token& stop);

  boost::asio::io_context& io;
  std::chrono::milliseconds connect_timeout;
  Resolver resolver;
  std::unique_ptr<ssh::Access> ssh;  ///< once there is an ssh endpoint
  /// Shared: an idle connection needs no own buffer. Made at the first read and not cleared,
  /// so that only used pages take memory.
  static constexpr std::size_t read_bytes = std::size_t{64} * 1024;
  std::unique_ptr<char[]> read_buffer{};
};

/// One connection. Not thread-safe. After close() the listener is not called again.
class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  /// Then on_connected or on_failed. Retries a full listen queue until close().
  virtual void connect() = 0;
  /// Writes at once what the kernel accepts, and the rest when it accepts more.
  virtual void write(std::string bytes) = 0;
  /// Then once on_bytes, on_end_of_stream or on_failed.
  virtual void read() = 0;
  virtual void close() = 0;

  /// Connected, and the peer has neither closed nor sent anything unasked.
  [[nodiscard]] virtual bool idle() = 0;
  [[nodiscard]] virtual bool has_unsent() const = 0;
  /// The listen queue refused so far (EAGAIN of a unix socket).
  [[nodiscard]] virtual bool queue_full() const = 0;
  /// The process that listens on a unix socket, if the kernel reports it.
  [[nodiscard]] virtual std::optional<int> peer_pid() const = 0;
  /// How long connect() may take, if `configured` is the option's value.
  [[nodiscard]] virtual std::chrono::milliseconds connect_timeout(
      std::chrono::milliseconds configured) const = 0;
};

/// `never`: read() leaves the peer's bytes where they are, and so does every hop in between. It
/// tells that the first of them are there by an on_bytes of nothing; over ssh, where that cannot be
/// seen, it tells so when all is sent.
enum class Reading { usual, never };

/// `shared`, `endpoint` and `listener` must outlive the transport's last callback.
std::shared_ptr<Transport> make_transport(Shared& shared, const Endpoint& endpoint,
                                          Listener& listener, Reading reading = Reading::usual);

/// While the result exists, SSH sessions outlive the transports that made them. Null
/// where none of these endpoints needs one. Thread-safe.
[[nodiscard]] std::shared_ptr<void> keep_sessions(const std::vector<Endpoint>& endpoints);

/// Starts now what threads the connections to these endpoints may need later. They stay as long as
/// `shared` and the result, which is null where it need not be kept. std::system_error where one
/// is not to be had.
[[nodiscard]] std::shared_ptr<void> start_threads(Shared& shared,
                                                  const std::vector<Endpoint>& endpoints);

/// Passphrases and passwords typed on the terminal, for a process of ours that has none. Both are
/// thread-safe. The caller wipes the text.
[[nodiscard]] std::string export_secrets();
void import_secrets(std::string_view secrets);

}  // namespace stillgate::transport
