// What is said to an SSH agent, and what it answers (draft-miller-ssh-agent).
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

/// Before each question and answer: its size, as 4 bytes.
inline constexpr std::size_t agent_size_bytes = 4;
/// OpenSSH's own limit; an agent that says more is none.
inline constexpr std::size_t agent_answer_limit = std::size_t{256} * 1024;

[[nodiscard]] std::string agent_keys_request();
/// Those before the first that cannot be read; none where the answer is no list.
[[nodiscard]] std::vector<AgentKey> parse_agent_keys(std::string_view answer);

/// `data` is what libssh2 has signed: the algorithm is named in it, which for RSA the agent must be
/// told.
[[nodiscard]] std::string agent_signature_request(std::string_view blob, std::string_view data);
/// Without the name of its algorithm. nullopt: the agent refuses, or cannot.
[[nodiscard]] std::optional<std::string> parse_agent_signature(std::string_view answer);

}  // namespace stillgate::transport::ssh
