// Keeping SSH logins, and passing on typed secrets.
#include "ssh_sessions.hpp"

#include <algorithm>

#include "transport/transport.hpp"

namespace stillgate::engine {

std::shared_ptr<void> keep_ssh_sessions(const std::vector<Endpoint>& endpoints) {
  const bool any = std::any_of(endpoints.begin(), endpoints.end(), [](const Endpoint& endpoint) {
    return endpoint.kind() == Endpoint::Kind::ssh;
  });
  return any ? transport::keep_sessions() : nullptr;
}

std::string typed_secrets() { return transport::typed_secrets(); }

void know_secrets(std::string_view secrets) { transport::know_secrets(secrets); }

}  // namespace stillgate::engine
