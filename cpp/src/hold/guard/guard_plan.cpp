// The course of a guard at one endpoint. What it makes of each look stands in keep_verdict.cpp.
#include "guard_plan.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <stillgate/stat.hpp>

#include "hold/record/lock_variables.hpp"
#include "runtime_api/hazards.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Command;
using std::chrono::milliseconds;

namespace {

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
  return row == nullptr ? std::optional<std::int64_t>() : stat->number(*row, "slim");
}

}  // namespace

KeepPlan::KeepPlan(std::string endpoint, Record record)
    : endpoint_(std::move(endpoint)), record_(std::move(record)), kept_(record_.switches.size()) {}

std::vector<KeepNotice> KeepPlan::take_notices() { return std::exchange(notices_, {}); }

void KeepPlan::set_backed(bool backed) {
  for (HeldSwitch& one : record_.switches) one.lease = backed ? Lease::backed : Lease::guard;
}

void KeepPlan::notice(KeepNotice::Kind kind, std::size_t index, std::string message) {
  notices_.push_back({kind, record_.switches[index].frontend, std::move(message)});
}

bool KeepPlan::ending(const KeepOutlook& outlook) const {
  return outlook.mode == GuardMode::ending || outlook.now >= outlook.deadline;
}

milliseconds KeepPlan::lead() const { return 2 * rtt_ + milliseconds(5); }

bool KeepPlan::any_kept() const {
  return std::any_of(kept_.begin(), kept_.end(),
                     [](const Kept& one) { return one.state == State::kept; });
}

KeepPlan::Step KeepPlan::next(const KeepOutlook& outlook, const Answer* answer) {
  switch (stage_) {
    case Stage::resting:
      return look();
    case Stage::looking:
      return read(outlook, *answer);
    case Stage::consulting:
      return consulted(outlook);
    case Stage::putting_back:
    case Stage::releasing:
      // Whatever was answered, only what is read back counts. Where nothing was, the command may
      // still run, late.
      write_lost_ = write_lost_ || (answer->error && answer->sent);
      if (answer->error) fresh_ = true;
      return look();
    case Stage::clearing:
      for (Kept& one : kept_) {
        if (!answer->error && to_clear(one, outlook)) one.cleared = true;
      }
      return rest_or_leave(outlook);
    case Stage::poised:
      return ending(outlook) ? release(outlook) : look();
  }
  return keep::Leave{};
}

KeepPlan::Step KeepPlan::look() {
  stage_ = Stage::looking;
  asked_fresh_ = fresh_;
  std::vector<Command> commands{Command::show_info()};
  for (const HeldSwitch& one : record_.switches) {
    commands.push_back(*Command::show_frontend(one.frontend));
    commands.push_back(read_variable(one.frontend));
    commands.push_back(read_hint(one.frontend));
  }
  return keep::Ask{std::move(commands), fresh_, false};
}

std::optional<KeepPlan::Sight> KeepPlan::sight_in(const Answer& answer,
                                                  std::optional<Error>& error) const {
  error = answer.error ? answer.error : answer.replies[0].refusal;
  if (error) return std::nullopt;
  auto info = parse_info(answer.replies[0].text);
  if (!info) {
    error = info.error();
    return std::nullopt;
  }
  Sight sight{*std::move(info), {}, {}, {}};
  for (std::size_t i = 0; i < record_.switches.size(); ++i) {
    const std::string& frontend = record_.switches[i].frontend;
    auto limit = limit_in(answer.replies[1 + 3 * i], frontend);
    if (!limit) {
      error = limit.error();
      return std::nullopt;
    }
    sight.limits.push_back(*limit);
    sight.remembered.push_back(read_remembered(answer.replies[2 + 3 * i], endpoint_, frontend));
    const auto last = read_lock(answer.replies[3 + 3 * i], endpoint_, frontend);
    sight.locked.push_back(last && last->id == record_.id);
  }
  return sight;
}

KeepPlan::Step KeepPlan::read(const KeepOutlook& outlook, const Answer& answer) {
  std::optional<Error> error;
  const auto sight = sight_in(answer, error);
  if (!sight) return failed(outlook, *error);
  const auto& timings = answer.timings;
  if (timings.sent_ms && timings.answered_ms) {
    rtt_ = milliseconds(static_cast<milliseconds::rep>(*timings.answered_ms - *timings.sent_ms));
  }
  looked_ = true;
  error_.reset();
  if (std::exchange(lost_told_, false)) {
    notices_.push_back({KeepNotice::Kind::found, {}, "it answers again"});
  }
  lost_at_.reset();
  // A kept connection stays with the old worker of a reload (facts, section 4): whoever took over
  // is asked on a new one. A release that does not tell is asked on new ones alone.
  fresh_ = sight->info.stopping || !sight->info.find("Stopping");
  if (sight->info.stopping) return asked_fresh_ ? rest(outlook) : look();
  return weigh(outlook, *sight);
}

KeepPlan::Step KeepPlan::failed(const KeepOutlook& outlook, const Error& error) {
  if (error.code == Errc::cancelled) {
    // The deadline came in the middle of a look that hangs: not by that connection, then.
    fresh_ = true;
    return look();
  }
  looked_ = true;
  error_ = error;
  // The kept connection may outlive the socket's file, and a new one the kept one's death.
  fresh_ = !asked_fresh_;
  const bool first = !lost_at_;
  if (first) lost_at_ = outlook.now;
  if (first && fresh_) return look();
  if (!lost_told_ && outlook.now - *lost_at_ >= 3 * pause) {
    lost_told_ = true;
    notices_.push_back({KeepNotice::Kind::lost, {}, "does not answer: " + error.message});
  }
  if (ending(outlook)) {
    const auto patience = nobody_there(error) ? gone_after : given_up_after;
    const auto since =
        std::max(*lost_at_, outlook.mode == GuardMode::ending ? *lost_at_ : outlook.deadline);
    if (outlook.now - since >= patience || (!any_kept() && !watching(outlook))) {
      if (any_kept()) {
        notices_.push_back({KeepNotice::Kind::gone, {}, "given up: " + error.message});
      }
      return keep::Leave{};
    }
  }
  stage_ = Stage::resting;
  return keep::Rest{outlook.now + pause};
}

/// The limit of the new process may be another than that of the old one: it is the one to restore.
KeepPlan::Step KeepPlan::put_back() {
  stage_ = Stage::putting_back;
  std::vector<Command> commands;
  const auto crash = runtime_api::resume_crash(version_);
  for (const std::size_t i : bare_) {
    HeldSwitch& one = record_.switches[i];
    if (crash && !record_.accept_hazard) {
      give_up(i, KeepNotice::Kind::gone,
              fmt::format("not held again after its restart: {}", crash->why));
      continue;
    }
    one.limit_before = *kept_[i].limit;
    one.counters.reset();
    kept_[i].reapplied = true;
    notice(KeepNotice::Kind::reapplied, i,
           fmt::format("held again after a reload or restart (process {})", known_->pid));
    if (auto set = write_variable(one.frontend, record_.only(endpoint_, one.frontend))) {
      commands.insert(commands.end(), set->begin(), set->end());
    }
    commands.push_back(*Command::set_maxconn(one.frontend, 0));
  }
  if (commands.empty()) return look();
  return keep::Ask{std::move(commands), asked_fresh_, false};
}

KeepPlan::Step KeepPlan::release(const KeepOutlook& outlook) {
  stage_ = Stage::releasing;
  if (!released_at_) released_at_ = outlook.wall;
  std::vector<Command> commands;
  for (const std::size_t i : due_) {
    HeldSwitch& one = record_.switches[i];
    if (kept_[i].state == State::kept) {
      notice(KeepNotice::Kind::released, i, fmt::format("the limit is {} again", one.limit_before));
    }
    kept_[i].state = State::released;
    commands.push_back(*Command::set_maxconn(one.frontend, one.limit_before));
  }
  due_.clear();
  opened_at_.reset();
  return keep::Ask{std::move(commands), asked_fresh_, true};
}

/// A record that outlives its hold would be taken for the hold's. Where somebody else resumed, it
/// is theirs to empty, unless they died over it.
bool KeepPlan::to_clear(const Kept& one, const KeepOutlook& outlook) const {
  if (one.cleared || one.state == State::kept) return false;
  if (one.state == State::released) return one.recorded || one.locked;
  return one.recorded && outlook.now - resumed_at_.value_or(outlook.now) >= 10 * pause;
}

KeepPlan::Step KeepPlan::clear(const KeepOutlook& outlook) {
  stage_ = Stage::clearing;
  if (!opened_at_) opened_at_ = outlook.now;
  std::vector<Command> commands;
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    if (!to_clear(kept_[i], outlook)) continue;
    const std::string& frontend = record_.switches[i].frontend;
    if (kept_[i].recorded) {
      const auto empty = empty_variable(frontend);
      commands.insert(commands.end(), empty.begin(), empty.end());
    }
    const How how = outlook.now >= outlook.deadline ? How::expired : How::rolled_back;
    const auto mark = mark_ended(frontend, record_.id, how, outlook.wall);
    commands.insert(commands.end(), mark.begin(), mark.end());
  }
  return keep::Ask{std::move(commands), asked_fresh_, true};
}

KeepPlan::Step KeepPlan::rest_or_leave(const KeepOutlook& outlook) {
  if (any_kept()) return rest(outlook);
  const bool pending = std::any_of(kept_.begin(), kept_.end(), [](const Kept& one) {
    return one.state == State::resumed && one.recorded && !one.cleared;
  });
  const bool released = std::any_of(kept_.begin(), kept_.end(),
                                    [](const Kept& one) { return one.state == State::released; });
  if (released && !opened_at_) opened_at_ = outlook.now;
  return pending || watching(outlook) ? rest(outlook) : Step(keep::Leave{});
}

/// For a hold of 0 that is nobody's. Where HAProxy has no variables only this machine's journal can
/// tell whose it is: it may be somebody's on another machine, and the watch is short.
bool KeepPlan::watching(const KeepOutlook& outlook) const {
  if (!opened_at_) return false;
  const auto watch = write_lost_ ? quiet_after_loss : quiet;
  if (outlook.now - *opened_at_ < watch) return true;
  return outlook.mode == GuardMode::ending && remembers_ && outlook.now < outlook.deadline;
}

KeepPlan::Step KeepPlan::rest(const KeepOutlook& outlook) {
  stage_ = Stage::resting;
  auto until = outlook.now + pause;
  const auto last_look = outlook.deadline - lead();
  if (outlook.now < last_look) until = std::min(until, last_look);
  return keep::Rest{until};
}

}  // namespace stillgate::hold
