// The hub of this process and its workers.
#include "hub.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include <unistd.h>

#include "relay.hpp"
#include "worker.hpp"

namespace stillgate::transport::ssh {
namespace {

/// Enough for any fleet: a handshake takes a millisecond of CPU.
constexpr std::size_t max_workers = 8;

std::size_t worker_limit() {
  static const std::size_t limit =
      std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, max_workers);
  return limit;
}

}  // namespace

std::shared_ptr<Hub> Hub::of_process() {
  static std::mutex mutex;
  static std::weak_ptr<Hub> kept;
  const std::scoped_lock lock(mutex);
  auto hub = kept.lock();
  if (!hub || hub->process_ != ::getpid()) {
    hub.reset(new Hub());
    kept = hub;
  }
  return hub;
}

Hub::Hub() : process_(::getpid()) {}

Hub::~Hub() {
  if (process_ != ::getpid()) {
    // After a fork the threads and the sessions belong to the parent process.
    (void)workers_.release();
    return;
  }
  for (const auto& worker : *workers_) worker->io().stop();
  for (const auto& worker : *workers_) worker->stop();
}

std::shared_ptr<ChannelHandle> Hub::channel(std::shared_ptr<const Route> route, Target target,
                                            Timeouts timeouts) {
  const std::string server = route->name();
  return std::make_shared<ChannelHandle>(worker_for(server), std::move(route), std::move(target),
                                         timeouts);
}

void Hub::start_workers(std::size_t servers) {
  const std::scoped_lock lock(mutex_);
  while (workers_->size() < std::min(servers, worker_limit())) add_worker(true);
}

void Hub::add_worker(bool resolves) {
  auto worker = std::make_shared<Worker>(
      [hub = std::weak_ptr<ChannelSource>(weak_from_this())](boost::asio::io_context& io,
                                                             const Route& hop, Timeouts timeouts) {
        return make_jump(io, hub, hop, timeouts);
      });
  workers_->reserve(workers_->size() + 1);
  worker->start(resolves);
  workers_->push_back(std::move(worker));
}

/// All logins to a server run on the same worker, which counts them.
std::shared_ptr<Worker> Hub::worker_for(const std::string& server) {
  const std::scoped_lock lock(mutex_);
  const std::string address = server.substr(server.find('@') + 1);
  const auto known = workers_of_servers_.find(address);
  if (known != workers_of_servers_.end()) return (*workers_)[known->second];
  const std::size_t number = workers_of_servers_.size() % worker_limit();
  if (number >= workers_->size()) add_worker(false);
  workers_of_servers_.emplace(address, number);
  return (*workers_)[number];
}

}  // namespace stillgate::transport::ssh
