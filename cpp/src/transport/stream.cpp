// The transport over unix and tcp stream sockets.
#include <cerrno>
#include <chrono>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include "dialer.hpp"
#include "failure.hpp"
#include "stream.hpp"

namespace stillgate::transport {
namespace {

using Protocol = boost::asio::generic::stream_protocol;
using boost::system::error_code;

constexpr std::chrono::milliseconds first_pause{2};
constexpr std::chrono::milliseconds longest_pause{50};

Address unix_address(const std::string& path) {
  Address address;
  auto* out = reinterpret_cast<sockaddr_un*>(&address.storage);
  out->sun_family = AF_UNIX;
  path.copy(static_cast<char*>(out->sun_path), sizeof out->sun_path - 1);
  address.size = sizeof(sockaddr_un);
  return address;
}

/// What both kinds share once they are connected.
class Stream : public Transport, public std::enable_shared_from_this<Stream> {
 public:
  Stream(Shared& shared, const Endpoint& endpoint, Listener& listener, Reading reading)
      : shared_(shared),
        endpoint_(endpoint),
        listener_(&listener),
        reading_(reading),
        socket_(shared.io) {}

  void write(std::string bytes) override {
    unsent_ = std::move(bytes);
    sent_ = 0;
    send();
  }

  void read() override {
    socket_.async_wait(Protocol::socket::wait_read,
                       [self = shared_from_this()](const error_code& code) {
                         if (!code) self->receive();
                       });
  }

  void close() override {
    listener_ = nullptr;
    error_code ignored;
    socket_.close(ignored);
  }

  bool idle() override {
    if (!socket_.is_open()) return false;
    char byte = 0;
    const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  [[nodiscard]] bool has_unsent() const override { return sent_ < unsent_.size(); }
  [[nodiscard]] bool queue_full() const override { return false; }
  [[nodiscard]] std::optional<int> peer_pid() const override { return std::nullopt; }

  [[nodiscard]] std::chrono::milliseconds connect_timeout(
      std::chrono::milliseconds configured) const override {
    return configured;
  }

 protected:
  [[nodiscard]] Shared& shared() const noexcept { return shared_; }
  [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }
  [[nodiscard]] bool closed() const noexcept { return listener_ == nullptr; }
  [[nodiscard]] const Protocol::socket& socket() const noexcept { return socket_; }

  void connected(Protocol::socket socket) {
    socket_ = std::move(socket);
    if (listener_ != nullptr) listener_->on_connected();
  }

  void fail(int number) { fail(failure_of(number, endpoint_)); }

  void fail(Error error) {
    if (listener_ != nullptr) listener_->on_failed(std::move(error));
  }

 private:
  void send() {
    while (has_unsent()) {
      const ssize_t n = ::send(socket_.native_handle(), unsent_.data() + sent_,
                               unsent_.size() - sent_, MSG_NOSIGNAL);
      if (n >= 0) {
        sent_ += static_cast<std::size_t>(n);
      } else if (errno == EAGAIN) {
        socket_.async_wait(Protocol::socket::wait_write,
                           [self = shared_from_this()](const error_code& code) {
                             if (!code) self->send();
                           });
        return;
      } else if (errno != EINTR) {
        fail(errno);
        return;
      }
    }
  }

  void receive() {
    if (listener_ == nullptr) return;
    auto& held = shared_.read_buffer;
    if (!held) held = std::make_unique_for_overwrite<char[]>(Shared::read_bytes);
    char* const buffer = held.get();
    const bool taken = reading_ == Reading::usual;
    const ssize_t n = ::recv(socket_.native_handle(), buffer, taken ? Shared::read_bytes : 1,
                             taken ? 0 : MSG_PEEK);
    if (n > 0) {
      listener_->on_bytes({buffer, taken ? static_cast<std::size_t>(n) : 0});
    } else if (n == 0) {
      listener_->on_end_of_stream();
    } else if (errno == EAGAIN || errno == EINTR) {
      read();
    } else {
      fail(errno);
    }
  }

  Shared& shared_;
  const Endpoint& endpoint_;
  Listener* listener_;
  Reading reading_;
  Protocol::socket socket_;
  std::string unsent_;
  std::size_t sent_{0};
};

class UnixStream final : public Stream {
 public:
  using Stream::Stream;

  void connect() override {
    const Address address = unix_address(endpoint().path());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      fail(errno);
      return;
    }
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
      const int number = errno;
      ::close(fd);
      // A full listen queue. There is nothing to wait for on such a socket, and waiting for it to
      // become writable would report success.
      if (number == EAGAIN) {
        pause_and_retry();
      } else {
        fail(number);
      }
      return;
    }
    Protocol::socket socket(shared().io);
    error_code code;
    socket.assign(Protocol(AF_UNIX, 0), fd, code);
    if (code) {
      ::close(fd);
      fail(code.value());
      return;
    }
    queue_full_ = false;
    connected_ = true;
    connected(std::move(socket));
  }

  void close() override {
    Stream::close();
    if (pause_) pause_->cancel();
  }

  [[nodiscard]] bool queue_full() const override { return queue_full_; }

  [[nodiscard]] std::optional<int> peer_pid() const override {
    if (!connected_) return std::nullopt;
    ucred peer{};
    socklen_t size = sizeof peer;
    auto& socket = const_cast<Protocol::socket&>(this->socket());
    if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
      return std::nullopt;
    }
    return peer.pid;
  }

 private:
  void pause_and_retry() {
    queue_full_ = true;
    if (!pause_) pause_ = std::make_unique<boost::asio::steady_timer>(shared().io);
    pause_->expires_after(next_pause_);
    next_pause_ = std::min(next_pause_ * 2, longest_pause);
    pause_->async_wait([this, self = shared_from_this()](const error_code& code) {
      if (!code && !closed()) connect();
    });
  }

  bool connected_{false};
  bool queue_full_{false};
  std::unique_ptr<boost::asio::steady_timer> pause_;
  std::chrono::milliseconds next_pause_{first_pause};
};

class TcpStream final : public Stream {
 public:
  using Stream::Stream;

  void connect() override {
    shared().resolver.resolve(
        endpoint().host(), endpoint().port(),
        [this, self = shared_from_this()](const auto& found, const std::string& failure) {
          resolved(found, failure);
        });
  }

  void close() override {
    Stream::close();
    dialer_.reset();
  }

 private:
  void resolved(const std::vector<Address>& found, const std::string& failure) {
    if (closed()) return;
    if (found.empty()) {
      fail({Errc::name_not_found, "the host's name does not resolve: " + failure});
      return;
    }
    dialer_.emplace(shared().io);
    dialer_->start(found, [this, weak = weak_from_this()](Protocol::socket socket, int number) {
      if (const auto self = weak.lock()) dialed(std::move(socket), number);
    });
  }

  void dialed(Protocol::socket socket, int number) {
    if (number != 0) {
      fail(number);
      return;
    }
    // A command is one small write: Nagle would hold it back until the greeting's ACK.
    const int on = 1;
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connected(std::move(socket));
  }

  std::optional<Dialer> dialer_;
};

}  // namespace

std::shared_ptr<Transport> make_unix_stream(Shared& shared, const Endpoint& endpoint,
                                            Listener& listener, Reading reading) {
  return std::make_shared<UnixStream>(shared, endpoint, listener, reading);
}

std::shared_ptr<Transport> make_tcp_stream(Shared& shared, const Endpoint& endpoint,
                                           Listener& listener, Reading reading) {
  return std::make_shared<TcpStream>(shared, endpoint, listener, reading);
}

}  // namespace stillgate::transport
