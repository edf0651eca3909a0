// HAProxy's own `wait` behind the guard: when a line is sent, and when it is ended.
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

/// It would open a frontend that somebody else may hold by then.
bool GuardPlan::must_end_line(const GuardInput& input) const {
  if (armed_) return !wants_line(input) || *armed_ != terms(input);
  return left_over_ && input.mode != GuardMode::arming;
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
