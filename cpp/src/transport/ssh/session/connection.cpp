// The way to an SSH server: carrier, handshake, host key, login.
#include "connection.hpp"

#include <algorithm>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "transport/ssh/base/failure.hpp"
#include "transport/ssh/host_keys/host_check.hpp"

namespace stillgate::transport::ssh {

using std::chrono::milliseconds;

namespace {

void acknowledge_quickly(int fd) {
  const int on = 1;
  // The kernel forgets it with each event (docs/haproxy-facts.md, section 7).
  ::setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

}  // namespace

Connection::Connection(Workshop& workshop, std::shared_ptr<const Route> route)
    : workshop_(workshop),
      route_(std::move(route)),
      name_(route_->name()),
      socket_(workshop.io),
      timer_(workshop.io),
      pause_(workshop.io) {}

Connection::~Connection() {
  login_.reset();
  // A farewell in each channel would wait for answers: the server sees the end of the connection.
  if (socket_.is_open()) ::shutdown(socket_.native_handle(), SHUT_RDWR);
}

Patience Connection::patience() const {
  return channels_.empty() ? Patience{} : channels_.front()->patience;
}

void Connection::open(const std::shared_ptr<Channel>& channel) {
  if (!channel->sink) return;
  channel->connection = weak_from_this();
  channels_.push_back(channel);
  const bool first = std::none_of(operations_.begin(), operations_.end(), opens);
  operations_.push_back({Kind::open, channel});
  if (stage_ == Stage::idle) {
    start();
  } else if (stage_ == Stage::open) {
    // Each has its time from when it is the one that is asked for.
    if (first) watch_opening();
    pump();
  }
}

void Connection::start() {
  stage_ = Stage::waiting;
  const std::string place = route_->place();
  workshop_.turns.take(place, [weak = weak_from_this(), turns = &workshop_.turns, place] {
    const auto self = weak.lock();
    if (!self || self->stage_ != Stage::waiting) {
      turns->leave(place);
      return;
    }
    self->has_turn_ = true;
    self->carry();
  });
}

void Connection::leave_turn() {
  if (!std::exchange(has_turn_, false)) return;
  workshop_.turns.leave(route_->place());
}

void Connection::carry() {
  stage_ = Stage::carrying;
  spoke_ = false;
  notes_ = {};
  carrier_ = make_carrier(workshop_.io, workshop_.resolver, workshop_.hub, *route_, patience());
  if (!route_->via) {
    const auto& configured = route_->settings.connect_timeout;
    const milliseconds most = configured ? milliseconds(*configured) : patience().connect;
    watch(most, Errc::connect_timeout, fmt::format("no connection within {} ms", most.count()));
  }
  carrier_->start([weak = weak_from_this()](Result<int> result) {
    const auto self = weak.lock();
    if (!self || self->stage_ != Stage::carrying) {
      if (result) ::close(*result);
    } else if (result) {
      self->carried(*result);
    } else {
      self->fail(result.error());
    }
  });
}

void Connection::carried(int fd) {
  socket_.assign(fd);
  session_ = new_session(notes_);
  if (!session_) {
    fail(failure(Errc::system_error, name_, "libssh2 cannot be started"));
    return;
  }
  const auto known = known_hosts_of(route_->settings);
  const std::string order = algorithm_preference(*known, route_->settings);
  libssh2_session_method_pref(session_.get(), LIBSSH2_METHOD_HOSTKEY, order.c_str());
  stage_ = Stage::handshake;
  watch(patience().banner, Errc::ssh_banner,
        fmt::format("connected, but no SSH server spoke within {} ms", patience().banner.count()));
  drive();
}

/// As far as it goes without waiting. What the socket had may lie in libssh2 already: whoever comes
/// next must be asked at once, and not at the socket's next event.
void Connection::drive() {
  const auto self = shared_from_this();
  if (stage_ == Stage::closed) return;
  stirred_ = true;
  acknowledge_quickly(socket_.native_handle());
  if (stage_ == Stage::handshake && handshake() != 0) return;
  if (stage_ == Stage::login) log_in();
  if (stage_ == Stage::open) pump();
}

/// Not 0: it is not done.
int Connection::handshake() {
  const int code = libssh2_session_handshake(session_.get(), socket_.native_handle());
  if (!spoke_ && banner().starts_with("SSH-")) {
    spoke_ = true;
    const auto most = patience().key_exchange;
    watch(most, Errc::ssh_key_exchange,
          fmt::format("no end of the key exchange within {} ms", most.count()));
  }
  if (code == LIBSSH2_ERROR_EAGAIN) {
    wait();
    return code;
  }
  if (code != 0) {
    const std::string_view said = banner();
    retry_or_fail(handshake_failure(code, spoke_, name_,
                                    spoke_ || said.empty() ? farewell() : std::string(said)));
    return code;
  }
  return greet();
}

/// The last line that the peer sent before all else; a server may say something before it speaks
/// SSH, or hang up behind it.
std::string_view Connection::banner() const {
  const char* const line = libssh2_session_banner_get(session_.get());
  return line == nullptr ? std::string_view() : std::string_view(line);
}

int Connection::greet() {
  std::size_t size = 0;
  int type = 0;
  const char* const blob = libssh2_session_hostkey(session_.get(), &size, &type);
  const auto known = known_hosts_of(route_->settings);
  const std::string_view key = blob == nullptr ? std::string_view() : std::string_view(blob, size);
  if (const auto error = check_host_key(*known, route_->settings, name_, key)) {
    fail(*error);
    return LIBSSH2_ERROR_KNOWN_HOSTS;
  }
  stage_ = Stage::login;
  const auto most = patience().login;
  watch(most, Errc::ssh_auth_timeout,
        fmt::format("no end of the authentication within {} ms", most.count()));
  login_.emplace(session_.get(), *route_,
                 Login::Means{workshop_.io, workshop_.turns, [weak = weak_from_this()] {
                                if (const auto self = weak.lock()) self->drive();
                              }});
  return 0;
}

void Connection::log_in() {
  const int code = login_->step();
  if (code == LIBSSH2_ERROR_EAGAIN) {
    // Nobody reads the socket meanwhile: one that has something would stir for ever.
    if (!login_->asks_agent()) wait();
  } else if (code == 0) {
    login_.reset();
    logged_in();
  } else {
    Error refusal = login_->refusal();
    if (!notes_.farewell.empty()) {
      refusal.message += fmt::format("; the server said: {}", notes_.farewell);
    }
    fail(refusal);
  }
}

void Connection::logged_in() {
  stage_ = Stage::open;
  timer_.cancel();
  pending_.reset();
  leave_turn();
  // 2: what libssh2 takes 1 for is to be off.
  libssh2_keepalive_config(session_.get(), 0, 2);
  watch_opening();
}

void Connection::keep_alive() {
  if (stage_ != Stage::open) return;
  operations_.push_back({Kind::keep_alive});
  pump();
}

/// Only while libssh2 wants the socket to take more, its readiness is waited for.
void Connection::wait() {
  using boost::asio::posix::stream_descriptor;
  if (stage_ == Stage::closed) return;
  const auto resume = [](bool Connection::*waiting) {
    return [waiting](const std::weak_ptr<Connection>& weak, const boost::system::error_code& code) {
      const auto self = weak.lock();
      if (!self) return;
      (*self).*waiting = false;
      if (!code) self->drive();
    };
  };
  if (!waiting_to_read_) {
    waiting_to_read_ = true;
    socket_.async_wait(stream_descriptor::wait_read,
                       [weak = weak_from_this(), act = resume(&Connection::waiting_to_read_)](
                           const boost::system::error_code& code) { act(weak, code); });
  }
  const int directions = libssh2_session_block_directions(session_.get());
  if ((directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) == 0 || waiting_to_write_) return;
  waiting_to_write_ = true;
  socket_.async_wait(stream_descriptor::wait_write,
                     [weak = weak_from_this(), act = resume(&Connection::waiting_to_write_)](
                         const boost::system::error_code& code) { act(weak, code); });
}

}  // namespace stillgate::transport::ssh
