// How an SSH session's parts end before their time: deadlines, another try, failure.
#include <algorithm>
#include <random>
#include <utility>

#include <sys/socket.h>

#include "connection.hpp"
#include "transport/ssh/base/failure.hpp"
#include "worker.hpp"

namespace stillgate::transport::ssh {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

/// A server whose MaxStartups are used up closes at once; it is tried again so often, which takes
/// six to ten seconds.
constexpr unsigned max_tries = 9;
constexpr milliseconds first_pause{100};
constexpr milliseconds longest_pause{1600};

/// Half of it by chance, so that those who were refused together do not come again together.
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
    // An event that came meanwhile has set a later deadline.
    if (self->timer_.expiry() > steady_clock::now()) return;
    self->overdue(*std::exchange(self->pending_, std::nullopt));
  });
}

/// A session that does not open a channel may yet serve those that are open, but nobody else.
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
    // It stays among the operations, for libssh2's sake, and tells nobody.
    slow->fail(error);
  }
  move_unbegun(slow);
}

/// Those that only waited behind one that hangs are asked for by a session of their own: a target
/// that does not answer must not be the end of the others.
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
  const std::string_view said = banner();
  const bool refused_at_once = error.code == Errc::ssh_banner &&
                               route_->settings.proxy_command.empty() &&
                               (said.empty() || said.find("MaxStartups") != std::string_view::npos);
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

/// What had no channel yet has sent nothing, and begins again, once, if this session was good
/// before: it may have been cut long before it was asked.
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

void Connection::fail(const Error& error) {
  if (stage_ == Stage::closed) return;
  const auto self = shared_from_this();
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
    channel->fail(error);
  }
}

std::string Connection::disconnect_message() {
  return notes_.disconnect_message.empty() ? last_error_text(session_.get())
                                           : notes_.disconnect_message;
}

}  // namespace stillgate::transport::ssh
