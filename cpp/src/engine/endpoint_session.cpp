// Asking one endpoint without blocking.
#include "endpoint_session.hpp"

#include <utility>

#include <fmt/format.h>

namespace stillgate::engine {

using runtime_api::Answer;

EndpointSession::EndpointSession(const Endpoint& endpoint, Loop& loop, const FleetOptions& options,
                                 std::function<void()> on_settled)
    : endpoint_(endpoint), loop_(loop), options_(options), on_settled_(std::move(on_settled)) {}

EndpointSession::~EndpointSession() { close(); }

void EndpointSession::close() noexcept {
  asked_ = nullptr;
  settled_ = false;
  for (auto* link : {&fresh_, &kept_}) {
    if (*link) (*link)->close();
    link->reset();
  }
}

void EndpointSession::ask(std::vector<runtime_api::Command> commands, bool fresh) noexcept {
  settled_ = false;
  thrown_ = nullptr;
  try {
    commands_ = std::move(commands);
    batch_.fresh = fresh;
    if (fresh || !kept_) {
      fresh_ = std::make_unique<Link>(endpoint_, loop_.shared(), options_, Clock::now(), *this);
    }
    asked_ = fresh_ ? fresh_.get() : kept_.get();
    asked_->begin(commands_, batch_);
  } catch (...) {
    on_link_threw();
  }
}

void EndpointSession::drop() noexcept {
  auto& link = asked_ == kept_.get() ? kept_ : fresh_;
  if (link) link->close();
  link.reset();
  asked_ = nullptr;
  settled_ = false;
  thrown_ = nullptr;
}

void EndpointSession::cancel() {
  if (!asked_ || settled_ || !asked_->active()) return;
  asked_->fail({Errc::cancelled, "stopped by the caller"});
}

void EndpointSession::expire(Clock::time_point now) {
  if (asked_ && !settled_) asked_->expire(now);
}

std::optional<Clock::time_point> EndpointSession::deadline() const {
  return asked_ && !settled_ ? asked_->deadline() : std::nullopt;
}

std::optional<Answer> EndpointSession::take_answer() {
  if (!settled_) return std::nullopt;
  if (thrown_) {
    auto answer = answer_of_exception();
    drop();
    return answer;
  }
  Answer answer = std::move(asked_->answer());
  settled_ = false;
  asked_ = nullptr;
  if (!fresh_) return answer;
  if (!answer.error || !kept_) {
    if (kept_) kept_->close();
    kept_ = std::move(fresh_);
  } else {
    fresh_->close();
    fresh_.reset();
  }
  return answer;
}

void EndpointSession::on_link_finished(Link& /*link*/) {
  settled_ = true;
  on_settled_();
}

/// The link may be in the middle of anything: take_answer() ends it, outside of its own calls.
bool EndpointSession::on_link_threw() noexcept {
  thrown_ = std::current_exception();
  settled_ = true;
  on_settled_();
  return true;
}

/// Whether the commands left is not known any more.
Answer EndpointSession::answer_of_exception() const {
  Answer answer;
  answer.sent = true;
  try {
    std::rethrow_exception(thrown_);
  } catch (const std::exception& error) {
    answer.error = Error{Errc::system_error,
                         fmt::format("this process lacks what it needs: {}", error.what())};
  } catch (...) {
    answer.error = Error{Errc::system_error, "this process lacks what it needs"};
  }
  return answer;
}

}  // namespace stillgate::engine
