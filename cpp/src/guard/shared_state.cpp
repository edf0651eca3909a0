// The shared state of a guard.
#include "shared_state.hpp"

#include <algorithm>

#include <unistd.h>

#include "fleet/boot_clock.hpp"

namespace stillgate::guard {

using std::chrono::milliseconds;

Warden::Warden(fleet::GuardOrder order, std::size_t posts, int wake)
    : order_(std::move(order)), posts_(posts), wake_(wake) {}

hold::KeepOutlook Warden::outlook() const {
  const std::scoped_lock lock(mutex_);
  return {order_.mode, fleet::boot_time(), order_.deadline, std::chrono::system_clock::now(),
          over_};
}

void Warden::wait_until(milliseconds until) {
  std::unique_lock lock(mutex_);
  const auto before = changes_;
  // In slices: the clock of waiting stands still while the machine sleeps, and ours does not.
  constexpr milliseconds slice{100};
  for (;;) {
    const auto left = until - fleet::boot_time();
    if (left <= milliseconds(0) || changes_ != before || dismissed_) return;
    changed_.wait_for(lock, std::min(left, slice));
  }
}

bool Warden::dismissed() const {
  const std::scoped_lock lock(mutex_);
  return dismissed_;
}

void Warden::told(std::size_t post, hold::KeepPlan& plan) {
  const std::scoped_lock lock(mutex_);
  posts_[post].looked = plan.looked();
  posts_[post].error = plan.error();
  for (hold::KeepNotice& what : plan.take_notices()) {
    notices_.push_back({post, std::move(what)});
  }
  for (const hold::HeldSwitch& one : plan.record().switches) {
    for (hold::HeldSwitch& ours : order_.record.switches) {
      if (ours.endpoint != one.endpoint || ours.frontend != one.frontend || ours == one) continue;
      ours = one;
      ++revision_;
    }
  }
  if (plan.resumed() && !over_) {
    over_ = true;
    change();
  }
  wake_main();
}

void Warden::backed(std::size_t post, bool armed) {
  const std::scoped_lock lock(mutex_);
  posts_[post].backed = armed;
  wake_main();
}

void Warden::left(std::size_t post) {
  const std::scoped_lock lock(mutex_);
  posts_[post].left = true;
  wake_main();
}

std::vector<Warden::Notice> Warden::take_notices() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(notices_, {});
}

void Warden::set_mode(hold::GuardMode mode) {
  const std::scoped_lock lock(mutex_);
  if (order_.mode == mode) return;
  order_.mode = mode;
  change();
}

void Warden::dismiss() {
  const std::scoped_lock lock(mutex_);
  dismissed_ = true;
  change();
}

void Warden::set_over() {
  const std::scoped_lock lock(mutex_);
  if (over_) return;
  over_ = true;
  change();
}

void Warden::extend(WallTime deadline) {
  const std::scoped_lock lock(mutex_);
  if (!order_.record.deadline || deadline <= *order_.record.deadline) return;
  order_.deadline += std::chrono::ceil<milliseconds>(deadline - *order_.record.deadline);
  order_.record.deadline = deadline;
  change();
}

bool Warden::all_looked() const {
  const std::scoped_lock lock(mutex_);
  return std::all_of(posts_.begin(), posts_.end(), [](const Post& one) { return one.looked; });
}

std::optional<std::pair<std::size_t, Error>> Warden::first_error() const {
  const std::scoped_lock lock(mutex_);
  for (std::size_t i = 0; i < posts_.size(); ++i) {
    if (posts_[i].error) return std::pair(i, *posts_[i].error);
  }
  return std::nullopt;
}

bool Warden::all_settled_backing() const {
  const std::scoped_lock lock(mutex_);
  return std::all_of(posts_.begin(), posts_.end(),
                     [](const Post& one) { return one.backed || one.left; });
}

std::vector<std::size_t> Warden::backed_posts() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < posts_.size(); ++i) {
    if (posts_[i].backed.value_or(false)) found.push_back(i);
  }
  return found;
}

bool Warden::all_left() const {
  const std::scoped_lock lock(mutex_);
  return std::all_of(posts_.begin(), posts_.end(), [](const Post& one) { return one.left; });
}

fleet::GuardOrder Warden::order() const {
  const std::scoped_lock lock(mutex_);
  return order_;
}

std::uint64_t Warden::revision() const {
  const std::scoped_lock lock(mutex_);
  return revision_;
}

void Warden::change() {
  ++changes_;
  ++revision_;
  changed_.notify_all();
  wake_main();
}

void Warden::wake_main() const {
  const std::uint64_t one = 1;
  // A counter that is full wakes as well.
  (void)!::write(wake_, &one, sizeof one);
}

}  // namespace stillgate::guard
