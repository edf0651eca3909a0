// Non-blocking connects that race for a socket.
#include "dialer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace stillgate::transport {

using boost::system::error_code;

struct Dialer::Race : std::enable_shared_from_this<Race> {
  explicit Race(boost::asio::io_context& context) : io(context), pause(context) {}

  boost::asio::io_context& io;
  boost::asio::steady_timer pause;
  std::vector<Address> addresses;
  std::size_t next{0};
  std::vector<std::unique_ptr<Socket>> running;
  Handler handler;

  void advance() {
    int error = 0;
    while (next < addresses.size()) {
      error = begin(addresses[next++]);
      if (error == 0) {
        if (next < addresses.size()) wait_for_head_start();
        return;
      }
    }
    if (running.empty()) answer(Socket(io), error);
  }

  void answer(Socket socket, int error) {
    running.clear();
    pause.cancel();
    if (const auto callback = std::exchange(handler, nullptr)) callback(std::move(socket), error);
  }

  void stop() {
    handler = nullptr;
    next = addresses.size();
    running.clear();
    pause.cancel();
  }

 private:
  /// Its errno where that is known at once.
  int begin(const Address& address) {
    const int family = address.storage.ss_family;
    const int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    const auto* place = reinterpret_cast<const sockaddr*>(&address.storage);
    if (::connect(fd, place, address.size) != 0 && errno != EINPROGRESS) {
      const int error = errno;
      ::close(fd);
      return error;
    }
    auto socket = std::make_unique<Socket>(io);
    error_code code;
    socket->assign({family, 0}, fd, code);
    if (code) {
      ::close(fd);
      return code.value();
    }
    Socket* const waiting = socket.get();
    running.push_back(std::move(socket));
    waiting->async_wait(Socket::wait_write,
                        [self = shared_from_this(), waiting](const error_code& cancelled) {
                          if (!cancelled) self->finish(waiting);
                        });
    return 0;
  }

  void finish(const Socket* ready) {
    const auto found = std::find_if(running.begin(), running.end(),
                                    [&](const auto& other) { return other.get() == ready; });
    // This answer was already queued when the race ended.
    if (found == running.end()) return;
    const auto socket = std::move(*found);
    running.erase(found);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket->native_handle(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0) {
      answer(std::move(*socket), 0);
    } else if (next < addresses.size()) {
      advance();
    } else if (running.empty()) {
      answer(Socket(io), error);
    }
  }

  void wait_for_head_start() {
    pause.expires_after(head_start);
    pause.async_wait([self = shared_from_this()](const error_code& code) {
      if (!code && self->handler) self->advance();
    });
  }
};

Dialer::Dialer(boost::asio::io_context& io) : race_(std::make_shared<Race>(io)) {}

Dialer::~Dialer() { race_->stop(); }

void Dialer::start(std::vector<Address> addresses, Handler handler) {
  race_->addresses = std::move(addresses);
  race_->handler = std::move(handler);
  boost::asio::post(race_->io, [race = race_] {
    if (race->handler) race->advance();
  });
}

}  // namespace stillgate::transport
