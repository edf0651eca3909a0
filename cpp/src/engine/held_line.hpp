// A connection that sends one line and then stays open, with its answer unread.
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

/// For HAProxy's `wait`: the commands after it run while the connection is open, even if this
/// machine is frozen or gone. The unread answer turns every close into a reset, which ends the wait
/// without running those commands (docs/haproxy-facts.md, section 5). So neither a crash nor an
/// orderly close runs them early, on any release from 3.0 on. Not thread-safe.
class HeldLine final : public transport::Listener {
 public:
  /// `endpoint` must outlive it.
  explicit HeldLine(const Endpoint& endpoint);
  ~HeldLine() override;

  /// Connects and writes, for `patience` at most. Returns the error of either. `line` must begin
  /// with a command that HAProxy answers at once, before it waits.
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
