// What a guard decides from each survey of its endpoint: what to release, apply again, or leave.
#include "guard_plan.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime_api/hazards.hpp"

namespace stillgate::hold {

using std::chrono::milliseconds;
using State = GuardedSwitch::State;
using Todo = GuardedSwitch::Todo;

bool GuardPlan::is_ending(const GuardInput& input) {
  return input.mode == GuardMode::ending || input.now >= input.deadline;
}

milliseconds GuardPlan::lead() const { return 2 * rtt_ + milliseconds(5); }

bool GuardPlan::holds() const {
  return std::any_of(switches_.begin(), switches_.end(),
                     [](const GuardedSwitch& guarded) { return guarded.state == State::held; });
}

bool GuardPlan::any(Todo todo) const {
  return std::any_of(switches_.begin(), switches_.end(),
                     [todo](const GuardedSwitch& guarded) { return guarded.todo == todo; });
}

bool GuardPlan::is_ours(const SwitchReading& seen) const {
  if (seen.remembered.supported) return seen.recorded;
  const Process& found = answering_.process;
  return process_ && found.pid == process_->pid && found.uptime_s >= process_->uptime_s;
}

/// A process that never heard of the hold.
bool GuardPlan::is_new(const SwitchReading& seen) const {
  const Remembered& memory = seen.remembered;
  if (!memory.supported) return !is_ours(seen);
  return !memory.record && !memory.emptied && !memory.error;
}

/// The old worker of a reload still tells that its hold was resumed; the new one does not know.
void GuardPlan::judge_old_worker(const GuardInput& input) {
  if (input.mode != GuardMode::holding) return;
  const bool held_there = process_ && answering_.process.pid == process_->pid;
  for (GuardedSwitch& guarded : switches_) {
    const SwitchReading& seen = guarded.seen;
    if (guarded.state != State::held || !seen.limit || *seen.limit == 0) continue;
    const auto& record = seen.remembered.record;
    const bool known = held_there || seen.remembered.emptied || seen.recorded;
    if (!known || (record && record->ramping)) continue;
    resumed_ = true;
    resumed_at_ = input.now;
    give_up(guarded, GuardNotice::Kind::resumed, "resumed by somebody");
  }
}

void GuardPlan::judge(const GuardInput& input) {
  version_ = answering_.version;
  if (!process_ || input.mode == GuardMode::arming) process_ = answering_.process;
  for (GuardedSwitch& guarded : switches_) {
    guarded.todo = Todo::nothing;
    has_variables_ = guarded.seen.remembered.supported;
    judge_switch(input, guarded);
  }
  // Without variables only its pid distinguishes it from the next process.
  if (any(Todo::put_back)) process_ = answering_.process;
}

void GuardPlan::judge_switch(const GuardInput& input, GuardedSwitch& guarded) {
  if (!guarded.seen.limit) {
    if (guarded.state != State::held) return;
    give_up(guarded, GuardNotice::Kind::gone,
            fmt::format("frontend '{}' no longer exists", guarded.held.frontend));
    return;
  }
  switch (guarded.state) {
    case State::held:
      judge_held(input, guarded);
      break;
    case State::released:
      judge_released(guarded);
      break;
    case State::resumed:
      break;
  }
}

/// A late commit, or a late write of ours; somebody else's hold has its record there.
void GuardPlan::judge_released(GuardedSwitch& guarded) const {
  const SwitchReading& seen = guarded.seen;
  if (*seen.limit == 0 && (is_ours(seen) || is_nobodys(seen))) guarded.todo = Todo::release;
}

void GuardPlan::judge_held(const GuardInput& input, GuardedSwitch& guarded) {
  const SwitchReading& seen = guarded.seen;
  const auto& record = seen.remembered.record;
  const bool ours = is_ours(seen);
  const bool closed = *seen.limit == 0;
  // The next survey may come too late.
  const bool due = is_ending(input) || input.deadline - input.now <= lead();
  if (ours && record && record->deadline > hold_.deadline) {
    extended_ = std::max(extended_, record->deadline);
  }
  if (input.mode == GuardMode::arming && !is_ending(input)) {
    // The suspend may be held up at another endpoint, and this one be held already.
    if (ours && closed && due) guarded.todo = Todo::release;
    return;
  }
  if (ours && closed) {
    const bool revoked = guarded.reapplied && input.over;
    if (due || revoked) guarded.todo = Todo::release;
    return;
  }
  if (ours && record && record->ramping && *seen.limit != guarded.held.limit_before) {
    // A resume that ramps may die: the deadline ends that, too.
    if (due) guarded.todo = Todo::release;
    return;
  }
  judge_open(input, guarded);
}

/// A record that was emptied, or that never was, and no other hold that has the lock: nobody else
/// will set a limit of 0 back.
bool GuardPlan::is_nobodys(const SwitchReading& seen) {
  const Remembered& memory = seen.remembered;
  return memory.supported && !memory.record && !memory.error && !seen.taken;
}

/// Whoever ends this hold marks that before the record is emptied. So it was emptied for the hold
/// before: by a release that came late.
bool GuardPlan::is_robbed(const SwitchReading& seen) {
  return seen.remembered.emptied && seen.locked && !seen.ended;
}

/// Our record does not stand there with our limit of 0.
void GuardPlan::judge_open(const GuardInput& input, GuardedSwitch& guarded) {
  const SwitchReading& seen = guarded.seen;
  if (input.mode == GuardMode::ending) {
    // What was not armed yet may still come.
    guarded.state = State::released;
    if (!opened_at_) opened_at_ = input.now;
    if (!released_at_) released_at_ = input.wall;
    return;
  }
  if (is_ours(seen) && seen.remembered.supported && is_ending(input)) {
    guarded.state = State::released;
    if (!opened_at_) opened_at_ = input.now;
    notice(GuardNotice::Kind::released, guarded, "HAProxy's own 'wait' released it");
    return;
  }
  const bool closed = *seen.limit == 0;
  const bool ending = is_ending(input) || input.over;
  // A new process without our record: also one that took our limit of 0 and not the record. Without
  // variables a limit of 0 there is somebody else's.
  if (is_new(seen) && !ending && (!closed || seen.remembered.supported)) {
    guarded.todo = Todo::put_back;
    return;
  }
  if (closed && is_robbed(seen) && !ending) {
    guarded.todo = Todo::record;
    return;
  }
  if (closed && is_nobodys(seen)) {
    // Somebody resumed it between our survey and our write, or a commit came after the resume.
    if (!is_ending(input)) {
      resumed_ = true;
      resumed_at_ = input.now;
      notice(GuardNotice::Kind::resumed, guarded, "resumed by somebody");
      guarded.state = State::released;
    }
    guarded.todo = Todo::release;
    return;
  }
  if (is_new(seen) && !closed) {
    give_up(guarded, GuardNotice::Kind::gone, "open: a reload or restart has ended the hold");
    return;
  }
  resumed_ = true;
  resumed_at_ = input.now;
  give_up(guarded, GuardNotice::Kind::resumed, "resumed by somebody");
}

bool GuardPlan::needs_journal(const GuardInput& input) const {
  return std::any_of(switches_.begin(), switches_.end(),
                     [&](const GuardedSwitch& guarded) { return is_doubtful(input, guarded); });
}

void GuardPlan::leave_what_is_taken(const GuardInput& input) {
  for (GuardedSwitch& guarded : switches_) {
    if (!is_doubtful(input, guarded)) continue;
    if (!is_taken(input, guarded)) continue;
    if (guarded.state == State::held) resumed_ = true;
    give_up(guarded, GuardNotice::Kind::resumed, "now held by somebody else");
  }
}

/// Without variables the next hold looks like this one: also where somebody resumed and held again
/// between two surveys. A hold that reaches its deadline is not doubted: its release must not
/// depend on a disk.
bool GuardPlan::is_doubtful(const GuardInput& input, const GuardedSwitch& guarded) const {
  if (has_variables_) return false;
  const bool idle = guarded.todo == Todo::nothing && guarded.state == State::held;
  if (guarded.todo != Todo::release && !(idle && guarded.seen.limit == 0)) return false;
  return guarded.state == State::released || input.over || input.mode == GuardMode::ending;
}

/// A suspend is in the journal before it holds. A later one found the frontend open after our hold
/// had ended. While ours is in the journal, too, only one that began after its release counts: of
/// two suspends at the same moment the loser may have died, and nothing would end the hold.
bool GuardPlan::is_taken(const GuardInput& input, const GuardedSwitch& guarded) const {
  bool recorded = false;
  std::optional<WallTime> other;
  for (const Record& record : *input.journal) {
    if (record.find(endpoint_, guarded.held.frontend) == nullptr) continue;
    if (record.id == hold_.id) {
      recorded = true;
    } else {
      other = std::max(other, std::optional(record.started_at));
    }
  }
  if (!recorded) return other >= hold_.started_at;
  const WallTime end = input.wall + (input.deadline - input.now);
  return other >= released_at_.value_or(end);
}

/// Ending a hold may crash that release, unless the operator has accepted the hazard.
bool GuardPlan::may_not_put_back() const {
  return !hold_.accept_hazard && runtime_api::resume_crash(version_);
}

void GuardPlan::give_up_put_back() {
  const auto crash = runtime_api::resume_crash(version_);
  for (GuardedSwitch& guarded : switches_) {
    if (guarded.todo != Todo::put_back) continue;
    give_up(guarded, GuardNotice::Kind::gone,
            fmt::format("not held again after the restart: {}", crash->why));
  }
}

/// A record that outlives its hold would look like a hold. If somebody else resumed, they empty
/// it, unless they died before.
bool GuardPlan::is_left_over(const GuardInput& input, const GuardedSwitch& guarded) const {
  if (guarded.cleared || guarded.state == State::held) return false;
  const SwitchReading& seen = guarded.seen;
  if (guarded.state == State::released) return seen.recorded || seen.locked;
  return seen.recorded && input.now - resumed_at_.value_or(input.now) >= 10 * pause;
}

bool GuardPlan::any_left_over(const GuardInput& input) const {
  return std::any_of(switches_.begin(), switches_.end(),
                     [&](const GuardedSwitch& guarded) { return is_left_over(input, guarded); });
}

bool GuardPlan::is_done(const GuardInput& input) {
  if (holds()) return false;
  const bool pending =
      std::any_of(switches_.begin(), switches_.end(), [](const GuardedSwitch& guarded) {
        return guarded.state == State::resumed && guarded.seen.recorded && !guarded.cleared;
      });
  const bool released =
      std::any_of(switches_.begin(), switches_.end(),
                  [](const GuardedSwitch& guarded) { return guarded.state == State::released; });
  if (released && !opened_at_) opened_at_ = input.now;
  return !pending && !is_watching(input);
}

/// For a late commit. Without variables only this machine's journal shows whose it is: it may be
/// a hold from another machine, so the watch is short.
bool GuardPlan::is_watching(const GuardInput& input) const {
  if (!opened_at_) return false;
  if (input.now - *opened_at_ < (write_lost_ ? quiet_after_loss : quiet)) return true;
  return input.mode == GuardMode::ending && has_variables_ && input.now < input.deadline;
}

void GuardPlan::give_up(GuardedSwitch& guarded, GuardNotice::Kind kind, std::string message) {
  guarded.state = State::resumed;
  guarded.todo = Todo::nothing;
  notice(kind, guarded, std::move(message));
}

}  // namespace stillgate::hold
