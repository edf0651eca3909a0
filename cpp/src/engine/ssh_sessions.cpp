// Keeping SSH logins, and passing on typed secrets.
#include "ssh_sessions.hpp"

#include "transport/transport.hpp"

namespace stillgate::engine {

std::shared_ptr<void> keep_ssh_sessions(const std::vector<Endpoint>& endpoints) {
  return transport::keep_sessions(endpoints);
}

std::shared_ptr<void> start_threads(Loop& loop, const std::vector<Endpoint>& endpoints) {
  return transport::start_threads(loop.shared(), endpoints);
}

std::string export_secrets() { return transport::export_secrets(); }

void import_secrets(std::string_view secrets) { transport::import_secrets(secrets); }

}  // namespace stillgate::engine
