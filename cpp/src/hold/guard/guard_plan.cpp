// The guard's steps at one endpoint. What it decides from a survey: guard_verdict.cpp.
#include "guard_plan.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <stillgate/stat.hpp>

#include "hold/record/lock_variables.hpp"
#include "hold/resume_point.hpp"

namespace stillgate::hold {

using guard_step::Ask;
using guard_step::Wait;
using runtime_api::Answer;
using runtime_api::Command;
using std::chrono::milliseconds;
using State = GuardedSwitch::State;
using Todo = GuardedSwitch::Todo;

namespace {

/// So long after it was due, a release needs another look before it.
constexpr milliseconds late{50};

bool is_cancelled(const Answer& answer) {
  return answer.error && answer.error->code == Errc::cancelled;
}

bool nobody_there(const Error& error) {
  return error.code == Errc::connection_refused || error.code == Errc::no_such_socket ||
         error.code == Errc::not_a_socket;
}

/// Nothing where HAProxy has no such frontend. Error: a reply that cannot be understood.
Result<std::optional<std::int64_t>> limit_in(const runtime_api::Reply& reply,
                                             const std::string& frontend) {
  if (reply.refusal) {
    if (reply.refusal->haproxy.value_or("").starts_with("No such proxy")) {
      return std::optional<std::int64_t>();
    }
    return *reply.refusal;
  }
  const auto stat = Stat::parse(reply.text);
  if (!stat) return stat.error();
  const auto* row = stat->frontend(frontend);
  if (row == nullptr) return std::optional<std::int64_t>();
  if (const auto limit = stat->number(*row, "slim")) return limit;
  return Error{Errc::malformed_reply, "show stat: the frontend's slim is not a number"};
}

}  // namespace

GuardPlan::GuardPlan(std::string endpoint, Record record) : endpoint_(std::move(endpoint)) {
  for (const HeldSwitch& held : record.switches) {
    may_back_ = may_back_ || held.lease == Lease::backed;
  }
  left_over_ = may_back_;
  if (!may_back_) backed_ = false;
  switches_.reserve(record.switches.size());
  for (HeldSwitch& held : record.switches) switches_.push_back({std::move(held)});
  record.switches = std::vector<HeldSwitch>();
  hold_ = std::move(record);
}

GuardPlan::Step GuardPlan::next(const GuardInput& input, const Answer* answer) {
  switch (at_) {
    case 0:
      began_ = input.now;
      for (;;) {
        asked_at_ = input.now;
        asked_in_ = input.mode;
        YIELD(1, survey());
        if (is_cancelled(*answer)) {
          // The deadline came while the survey hung: not by that connection, then.
          fresh_ = true;
          continue;
        }
        if (!read(input, *answer)) {
          if (retry_at_once(input)) continue;
          tell_loss(input);
          if (give_up_lost(input)) break;
          YIELD(2, Wait{input.now + pause});
          continue;
        }
        usual_age_ = std::exchange(age_, input.now - asked_at_);
        // What it says may have been true long ago.
        if (is_stale(input)) continue;
        if (answering_.stopping) {
          // A kept connection stays with the old worker of a reload (docs/haproxy-facts.md, section
          // 4): the new worker is reached on a new one.
          judge_old_worker(input);
          if (!asked_fresh_) continue;
          YIELD(3, wait_for_survey(input));
          continue;
        }
        // What was open when it was asked, the suspend may have held since.
        if (asked_in_ != input.mode && input.mode == GuardMode::holding) continue;
        judge(input);
        if (needs_journal(input)) {
          YIELD(4, guard_step::ReadJournal{});
          if (is_stale(input, journal_patience)) continue;
          leave_what_is_taken(input);
        }
        if (any(Todo::release)) {
          if (!is_ending(input) && !input.over && !resumed_) {
            YIELD(5, Wait{input.deadline});
            // Whoever wakes up late may have missed an extend.
            if (!is_ending(input) || input.now > input.deadline + late) continue;
          }
          YIELD(6, release(input));
          note_written(*answer);
          continue;
        }
        if (any(Todo::put_back)) {
          if (may_not_put_back()) {
            give_up_put_back();
            continue;
          }
          YIELD(7, put_back());
          note_written(*answer);
          continue;
        }
        if (any(Todo::record)) {
          YIELD(13, write_records());
          note_written(*answer);
          continue;
        }
        // First told to HAProxy: how a connection closes decides nothing then.
        if (must_end_line(input)) {
          sweep_ = WaitSweep({hold_.id});
          for (asked_ = sweep_.next(nullptr, input.now); !asked_.empty();
               asked_ = sweep_.next(answer, input.now)) {
            YIELD(10, (Ask{asked_, asked_fresh_, false}));
          }
          YIELD(11, guard_step::Disarm{});
          armed_.reset();
          left_over_ = false;
        }
        if (must_arm(input)) {
          line_ = line(input).value_or("");
          if (line_.empty()) {
            note_armed(input, false);
          } else {
            YIELD(12, guard_step::Arm{line_});
            note_armed(input, !answer->error);
            // It was judged before that whether it is wanted.
            continue;
          }
        }
        if (any_left_over(input)) {
          YIELD(8, clear(input));
          note_cleared(input, *answer);
        }
        if (is_done(input)) break;
        YIELD(9, wait_for_survey(input));
      }
  }
  return guard_step::Done{};
}

/// A guard that was frozen behind its question finds the old answer, and whose hold stands there
/// now is not in it: its release would open somebody else's. The slower HAProxy is, the longer is
/// usual.
bool GuardPlan::is_stale(const GuardInput& input, milliseconds more) const {
  return input.now - asked_at_ > current_for + 4 * usual_age_ + more;
}

Ask GuardPlan::survey() {
  asked_fresh_ = fresh_;
  std::vector<Command> commands{Command::show_info()};
  for (const GuardedSwitch& guarded : switches_) {
    const std::string& frontend = guarded.held.frontend;
    commands.push_back(*Command::show_frontend(frontend));
    commands.push_back(read_variable(frontend));
    commands.push_back(read_hint(frontend));
    commands.push_back(read_end(frontend));
  }
  return {std::move(commands), fresh_, false};
}

bool GuardPlan::read(const GuardInput& input, const Answer& answer) {
  surveyed_ = true;
  error_ = parse(input, answer);
  if (error_) return false;
  const auto& timings = answer.timings;
  if (timings.sent_ms && timings.answered_ms) {
    rtt_ = milliseconds(static_cast<milliseconds::rep>(*timings.answered_ms - *timings.sent_ms));
  }
  if (std::exchange(loss_told_, false)) {
    notices_.push_back({GuardNotice::Kind::found, {}, "answers again"});
  }
  lost_at_.reset();
  return true;
}

std::optional<Error> GuardPlan::parse(const GuardInput& input, const Answer& answer) {
  if (answer.error) return answer.error;
  if (answer.replies[0].refusal) return answer.replies[0].refusal;
  auto info = parse_info(answer.replies[0].text);
  if (!info) return info.error();
  const auto* reply = &answer.replies[1];
  for (GuardedSwitch& guarded : switches_) {
    const std::string& frontend = guarded.held.frontend;
    auto limit = limit_in(*reply++, frontend);
    if (!limit) return limit.error();
    auto remembered = read_remembered(*reply++, endpoint_, frontend);
    const LockSeen lock{read_lock(*reply++, endpoint_, frontend), read_ended(*reply++)};
    const bool recorded = remembered.record && remembered.record->id == hold_.id;
    const bool locked = lock.last && lock.last->id == hold_.id;
    const bool ended = lock.ended && lock.ended->id == hold_.id;
    guarded.seen = {
        *limit, std::move(remembered), recorded, locked, ended, !locked && lock.taken(input.wall)};
  }
  answering_ = {{info->pid, info->uptime_s}, std::move(info->version), info->stopping};
  // A release that does not report whether it is stopping is asked on new connections only.
  fresh_ = info->stopping || !info->find("Stopping");
  return std::nullopt;
}

Ask GuardPlan::release(const GuardInput& input) {
  if (!released_at_) released_at_ = input.wall;
  std::vector<Command> commands;
  for (GuardedSwitch& guarded : switches_) {
    if (guarded.todo != Todo::release) continue;
    const HeldSwitch& held = guarded.held;
    if (guarded.state == State::held) {
      notice(GuardNotice::Kind::released, guarded,
             fmt::format("the limit is {} again", held.limit_before));
    }
    guarded.state = State::released;
    commands.push_back(*Command::set_maxconn(held.frontend, held.limit_before));
  }
  opened_at_.reset();
  return {std::move(commands), asked_fresh_, true};
}

/// The limit of the new process may be another than that of the old one: it is the one to restore.
Ask GuardPlan::put_back() {
  std::vector<Command> commands;
  for (GuardedSwitch& guarded : switches_) {
    if (guarded.todo != Todo::put_back) continue;
    HeldSwitch& held = guarded.held;
    // 0 is our own: the limit was taken by the write before this one, and the record was not.
    if (*guarded.seen.limit != 0) held.limit_before = *guarded.seen.limit;
    held.counters.reset();
    guarded.reapplied = true;
    notice(GuardNotice::Kind::reapplied, guarded,
           fmt::format("held again after a reload or restart (process {})", process_->pid));
    Record record = hold_;
    record.switches.push_back(held);
    if (auto set = write_first_record(held.frontend, record, version_)) {
      commands.insert(commands.end(), set->begin(), set->end());
    }
    commands.push_back(*Command::set_maxconn(held.frontend, 0));
  }
  return {std::move(commands), asked_fresh_, false};
}

/// Whoever ended the hold before this one was late, and emptied the record of this one.
Ask GuardPlan::write_records() {
  std::vector<Command> commands;
  for (const GuardedSwitch& guarded : switches_) {
    if (guarded.todo != Todo::record) continue;
    Record record = hold_;
    record.switches.push_back(guarded.held);
    if (const auto set = write_variable(guarded.held.frontend, record)) {
      commands.insert(commands.end(), set->begin(), set->end());
    }
  }
  return {std::move(commands), asked_fresh_, false};
}

/// Only what is read back counts, not the answer. Without an answer the command may still run,
/// late.
void GuardPlan::note_written(const Answer& answer) {
  if (!answer.error) return;
  if (answer.sent) write_lost_ = true;
  fresh_ = true;
}

Ask GuardPlan::clear(const GuardInput& input) {
  if (!opened_at_) opened_at_ = input.now;
  std::vector<Command> commands;
  for (const GuardedSwitch& guarded : switches_) {
    if (!is_left_over(input, guarded)) continue;
    const std::string& frontend = guarded.held.frontend;
    const How early = guarded.state == State::resumed ? How::opened : How::rolled_back;
    const How how = input.now >= input.deadline ? How::expired : early;
    const auto mark = mark_ended(frontend, hold_.id, how, input.wall);
    commands.insert(commands.end(), mark.begin(), mark.end());
    if (!guarded.seen.recorded) continue;
    const auto empty = empty_variable(frontend);
    commands.insert(commands.end(), empty.begin(), empty.end());
  }
  return {std::move(commands), asked_fresh_, true};
}

void GuardPlan::note_cleared(const GuardInput& input, const Answer& answer) {
  if (answer.error) return;
  for (GuardedSwitch& guarded : switches_) {
    if (is_left_over(input, guarded)) guarded.cleared = true;
  }
}

Wait GuardPlan::wait_for_survey(const GuardInput& input) const {
  auto until = input.now + pause;
  const auto last_survey = input.deadline - lead();
  if (input.now < last_survey) until = std::min(until, last_survey);
  return {until};
}

/// The kept connection may outlive the socket's file, and a new one the kept one's death.
bool GuardPlan::retry_at_once(const GuardInput& input) {
  fresh_ = !asked_fresh_;
  if (lost_at_) return false;
  lost_at_ = input.now;
  return fresh_;
}

void GuardPlan::tell_loss(const GuardInput& input) {
  if (loss_told_ || input.now - *lost_at_ < 3 * pause) return;
  loss_told_ = true;
  notices_.push_back({GuardNotice::Kind::lost, {}, "does not answer: " + error_->message});
}

bool GuardPlan::give_up_lost(const GuardInput& input) {
  if (input.over && nobody_there(*error_) && input.now - *lost_at_ >= gone_after) return true;
  if (!is_ending(input)) return false;
  const bool at_once = input.mode == GuardMode::ending;
  const auto since = at_once ? *lost_at_ : std::max(*lost_at_, input.deadline);
  const bool too_long = input.now - since >= (nobody_there(*error_) ? gone_after : given_up_after);
  if (holds()) {
    if (!too_long) return false;
    notices_.push_back({GuardNotice::Kind::gone, {}, "given up: " + error_->message});
    return true;
  }
  return too_long || !is_watching(input);
}

Record GuardPlan::record() const {
  Record record = hold_;
  record.switches.reserve(switches_.size());
  for (const GuardedSwitch& guarded : switches_) record.switches.push_back(guarded.held);
  return record;
}

std::vector<GuardNotice> GuardPlan::take_notices() { return std::exchange(notices_, {}); }

void GuardPlan::notice(GuardNotice::Kind kind, const GuardedSwitch& guarded, std::string message) {
  notices_.push_back({kind, guarded.held.frontend, std::move(message)});
}

}  // namespace stillgate::hold
