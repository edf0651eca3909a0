// The SSH sessions of this process: one per server and login, shared, each on one worker's thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "target.hpp"
#include "transport/ssh/login/route.hpp"

namespace stillgate::transport::ssh {

struct Channel;
class Worker;

/// Opens and uses one channel, from any thread.
class ChannelHandle {
 public:
  ChannelHandle(const std::shared_ptr<Worker>& worker, std::shared_ptr<const Route> route,
                Target target, Timeouts timeouts);

  /// Call once. The listener is called on the worker's thread until close().
  void open(std::shared_ptr<ChannelListener> listener);
  void write(std::string bytes);
  void close();

  /// The worker's loop. The hub must still exist.
  [[nodiscard]] boost::asio::io_context& io() const;
  [[nodiscard]] std::string server() const { return route_->name(); }

 private:
  template <class Action>
  void post(Action action);

  /// Weak: a task in the worker's mailbox may hold this handle, and must not keep the worker alive.
  std::weak_ptr<Worker> worker_;
  std::shared_ptr<const Route> route_;
  std::shared_ptr<Channel> channel_;
};

/// Thread-safe. Sessions stay open and are kept alive as long as the hub is held. With several
/// cores, servers are spread over several workers.
class Hub : public std::enable_shared_from_this<Hub> {
 public:
  /// This process's hub. Made again after the last holder released it, and after a fork.
  static std::shared_ptr<Hub> of_process();
  ~Hub();

  [[nodiscard]] std::shared_ptr<ChannelHandle> channel(std::shared_ptr<const Route> route,
                                                       Target target, Timeouts timeouts);

 private:
  Hub();
  std::shared_ptr<Worker> worker_for(const std::string& server);

  int process_;
  std::mutex mutex_;
  /// A pointer, so that a forked child can leak it.
  using Workers = std::vector<std::shared_ptr<Worker>>;
  std::unique_ptr<Workers> workers_{std::make_unique<Workers>()};
  std::map<std::string, std::size_t> workers_of_servers_;
};

}  // namespace stillgate::transport::ssh
