// Requests to an SSH agent and its answers (draft-miller-ssh-agent).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stillgate::transport::ssh {

struct AgentKey {
  std::string blob;  ///< the public key, as a server has it
  std::string comment;
};

/// Each message begins with its size in 4 bytes.
inline constexpr std::size_t agent_size_bytes = 4;
/// OpenSSH's own limit. Longer answers are refused.
inline constexpr std::size_t agent_answer_limit = std::size_t{256} * 1024;

[[nodiscard]] std::string agent_keys_request();
/// The keys up to the first that cannot be parsed; none if the answer is not a list.
[[nodiscard]] std::vector<AgentKey> parse_agent_keys(std::string_view answer);

/// `data` is what libssh2 wants signed. It names the algorithm, which for RSA becomes flags of the
/// request.
[[nodiscard]] std::string agent_signature_request(std::string_view blob, std::string_view data);
/// The signature without its algorithm's name. nullopt: the agent refused or failed.
[[nodiscard]] std::optional<std::string> parse_agent_signature(std::string_view answer);

}  // namespace stillgate::transport::ssh
