// What a guard makes of each look at its HAProxy.
#include "guard_plan.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace stillgate::hold {

bool KeepPlan::is_ours(const Sight& sight, std::size_t index) const {
  const Remembered& memory = sight.remembered[index];
  if (!memory.supported) {
    return known_ && sight.info.pid == known_->pid && sight.info.uptime_s >= known_->uptime_s;
  }
  return memory.record && memory.record->id == record_.id;
}

/// A process that never heard of the hold.
bool KeepPlan::is_new(const Sight& sight, std::size_t index) const {
  const Remembered& memory = sight.remembered[index];
  if (!memory.supported) return !is_ours(sight, index);
  return !memory.record && !memory.emptied && !memory.error;
}

KeepPlan::Step KeepPlan::weigh(const KeepOutlook& outlook, const Sight& sight) {
  version_ = sight.info.version;
  if (!known_ || outlook.mode == GuardMode::arming) {
    known_ = Process{sight.info.pid, sight.info.uptime_s};
  }
  bare_.clear();
  due_.clear();
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    kept_[i].limit = sight.limits[i];
    remembers_ = sight.remembered[i].supported;
    kept_[i].recorded = is_ours(sight, i) && sight.remembered[i].supported;
    kept_[i].locked = sight.locked[i];
    weigh_one(outlook, sight, i);
  }
  // Its pid is what tells it from the next one where there are no variables.
  if (!bare_.empty()) known_ = Process{sight.info.pid, sight.info.uptime_s};
  if (std::any_of(due_.begin(), due_.end(),
                  [&](std::size_t index) { return is_doubtful(outlook, index); })) {
    stage_ = Stage::consulting;
    return keep::Consult{};
  }
  return act(outlook);
}

KeepPlan::Step KeepPlan::act(const KeepOutlook& outlook) {
  if (!due_.empty()) {
    if (ending(outlook) || outlook.over) return release(outlook);
    stage_ = Stage::poised;
    return keep::Rest{outlook.deadline};
  }
  if (!bare_.empty()) return put_back();
  const bool any = std::any_of(kept_.begin(), kept_.end(),
                               [&](const Kept& one) { return to_clear(one, outlook); });
  return any ? clear(outlook) : rest_or_leave(outlook);
}

/// Where there are no variables the next hold looks like this one. A hold that simply comes to its
/// end is not doubted: its release must not depend on a disk.
bool KeepPlan::is_doubtful(const KeepOutlook& outlook, std::size_t index) const {
  if (remembers_) return false;
  return kept_[index].state == State::released || outlook.over || outlook.mode == GuardMode::ending;
}

/// A suspend is in the journal before it holds. One that came since ours had ended found it open.
/// While ours stands there too, only one from behind its release counts: of two suspends at the
/// same moment the loser may have died, and would have nobody end the hold.
bool KeepPlan::is_taken(const KeepOutlook& outlook, std::size_t index) const {
  const std::string& frontend = record_.switches[index].frontend;
  bool recorded = false;
  std::optional<WallTime> other;
  for (const Record& record : *outlook.journal) {
    if (record.find(endpoint_, frontend) == nullptr) continue;
    if (record.id == record_.id) {
      recorded = true;
    } else {
      other = std::max(other, std::optional(record.started_at));
    }
  }
  if (!recorded) return other >= record_.started_at;
  const WallTime end = outlook.wall + (outlook.deadline - outlook.now);
  return other >= released_at_.value_or(end);
}

KeepPlan::Step KeepPlan::consulted(const KeepOutlook& outlook) {
  for (const std::size_t index : std::exchange(due_, {})) {
    if (!is_doubtful(outlook, index) || !is_taken(outlook, index)) {
      due_.push_back(index);
      continue;
    }
    if (kept_[index].state == State::kept) resumed_ = true;
    give_up(index, KeepNotice::Kind::resumed, "held by somebody else since");
  }
  return act(outlook);
}

void KeepPlan::weigh_one(const KeepOutlook& outlook, const Sight& sight, std::size_t index) {
  Kept& kept = kept_[index];
  const Remembered& memory = sight.remembered[index];
  const std::string& frontend = record_.switches[index].frontend;
  if (!kept.limit) {
    if (kept.state == State::kept) {
      give_up(index, KeepNotice::Kind::gone,
              fmt::format("there is no frontend '{}' any more", frontend));
    }
    return;
  }
  const bool ours = is_ours(sight, index);
  const bool zero = *kept.limit == 0;
  if (kept.state == State::released) {
    // A commit or a write of ours that came late; a hold of somebody else's has its record there.
    const bool nobodys = memory.supported && !memory.record && !memory.error;
    if (zero && (ours || nobodys)) due_.push_back(index);
    return;
  }
  if (kept.state == State::resumed) return;
  if (ours && memory.record && memory.record->deadline > record_.deadline) {
    extended_ = std::max(extended_, memory.record->deadline);
  }
  const bool ramping = memory.record && memory.record->ramping;
  const bool poised = outlook.deadline - outlook.now <= lead();
  const bool revoked = kept.reapplied && outlook.over;
  if (outlook.mode == GuardMode::arming && !ending(outlook)) {
    // The suspend may be held up at another endpoint, and this one be held already.
    if (ours && zero && poised) due_.push_back(index);
    return;
  }
  if (ours && zero) {
    if (ending(outlook) || poised || revoked) due_.push_back(index);
    return;
  }
  if (ours && ramping && *kept.limit != record_.switches[index].limit_before) {
    // Whoever ramps may die: the deadline ends that too.
    if (ending(outlook) || poised) due_.push_back(index);
    return;
  }
  if (outlook.mode == GuardMode::ending) {
    // Nothing is held there; what was not armed yet may still come.
    kept.state = State::released;
    if (!opened_at_) opened_at_ = outlook.now;
    if (!released_at_) released_at_ = outlook.wall;
    return;
  }
  if (ours && memory.supported && ending(outlook)) {
    kept.state = State::released;
    if (!opened_at_) opened_at_ = outlook.now;
    notice(KeepNotice::Kind::released, index, "HAProxy's own 'wait' released it");
    return;
  }
  if (is_new(sight, index) && !zero) {
    if (!ending(outlook) && !outlook.over) {
      bare_.push_back(index);
    } else {
      give_up(index, KeepNotice::Kind::gone, "open: another process serves since a reload");
    }
    return;
  }
  resumed_ = true;
  resumed_at_ = outlook.now;
  give_up(index, KeepNotice::Kind::resumed, "resumed by somebody");
}

void KeepPlan::give_up(std::size_t index, KeepNotice::Kind kind, std::string message) {
  kept_[index].state = State::resumed;
  notice(kind, index, std::move(message));
}

}  // namespace stillgate::hold
