// Asks an SSH agent without blocking.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "agent_protocol.hpp"
#include "transport/ssh/base/turns.hpp"

namespace stillgate::transport::ssh {

/// A client of one agent. Not thread-safe: use it on the thread of its io_context.
class Agent {
 public:
  /// The answer. nullopt: no agent, or it did not answer.
  using Callback = std::function<void(std::optional<std::string>)>;

  /// Many logins at once would fill an agent's listen queue: `turns` limits them.
  Agent(boost::asio::io_context& io, Turns& turns, std::string socket);
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;
  /// Cancels the request; its callback is not called.
  ~Agent();

  /// One request at a time. Has no deadline: an agent may ask its user.
  void ask(std::string request, Callback callback);
  [[nodiscard]] bool asking() const noexcept { return call_ != nullptr; }
  [[nodiscard]] const std::string& socket() const noexcept { return socket_; }

 private:
  class Call;

  void end();

  boost::asio::io_context& io_;
  Turns& turns_;
  std::string socket_;
  std::shared_ptr<Call> call_;
  bool has_turn_{false};
};

/// Blocks, for at most five seconds: an agent lists its keys without asking its user.
[[nodiscard]] std::vector<AgentKey> list_agent_keys(const std::string& socket,
                                                    const std::stop_token& stop);

}  // namespace stillgate::transport::ssh
