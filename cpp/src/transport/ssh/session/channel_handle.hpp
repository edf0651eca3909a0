// A channel for threads other than its worker's.
#pragma once

#include <memory>
#include <string>

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
  /// The listener is full no more.
  void read_on();
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

/// What makes channel handles: the hub. A jump host's carrier knows no more of it.
class ChannelSource {
 public:
  ChannelSource() = default;
  ChannelSource(const ChannelSource&) = delete;
  ChannelSource& operator=(const ChannelSource&) = delete;
  virtual ~ChannelSource() = default;

  [[nodiscard]] virtual std::shared_ptr<ChannelHandle> channel(std::shared_ptr<const Route> route,
                                                               Target target,
                                                               Timeouts timeouts) = 0;
};

}  // namespace stillgate::transport::ssh
