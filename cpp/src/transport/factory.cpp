// Which transport an endpoint has, and what the transports of one thread share.
#include "transport.hpp"

#include <algorithm>

#include "stream.hpp"
#include "transport/ssh/login/passphrases.hpp"
#include "transport/ssh/session/access.hpp"

namespace stillgate::transport {

Shared::Shared(boost::asio::io_context& context, std::chrono::milliseconds patience)
    : io(context), connect_timeout(patience), resolver(context) {}

Shared::~Shared() = default;

void Shared::prepare(const std::vector<Endpoint>& endpoints, const std::stop_token& stop) {
  const bool any = std::any_of(endpoints.begin(), endpoints.end(), [](const Endpoint& one) {
    return one.kind() == Endpoint::Kind::ssh;
  });
  if (!any) return;
  ssh = std::make_unique<ssh::Access>(io);
  ssh->prepare(endpoints, stop);
}

std::shared_ptr<Transport> make_transport(Shared& shared, const Endpoint& endpoint,
                                          Listener& listener, Reading reading) {
  if (endpoint.kind() != Endpoint::Kind::ssh) return make_stream(shared, endpoint, listener);
  if (!shared.ssh) shared.ssh = std::make_unique<ssh::Access>(shared.io);
  return ssh::make_ssh_transport(shared, endpoint, listener, reading);
}

std::shared_ptr<void> keep_sessions() { return ssh::Hub::of_process(); }

std::string typed_secrets() { return ssh::Keyring::of_process().tell(); }

void know_secrets(std::string_view told) { ssh::Keyring::of_process().know(told); }

}  // namespace stillgate::transport
