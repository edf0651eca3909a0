// What the SSH transports of one engine thread share: routes, the hub, the mailbox of its workers.
#pragma once

#include <memory>
#include <stop_token>
#include <vector>

#include <boost/asio/io_context.hpp>

#include <stillgate/endpoint.hpp>

#include "hub.hpp"
#include "mailbox.hpp"
#include "transport/ssh/login/route.hpp"
#include "transport/transport.hpp"

namespace stillgate::transport::ssh {

/// Not thread-safe.
class Access {
 public:
  explicit Access(boost::asio::io_context& io);
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;
  ~Access();

  /// Asks on the terminal for passphrases and passwords that these ssh endpoints need and that were
  /// not typed yet.
  void prepare(const std::vector<Endpoint>& endpoints, const std::stop_token& stop);

  Routes routes;
  std::shared_ptr<Hub> hub;
  std::shared_ptr<Mailbox> mailbox;
};

/// `Reading::never`: the peer's answers stay at the server; see Target::unread.
std::shared_ptr<Transport> make_ssh_transport(Shared& shared, const Endpoint& endpoint,
                                              Listener& listener, Reading reading);

}  // namespace stillgate::transport::ssh
