// Keeping SSH logins, and passing on typed secrets.
#include "ssh_sessions.hpp"

#include "transport/transport.hpp"

namespace stillgate::engine {

std::shared_ptr<void> keep_ssh_sessions(const std::vector<Endpoint>& endpoints) {
  return transport::keep_sessions(endpoints);
}

std::string typed_secrets() { return transport::typed_secrets(); }

void know_secrets(std::string_view secrets) { transport::know_secrets(secrets); }

}  // namespace stillgate::engine
