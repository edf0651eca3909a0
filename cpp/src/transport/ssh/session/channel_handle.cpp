// Posts each call to the channel's worker.
#include "channel_handle.hpp"

#include <utility>

#include "connection.hpp"
#include "worker.hpp"

namespace stillgate::transport::ssh {

ChannelHandle::ChannelHandle(const std::shared_ptr<Worker>& worker,
                             std::shared_ptr<const Route> route, Target target, Timeouts timeouts)
    : worker_(worker),
      route_(std::move(route)),
      channel_(std::make_shared<Channel>(std::move(target), nullptr, timeouts)) {}

template <class Action>
void ChannelHandle::post(Action action) {
  if (const auto worker = worker_.lock()) {
    worker->mailbox().put(
        [action = std::move(action), worker = worker.get()]() mutable { action(*worker); });
  }
}

void ChannelHandle::open(std::shared_ptr<ChannelListener> listener) {
  post([channel = channel_, route = route_, listener = std::move(listener)](Worker& worker) {
    channel->listener = listener;
    worker.connection(route)->open(channel);
  });
}

void ChannelHandle::write(std::string bytes) {
  post([channel = channel_, bytes = std::move(bytes)](Worker& /*worker*/) mutable {
    if (const auto connection = channel->connection.lock()) {
      connection->write(channel, std::move(bytes));
    }
  });
}

void ChannelHandle::read_on() {
  post([channel = channel_](Worker& /*worker*/) {
    if (const auto connection = channel->connection.lock()) connection->read_on();
  });
}

void ChannelHandle::close() {
  post([channel = channel_](Worker& /*worker*/) {
    const auto listener = std::exchange(channel->listener, nullptr);
    if (const auto connection = channel->connection.lock()) connection->close(channel);
  });
}

boost::asio::io_context& ChannelHandle::io() const { return worker_.lock()->io(); }

}  // namespace stillgate::transport::ssh
