// Copies bytes between a jump host's channel and a socket pair.
#include "relay.hpp"

#include <array>
#include <cerrno>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include "transport/ssh/base/failure.hpp"

namespace stillgate::transport::ssh {
namespace {

using boost::asio::posix::stream_descriptor;

/// Runs on the thread of the jump host's worker.
class Relay final : public ChannelListener, public std::enable_shared_from_this<Relay> {
 public:
  using Ready = std::function<void(Result<int>)>;

  Relay(std::shared_ptr<ChannelHandle> channel, Ready ready)
      : channel_(std::move(channel)), ready_(std::move(ready)), socket_(channel_->io()) {}

 private:
  void on_opened() override {
    std::array<int, 2> ends{-1, -1};
    const int kind = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    if (::socketpair(AF_UNIX, kind, 0, ends.data()) != 0) {
      std::exchange(ready_, nullptr)(connection_failure(errno, channel_->server()));
      channel_->close();
      return;
    }
    socket_.assign(ends[0]);
    std::exchange(ready_, nullptr)(ends[1]);
    read();
  }

  void on_bytes(std::string_view bytes) override {
    if (!socket_.is_open()) return;
    unsent_ += bytes;
    if (!waiting_to_write_) send();
  }

  void on_written() override { read(); }

  [[nodiscard]] bool full() const override { return unsent_.size() >= most_undelivered; }

  void on_end_of_stream() override {
    ended_ = true;
    if (unsent_.empty()) finish();
  }

  void on_failed(Error error) override {
    if (const auto ready = std::exchange(ready_, nullptr)) {
      // The SSH server after the jump host refused, not HAProxy.
      if (error.code == Errc::connection_refused) error.code = Errc::unreachable;
      error.message = "through a jump host: " + error.message;
      ready(std::move(error));
      return;
    }
    on_end_of_stream();
  }

  void read() {
    if (!socket_.is_open()) return;
    socket_.async_wait(stream_descriptor::wait_read,
                       [self = shared_from_this()](const boost::system::error_code& code) {
                         if (!code) self->receive();
                       });
  }

  void receive() {
    std::array<char, std::size_t{32} * 1024> chunk{};
    const ssize_t n = ::recv(socket_.native_handle(), chunk.data(), chunk.size(), 0);
    if (n > 0) {
      // Reads the next chunk after on_written().
      channel_->write({chunk.data(), static_cast<std::size_t>(n)});
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      read();
    } else {
      finish();
    }
  }

  void send() {
    const bool was_full = full();
    while (!unsent_.empty()) {
      const ssize_t n =
          ::send(socket_.native_handle(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
      if (n > 0) {
        unsent_.erase(0, static_cast<std::size_t>(n));
      } else if (errno == EAGAIN) {
        waiting_to_write_ = true;
        if (was_full && !full()) channel_->read_on();
        socket_.async_wait(stream_descriptor::wait_write,
                           [self = shared_from_this()](const boost::system::error_code& code) {
                             self->waiting_to_write_ = false;
                             if (!code) self->send();
                           });
        return;
      } else if (errno != EINTR) {
        finish();
        return;
      }
    }
    if (was_full) channel_->read_on();
    if (ended_) finish();
  }

  void finish() {
    boost::system::error_code ignored;
    socket_.close(ignored);
    channel_->close();
  }

  std::shared_ptr<ChannelHandle> channel_;
  Ready ready_;
  stream_descriptor socket_;
  std::string unsent_;
  bool waiting_to_write_{false};
  bool ended_{false};
};

class Jump final : public Carrier {
 public:
  Jump(boost::asio::io_context& io, std::weak_ptr<ChannelSource> hub, const Route& route,
       Timeouts timeouts)
      : io_(io),
        hub_(std::move(hub)),
        via_(route.via),
        target_{{}, route.settings.host_name, route.settings.port, false},
        timeouts_(timeouts) {}

  ~Jump() override {
    outcome_->handler = nullptr;
    if (channel_ && !outcome_->answered) channel_->close();
  }

  void start(Handler handler) override {
    outcome_->handler = std::move(handler);
    const auto hub = hub_.lock();
    if (!hub) return;
    channel_ = hub->channel(via_, target_, timeouts_);
    // Keeps this worker's loop alive until the jump host's worker has answered.
    auto work =
        std::make_shared<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>>(
            io_.get_executor());
    channel_->open(std::make_shared<Relay>(
        channel_, [&io = io_, outcome = outcome_, work](Result<int> result) {
          boost::asio::post(io, [outcome, result = std::move(result)]() mutable {
            outcome->answer(std::move(result));
          });
        }));
  }

 private:
  /// Used on this worker's thread only.
  struct Outcome {
    Handler handler;
    bool answered{false};

    void answer(Result<int> result) {
      answered = true;
      if (const auto callback = std::exchange(handler, nullptr)) {
        callback(std::move(result));
      } else if (result) {
        ::close(*result);
      }
    }
  };

  boost::asio::io_context& io_;
  std::weak_ptr<ChannelSource> hub_;
  std::shared_ptr<const Route> via_;
  Target target_;
  Timeouts timeouts_;
  std::shared_ptr<ChannelHandle> channel_;
  std::shared_ptr<Outcome> outcome_{std::make_shared<Outcome>()};
};

}  // namespace

std::unique_ptr<Carrier> make_jump(boost::asio::io_context& io,
                                   const std::weak_ptr<ChannelSource>& hub, const Route& route,
                                   Timeouts timeouts) {
  return std::make_unique<Jump>(io, hub, route, timeouts);
}

}  // namespace stillgate::transport::ssh
