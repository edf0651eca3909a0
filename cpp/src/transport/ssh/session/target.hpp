// Where a channel leads, who listens to it, and its timeouts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <stillgate/error.hpp>

namespace stillgate::transport::ssh {

/// As the server sees it: a unix socket's path, or a host and a port.
struct Target {
  std::string path;
  std::string host;
  std::uint16_t port{0};
  /// The channel has an empty window, so the peer's answers stay unread at the server (see
  /// engine::HeldLine).
  bool unread{false};
};

/// Called on the thread of the channel's worker; never after close().
class ChannelListener {
 public:
  ChannelListener() = default;
  ChannelListener(const ChannelListener&) = delete;
  ChannelListener& operator=(const ChannelListener&) = delete;
  virtual ~ChannelListener() = default;

  virtual void on_opened() = 0;
  virtual void on_bytes(std::string_view bytes) = 0;  ///< valid during the call only
  virtual void on_written() = 0;                      ///< everything was handed to the socket
  virtual void on_end_of_stream() = 0;
  virtual void on_failed(Error error) = 0;
  /// True: it has as much as it can keep. Bytes wait at the server until it calls
  /// ChannelHandle::read_on().
  [[nodiscard]] virtual bool full() const { return false; }
};

/// What a listener keeps of a channel's bytes, before the server has to keep the rest.
inline constexpr std::size_t most_undelivered = std::size_t{1} * 1024 * 1024;

/// The longest time of each phase. The login's leaves time to confirm at an agent.
struct Timeouts {
  std::chrono::milliseconds connect{2000};
  std::chrono::milliseconds banner{5000};
  std::chrono::milliseconds key_exchange{5000};
  std::chrono::milliseconds login{20'000};
  std::chrono::milliseconds channel{3000};
};

}  // namespace stillgate::transport::ssh
