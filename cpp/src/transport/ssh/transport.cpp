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
    : hub(Hub::of_process()), inbox(std::make_shared<Mailbox>(io)) {}

Access::~Access() { inbox->close(); }

void Access::prepare(const std::vector<Endpoint>& endpoints, const std::stop_token& stop) {
  std::vector<std::shared_ptr<const Route>> ways;
  for (const Endpoint& endpoint : endpoints) {
    // What is wrong with one is told where it is connected.
    if (auto route = routes.find(endpoint)) ways.push_back(*std::move(route));
  }
  Passphrases::of_process().prepare(ways, stop);
}

namespace {

class SshTransport;

/// Hears the worker, and tells the engine's thread.
class EngineForwarder final : public ChannelListener {
 public:
  EngineForwarder(std::shared_ptr<Mailbox> inbox, std::weak_ptr<SshTransport> tunnel,
                  boost::asio::io_context& worker)
      : inbox_(std::move(inbox)), tunnel_(std::move(tunnel)), worker_(worker) {}

  void on_opened() override;
  void on_bytes(std::string_view bytes) override;
  void on_written() override { unsent = false; }
  void on_end_of_stream() override;
  void on_failed(Error error) override;

  std::atomic<bool> unsent{false};
  /// The peer has ended or said something, perhaps not yet told.
  std::atomic<bool> stirred{false};

 private:
  template <class Act>
  void tell(Act act) {
    inbox_->put_after(worker_, [tunnel = tunnel_, act = std::move(act)]() mutable {
      if (const auto self = tunnel.lock()) act(*self);
    });
  }

  std::shared_ptr<Mailbox> inbox_;
  std::weak_ptr<SshTransport> tunnel_;
  boost::asio::io_context& worker_;
};

/// The engine's end; on its thread alone.
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
    ear_ = std::make_shared<EngineForwarder>(shared_.ssh->inbox, weak_from_this(), channel_->io());
    expect();
    channel_->open(ear_);
  }

  void write(std::string bytes) override {
    ear_->unsent = true;
    channel_->write(std::move(bytes));
  }

  void read() override {
    wanted_ = true;
    if (bytes_.empty() && !ended_ && !error_) {
      expect();
      return;
    }
    // Not from within the call: whoever reads on and on would never come back.
    boost::asio::post(shared_.io, [self = shared_from_this()] { self->serve(); });
  }

  void close() override {
    listener_ = nullptr;
    work_.reset();
    if (channel_) channel_->close();
  }

  bool idle() override { return connected_ && !ear_->stirred; }
  [[nodiscard]] bool has_unsent() const override { return ear_ && ear_->unsent; }
  [[nodiscard]] bool queue_full() const override { return false; }
  [[nodiscard]] std::optional<int> peer_pid() const override { return std::nullopt; }
  [[nodiscard]] milliseconds connect_timeout(milliseconds /*configured*/) const override {
    return longest_way;
  }

  void opened() {
    connected_ = true;
    work_.reset();
    if (listener_ != nullptr) listener_->on_connected();
  }

  void came(const std::string& bytes) {
    bytes_ += bytes;
    serve();
  }

  void came_to_its_end() {
    ended_ = true;
    serve();
  }

  void failed(Error error) {
    error_ = std::move(error);
    // Before it was connected, or with nobody reading, it is told at once, as a socket's is.
    if (!connected_) wanted_ = true;
    serve();
  }

 private:
  /// Each part of the way has a deadline of its own; this one is for who waits for a turn at a
  /// server where others take long.
  static constexpr milliseconds longest_way{120'000};

  void expect() { work_.emplace(shared_.io.get_executor()); }

  void serve() {
    if (!wanted_ || listener_ == nullptr) return;
    if (bytes_.empty() && !ended_ && !error_) return;
    wanted_ = false;
    work_.reset();
    if (!bytes_.empty()) {
      const std::string bytes = std::exchange(bytes_, {});
      ear_->stirred = ended_ || error_;
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
  std::shared_ptr<EngineForwarder> ear_;
  /// While something is waited for, the io_context must not think itself done.
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  bool connected_{false};
  bool wanted_{false};
  bool ended_{false};
  std::string bytes_;
  std::optional<Error> error_;
};

void EngineForwarder::on_opened() {
  tell([](SshTransport& tunnel) { tunnel.opened(); });
}

void EngineForwarder::on_bytes(std::string_view bytes) {
  stirred = true;
  tell([text = std::string(bytes)](SshTransport& tunnel) { tunnel.came(text); });
}

void EngineForwarder::on_end_of_stream() {
  stirred = true;
  tell([](SshTransport& tunnel) { tunnel.came_to_its_end(); });
}

void EngineForwarder::on_failed(Error error) {
  stirred = true;
  tell([error = std::move(error)](SshTransport& tunnel) mutable {
    tunnel.failed(std::move(error));
  });
}

}  // namespace

std::shared_ptr<Transport> make_ssh_transport(Shared& shared, const Endpoint& endpoint,
                                              Listener& listener, Reading reading) {
  return std::make_shared<SshTransport>(shared, endpoint, listener, reading);
}

}  // namespace stillgate::transport::ssh
