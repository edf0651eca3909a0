// The SSH agent's keys.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <libssh2.h>

namespace stillgate::transport::ssh {

/// How many threads wait for an agent now.
[[nodiscard]] unsigned waiting_for_agents() noexcept;

/// Connected to one agent, for one session that must outlive it. The agent is asked in place: while
/// it waits for its user, whoever asks waits, too.
class Agent {
 public:
  struct Key {
    libssh2_agent_publickey* entry;  ///< valid as long as the agent is
    std::string blob;
    std::string comment;
  };

  /// Without keys where there is no agent.
  Agent(LIBSSH2_SESSION* session, const std::string& socket);

  [[nodiscard]] const std::vector<Key>& keys() const noexcept { return keys_; }
  /// libssh2's answer; LIBSSH2_ERROR_EAGAIN: again, with the same key.
  int authenticate(const Key& key, const std::string& user);

 private:
  struct End {
    void operator()(LIBSSH2_AGENT* agent) const noexcept;
  };
  std::unique_ptr<LIBSSH2_AGENT, End> agent_;
  std::vector<Key> keys_;
};

}  // namespace stillgate::transport::ssh
