// HAProxy's own `wait` behind the guard: when a line is sent, and when it is ended.
#include <algorithm>
#include <utility>

#include "guard_plan.hpp"
#include "runtime_api/release.hpp"
#include "wait_line.hpp"

namespace stillgate::hold {

using std::chrono::milliseconds;

namespace {

/// This long after the guard itself, which is more exact and reports what it did.
constexpr milliseconds after_guard{30};

}  // namespace

GuardPlan::Terms GuardPlan::terms(const GuardInput& input) const {
  Terms terms{input.deadline, process_ ? process_->pid : 0, {}};
  for (const GuardedSwitch& guarded : switches_) {
    // The others may be held by somebody else by then.
    if (guarded.state != GuardedSwitch::State::held) continue;
    HeldSwitch held = guarded.held;
    held.lease = Lease::none;
    held.counters.reset();
    terms.switches.push_back(std::move(held));
  }
  return terms;
}

/// It is set up before anything is held: this machine can freeze in the middle of a commit, and the
/// limit that it would restore is in force until then.
bool GuardPlan::wants_line(const GuardInput& input) const {
  return may_back_ && holds() && input.mode != GuardMode::ending && input.now < input.deadline;
}

/// Whoever resumes ends the line before he empties the record. HAProxy gives the address of what
/// has ended to the next request: two who end the same line at the same moment would end that one,
/// too.
bool GuardPlan::is_ended_by_others(const GuardInput& input) const {
  if (!resumed_at_ || input.now - *resumed_at_ >= 10 * pause) return false;
  return std::any_of(switches_.begin(), switches_.end(), [](const GuardedSwitch& guarded) {
    return guarded.state == GuardedSwitch::State::resumed && guarded.seen.recorded;
  });
}

/// Behind its deadline it ends by itself, and changes nothing there any more: it is not ended at
/// that very moment.
bool GuardPlan::is_firing(const GuardInput& input) const {
  return armed_ && !wants_line(input) && input.now + WaitSweep::before_it_fires >= armed_->deadline;
}

/// It would open a frontend that somebody else may hold by then. The line of a guard that died ends
/// with its connection, and is left alone until it must have ended (WaitSweep says why).
bool GuardPlan::must_end_line(const GuardInput& input) const {
  if (is_ended_by_others(input) || is_firing(input)) return false;
  if (armed_ && (!wants_line(input) || *armed_ != terms(input))) return true;
  return left_over_ && input.mode != GuardMode::arming &&
         input.now - began_ >= WaitSweep::owner_patience;
}

bool GuardPlan::must_arm(const GuardInput& input) const {
  return wants_line(input) && !armed_ && failed_ != terms(input);
}

std::optional<std::string> GuardPlan::line(const GuardInput& input) const {
  if (!runtime_api::has_wait(version_)) return std::nullopt;
  Record record = hold_;
  record.switches = terms(input).switches;
  return wait_line(record, input.deadline + after_guard - input.now);
}

void GuardPlan::note_armed(const GuardInput& input, bool sent) {
  // Who arms is the first guard of its hold.
  if (input.mode == GuardMode::arming) left_over_ = false;
  auto made = terms(input);
  set_backed(sent);
  (sent ? armed_ : failed_) = std::move(made);
}

void GuardPlan::set_backed(bool backed) {
  backed_ = backed;
  for (GuardedSwitch& guarded : switches_) {
    guarded.held.lease = backed ? Lease::backed : Lease::guard;
  }
}

}  // namespace stillgate::hold
