// The agent's messages: two requests, two answers.
#include "agent_protocol.hpp"

#include <cstdint>

#include "transport/ssh/base/wire.hpp"

namespace stillgate::transport::ssh {
namespace {

constexpr char keys_request = 11;
constexpr char keys_answer = 12;
constexpr char signature_request = 13;
constexpr char signature_answer = 14;
constexpr std::uint32_t rsa_by_sha256 = 2;
constexpr std::uint32_t rsa_by_sha512 = 4;

/// RFC 4252, section 7: the session's name, a byte, user, service and method, a byte, algorithm.
std::string_view algorithm_in(std::string_view data) {
  WireReader reader(data);
  const bool there = reader.string() && reader.byte() && reader.string() && reader.string() &&
                     reader.string() && reader.byte();
  return there ? reader.string().value_or(std::string_view()) : std::string_view();
}

std::uint32_t flags_for(std::string_view algorithm) {
  if (algorithm == "rsa-sha2-256") return rsa_by_sha256;
  return algorithm == "rsa-sha2-512" ? rsa_by_sha512 : 0;
}

std::string framed(const std::string& message) { return WireWriter().string(message).bytes(); }

}  // namespace

std::string agent_keys_request() { return framed({keys_request}); }

std::vector<AgentKey> parse_agent_keys(std::string_view answer) {
  std::vector<AgentKey> keys;
  if (!answer.starts_with(keys_answer)) return keys;
  WireReader list(answer.substr(1));
  const auto count = list.number();
  for (std::uint32_t i = 0; count && i < *count; ++i) {
    const auto blob = list.string();
    const auto comment = list.string();
    if (!comment) break;
    keys.push_back({std::string(*blob), std::string(*comment)});
  }
  return keys;
}

std::string agent_signature_request(std::string_view blob, std::string_view data) {
  WireWriter message;
  message.string(blob).string(data).number(flags_for(algorithm_in(data)));
  return framed(signature_request + message.bytes());
}

std::optional<std::string> parse_agent_signature(std::string_view answer) {
  if (!answer.starts_with(signature_answer)) return std::nullopt;
  const auto whole = WireReader(answer.substr(1)).string();
  if (!whole) return std::nullopt;
  WireReader parts(*whole);
  const auto algorithm = parts.string();
  const auto signature = parts.string();
  if (!algorithm || !signature) return std::nullopt;
  return std::string(*signature);
}

}  // namespace stillgate::transport::ssh
