// A connection that sends one line and then stays open, with all answers unread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <stillgate/endpoint.hpp>
#include <stillgate/error.hpp>

#include "loop.hpp"

namespace stillgate::engine {

/// For HAProxy's `wait`: the commands after it run while the connection is open, even if this
/// machine is frozen or gone. An unread answer turns a close into a reset, which ends the wait
/// without running those commands. So the greeting is sent first, the line when its answer has
/// come, where that can be seen, and before its commands some that HAProxy cannot answer into its
/// buffer alone: nobody who dies in between leaves a line that HAProxy runs. A relay on the way may
/// make a half-close of the reset, which on 3.2 runs the rest at once (docs/haproxy-facts.md,
/// section 5). So a way is proven first, and a line is ended by telling HAProxy, not by its close.
/// Not thread-safe.
class HeldLine final : public transport::Listener {
 public:
  /// Connects, greets, and writes `line` once HAProxy has answered. `endpoint` and `loop` must
  /// outlive it. `line` ends its connection itself.
  HeldLine(const Endpoint& endpoint, Loop& loop, std::string line);
  ~HeldLine() override;

  /// All of it was given to the other side, as far as this side can see.
  [[nodiscard]] bool is_sent() const;
  /// It never will be.
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }

 private:
  template <class Act>
  void guarded(Act act);
  void on_connected() override;
  void on_bytes(std::string_view bytes) override;
  void on_end_of_stream() override;
  void on_failed(Error error) override;

  std::shared_ptr<transport::Transport> transport_;
  std::string line_;
  std::optional<Error> error_;
  bool written_{false};
};

}  // namespace stillgate::engine
