// The transport over a channel of an SSH session.
#include "transport/transport.hpp"

#include <atomic>
#include <optional>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include "transport/ssh/login/passphrases.hpp"
#include "transport/ssh/session/access.hpp"

namespace stillgate::transport::ssh {

using std::chrono::milliseconds;

Access::Access(boost::asio::io_context& io)
    : hub(Hub::of_process()), mailbox(std::make_shared<Mailbox>(io)) {}

Access::~Access() { mailbox->close(); }

void Access::prepare(const std::vector<Endpoint>& endpoints, const std::stop_token& stop) {
  std::vector<std::shared_ptr<const Route>> found;
  for (const Endpoint& endpoint : endpoints) {
    // connect() reports the error of an endpoint without a route.
    if (auto route = routes.find(endpoint)) found.push_back(*std::move(route));
  }
  Passphrases::of_process().prepare(found, stop);
}

namespace {

class SshTransport;

/// Forwards a channel's events from its worker's thread to the engine's.
class EngineForwarder final : public ChannelListener {
 public:
  EngineForwarder(std::shared_ptr<Mailbox> mailbox, std::weak_ptr<SshTransport> transport,
                  boost::asio::io_context& worker, Reading reading)
      : mailbox_(std::move(mailbox)),
        transport_(std::move(transport)),
        worker_(worker),
        reading_(reading) {}

  void on_opened() override;
  void on_bytes(std::string_view bytes) override;
  void on_written() override;
  void on_end_of_stream() override;
  void on_failed(Error error) override;
  [[nodiscard]] bool full() const override { return undelivered >= most_undelivered; }

  std::atomic<bool> unsent{false};
  /// Bytes on their way to the engine, which it has not asked for yet.
  std::atomic<std::size_t> undelivered{0};
  /// Bytes or an end have arrived and may not be delivered yet.
  std::atomic<bool> has_news{false};

 private:
  template <class Action>
  void post(Action action) {
    mailbox_->put_after(worker_, [transport = transport_, action = std::move(action)]() mutable {
      if (const auto self = transport.lock()) action(*self);
    });
  }

  std::shared_ptr<Mailbox> mailbox_;
  std::weak_ptr<SshTransport> transport_;
  boost::asio::io_context& worker_;
  Reading reading_;
};

/// Used on the engine's thread only.
class SshTransport final : public Transport, public std::enable_shared_from_this<SshTransport> {
 public:
  SshTransport(Shared& shared, const Endpoint& endpoint, Listener& listener, Reading reading)
      : shared_(shared), endpoint_(endpoint), listener_(&listener), reading_(reading) {}

  void connect() override {
    auto route = shared_.ssh->routes.find(endpoint_);
    if (!route) {
      listener_->on_failed(route.error());
      return;
    }
    Target target{endpoint_.path(), endpoint_.access().tcp_host, endpoint_.access().tcp_port,
                  reading_ == Reading::never};
    Timeouts timeouts;
    timeouts.connect = std::max(shared_.connect_timeout, milliseconds(1));
    channel_ = shared_.ssh->hub->channel(*std::move(route), std::move(target), timeouts);
    forwarder_ = std::make_shared<EngineForwarder>(shared_.ssh->mailbox, weak_from_this(),
                                                   channel_->io(), reading_);
    keep_loop_alive();
    channel_->open(forwarder_);
  }

  void write(std::string bytes) override {
    forwarder_->unsent = true;
    channel_->write(std::move(bytes));
  }

  void read() override {
    read_requested_ = true;
    if (reading_ == Reading::never) {
      keep_loop_alive();
      if (!has_unsent()) {
        boost::asio::post(shared_.io, [self = shared_from_this()] { self->on_written(); });
      }
      return;
    }
    if (bytes_.empty() && !ended_ && !error_) {
      keep_loop_alive();
      return;
    }
    // Not from within the call: a listener that reads again at once would recurse.
    boost::asio::post(shared_.io, [self = shared_from_this()] { self->deliver(); });
  }

  void close() override {
    listener_ = nullptr;
    work_.reset();
    if (channel_) channel_->close();
  }

  bool idle() override { return connected_ && !forwarder_->has_news; }
  [[nodiscard]] bool has_unsent() const override { return forwarder_ && forwarder_->unsent; }
  [[nodiscard]] bool queue_full() const override { return false; }
  [[nodiscard]] std::optional<int> peer_pid() const override { return std::nullopt; }
  [[nodiscard]] milliseconds connect_timeout(milliseconds /*configured*/) const override {
    return longest_connect;
  }

  void on_opened() {
    connected_ = true;
    work_.reset();
    if (listener_ != nullptr) listener_->on_connected();
  }

  /// With `Reading::never` it stands for the first bytes, which stay at the server.
  void on_written() {
    work_.reset();
    if (listener_ != nullptr && std::exchange(read_requested_, false)) listener_->on_bytes({});
  }

  void on_bytes(const std::string& bytes) {
    bytes_ += bytes;
    deliver();
  }

  void on_end_of_stream() {
    ended_ = true;
    deliver();
  }

  void on_failed(Error error) {
    error_ = std::move(error);
    // A failure to connect is reported without a read(), as for a socket.
    if (!connected_) read_requested_ = true;
    deliver();
  }

 private:
  /// Each phase has its own deadline. This one limits the wait for a turn at a busy server.
  static constexpr milliseconds longest_connect{120'000};

  void keep_loop_alive() { work_.emplace(shared_.io.get_executor()); }

  void deliver() {
    if (!read_requested_ || listener_ == nullptr) return;
    if (bytes_.empty() && !ended_ && !error_) return;
    read_requested_ = false;
    work_.reset();
    if (!bytes_.empty()) {
      const std::string bytes = std::exchange(bytes_, {});
      forwarder_->has_news = ended_ || error_;
      const std::size_t before = forwarder_->undelivered.fetch_sub(bytes.size());
      if (before >= most_undelivered && before - bytes.size() < most_undelivered) {
        channel_->read_on();
      }
      listener_->on_bytes(bytes);
    } else if (error_) {
      listener_->on_failed(*error_);
    } else {
      listener_->on_end_of_stream();
    }
  }

  Shared& shared_;
  const Endpoint& endpoint_;
  Listener* listener_;
  Reading reading_;
  std::shared_ptr<ChannelHandle> channel_;
  std::shared_ptr<EngineForwarder> forwarder_;
  /// Keeps the io_context running while an event is awaited.
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  bool connected_{false};
  bool read_requested_{false};
  bool ended_{false};
  std::string bytes_;
  std::optional<Error> error_;
};

void EngineForwarder::on_opened() {
  post([](SshTransport& transport) { transport.on_opened(); });
}

void EngineForwarder::on_written() {
  unsent = false;
  if (reading_ == Reading::never) post([](SshTransport& transport) { transport.on_written(); });
}

void EngineForwarder::on_bytes(std::string_view bytes) {
  has_news = true;
  undelivered += bytes.size();
  post([text = std::string(bytes)](SshTransport& transport) { transport.on_bytes(text); });
}

void EngineForwarder::on_end_of_stream() {
  has_news = true;
  post([](SshTransport& transport) { transport.on_end_of_stream(); });
}

void EngineForwarder::on_failed(Error error) {
  has_news = true;
  post([error = std::move(error)](SshTransport& transport) mutable {
    transport.on_failed(std::move(error));
  });
}

}  // namespace

std::shared_ptr<Transport> make_ssh_transport(Shared& shared, const Endpoint& endpoint,
                                              Listener& listener, Reading reading) {
  return std::make_shared<SshTransport>(shared, endpoint, listener, reading);
}

}  // namespace stillgate::transport::ssh
