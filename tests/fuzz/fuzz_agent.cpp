// Fuzzes an SSH agent's answers: what is read lies within them, and a cut answer gives no more.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "require.hpp"
#include "transport/ssh/base/wire.hpp"
#include "transport/ssh/login/agent_protocol.hpp"

namespace ssh = stillgate::transport::ssh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view answer(reinterpret_cast<const char*>(data), size);
  const auto keys = ssh::parse_agent_keys(answer);
  std::size_t bytes = 0;
  for (const auto& key : keys) bytes += 8 + key.blob.size() + key.comment.size();
  REQUIRE(bytes <= size);
  const auto fewer = ssh::parse_agent_keys(answer.substr(0, size / 2));
  REQUIRE(fewer.size() <= keys.size());
  for (std::size_t i = 0; i < fewer.size(); ++i) REQUIRE(fewer[i].blob == keys[i].blob);
  if (const auto signature = ssh::parse_agent_signature(answer)) {
    REQUIRE(signature->size() + 13 <= size);
  }
  // What libssh2 wants signed begins with what the server chose.
  const std::string request = ssh::agent_signature_request("blob", answer);
  ssh::WireReader whole(request);
  const auto message = whole.string();
  REQUIRE(message && whole.empty());
  return 0;
}
