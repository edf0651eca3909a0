// The SSH transports of one engine thread: routes, the hub, and the way back from its workers.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <vector>

#include <boost/asio/io_context.hpp>

#include <stillgate/endpoint.hpp>

#include "../transport.hpp"
#include "hub.hpp"
#include "route.hpp"

namespace stillgate::transport::ssh {

/// What workers hand to one engine thread, in order. Thread-safe; once closed, nothing arrives.
class Inbox : public std::enable_shared_from_this<Inbox> {
 public:
  using Letter = std::function<void()>;

  explicit Inbox(boost::asio::io_context& io) : io_(&io) {}
  void put(Letter letter);
  void close();

 private:
  void deliver();

  std::mutex mutex_;
  boost::asio::io_context* io_;
  std::vector<Letter> letters_;
};

/// Not thread-safe.
class Access {
 public:
  explicit Access(boost::asio::io_context& io);
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;
  ~Access();

  /// Asks on the terminal for what these endpoints need and nobody has typed yet.
  void prepare(const std::vector<Endpoint>& endpoints, const std::stop_token& stop);

  Routes routes;
  std::shared_ptr<Hub> hub;
  std::shared_ptr<Inbox> inbox;
};

/// `unread`: the peer's answers stay at the server; see Target.
std::shared_ptr<Transport> make_ssh_transport(Shared& shared, const Endpoint& endpoint,
                                              Listener& listener, Reading reading);

}  // namespace stillgate::transport::ssh
