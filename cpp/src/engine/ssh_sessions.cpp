// Keeping SSH sessions.
#include "ssh_sessions.hpp"

#include <algorithm>

#include "../transport/transport.hpp"

namespace stillgate::engine {

std::shared_ptr<void> keep_ssh_sessions(const std::vector<Endpoint>& endpoints) {
  const bool any = std::any_of(endpoints.begin(), endpoints.end(), [](const Endpoint& one) {
    return one.kind() == Endpoint::Kind::ssh;
  });
  return any ? transport::keep_sessions() : nullptr;
}

}  // namespace stillgate::engine
