// One connection to the agent's unix socket per request.
#include "agent.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "transport/ssh/base/wire.hpp"

namespace stillgate::transport::ssh {

using boost::system::error_code;

namespace {

constexpr std::chrono::milliseconds queue_pause{20};
constexpr std::chrono::seconds listing_timeout{5};
constexpr std::chrono::milliseconds poll_interval{20};

/// 0, or errno.
int connect_to(const std::string& path, int& fd) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  address.sun_family = AF_UNIX;
  path.copy(static_cast<char*>(address.sun_path), path.size());
  fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return 0;
  const int number = errno;
  ::close(std::exchange(fd, -1));
  return number;
}

}  // namespace

class Agent::Call : public std::enable_shared_from_this<Call> {
 public:
  Call(boost::asio::io_context& io, std::string request, Callback callback)
      : socket_(io), pause_(io), request_(std::move(request)), callback_(std::move(callback)) {}

  void begin(const std::string& path) {
    if (!callback_) return;
    int fd = -1;
    const int number = connect_to(path, fd);
    if (number == EAGAIN) {
      // The listen queue is full. A unix socket never reports when there is room again.
      pause_.expires_after(queue_pause);
      pause_.async_wait([self = shared_from_this(), path](const error_code& code) {
        if (!code) self->begin(path);
      });
      return;
    }
    if (number != 0) {
      boost::asio::post(socket_.get_executor(),
                        [self = shared_from_this()] { self->finish(std::nullopt); });
      return;
    }
    socket_.assign(boost::asio::local::stream_protocol(), fd);
    boost::asio::async_write(socket_, boost::asio::buffer(request_),
                             [self = shared_from_this()](const error_code& code, std::size_t) {
                               code ? self->finish(std::nullopt) : self->read_size();
                             });
  }

  void cancel() {
    callback_ = nullptr;
    pause_.cancel();
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  void read_size() {
    boost::asio::async_read(socket_, boost::asio::buffer(size_),
                            [self = shared_from_this()](const error_code& code, std::size_t) {
                              code ? self->finish(std::nullopt) : self->read_answer();
                            });
  }

  void read_answer() {
    const auto size = WireReader({size_.data(), size_.size()}).number();
    if (!size || *size > agent_answer_limit) {
      finish(std::nullopt);
      return;
    }
    answer_.resize(*size);
    boost::asio::async_read(socket_, boost::asio::buffer(answer_),
                            [self = shared_from_this()](const error_code& code, std::size_t) {
                              if (code) {
                                self->finish(std::nullopt);
                              } else {
                                self->finish(std::move(self->answer_));
                              }
                            });
  }

  void finish(std::optional<std::string> answer) {
    const auto callback = std::exchange(callback_, nullptr);
    cancel();
    if (callback) callback(std::move(answer));
  }

  boost::asio::local::stream_protocol::socket socket_;
  boost::asio::steady_timer pause_;
  std::string request_;
  Callback callback_;
  std::array<char, agent_size_bytes> size_{};
  std::string answer_;
};

Agent::Agent(boost::asio::io_context& io, Turns& turns, std::string socket)
    : io_(io), turns_(turns), socket_(std::move(socket)) {}

Agent::~Agent() {
  if (call_) call_->cancel();
  end();
}

void Agent::end() {
  call_.reset();
  if (std::exchange(has_turn_, false)) turns_.leave(socket_);
}

void Agent::ask(std::string request, Callback callback) {
  call_ = std::make_shared<Call>(
      io_, std::move(request),
      [this, callback = std::move(callback)](std::optional<std::string> answer) {
        end();
        callback(std::move(answer));
      });
  // The request may have been cancelled while it waited for its turn: pass the turn on.
  turns_.take(socket_,
              [this, call = std::weak_ptr<Call>(call_), turns = &turns_, socket = socket_] {
                const auto waiting = call.lock();
                if (!waiting) {
                  turns->leave(socket);
                  return;
                }
                has_turn_ = true;
                waiting->begin(socket);
              });
}

std::vector<AgentKey> list_agent_keys(const std::string& socket, const std::stop_token& stop) {
  boost::asio::io_context io;
  Turns turns;
  Agent agent(io, turns, socket);
  std::vector<AgentKey> keys;
  agent.ask(agent_keys_request(), [&keys](const std::optional<std::string>& answer) {
    if (answer) keys = parse_agent_keys(*answer);
  });
  const auto until = std::chrono::steady_clock::now() + listing_timeout;
  while (agent.asking() && !stop.stop_requested() && std::chrono::steady_clock::now() < until) {
    io.run_for(poll_interval);
  }
  return keys;
}

}  // namespace stillgate::transport::ssh
