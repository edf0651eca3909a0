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

/// A channel to be, from any thread.
class ChannelHandle {
 public:
  ChannelHandle(const std::shared_ptr<Worker>& worker, std::shared_ptr<const Route> route,
                Target target, Timeouts timeouts);

  /// Once. The sink is told on the worker's thread, until close().
  void open(std::shared_ptr<ChannelListener> listener);
  void write(std::string bytes);
  void close();

  /// The worker's. The hub must be there.
  [[nodiscard]] boost::asio::io_context& io() const;
  [[nodiscard]] std::string server() const { return route_->name(); }

 private:
  template <class Action>
  void post(Action action);

  /// What is queued at the worker may have a line: it must not keep the worker.
  std::weak_ptr<Worker> worker_;
  std::shared_ptr<const Route> route_;
  std::shared_ptr<Channel> channel_;
};

/// Thread-safe. Sessions stay open as long as somebody has the hub, and are kept alive; where there
/// are several cores, servers are spread over several workers.
class Hub : public std::enable_shared_from_this<Hub> {
 public:
  /// The one of this process, made anew when nobody had it any more, or after a fork.
  static std::shared_ptr<Hub> of_process();
  ~Hub();

  [[nodiscard]] std::shared_ptr<ChannelHandle> channel(std::shared_ptr<const Route> route,
                                                       Target target, Timeouts timeouts);

 private:
  Hub();
  std::shared_ptr<Worker> worker_for(const std::string& server);

  int process_;
  std::mutex mutex_;
  /// By a pointer, so that a fork's child can leave them alone.
  using Workers = std::vector<std::shared_ptr<Worker>>;
  std::unique_ptr<Workers> workers_{std::make_unique<Workers>()};
  std::map<std::string, std::size_t> workers_of_servers_;
};

}  // namespace stillgate::transport::ssh
