// Taking the lock, and what stands in its way.
#include "lock.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "hold/check/already_held.hpp"
#include "hold/record/lookup.hpp"
#include "hold/record/owner.hpp"
#include "hold/record/record_variable.hpp"

namespace stillgate::hold::lock {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using runtime_api::Reply;
using State = LockSlot::State;

namespace {

Error error_of(Errc code, std::string message) { return {code, std::move(message)}; }

void fail(LockSlot& slot, Error error) {
  slot.state = State::failed;
  slot.error = std::move(error);
}

bool is_done(const SuspendedSwitch& row) { return row.lock.state == State::done; }

/// What an HAProxy says of itself, and says to everybody; the URL differs with who asks.
auto rank(const SuspendedEndpoint& endpoint) {
  const Info& info = *endpoint.before.info;
  return std::tuple(info.node, info.pid, std::string(info.find("Start_time_sec").value_or("")),
                    endpoint.url);
}

/// The one whose switches everybody locks first; nullptr where none can lock.
SuspendedEndpoint* first_of(SuspendRows& rows) {
  SuspendedEndpoint* first = nullptr;
  for (SuspendedEndpoint& endpoint : rows) {
    if (!std::ranges::any_of(endpoint.switches, [](const auto& row) { return row.lock.locks; })) {
      continue;
    }
    if (first == nullptr || rank(endpoint) < rank(*first)) first = &endpoint;
  }
  return first;
}

/// The places of an endpoint's switches by the names of their frontends.
std::vector<std::size_t> by_name(const SuspendedEndpoint& endpoint) {
  std::vector<std::size_t> places(endpoint.switches.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::ranges::sort(places, {}, [&endpoint](std::size_t place) -> const std::string& {
    return endpoint.switches[place].held.frontend;
  });
  return places;
}

/// On the first HAProxy one frontend after the other, by name; then all that is left. Those of the
/// first are one batch: each lock is taken only behind the one before it.
void take_turns(SuspendRows& rows) {
  for (SuspendedEndpoint& endpoint : rows) {
    for (SuspendedSwitch& row : endpoint.switches) row.lock.turn = 1;
  }
  SuspendedEndpoint* first = first_of(rows);
  if (first == nullptr) return;
  std::optional<std::size_t> before;
  for (const std::size_t place : by_name(*first)) {
    LockSlot& slot = first->switches[place].lock;
    slot.turn = 0;
    if (slot.locks) slot.behind = std::exchange(before, place);
  }
}

/// The first one that is not done.
std::size_t turn_of(const SuspendRows& rows) {
  std::optional<std::size_t> turn;
  for (const SuspendedEndpoint& endpoint : rows) {
    for (const SuspendedSwitch& row : endpoint.switches) {
      if (!is_done(row)) turn = std::min(turn.value_or(row.lock.turn), row.lock.turn);
    }
  }
  return *turn;
}

bool has_turn(const SuspendedSwitch& row, std::size_t turn) {
  return row.lock.turn == turn && !is_done(row);
}

bool has_turn(const SuspendedEndpoint& endpoint, std::size_t turn) {
  return std::ranges::any_of(endpoint.switches,
                             [turn](const SuspendedSwitch& row) { return has_turn(row, turn); });
}

/// The switch whose lock has to be ours before that one's. One that turned out to have no lock is
/// passed by.
const SuspendedSwitch* before(const SuspendedEndpoint& endpoint, const SuspendedSwitch& row) {
  auto place = row.lock.behind;
  while (place && !endpoint.switches[*place].lock.locks) {
    place = endpoint.switches[*place].lock.behind;
  }
  return place ? &endpoint.switches[*place] : nullptr;
}

/// In the order in which they are locked.
std::vector<std::size_t> in_turn(const SuspendedEndpoint& endpoint, std::size_t turn) {
  auto places = by_name(endpoint);
  std::erase_if(places,
                [&](std::size_t place) { return !has_turn(endpoint.switches[place], turn); });
  return places;
}

/// That of our hold is compared with.
bool wants_name(const SuspendedEndpoint& endpoint, std::size_t turn) {
  return std::ranges::any_of(endpoint.switches, [&](const SuspendedSwitch& row) {
    return has_turn(row, turn) && row.lock.behind && !row.lock.by_gate;
  });
}

Result<std::vector<Command>> take_slot(const SuspendedEndpoint& endpoint,
                                       const SuspendedSwitch& row, const std::string& id) {
  const LockSlot& slot = row.lock;
  const std::string& frontend = row.held.frontend;
  const SuspendedSwitch* first = before(endpoint, row);
  if (first == nullptr) return follow(frontend, slot.last.id, slot.value);
  return follow_behind({first->held.frontend, first->lock.last.id}, {frontend, slot.last.id}, id,
                       slot.value);
}

/// With the frontend whose lock that hold must have.
Result<Command> gate_lock(const SuspendedEndpoint& endpoint, const SuspendedSwitch& row) {
  const LockSlot& slot = row.lock;
  auto command =
      Command::gate_lock(row.held.frontend, slot.last.id, slot.lasts.count(), slot.value);
  const SuspendedSwitch* first = before(endpoint, row);
  if (!command || first == nullptr) return command;
  return Command::parse(fmt::format("{} {}", command->text(), first->held.frontend));
}

/// How it ended is read before who followed: whoever then has no successor was the last one when
/// that was read.
std::vector<Command> commands_for(const SuspendedEndpoint& endpoint, const SuspendedSwitch& row,
                                  const std::string& id) {
  const LockSlot& slot = row.lock;
  if (!slot.locks) return {};
  const std::string& frontend = row.held.frontend;
  if (slot.by_gate) {
    return {*gate_lock(endpoint, row)};
  }
  std::vector<Command> commands;
  if (slot.state == State::following) commands = *take_slot(endpoint, row, id);
  commands.push_back(read_end(frontend));
  commands.push_back(read_successor(frontend, slot.last.id));
  return commands;
}

Error taken_by(const LockHolder& other, std::string_view frontend, WallTime now) {
  if (!other.record) {
    return error_of(
        Errc::already_held,
        fmt::format("hold {} of an unknown owner has the lock on '{}'", other.id, frontend));
  }
  const Record& record = *other.record;
  return error_of(
      Errc::already_held,
      fmt::format("already held, or about to be held, by {} since {}{}{}, {}", record.owner,
                  clock(record.started_at), record.reason.empty() ? "" : ": ", record.reason,
                  time_left(record, now)));
}

/// `stillgate lock` answers with whoever has it then. `blocked`: the lock before it is not ours, so
/// that this one was not taken.
void read_gate_slot(SuspendedSwitch& row, const Reply& reply, const std::string& hold_id,
                    WallTime now, bool blocked) {
  LockSlot& slot = row.lock;
  if (reply.refusal) return fail(slot, *reply.refusal);
  const std::string& frontend = row.held.frontend;
  const auto status = runtime_api::parse_gate_status(reply.text);
  if (!status) return fail(slot, status.error());
  const auto found = status->frontends.find(frontend);
  const std::string id = found == status->frontends.end() ? "" : found->second.lock_id;
  if (id == hold_id) {
    slot.state = State::done;
    slot.ours = true;
  } else if (id.empty() && blocked) {
    // Whoever lost the one before it has lost.
  } else if (id.empty()) {
    fail(slot,
         error_of(Errc::journal_failed, "the gate did not take the lock, and does not say why"));
  } else {
    LockHolder other{id};
    if (auto record = unpack(found->second.lock_record, row.held.endpoint, frontend)) {
      other.record = *std::move(record);
    }
    slot.holder = other.record;
    slot.hold_id = id;
    fail(slot, taken_by(other, frontend, now));
  }
}

/// `blocked`: as above.
void read_slot(SuspendedSwitch& row, std::span<const Reply> replies, const std::string& hold_id,
               WallTime now, bool blocked) {
  LockSlot& slot = row.lock;
  if (!slot.locks) {
    slot.state = State::done;
    return;
  }
  if (slot.by_gate) return read_gate_slot(row, replies.front(), hold_id, now, blocked);
  const std::string& frontend = row.held.frontend;
  const Reply& after = replies.back();
  const bool wrote = slot.state == State::following;
  const auto refusal = wrote ? replies[1].refusal : std::nullopt;
  if (refusal && refusal->code == Errc::permission_denied) return fail(slot, *refusal);
  const auto successor = read_lock(after, row.held.endpoint, frontend);
  if (wrote && successor && successor->id == hold_id) {
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
                               fmt::format("this HAProxy stores more than {} holds after the "
                                           "last one it names; a reload removes them",
                                           most_steps)));
  }
  if (value_in(after) || refusal) {
    // No lock that could be understood, or no compare and set: the look alone must do.
    slot.locks = false;
    slot.state = State::done;
  } else if (wrote && blocked) {
    // It has its turn in the next round, behind that one.
  } else if (wrote) {
    fail(slot, error_of(Errc::journal_failed, "HAProxy accepted the lock, but does not report it"));
  } else if (has_ended(slot.last, ended, now)) {
    slot.state = State::following;
  } else {
    slot.holder = slot.last.record;
    slot.hold_id = slot.last.id;
    fail(slot, taken_by(slot.last, frontend, now));
  }
}

/// What was seen by the check may be older than the end of another hold, or the beginning of one
/// that took no lock here.
void look_again(SuspendedSwitch& row, const SuspendedEndpoint& endpoint, const Seen& seen,
                const SuspendRequest& request, WallTime now) {
  const std::vector<Record>& records = request.known;
  LockSlot& slot = row.lock;
  if (slot.state == State::failed) return;
  if (seen.error) return fail(slot, *seen.error);
  const Seen& before = endpoint.before;
  const Record* record = record_of(seen, row.place, endpoint.url, row.held.frontend, records);
  Switch target;
  target.frontend = row.held.frontend;
  const auto& told = seen.remembered[row.place].record;
  const auto& known = before.remembered[row.place].record;
  if (auto held =
          held_already(target, seen, row.place, record, {request.record.owner, records, now})) {
    if (record != nullptr) slot.holder = *record;
    slot.hold_id = target.hold_id;
    fail(slot, *std::move(held));
  } else if (told && !(known && known->id == told->id)) {
    slot.holder = told;
    slot.hold_id = told->id;
    fail(slot, error_of(Errc::already_held,
                        fmt::format("already held, or about to be held, by {}", told->owner)));
  } else if (seen.info->stopping || !seen.same_process(before)) {
    fail(slot, error_of(Errc::haproxy_restarted,
                        "HAProxy was reloaded or is stopping since the check; try again"));
  } else if (seen.limit(row.place) != before.limit(row.place)) {
    fail(slot, error_of(Errc::limit_mismatch,
                        fmt::format("the limit was {} at the check and is {} now: somebody else "
                                    "has changed it; try again",
                                    before.limit(row.place).value_or(0),
                                    seen.limit(row.place).value_or(0))));
  }
}

void fail_turn(SuspendedEndpoint& endpoint, std::size_t turn, const Answer& answer) {
  for (SuspendedSwitch& row : endpoint.switches) {
    if (!has_turn(row, turn)) continue;
    row.lock.uncertain = row.lock.state == State::following && answer.sent;
    fail(row.lock, *answer.error);
  }
}

/// The gate counts its time from when it sees it, so the lock never ends before the hold that it is
/// for.
void prepare_gate_slot(SuspendedSwitch& row, const Record& hold) {
  LockSlot& slot = row.lock;
  slot.state = State::following;
  slot.last = LockHolder{hold.id};
  slot.lasts =
      std::chrono::duration_cast<std::chrono::milliseconds>(*hold.deadline - hold.started_at);
  slot.value = pack(record_for(hold, row));
}

/// What is too long for one line is refused before anything is written.
std::optional<Error> fits(const SuspendedEndpoint& endpoint, const SuspendedSwitch& row,
                          const std::string& id) {
  if (!row.lock.locks) return std::nullopt;
  if (row.lock.by_gate) {
    const auto command = gate_lock(endpoint, row);
    return command ? std::nullopt : std::optional(command.error());
  }
  const auto commands = take_slot(endpoint, row, id);
  return commands ? std::nullopt : std::optional(commands.error());
}

}  // namespace

std::optional<Error> prepare(SuspendRows& rows, const Record& hold, WallTime now) {
  for (SuspendedEndpoint& endpoint : rows) {
    for (SuspendedSwitch& row : endpoint.switches) {
      LockSlot& slot = row.lock;
      // On all others the variables: there a hold by maxconn and one of an older release must meet
      // it.
      slot.by_gate = row.gate.used && endpoint.before.can_lock_by_gate();
      slot.locks = slot.by_gate || endpoint.before.can_lock();
      if (!slot.locks) continue;
      if (slot.by_gate) {
        prepare_gate_slot(row, hold);
        continue;
      }
      const LockSeen& seen = endpoint.before.locks[row.place];
      slot.last = seen.last.value_or(LockHolder{std::string(lock_root)});
      if (!seen.taken(now)) slot.state = State::following;
      slot.value = lock_value(record_for(hold, row));
    }
  }
  take_turns(rows);
  for (const SuspendedEndpoint& endpoint : rows) {
    for (const SuspendedSwitch& row : endpoint.switches) {
      if (auto error = fits(endpoint, row, hold.id)) return error;
    }
  }
  return std::nullopt;
}

bool is_pending(const SuspendRows& rows) {
  return any_switch(rows, [](const SuspendedSwitch& row) { return !is_done(row); });
}

Batch take(const SuspendRows& rows, const SuspendRequest& request) {
  const std::size_t turn = turn_of(rows);
  Batch batch;
  batch.phase = "locking";
  for (const SuspendedEndpoint& endpoint : rows) {
    auto& work = batch.work.emplace_back();
    if (wants_name(endpoint, turn)) append(work, name_follower(request.record.id));
    for (const std::size_t place : in_turn(endpoint, turn)) {
      append(work, commands_for(endpoint, endpoint.switches[place], request.record.id));
    }
    if (has_turn(endpoint, turn)) {
      append(work, survey_commands(request.hold.frontends, Scope::holds));
    }
  }
  return batch;
}

void read(SuspendRows& rows, const SuspendRequest& request, const std::vector<Answer>& answers,
          WallTime now) {
  const std::size_t turn = turn_of(rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SuspendedEndpoint& endpoint = rows[i];
    if (!has_turn(endpoint, turn)) continue;
    if (answers[i].error) {
      fail_turn(endpoint, turn, answers[i]);
      continue;
    }
    const std::string& id = request.record.id;
    std::span<const Reply> left(answers[i].replies);
    if (wants_name(endpoint, turn)) left = left.subspan(name_follower(id).size());
    for (const std::size_t place : in_turn(endpoint, turn)) {
      SuspendedSwitch& row = endpoint.switches[place];
      const std::size_t count = commands_for(endpoint, row, id).size();
      const SuspendedSwitch* first = before(endpoint, row);
      read_slot(row, left.first(count), id, now, first != nullptr && !first->lock.ours);
      left = left.subspan(count);
    }
    Answer look = answers[i];
    look.replies.assign(left.begin(), left.end());
    const Seen seen = read_survey(look, endpoint.url, request.hold.frontends, Scope::holds);
    for (SuspendedSwitch& row : endpoint.switches) look_again(row, endpoint, seen, request, now);
  }
}

bool has_failed(const SuspendRows& rows) {
  return any_switch(rows,
                    [](const SuspendedSwitch& row) { return row.lock.state == State::failed; });
}

void tell(SuspendRows& rows, Report& report) {
  report.ending = Ending::refused;
  bool held = false;
  for (SuspendedEndpoint& endpoint : rows) {
    for (SuspendedSwitch& row : endpoint.switches) {
      const LockSlot& slot = row.lock;
      if (!slot.error) continue;
      row.report.error = slot.error;
      row.report.hold_id = slot.hold_id;
      if (slot.holder) add_hold(report, *slot.holder);
      const Errc code = slot.error->code;
      held = held || code == Errc::already_held;
      if (code != Errc::limit_is_zero && code != Errc::limit_mismatch) {
        report.ending = Ending::endpoint_failed;
      }
    }
  }
  if (held) report.ending = Ending::held_by_other;
}

std::vector<Command> write_hints(const SuspendedEndpoint& endpoint) {
  std::vector<Command> list;
  for (const SuspendedSwitch& row : endpoint.switches) {
    if (row.lock.ours && !row.lock.by_gate)
      append(list, *write_hint(row.held.frontend, row.lock.value));
  }
  return list;
}

/// A lock that is past its deadline is free, and somebody else's end may be marked there since.
std::vector<Command> release(const SuspendedSwitch& row, const Record& hold, WallTime now) {
  if (hold.deadline && *hold.deadline <= now) return {};
  const LockSlot& slot = row.lock;
  if (!slot.ours && !slot.uncertain) return {};
  const std::string& frontend = row.held.frontend;
  if (slot.by_gate) return {*Command::gate_unlock(frontend, hold.id)};
  // It may never have had its turn, and then the mark of the last holder has to stay.
  if (!slot.ours && slot.behind) {
    return mark_ended_if_taken({frontend, slot.last.id}, hold.id, How::rolled_back, now);
  }
  auto commands = mark_ended(frontend, hold.id, How::rolled_back, now);
  // A hint at one that is not in the chain would begin a second one.
  if (slot.ours) append(commands, *write_hint(frontend, slot.value));
  return commands;
}

}  // namespace stillgate::hold::lock
