// From connecting to an SSH server to the end of the login: carrier, handshake, host key, login.
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

Connection::Connection(WorkerContext& context, std::shared_ptr<const Route> route)
    : context_(context),
      route_(std::move(route)),
      name_(route_->name()),
      socket_(context.io),
      timer_(context.io),
      pause_(context.io) {}

Connection::~Connection() {
  login_.reset();
  notes_.intake.flooded = true;
  // Closing each channel would wait for answers. The server sees the end of the connection.
  if (socket_.is_open()) ::shutdown(socket_.native_handle(), SHUT_RDWR);
}

Timeouts Connection::timeouts() const {
  return channels_.empty() ? Timeouts{} : channels_.front()->timeouts;
}

void Connection::open(const std::shared_ptr<Channel>& channel) {
  if (!channel->listener) return;
  channel->connection = weak_from_this();
  channels_.push_back(channel);
  const bool first = std::none_of(operations_.begin(), operations_.end(), opens);
  operations_.push_back({Kind::open, channel});
  if (stage_ == Stage::idle) {
    start();
  } else if (stage_ == Stage::open) {
    // A channel's timeout starts when libssh2 begins to open it.
    if (first) watch_next_open();
    pump();
  }
}

void Connection::start() {
  stage_ = Stage::waiting;
  const std::string place = route_->place();
  context_.turns.take(place, [weak = weak_from_this(), turns = &context_.turns, place] {
    const auto self = weak.lock();
    if (!self || self->stage_ != Stage::waiting) {
      turns->leave(place);
      return;
    }
    self->has_turn_ = true;
    self->start_carrier();
  });
}

void Connection::leave_turn() {
  if (!std::exchange(has_turn_, false)) return;
  context_.turns.leave(route_->place());
}

void Connection::start_carrier() {
  stage_ = Stage::carrying;
  has_banner_ = false;
  notes_ = {};
  carrier_ = route_->via ? context_.make_jump(context_.io, *route_, timeouts())
                         : make_carrier(context_.io, context_.resolver, *route_);
  if (!route_->via) {
    const auto& configured = route_->settings.connect_timeout;
    const milliseconds most = configured ? milliseconds(*configured) : timeouts().connect;
    watch(most, Errc::connect_timeout, fmt::format("no connection within {} ms", most.count()));
  }
  carrier_->start([weak = weak_from_this()](Result<int> result) {
    const auto self = weak.lock();
    if (!self || self->stage_ != Stage::carrying) {
      if (result) ::close(*result);
    } else if (result) {
      self->carrier_ready(*result);
    } else {
      self->fail(result.error());
    }
  });
}

void Connection::carrier_ready(int fd) {
  socket_.assign(fd);
  session_ = new_session(notes_);
  if (!session_) {
    fail(failure(Errc::system_error, name_, "libssh2 cannot be started"));
    return;
  }
  const auto known = known_hosts_of(route_->settings);
  auto proposal = make_proposal(route_->settings, host_key_order(*known, route_->settings),
                                supported_algorithms(), name_);
  if (!proposal) {
    fail(proposal.error());
    return;
  }
  proposal_ = *std::move(proposal);
  apply(proposal_, route_->settings, session_.get());
  stage_ = Stage::handshake;
  watch(timeouts().banner, Errc::ssh_banner,
        fmt::format("connected, but no SSH server spoke within {} ms", timeouts().banner.count()));
  drive();
}

/// Runs as far as possible without waiting. libssh2 may have buffered what the next phase needs, so
/// start that phase now and not at the socket's next event.
void Connection::drive() {
  const auto self = shared_from_this();
  if (stage_ == Stage::closed) return;
  readable_ = true;
  allow_step();
  acknowledge_quickly(socket_.native_handle());
  if (stage_ == Stage::handshake && handshake() != 0) return;
  if (stage_ == Stage::login) log_in();
  if (stage_ == Stage::open) pump();
}

/// Not 0: not finished.
int Connection::handshake() {
  const int code = libssh2_session_handshake(session_.get(), socket_.native_handle());
  if (!has_banner_ && banner().starts_with("SSH-")) {
    has_banner_ = true;
    const auto most = timeouts().key_exchange;
    watch(most, Errc::ssh_key_exchange,
          fmt::format("the key exchange did not end within {} ms", most.count()));
  }
  if (code == LIBSSH2_ERROR_EAGAIN) {
    wait();
    return code;
  }
  if (code != 0) {
    handshake_failed();
    return code;
  }
  return verify_server();
}

void Connection::handshake_failed() {
  const auto& offered = notes_.kex_init.found();
  const std::string lacks = offered ? mismatch(proposal_, *offered) : std::string();
  const std::string_view said = banner();
  if (notes_.intake.flooded) {
    fail(flood());
  } else if (!lacks.empty()) {
    fail(failure(Errc::ssh_key_exchange, name_, lacks));
  } else {
    retry_or_fail(
        handshake_failure(has_banner_, name_,
                          has_banner_ || said.empty() ? disconnect_message() : std::string(said)));
  }
}

/// The last line before the SSH protocol. A server may send text first, or send text and close.
std::string_view Connection::banner() const {
  const char* const line = libssh2_session_banner_get(session_.get());
  return line == nullptr ? std::string_view() : std::string_view(line);
}

int Connection::verify_server() {
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
  const auto most = timeouts().login;
  watch(most, Errc::ssh_auth_timeout,
        fmt::format("the authentication did not end within {} ms", most.count()));
  login_.emplace(session_.get(), *route_,
                 Login::Context{context_.io, context_.turns, [weak = weak_from_this()] {
                                  if (const auto self = weak.lock()) self->drive();
                                }});
  return 0;
}

void Connection::log_in() {
  const int code = login_->step();
  if (code == LIBSSH2_ERROR_EAGAIN) {
    // The socket is not read meanwhile; waiting on a readable one would spin.
    if (!login_->asks_agent()) wait();
  } else if (code == 0) {
    login_.reset();
    logged_in();
  } else {
    Error refusal = login_->refusal();
    if (!notes_.disconnect_message.empty()) {
      refusal.message += fmt::format("; the server said: {}", notes_.disconnect_message);
    }
    fail(refusal);
  }
}

void Connection::logged_in() {
  stage_ = Stage::open;
  timer_.cancel();
  pending_.reset();
  leave_turn();
  notes_.intake.allowance = Intake::between_keep_alives;
  // 2 s: the shortest interval; libssh2 treats 1 as 2.
  libssh2_keepalive_config(session_.get(), 0, 2);
  watch_next_open();
}

void Connection::keep_alive() {
  if (stage_ != Stage::open) return;
  notes_.intake.allowance = std::max(notes_.intake.allowance, Intake::between_keep_alives);
  operations_.push_back({Kind::keep_alive});
  pump();
}

/// Another piece of what the peer sends. What it sends beyond that waits in the socket, until the
/// worker's loop has looked at its timers and at the other sessions.
void Connection::allow_step() {
  Intake& intake = notes_.intake;
  intake.step = Intake::per_step;
  intake.most_memory = Intake::memory + channels_.size() * Intake::memory_per_channel;
}

/// Waits for the socket to be writable only while libssh2 has something to send.
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
