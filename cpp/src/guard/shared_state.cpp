// The state of the hold and the reports of the endpoints' threads, under one lock.
#include "shared_state.hpp"

#include <algorithm>

#include <unistd.h>

#include "fleet/boot_clock.hpp"

namespace stillgate::guard {

using std::chrono::milliseconds;

SharedState::SharedState(fleet::GuardOrder order, std::size_t endpoints, int wake)
    : order_(std::move(order)), endpoints_(endpoints), wake_(wake) {}

hold::GuardInput SharedState::input() const {
  const std::scoped_lock lock(mutex_);
  return {order_.mode, fleet::boot_time(), order_.deadline, std::chrono::system_clock::now(),
          over_};
}

void SharedState::wait_until(milliseconds until) {
  std::unique_lock lock(mutex_);
  const auto before = changes_;
  // In slices: the clock of waiting stops while the machine sleeps, ours does not.
  constexpr milliseconds slice{100};
  for (;;) {
    const auto left = until - fleet::boot_time();
    if (left <= milliseconds(0) || changes_ != before || dismissed_) return;
    changed_.wait_for(lock, std::min(left, slice));
  }
}

bool SharedState::dismissed() const {
  const std::scoped_lock lock(mutex_);
  return dismissed_;
}

void SharedState::update(std::size_t endpoint, hold::GuardPlan& plan) {
  const std::scoped_lock lock(mutex_);
  endpoints_[endpoint].surveyed = plan.surveyed();
  endpoints_[endpoint].error = plan.error();
  for (hold::GuardNotice& notice : plan.take_notices()) {
    notices_.push_back({endpoint, std::move(notice)});
  }
  const hold::Record record = plan.record();
  for (const hold::HeldSwitch& held : record.switches) {
    for (hold::HeldSwitch& known : order_.record.switches) {
      if (known.endpoint != held.endpoint || known.frontend != held.frontend || known == held) {
        continue;
      }
      known = held;
      ++revision_;
    }
  }
  if (plan.resumed() && !over_) {
    over_ = true;
    change();
  }
  wake_main();
}

void SharedState::set_backed(std::size_t endpoint, bool backed) {
  const std::scoped_lock lock(mutex_);
  endpoints_[endpoint].backed = backed;
  wake_main();
}

void SharedState::set_finished(std::size_t endpoint) {
  const std::scoped_lock lock(mutex_);
  endpoints_[endpoint].finished = true;
  wake_main();
}

std::vector<SharedState::Notice> SharedState::take_notices() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(notices_, {});
}

void SharedState::set_mode(hold::GuardMode mode) {
  const std::scoped_lock lock(mutex_);
  if (order_.mode == mode) return;
  order_.mode = mode;
  change();
}

void SharedState::dismiss() {
  const std::scoped_lock lock(mutex_);
  dismissed_ = true;
  change();
}

void SharedState::set_over() {
  const std::scoped_lock lock(mutex_);
  if (over_) return;
  over_ = true;
  change();
}

void SharedState::extend(WallTime deadline) {
  const std::scoped_lock lock(mutex_);
  if (!order_.record.deadline || deadline <= *order_.record.deadline) return;
  order_.deadline += std::chrono::ceil<milliseconds>(deadline - *order_.record.deadline);
  order_.record.deadline = deadline;
  change();
}

bool SharedState::all_surveyed() const {
  const std::scoped_lock lock(mutex_);
  return std::all_of(endpoints_.begin(), endpoints_.end(),
                     [](const EndpointState& state) { return state.surveyed; });
}

std::optional<std::pair<std::size_t, Error>> SharedState::first_error() const {
  const std::scoped_lock lock(mutex_);
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    if (endpoints_[i].error) return std::pair(i, *endpoints_[i].error);
  }
  return std::nullopt;
}

bool SharedState::all_backing_known() const {
  const std::scoped_lock lock(mutex_);
  return std::all_of(endpoints_.begin(), endpoints_.end(),
                     [](const EndpointState& state) { return state.backed || state.finished; });
}

std::vector<std::size_t> SharedState::backed_endpoints() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    if (endpoints_[i].backed.value_or(false)) found.push_back(i);
  }
  return found;
}

bool SharedState::all_finished() const {
  const std::scoped_lock lock(mutex_);
  return std::all_of(endpoints_.begin(), endpoints_.end(),
                     [](const EndpointState& state) { return state.finished; });
}

fleet::GuardOrder SharedState::order() const {
  const std::scoped_lock lock(mutex_);
  return order_;
}

std::uint64_t SharedState::revision() const {
  const std::scoped_lock lock(mutex_);
  return revision_;
}

void SharedState::change() {
  ++changes_;
  ++revision_;
  changed_.notify_all();
  wake_main();
}

void SharedState::wake_main() const {
  const std::uint64_t count = 1;
  // A counter that is full wakes as well.
  (void)!::write(wake_, &count, sizeof count);
}

}  // namespace stillgate::guard
