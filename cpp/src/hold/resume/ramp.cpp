// The ramp of a resume: the limits are raised step by step.
#include <algorithm>

#include "resume_plan.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;

/// Says on the records that a ramp is under way: a limit between 0 and the one before is then no
/// sign that somebody opened the frontend, and whoever comes after a crash finishes the ramp.
Step ResumePlan::mark_ramp() {
  Batch batch;
  batch.phase = "resuming";
  batch.work.resize(endpoints_);
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    Course& course = courses_[i];
    if (!due(i)) continue;
    if (course.gate.used) {
      // HAProxy itself lets a gate's queue go over that time: it needs no steps.
      course.written = true;
      const auto commands = open_gate(report_.switches[i].frontend, course.gate, request_.ramp);
      auto& work = batch.work[i / frontends_];
      work.insert(work.end(), commands.begin(), commands.end());
      continue;
    }
    course.ramped = true;
    if (!course.remembered || !course.record) continue;
    course.record->ramping = true;
    const auto commands = write_variable(report_.switches[i].frontend, *course.record);
    if (!commands) continue;
    auto& work = batch.work[i / frontends_];
    work.insert(work.end(), commands->begin(), commands->end());
  }
  stage_ = Stage::marking;
  return batch;
}

/// What could not be marked does not take part: a ramp that broke off there would leave a limit
/// that nobody knows for a wrong one. It is released at once, with the ramp's last step.
Step ResumePlan::marked(const Observation& observation) {
  const auto& answers = std::get<observed::Answers>(observation.what).answers;
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    const Answer& answer = answers[i / frontends_];
    if (courses_[i].gate.used && courses_[i].written) courses_[i].lost = answer.error;
    const bool refused = std::any_of(answer.replies.begin(), answer.replies.end(),
                                     [](const auto& reply) { return reply.refusal.has_value(); });
    if (answer.error || refused) courses_[i].ramped = false;
  }
  return mark_journal(observation);
}

Step ResumePlan::mark_journal(const Observation& observation) {
  stage_ = Stage::marking_journal;
  while (next_record_ < request_.records.size()) {
    Record& record = request_.records[next_record_++];
    const bool concerned =
        std::any_of(report_.switches.begin(), report_.switches.end(),
                    [&record](const Switch& one) { return one.hold_id == record.id; });
    if (!concerned) continue;
    record.ramping = true;
    return step::WriteJournal{record};
  }
  next_record_ = 0;
  return ramp_step(observation);
}

/// A stop in the middle opens at once: a resume is never left half-way.
Step ResumePlan::ramp_step(const Observation& observation) {
  ++step_;
  const auto steps =
      std::max<std::int64_t>(1, std::min(ramp_steps, request_.ramp / shortest_ramp_step));
  if (observation.cancelled || step_ >= steps) {
    ramped_ = true;
    return release();
  }
  Batch batch;
  batch.phase = "ramping up";
  batch.uninterruptible = true;
  batch.work.resize(endpoints_);
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    const Course& course = courses_[i];
    if (course.settled || !course.ramped) continue;
    const std::int64_t limit = std::max<std::int64_t>(1, *course.target * step_ / steps);
    batch.work[i / frontends_].push_back(
        *Command::set_maxconn(report_.switches[i].frontend, limit));
  }
  stage_ = Stage::ramping;
  return batch;
}

}  // namespace stillgate::hold
