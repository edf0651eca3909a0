// Failures of an SSH session: deadlines, retries, lost connections.
#include <algorithm>
#include <random>
#include <utility>

#include <sys/socket.h>

#include <fmt/format.h>

#include "connection.hpp"
#include "transport/ssh/base/failure.hpp"
#include "worker.hpp"

namespace stillgate::transport::ssh {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

/// A server closes at once when its MaxStartups are used up. This many tries take six to ten
/// seconds, which a penalty of OpenSSH 9.8 outlasts: it is for 15 s at least.
constexpr unsigned max_tries = 9;
constexpr milliseconds first_pause{100};
constexpr milliseconds longest_pause{1600};

/// Half of the pause is random, so that connections refused together do not retry together.
milliseconds pause_before(unsigned tries) {
  static thread_local std::minstd_rand random{std::random_device()()};
  const auto whole = std::min(first_pause * (1U << std::min(tries, 10U)), longest_pause);
  std::uniform_int_distribution<milliseconds::rep> part(whole.count() / 2, whole.count());
  return milliseconds(part(random));
}

}  // namespace

void Connection::watch(milliseconds timeouts, Errc code, const std::string& words) {
  pending_ = failure(code, name_, words);
  timer_.expires_after(timeouts);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
    const auto self = weak.lock();
    if (cancelled || !self || !self->pending_) return;
    // An event has set a later deadline meanwhile.
    if (self->timer_.expiry() > steady_clock::now()) return;
    self->overdue(*std::exchange(self->pending_, std::nullopt));
  });
}

/// A session that fails to open a channel in time keeps its open channels and takes no new ones.
void Connection::overdue(const Error& error) {
  if (stage_ != Stage::open) {
    Error callback = error;
    if (login_) callback.message += login_->waits_for();
    fail(callback);
    return;
  }
  if (give_up_probe()) return;
  suspect_ = true;
  const auto self = shared_from_this();
  const auto asked = std::find_if(operations_.begin(), operations_.end(), opens);
  const auto slow = asked == operations_.end() ? nullptr : asked->channel;
  if (slow) {
    std::erase(channels_, slow);
    // The operation stays: libssh2 must finish what it began. Its result is dropped.
    slow->fail(error);
  }
  move_unbegun(slow);
}

/// Moves channels that waited for a hanging one to another session. A target that does not
/// answer must not fail the others.
void Connection::move_unbegun(const std::shared_ptr<Channel>& hanging) {
  std::vector<std::shared_ptr<Channel>> others;
  const auto unopened = [](const auto& channel) { return channel->raw == nullptr; };
  std::copy_if(channels_.begin(), channels_.end(), std::back_inserter(others), unopened);
  std::erase_if(channels_, unopened);
  std::erase_if(operations_, [&hanging](const Operation& operation) {
    return opens(operation) && operation.channel != hanging;
  });
  for (const auto& channel : others) context_.worker.connection(route_)->open(channel);
}

void Connection::retry_or_fail(const Error& error) {
  const bool refused_at_once = error.code == Errc::ssh_banner &&
                               route_->settings.proxy_command.empty() && drops_a_login(banner());
  if (!refused_at_once || ++tries_ == max_tries) {
    fail(
        route_->settings.proxy_command.empty() || has_banner_
            ? error
            : failure(Errc::ssh_proxy, name_, "the ProxyCommand ended before an SSH server spoke"));
    return;
  }
  session_.reset();
  boost::system::error_code ignored;
  socket_.close(ignored);
  carrier_.reset();
  timer_.cancel();
  pending_.reset();
  context_.turns.refused(route_->place());
  leave_turn();
  stage_ = Stage::waiting;
  pause_.expires_after(pause_before(tries_ - 1));
  pause_.async_wait([weak = weak_from_this()](const boost::system::error_code& code) {
    const auto self = weak.lock();
    if (!code && self && self->stage_ == Stage::waiting) self->start();
  });
}

/// Retries, once, the channels that were not open yet, if this session has served before: the
/// connection may have been cut while it was idle. They have sent nothing.
void Connection::lose_connection() {
  const auto self = shared_from_this();
  std::vector<std::shared_ptr<Channel>> again;
  const auto may_begin_again = [this](const auto& channel) {
    return served_ && channel->raw == nullptr && channel->listener && !channel->second_try;
  };
  std::copy_if(channels_.begin(), channels_.end(), std::back_inserter(again), may_begin_again);
  std::erase_if(channels_, may_begin_again);
  fail(lost(name_, disconnect_message()));
  for (const auto& channel : again) {
    channel->second_try = true;
    context_.worker.connection(route_)->open(channel);
  }
}

/// What ended a session that was flooded, whatever libssh2 said of it.
Error Connection::flood() const {
  if (stage_ == Stage::open) {
    return failure(Errc::ssh_flood, name_,
                   "the server keeps sending what nobody asked it for; it is unknown whether a "
                   "command ran; see what runs at that port");
  }
  return failure(Errc::ssh_flood, name_,
                 fmt::format("the server sent {} KiB and no login was done by then; see what runs "
                             "at that port, and what text it sends ahead of a login",
                             Intake::before_login / 1024));
}

void Connection::fail(const Error& error) {
  if (stage_ == Stage::closed) return;
  const auto self = shared_from_this();
  const Error why = notes_.intake.flooded ? flood() : error;
  // What is left in the socket is of no interest to a session that ends.
  notes_.intake.flooded = true;
  stage_ = Stage::closed;
  leave_turn();
  timer_.cancel();
  pause_.cancel();
  pending_.reset();
  carrier_.reset();
  login_.reset();
  operations_.clear();
  parked_.reset();
  if (socket_.is_open()) ::shutdown(socket_.native_handle(), SHUT_RDWR);
  session_.reset();
  boost::system::error_code ignored;
  socket_.close(ignored);
  for (const auto& channel : std::exchange(channels_, {})) {
    channel->raw = nullptr;
    channel->fail(why);
  }
}

std::string Connection::disconnect_message() {
  return notes_.disconnect_message.empty() ? last_error_text(session_.get())
                                           : notes_.disconnect_message;
}

}  // namespace stillgate::transport::ssh
