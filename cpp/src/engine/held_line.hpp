// A connection that one line is sent on and that is then kept open, its answer unread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include <stillgate/endpoint.hpp>
#include <stillgate/error.hpp>

#include "transport/transport.hpp"

namespace stillgate::engine {

/// For HAProxy's `wait`: what stands behind it runs while the connection stays open, whoever is
/// frozen or has vanished. The answer that is left unread turns every close into a reset, which
/// ends the waiting without running the rest (docs/haproxy-facts.md, section 5): so neither a death
/// nor a farewell lets it fire early, on any release from 3.0 on. Not thread-safe.
class HeldLine final : public transport::Listener {
 public:
  /// `endpoint` must outlive it.
  explicit HeldLine(const Endpoint& endpoint);
  ~HeldLine() override;

  /// Connects and writes, for so long at most; the error of what did not succeed. `line` must have
  /// HAProxy answer something at once, before it waits.
  std::optional<Error> send(std::string line, std::chrono::milliseconds patience);

 private:
  void on_connected() override;
  void on_bytes(std::string_view bytes) override;
  void on_end_of_stream() override;
  void on_failed(Error error) override;

  boost::asio::io_context io_;
  transport::Shared shared_;
  std::shared_ptr<transport::Transport> transport_;
  std::string line_;
  std::optional<Error> error_;
  bool connected_{false};
};

}  // namespace stillgate::engine
