// The hub of this process, its workers, and lines from any thread.
#include "hub.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include <unistd.h>

#include "connection.hpp"
#include "worker.hpp"

namespace stillgate::transport::ssh {
namespace {

/// More than that no fleet needs: a handshake is a millisecond of computing.
constexpr std::size_t most_workers = 8;

}  // namespace

Line::Line(const std::shared_ptr<Worker>& worker, std::shared_ptr<const Route> route, Target target,
           Patience patience)
    : worker_(worker),
      route_(std::move(route)),
      channel_(std::make_shared<Channel>(std::move(target), nullptr, patience)) {}

template <class Act>
void Line::at_worker(Act act) {
  if (const auto worker = worker_.lock()) {
    worker->letters().put(
        [act = std::move(act), worker = worker.get()]() mutable { act(*worker); });
  }
}

void Line::open(std::shared_ptr<Sink> sink) {
  at_worker([channel = channel_, route = route_, sink = std::move(sink)](Worker& worker) {
    channel->sink = sink;
    worker.connection(route)->open(channel);
  });
}

void Line::write(std::string bytes) {
  at_worker([channel = channel_, bytes = std::move(bytes)](Worker& /*worker*/) mutable {
    if (const auto connection = channel->connection.lock()) {
      connection->write(channel, std::move(bytes));
    }
  });
}

void Line::close() {
  at_worker([channel = channel_](Worker& /*worker*/) {
    const auto sink = std::exchange(channel->sink, nullptr);
    if (const auto connection = channel->connection.lock()) connection->close(channel);
  });
}

boost::asio::io_context& Line::io() const { return worker_.lock()->io(); }

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
    // Behind a fork the threads are the other process's, and so are the sessions.
    (void)workers_.release();
    return;
  }
  for (const auto& worker : *workers_) worker->io().stop();
  for (const auto& worker : *workers_) worker->stop();
}

std::shared_ptr<Line> Hub::line(std::shared_ptr<const Route> route, Target target,
                                Patience patience) {
  const std::string server = route->name();
  return std::make_shared<Line>(worker_for(server), std::move(route), std::move(target), patience);
}

/// A server's logins are all one worker's, which can count them.
std::shared_ptr<Worker> Hub::worker_for(const std::string& server) {
  static const std::size_t most =
      std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, most_workers);
  const std::scoped_lock lock(mutex_);
  const std::string address = server.substr(server.find('@') + 1);
  const auto [found, fresh] =
      workers_of_servers_.emplace(address, workers_of_servers_.size() % most);
  if (found->second == workers_->size()) {
    workers_->push_back(std::make_shared<Worker>(weak_from_this()));
    workers_->back()->start();
  }
  return (*workers_)[found->second];
}

}  // namespace stillgate::transport::ssh
