// The SSH sessions of this process: one per server and login, shared, each on one worker's thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "channel_handle.hpp"
#include "target.hpp"
#include "transport/ssh/login/route.hpp"

namespace stillgate::transport::ssh {

class Worker;

/// Thread-safe. Sessions stay open and are kept alive as long as the hub is held. With several
/// cores, servers are spread over several workers.
class Hub final : public ChannelSource, public std::enable_shared_from_this<Hub> {
 public:
  /// This process's hub. Made again after the last holder released it, and after a fork.
  static std::shared_ptr<Hub> of_process();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;
  ~Hub() override;

  [[nodiscard]] std::shared_ptr<ChannelHandle> channel(std::shared_ptr<const Route> route,
                                                       Target target, Timeouts timeouts) override;

  /// Starts the threads that so many servers need, with one each that resolves names.
  /// std::system_error where one is not to be had.
  void start_workers(std::size_t servers);

 private:
  Hub();
  void add_worker(bool resolves);
  std::shared_ptr<Worker> worker_for(const std::string& server);

  int process_;
  std::mutex mutex_;
  /// A pointer, so that a forked child can leak it.
  using Workers = std::vector<std::shared_ptr<Worker>>;
  std::unique_ptr<Workers> workers_{std::make_unique<Workers>()};
  std::map<std::string, std::size_t> workers_of_servers_;
};

}  // namespace stillgate::transport::ssh
