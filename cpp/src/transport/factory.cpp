// Picks an endpoint's transport, and makes what the transports of one thread share.
#include "transport.hpp"

#include <algorithm>
#include <iterator>

#include "stream.hpp"
#include "transport/ssh/login/passphrases.hpp"
#include "transport/ssh/session/access.hpp"

namespace stillgate::transport {
namespace {

bool goes_over_ssh(const Endpoint& endpoint) {
  switch (endpoint.kind()) {
    case Endpoint::Kind::ssh:
      return true;
    case Endpoint::Kind::unix_socket:
    case Endpoint::Kind::tcp:
      break;
  }
  return false;
}

}  // namespace

Shared::Shared(boost::asio::io_context& context, std::chrono::milliseconds timeout)
    : io(context), connect_timeout(timeout), resolver(context) {}

Shared::~Shared() = default;

void Shared::prepare(const std::vector<Endpoint>& endpoints, const std::stop_token& stop) {
  std::vector<Endpoint> over_ssh;
  std::copy_if(endpoints.begin(), endpoints.end(), std::back_inserter(over_ssh), goes_over_ssh);
  if (over_ssh.empty()) return;
  ssh = std::make_unique<ssh::Access>(io);
  ssh->prepare(over_ssh, stop);
}

std::shared_ptr<Transport> make_transport(Shared& shared, const Endpoint& endpoint,
                                          Listener& listener, Reading reading) {
  switch (endpoint.kind()) {
    case Endpoint::Kind::unix_socket:
      return make_unix_stream(shared, endpoint, listener, reading);
    case Endpoint::Kind::tcp:
      return make_tcp_stream(shared, endpoint, listener, reading);
    case Endpoint::Kind::ssh:
      if (!shared.ssh) shared.ssh = std::make_unique<ssh::Access>(shared.io);
      return ssh::make_ssh_transport(shared, endpoint, listener, reading);
  }
  return nullptr;
}

std::shared_ptr<void> keep_sessions(const std::vector<Endpoint>& endpoints) {
  if (std::none_of(endpoints.begin(), endpoints.end(), goes_over_ssh)) return nullptr;
  return ssh::Hub::of_process();
}

std::shared_ptr<void> start_threads(Shared& shared, const std::vector<Endpoint>& endpoints) {
  std::size_t over_ssh = 0;
  for (const Endpoint& endpoint : endpoints) {
    if (goes_over_ssh(endpoint)) ++over_ssh;
    if (endpoint.kind() == Endpoint::Kind::tcp) shared.resolver.keep_thread();
  }
  if (over_ssh == 0) return nullptr;
  auto hub = ssh::Hub::of_process();
  hub->start_workers(over_ssh);
  return hub;
}

std::string export_secrets() { return ssh::Passphrases::of_process().export_all(); }

void import_secrets(std::string_view secrets) {
  ssh::Passphrases::of_process().import_all(secrets);
}

}  // namespace stillgate::transport
