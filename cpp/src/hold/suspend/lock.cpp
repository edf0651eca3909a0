// Taking the lock, and what stands in its way.
#include "lock.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "hold/check/already_held.hpp"
#include "hold/record/lookup.hpp"
#include "hold/record/owner.hpp"
#include "hold/record/record_variable.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using runtime_api::Reply;

namespace {

Error error_of(Errc code, std::string message) { return {code, std::move(message)}; }

/// What an HAProxy says of itself, and says to everybody; the URL differs with who asks.
auto rank(const Seen& seen, const std::string& url) {
  return std::tuple(seen.info->node, seen.info->pid,
                    std::string(seen.info->find("Start_time_sec").value_or("")), url);
}

Error taken_by(const LockHolder& other, std::string_view frontend, WallTime now) {
  if (!other.record) {
    return error_of(
        Errc::already_held,
        fmt::format("the hold {}, of somebody unknown, has the lock on '{}'", other.id, frontend));
  }
  const Record& record = *other.record;
  return error_of(
      Errc::already_held,
      fmt::format("{} has just begun to hold it, or holds it, since {}{}{}, {}", record.owner,
                  clock(record.started_at), record.reason.empty() ? "" : ": ", record.reason,
                  time_left(record, now)));
}

}  // namespace

Lock::Lock(const HoldRequest& request, const Record& record, const std::vector<Seen>& seen,
           const std::vector<Record>& known)
    : request_(request), record_(record), seen_(seen), known_(known) {}

std::optional<Error> Lock::begin(WallTime now) {
  const std::size_t frontends = request_.frontends.size();
  slots_.assign(record_.switches.size(), {});
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    Slot& slot = slots_[index];
    const Seen& seen = seen_[index / frontends];
    slot.state = State::asking;
    slot.locks = seen.can_lock();
    if (!slot.locks) continue;
    const LockSeen& lock = seen.locks[index % frontends];
    slot.last = lock.last.value_or(LockHolder{std::string(lock_root)});
    if (!lock.taken(now)) slot.state = State::following;
    const HeldSwitch& one = record_.switches[index];
    slot.value = lock_value(record_.only(one.endpoint, one.frontend));
    const auto fits = follow(one.frontend, slot.last.id, slot.value);
    if (!fits) return fits.error();
  }
  order();
  return std::nullopt;
}

void Lock::order() {
  const std::size_t frontends = request_.frontends.size();
  std::optional<std::size_t> first;
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (!seen_[i].can_lock()) continue;
    if (!first ||
        rank(seen_[i], request_.endpoints[i]) < rank(seen_[*first], request_.endpoints[*first])) {
      first = i;
    }
  }
  groups_.clear();
  for (std::size_t j = 0; first && j < frontends; ++j) groups_.push_back({*first * frontends + j});
  std::sort(groups_.begin(), groups_.end(), [this](const auto& a, const auto& b) {
    return record_.switches[a[0]].frontend < record_.switches[b[0]].frontend;
  });
  std::vector<std::size_t> others;
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    if (index / frontends != first) others.push_back(index);
  }
  groups_.push_back(std::move(others));
}

std::optional<Batch> Lock::next() {
  const auto is_done = [this](std::size_t index) { return slots_[index].state == State::done; };
  while (group_ < groups_.size() &&
         std::all_of(groups_[group_].begin(), groups_[group_].end(), is_done)) {
    ++group_;
  }
  if (group_ == groups_.size()) return std::nullopt;
  Batch batch;
  batch.phase = "locking";
  batch.work.resize(seen_.size());
  for (const std::size_t index : groups_[group_]) {
    if (is_done(index)) continue;
    const auto commands = commands_for(index);
    auto& work = batch.work[index / request_.frontends.size()];
    work.insert(work.end(), commands.begin(), commands.end());
  }
  for (const std::size_t i : asked()) {
    const auto look = survey_commands(request_.frontends, Scope::holds);
    batch.work[i].insert(batch.work[i].end(), look.begin(), look.end());
  }
  return batch;
}

/// The endpoints of this group where something is not done yet.
std::vector<std::size_t> Lock::asked() const {
  std::vector<std::size_t> endpoints;
  for (const std::size_t index : groups_[group_]) {
    const std::size_t i = index / request_.frontends.size();
    if (slots_[index].state == State::done) continue;
    if (endpoints.empty() || endpoints.back() != i) endpoints.push_back(i);
  }
  return endpoints;
}

/// How it ended is read before who followed: whoever then has no successor was the last one when
/// that was read.
std::vector<Command> Lock::commands_for(std::size_t index) const {
  const Slot& slot = slots_[index];
  if (!slot.locks) return {};
  const std::string& frontend = record_.switches[index].frontend;
  std::vector<Command> commands;
  if (slot.state == State::following) commands = *follow(frontend, slot.last.id, slot.value);
  commands.push_back(read_end(frontend));
  commands.push_back(read_successor(frontend, slot.last.id));
  return commands;
}

void Lock::read(const std::vector<Answer>& answers, WallTime now) {
  for (const std::size_t i : asked()) {
    const Answer& answer = answers[i];
    std::size_t next = 0;
    for (const std::size_t index : groups_[group_]) {
      Slot& slot = slots_[index];
      if (index / request_.frontends.size() != i || slot.state == State::done) continue;
      if (answer.error) {
        slot.uncertain = slot.state == State::following && answer.sent;
        fail(slot, *answer.error);
        continue;
      }
      const std::size_t count = commands_for(index).size();
      read_slot(index, {answer.replies.begin() + static_cast<std::ptrdiff_t>(next), count}, now);
      next += count;
    }
    if (answer.error) continue;
    Answer rest = answer;
    rest.replies.erase(rest.replies.begin(),
                       rest.replies.begin() + static_cast<std::ptrdiff_t>(next));
    look_again(i, read_survey(rest, request_.endpoints[i], request_.frontends, Scope::holds));
  }
}

void Lock::read_slot(std::size_t index, std::span<const Reply> replies, WallTime now) {
  Slot& slot = slots_[index];
  if (!slot.locks) {
    slot.state = State::done;
    return;
  }
  const HeldSwitch& one = record_.switches[index];
  const Reply& after = replies.back();
  const bool wrote = slot.state == State::following;
  const auto refusal = wrote ? replies[1].refusal : std::nullopt;
  if (refusal && refusal->code == Errc::permission_denied) return fail(slot, *refusal);
  const auto successor = read_lock(after, one.endpoint, one.frontend);
  if (wrote && successor && successor->id == record_.id) {
    slot.state = State::done;
    slot.ours = true;
    return;
  }
  const auto ended = read_ended(replies[replies.size() - 2]);
  if (successor) {
    slot.last = *successor;
    slot.state = has_ended(slot.last, ended, now) ? State::following : State::asking;
    if (++slot.steps < most_steps) return;
    return fail(slot, error_of(Errc::journal_failed,
                               fmt::format("more than {} holds came after the one that this "
                                           "HAProxy remembers as the last; a reload forgets them",
                                           most_steps)));
  }
  if (value_in(after) || refusal) {
    // No lock that could be understood, or no compare and set: the look alone must do.
    slot.locks = false;
    slot.state = State::done;
  } else if (wrote) {
    fail(slot, error_of(Errc::journal_failed, "HAProxy took the lock, but it does not read back"));
  } else if (has_ended(slot.last, ended, now)) {
    slot.state = State::following;
  } else {
    slot.holder = slot.last.record;
    slot.hold_id = slot.last.id;
    fail(slot, taken_by(slot.last, one.frontend, now));
  }
}

/// What was seen by the check may be older than the end of another hold, or the beginning of one
/// that took no lock here.
void Lock::look_again(std::size_t endpoint, const Seen& now) {
  const Seen& before = seen_[endpoint];
  for (std::size_t j = 0; j < request_.frontends.size(); ++j) {
    Slot& slot = slots_[endpoint * request_.frontends.size() + j];
    if (slot.state == State::failed) continue;
    if (now.error) {
      fail(slot, *now.error);
      continue;
    }
    const std::string& frontend = request_.frontends[j];
    const Record* record = record_of(now, j, request_.endpoints[endpoint], frontend, known_);
    Switch target;
    target.frontend = frontend;
    const auto& told = now.remembered[j].record;
    const auto& known = before.remembered[j].record;
    if (auto held = held_already(target, now, j, record)) {
      if (record != nullptr) slot.holder = *record;
      slot.hold_id = target.hold_id;
      fail(slot, *std::move(held));
    } else if (told && !(known && known->id == told->id)) {
      slot.holder = told;
      slot.hold_id = told->id;
      fail(slot,
           error_of(Errc::already_held, fmt::format("{} has just begun to hold it", told->owner)));
    } else if (now.info->stopping || !now.same_process(before)) {
      fail(slot, error_of(Errc::haproxy_restarted,
                          "another process answers than at the check, or this one is stopping; "
                          "try again"));
    } else if (now.limit(j) != before.limit(j)) {
      fail(slot, error_of(Errc::limit_mismatch,
                          fmt::format("the limit was {} at the check and is {} now: somebody else "
                                      "is at work there; try again",
                                      before.limit(j).value_or(0), now.limit(j).value_or(0))));
    }
  }
}

void Lock::fail(Slot& slot, Error error) {
  slot.state = State::failed;
  slot.error = std::move(error);
}

bool Lock::failed() const {
  return std::any_of(slots_.begin(), slots_.end(),
                     [](const Slot& slot) { return slot.state == State::failed; });
}

void Lock::tell(Report& report) const {
  report.ending = Ending::refused;
  bool held = false;
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    const Slot& slot = slots_[index];
    if (!slot.error) continue;
    report.switches[index].error = slot.error;
    report.switches[index].hold_id = slot.hold_id;
    if (slot.holder) add_hold(report, *slot.holder);
    const Errc code = slot.error->code;
    held = held || code == Errc::already_held;
    if (code != Errc::limit_is_zero && code != Errc::limit_mismatch) {
      report.ending = Ending::endpoint_failed;
    }
  }
  if (held) report.ending = Ending::held_by_other;
}

std::vector<Command> Lock::hints(std::size_t endpoint) const {
  std::vector<Command> list;
  for (std::size_t j = 0; j < request_.frontends.size(); ++j) {
    const Slot& slot = slots_[endpoint * request_.frontends.size() + j];
    if (!slot.ours) continue;
    const auto commands = write_hint(request_.frontends[j], slot.value);
    list.insert(list.end(), commands->begin(), commands->end());
  }
  return list;
}

/// A lock that is past its deadline is free, and somebody else's end may be marked there since.
std::vector<Command> Lock::free(std::size_t index, WallTime now) const {
  if (index >= slots_.size() || (record_.deadline && *record_.deadline <= now)) return {};
  const Slot& slot = slots_[index];
  if (!slot.ours && !slot.uncertain) return {};
  const std::string& frontend = record_.switches[index].frontend;
  auto commands = mark_ended(frontend, record_.id, How::rolled_back, now);
  // A hint at one that is not in the chain would begin a second one.
  if (!slot.ours) return commands;
  const auto hint = *write_hint(frontend, slot.value);
  commands.insert(commands.end(), hint.begin(), hint.end());
  return commands;
}

}  // namespace stillgate::hold
