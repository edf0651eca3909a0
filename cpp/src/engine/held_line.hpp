// A connection that sends one line and then stays open, with its answer unread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <stillgate/endpoint.hpp>
#include <stillgate/error.hpp>

#include "loop.hpp"

namespace stillgate::engine {

/// For HAProxy's `wait`: the commands after it run while the connection is open, even if this
/// machine is frozen or gone. The unread answer turns a close into a reset, which ends the wait
/// without running those commands; a relay on the way may make a half-close of it, which on 3.2
/// runs them at once (docs/haproxy-facts.md, section 5). So a way is proven first, and a line is
/// ended by telling HAProxy, not by its close. Not thread-safe.
class HeldLine final : public transport::Listener {
 public:
  /// Connects, and writes once that is done. `endpoint` and `loop` must outlive it. `line` must
  /// begin with a command that HAProxy answers at once, before it waits.
  HeldLine(const Endpoint& endpoint, Loop& loop, std::string line);
  ~HeldLine() override;

  /// All of it was given to the other side, as far as this side can see.
  [[nodiscard]] bool is_sent() const;
  /// It never will be.
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }

 private:
  void on_connected() override;
  void on_bytes(std::string_view bytes) override;
  void on_end_of_stream() override;
  void on_failed(Error error) override;

  std::shared_ptr<transport::Transport> transport_;
  std::string line_;
  std::optional<Error> error_;
  bool connected_{false};
};

}  // namespace stillgate::engine
