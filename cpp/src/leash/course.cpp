// A first signal before the deadline, SIGKILL at its edge, and nothing left behind.
#include "course.hpp"

#include <algorithm>
#include <utility>

namespace stillgate::leash {
namespace {

/// Between two looks at what is left of the killed.
constexpr Nanoseconds look = std::chrono::milliseconds(2);

}  // namespace

Course::Course(Instant deadline, Nanoseconds grace, Order first)
    : grace_(std::max(grace, Nanoseconds(0))), first_(first) {
  move(deadline);
}

void Course::move(Instant deadline) {
  if (phase_ != Phase::running) return;
  kill_at_ = deadline - margin;
  first_at_ = std::min(deadline - grace_, kill_at_);
}

void Course::begin_end(Order order, Instant now) {
  phase_ = Phase::ending;
  due_ = order;
  term_at_.reset();
  kill_at_ = std::min(now + grace_, kill_at_);
}

void Course::begin_first(Instant now) {
  begin_end(first_, now);
  if (first_ != Order::terminate) term_at_ = now + (kill_at_ - now) / 2;
}

void Course::end(Instant now) {
  if (phase_ != Phase::running) return;
  by_deadline_ = true;
  begin_first(now);
}

void Course::lose(Instant now) {
  if (phase_ == Phase::running) begin_first(now);
}

void Course::interrupt(Instant now) {
  if (phase_ != Phase::killing) begin_end(Order::interrupt, now);
}

void Course::kill(Instant now) {
  if (phase_ == Phase::killing) return;
  phase_ = Phase::killing;
  give_up_at_ = now + reaping;
}

void Course::ended(Instant now) { kill(now); }

Step Course::next(Instant now, bool alone) {
  if (phase_ == Phase::running && now >= first_at_) end(now);
  if (phase_ == Phase::ending && now >= kill_at_) kill(now);
  if (phase_ == Phase::running) return {std::nullopt, first_at_, false};
  if (phase_ == Phase::ending) {
    if (!due_ && term_at_ && now >= *term_at_) {
      term_at_.reset();
      due_ = Order::terminate;
    }
    return {std::exchange(due_, std::nullopt), term_at_.value_or(kill_at_), false};
  }
  if (alone || now >= give_up_at_) return {std::nullopt, now, true};
  return {Order::kill, std::min(now + look, give_up_at_), false};
}

}  // namespace stillgate::leash
