// The course of a suspend.
#include "suspend_plan.hpp"

#include <algorithm>
#include <utility>

#include "hold/check/method.hpp"
#include "hold/check/refusals.hpp"
#include "hold/check/warnings.hpp"
#include "hold/events.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using std::chrono::milliseconds;

namespace {

const std::vector<Answer>& answers_of(const Observation& observation) {
  return std::get<observed::Answers>(observation.what).answers;
}

}  // namespace

SuspendPlan::SuspendPlan(Request request)
    : request_(std::move(request)),
      endpoints_(request_.hold.endpoints.size()),
      frontends_(request_.hold.frontends.size()),
      armed_(endpoints_, false),
      sent_(endpoints_, false),
      lost_(endpoints_, false),
      gates_(endpoints_ * frontends_),
      lock_(request_.hold, request_.record, before_, request_.known),
      arming_(request_.hold, gates_),
      drain_(request_.hold, gates_),
      rollback_(request_.hold, report_.switches, armed_, gates_, lock_) {
  report_.action = "suspend";
}

Step SuspendPlan::next(const Observation& observation) {
  now_ = observation.now;
  switch (stage_) {
    case Stage::start:
      stage_ = Stage::surveying;
      return survey_all();
    case Stage::surveying:
      return surveyed(observation);
    case Stage::looking:
      return looked(answers_of(observation), observation);
    case Stage::recording:
      return recorded(observation);
    case Stage::starting_guard:
      return guarded(observation);
    case Stage::locking:
      return locked(observation);
    case Stage::arming:
      return armed(observation);
    case Stage::committing:
      return committed(observation);
    case Stage::verifying:
      return verified(observation);
    case Stage::sealing:
      return sealed(observation);
    case Stage::draining:
      return drain(drain_.read(answers_of(observation)), observation);
    case Stage::waiting:
      return look(observation.elapsed);
    case Stage::recording_counters:
      // Without its counters the record still ends the hold; only the leaks go uncounted.
      if (!observation.cancelled) return hand_over();
      report_.ending = Ending::cancelled;
      report_.holds.clear();
      return roll_back();
    case Stage::handing_over:
      return handed_over(observation);
    case Stage::rolling_back:
      if (auto step = rollback_.next(observation)) return *std::move(step);
      return close_record();
    case Stage::closing_record:
      if (const auto& error = std::get<observed::Journaled>(observation.what).error;
          error && !report_.error) {
        report_.error = error;
        if (report_.ending == Ending::done) report_.ending = Ending::endpoint_failed;
      }
      return dismiss_guard();
    case Stage::dismissing:
      return done();
  }
  return done();
}

Step SuspendPlan::surveyed(const Observation& observation) {
  const auto& answers = answers_of(observation);
  for (std::size_t i = 0; i < endpoints_; ++i) {
    before_.push_back(read_survey(answers[i], request_.hold.endpoints[i], request_.hold.frontends,
                                  Scope::servers));
  }
  conclude(report_, request_.hold, before_, request_.known);
  if (observation.cancelled) return cancel();
  return report_.ok() ? look_closer(observation) : done();
}

/// Before anything was changed.
Step SuspendPlan::cancel() {
  report_.ending = Ending::cancelled;
  return done();
}

Step SuspendPlan::look_closer(const Observation& observation) {
  stage_ = Stage::looking;
  Batch batch;
  batch.phase = "checking";
  for (std::size_t i = 0; i < endpoints_; ++i) {
    batch.work.push_back(closer_look(request_.hold, i, before_[i], false));
  }
  const bool nothing = std::all_of(batch.work.begin(), batch.work.end(),
                                   [](const auto& commands) { return commands.empty(); });
  return nothing ? looked(std::vector<Answer>(endpoints_), observation) : Step(std::move(batch));
}

Step SuspendPlan::looked(const std::vector<Answer>& answers, const Observation& observation) {
  for (std::size_t i = 0; i < endpoints_; ++i) {
    advise_closer(report_.switches, request_.hold, i, before_[i], answers[i], std::nullopt);
  }
  return observation.cancelled ? cancel() : record(observation);
}

Step SuspendPlan::record(const Observation& observation) {
  Record& record = request_.record;
  record.started_at = std::chrono::time_point_cast<milliseconds>(observation.now);
  bool leased = !request_.hold.options.no_lease;
  for (std::size_t i = 0; i < report_.switches.size(); ++i) {
    Switch& one = report_.switches[i];
    one.limit_before = one.limit_now;
    gates_[i].used = one.method == by_gate;
    const bool guarded = !gates_[i].used && !request_.hold.options.no_lease;
    record.switches.push_back(
        {one.endpoint, one.frontend, *one.limit_now, {}, guarded ? Lease::guard : Lease::none});
    gates_[i].table = !before_[i / frontends_].has_variables();
    leased = leased || gates_[i].used;
    // Nothing is held yet.
    one.method.reset();
  }
  if (leased) {
    record.deadline = record.started_at + request_.hold.options.max_hold;
    deadline_ = observation.elapsed + request_.hold.options.max_hold;
  }
  stage_ = Stage::recording;
  return step::WriteJournal{record};
}

Step SuspendPlan::recorded(const Observation& observation) {
  if (const auto& error = std::get<observed::Journaled>(observation.what).error) {
    report_.ending = Ending::refused;
    report_.error = error;
    return done();
  }
  if (observation.cancelled) {
    report_.ending = Ending::cancelled;
    return close_record();
  }
  return start_guard(observation);
}

Step SuspendPlan::arm() {
  auto batch = arming_.begin(before_, request_.record);
  if (!batch) {
    report_.ending = Ending::refused;
    report_.error = batch.error();
    return roll_back();
  }
  for (std::size_t i = 0; i < endpoints_; ++i) {
    const auto hints = lock_.hints(i);
    batch->work[i].insert(batch->work[i].end(), hints.begin(), hints.end());
  }
  stage_ = Stage::arming;
  return *std::move(batch);
}

Step SuspendPlan::armed(const Observation& observation) {
  const auto& answers = answers_of(observation);
  bool failed = false;
  for (std::size_t i = 0; i < endpoints_; ++i) {
    armed_[i] = arming_.arms(i, before_[i]) && answers[i].sent;
    const auto error = arming_.unarmed(before_[i], i, answers[i], request_.record.id);
    if (!error) continue;
    failed = true;
    for (std::size_t j = 0; j < frontends_; ++j) at(i, j).error = error;
  }
  if (failed || observation.cancelled) {
    report_.ending = observation.cancelled ? Ending::cancelled : Ending::endpoint_failed;
    return roll_back();
  }
  if (too_late(observation)) return roll_back();
  auto batch = commit(observation);
  if (!batch) {
    report_.ending = Ending::endpoint_failed;
    report_.error = batch.error();
    return roll_back();
  }
  stage_ = Stage::committing;
  return *std::move(batch);
}

Step SuspendPlan::verified(const Observation& observation) {
  const auto& answers = answers_of(observation);
  held_.clear();
  for (std::size_t i = 0; i < endpoints_; ++i) {
    held_.push_back(read_survey(answers[i], request_.hold.endpoints[i], request_.hold.frontends,
                                lean_scope(before_[i])));
    judge(i, held_.back());
  }
  const bool all_held =
      std::all_of(report_.switches.begin(), report_.switches.end(),
                  [](const Switch& one) { return one.verdict == Verdict::held && !one.error; });
  if (!all_held || observation.cancelled) {
    report_.ending = all_held ? Ending::cancelled : Ending::endpoint_failed;
    return roll_back();
  }
  if (too_late(observation)) return roll_back();
  events_.push_back(held_event(request_.record, report_, now_));
  return drain(drain_.begin(held_, observation.elapsed), observation);
}

Step SuspendPlan::look(milliseconds elapsed) {
  stage_ = Stage::draining;
  return drain_.look(elapsed);
}

Step SuspendPlan::drain(Drain::State state, const Observation& observation) {
  const auto spent = observation.elapsed - drain_.began();
  const bool over = spent + Drain::pause > request_.drain_timeout;
  const bool wanted = request_.drain_timeout > milliseconds(0);
  const bool failed =
      state == Drain::State::failed || (wanted && over && state != Drain::State::drained);
  if (observation.cancelled || failed) {
    report_.ending = observation.cancelled ? Ending::cancelled : Ending::endpoint_failed;
    if (failed) drain_.tell(report_.switches, state == Drain::State::more);
    if (wanted) report_.drained = false;
    return roll_back();
  }
  if (wanted && state == Drain::State::more) {
    stage_ = Stage::waiting;
    return step::Wait{Drain::pause};
  }
  if (wanted) {
    report_.drained = true;
    report_.drain_ms = std::chrono::duration<double, std::milli>(spent).count();
    drain_.tell(report_.switches, false);
  }
  return seal();
}

Step SuspendPlan::sealed(const Observation& observation) {
  if (observation.cancelled) {
    report_.ending = Ending::cancelled;
    return roll_back();
  }
  const auto& answers = answers_of(observation);
  bool doubtful = false;
  for (std::size_t i = 0; i < endpoints_; ++i) {
    if (!answers[i].error) continue;
    drain_.doubt(i);
    doubtful = true;
  }
  // Whoever did not answer may be gone, and the hold there with it: one more look tells.
  if (doubtful && !std::exchange(doubted_, true)) return look(observation.elapsed);
  if (report_.drained) events_.push_back(drained_event(request_.record, report_, now_));
  for (Switch& one : report_.switches) one.leaked = 0;
  report_.holds.push_back(request_.record.summary());
  stage_ = Stage::recording_counters;
  return step::WriteJournal{request_.record};
}

Step SuspendPlan::roll_back() {
  stage_ = Stage::rolling_back;
  if (auto step = rollback_.begin(now_)) return *std::move(step);
  return close_record();
}

/// What is not surely open again stays on record, for `resume`.
Step SuspendPlan::close_record() {
  if (stage_ == Stage::rolling_back) {
    for (Event& event : rolled_back_events(request_.record, report_, now_)) {
      events_.push_back(std::move(event));
    }
  }
  auto& switches = request_.record.switches;
  std::erase_if(switches, [this](const HeldSwitch& held) {
    return std::none_of(
        report_.switches.begin(), report_.switches.end(), [&held](const Switch& one) {
          return one.endpoint == held.endpoint && one.frontend == held.frontend && may_be_held(one);
        });
  });
  if (!switches.empty()) report_.holds.push_back(request_.record.summary());
  stage_ = Stage::closing_record;
  return step::WriteJournal{request_.record};
}

Step SuspendPlan::done() { return step::Done{std::move(report_)}; }

Batch SuspendPlan::survey_all() const {
  Batch batch;
  batch.phase = "checking";
  batch.work.assign(endpoints_, survey_commands(request_.hold.frontends, Scope::servers));
  return batch;
}

Batch SuspendPlan::verify() const {
  Batch batch;
  batch.phase = "verifying";
  batch.uninterruptible = true;
  batch.haste = runtime_api::Haste::from_the_beginning;
  for (const Seen& before : before_) {
    batch.work.push_back(survey_commands(request_.hold.frontends, lean_scope(before)));
  }
  return batch;
}

Switch& SuspendPlan::at(std::size_t endpoint, std::size_t frontend) {
  return report_.switches[endpoint * frontends_ + frontend];
}

}  // namespace stillgate::hold
