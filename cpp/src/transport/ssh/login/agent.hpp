// Asking an SSH agent, without waiting for it.
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

/// One agent, for one who asks. Not thread-safe: all on the thread of its io_context.
class Agent {
 public:
  /// The answer; nullopt where there is no agent, or none that answers.
  using Callback = std::function<void(std::optional<std::string>)>;

  /// Many logins at once would fill an agent's listen queue: `turns` counts those that ask.
  Agent(boost::asio::io_context& io, Turns& turns, std::string socket);
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;
  /// What was asked is not told any more.
  ~Agent();

  /// One question at a time. An agent may ask its user, so this has no deadline of its own.
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

/// In place, for five seconds at the most: an agent lists its keys without asking anybody.
[[nodiscard]] std::vector<AgentKey> list_agent_keys(const std::string& socket,
                                                    const std::stop_token& stop);

}  // namespace stillgate::transport::ssh
