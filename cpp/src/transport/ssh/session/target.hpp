// What a channel leads to, and who hears of it.
#pragma once

#include <chrono>
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
  /// What the peer answers stays unread at the server, too: the channel has no room for it (see
  /// engine::HeldLine).
  bool unread{false};
};

/// Told on the thread of the channel's worker, and never again after close().
class ChannelListener {
 public:
  ChannelListener() = default;
  ChannelListener(const ChannelListener&) = delete;
  ChannelListener& operator=(const ChannelListener&) = delete;
  virtual ~ChannelListener() = default;

  virtual void on_opened() = 0;
  virtual void on_bytes(std::string_view bytes) = 0;  ///< valid during the call only
  virtual void on_written() = 0;                      ///< all that was to be written is on its way
  virtual void on_end_of_stream() = 0;
  virtual void on_failed(Error error) = 0;
};

/// How long each part of the way may take. The login's is long enough for somebody to confirm at
/// an agent.
struct Timeouts {
  std::chrono::milliseconds connect{2000};
  std::chrono::milliseconds banner{5000};
  std::chrono::milliseconds key_exchange{5000};
  std::chrono::milliseconds login{20'000};
  std::chrono::milliseconds channel{3000};
};

}  // namespace stillgate::transport::ssh
