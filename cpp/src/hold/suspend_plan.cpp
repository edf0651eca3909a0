// The course of a suspend.
#include "suspend_plan.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;

SuspendPlan::SuspendPlan(Request request)
    : request_(std::move(request)),
      endpoints_(request_.question.endpoints.size()),
      frontends_(request_.question.frontends.size()),
      sent_(endpoints_, false),
      lost_(endpoints_, false) {
  report_.action = request_.check_only ? "check" : "suspend";
}

Step SuspendPlan::next(const Observation& observation) {
  const auto& what = observation.what;
  switch (stage_) {
    case Stage::start:
      stage_ = Stage::surveying;
      return survey("checking", false);
    case Stage::surveying:
      return surveyed(std::get<observed::Answers>(what).answers, observation.cancelled);
    case Stage::recording:
      return recorded(std::get<observed::Journaled>(what).error, observation.cancelled);
    case Stage::committing:
      return committed(std::get<observed::Answers>(what).answers, observation.cancelled);
    case Stage::verifying:
      return verified(std::get<observed::Answers>(what).answers, observation.cancelled);
    case Stage::reverting:
      return reverted(std::get<observed::Answers>(what).answers);
    case Stage::verifying_revert:
      return revert_verified(std::get<observed::Answers>(what).answers);
    case Stage::pausing:
      return revert();
    case Stage::closing_record:
      if (const auto& error = std::get<observed::Journaled>(what).error; error && !report_.error) {
        report_.error = error;
        if (report_.ending == Ending::done) report_.ending = Ending::endpoint_failed;
      }
      return done();
  }
  return done();
}

Step SuspendPlan::surveyed(const std::vector<Answer>& answers, bool cancelled) {
  for (const Answer& answer : answers) {
    before_.push_back(read_survey(answer, request_.question.frontends));
  }
  report_.switches = weigh(request_.question, before_, request_.known);
  if (cancelled) {
    report_.ending = Ending::cancelled;
    return done();
  }
  if (refused(report_.switches)) {
    report_.ending = Ending::refused;
    for (const Switch& one : report_.switches) {
      if (!one.hold_id) continue;
      report_.ending = Ending::held_by_other;
      for (const Record& record : request_.known) {
        if (record.id == *one.hold_id &&
            (report_.holds.empty() || report_.holds.back().id != record.id)) {
          report_.holds.push_back(record.summary());
        }
      }
    }
    return done();
  }
  if (request_.check_only) return done();
  for (Switch& one : report_.switches) {
    one.limit_before = one.limit_now;
    request_.record.switches.push_back({one.endpoint, one.frontend, *one.limit_now});
  }
  stage_ = Stage::recording;
  return step::WriteJournal{request_.record};
}

Step SuspendPlan::recorded(const std::optional<Error>& error, bool cancelled) {
  if (error) {
    report_.ending = Ending::refused;
    report_.error = error;
    return done();
  }
  if (cancelled) {
    report_.ending = Ending::cancelled;
    return close_record();
  }
  stage_ = Stage::committing;
  return commit();
}

Step SuspendPlan::committed(const std::vector<Answer>& answers, bool cancelled) {
  bool any_sent = false;
  for (std::size_t i = 0; i < endpoints_; ++i) {
    sent_[i] = answers[i].sent;
    lost_[i] = answers[i].sent && answers[i].error;
    any_sent = any_sent || answers[i].sent;
    for (std::size_t j = 0; j < frontends_; ++j) {
      at(i, j).error = answers[i].error ? answers[i].error : answers[i].replies[j].refusal;
    }
  }
  if (!any_sent) {
    report_.ending = cancelled ? Ending::cancelled : Ending::endpoint_failed;
    return close_record();
  }
  measure(answers);
  stage_ = Stage::verifying;
  return survey("verifying", true);
}

void SuspendPlan::measure(const std::vector<Answer>& answers) {
  std::optional<double> first;
  std::optional<double> last;
  for (const Answer& answer : answers) {
    if (!answer.timings.sent_ms || !answer.timings.answered_ms) return;
    first = std::min(first.value_or(*answer.timings.sent_ms), *answer.timings.sent_ms);
    last = std::max(last.value_or(*answer.timings.answered_ms), *answer.timings.answered_ms);
  }
  if (first && last) report_.commit_window_ms = *last - *first;
}

Step SuspendPlan::verified(const std::vector<Answer>& answers, bool cancelled) {
  for (std::size_t i = 0; i < endpoints_; ++i) {
    judge_held(i, read_survey(answers[i], request_.question.frontends));
  }
  const bool all_held =
      std::all_of(report_.switches.begin(), report_.switches.end(),
                  [](const Switch& one) { return one.verdict == Verdict::held && !one.error; });
  if (all_held && !cancelled) {
    report_.holds.push_back(request_.record.summary());
    return done();
  }
  report_.ending = cancelled && all_held ? Ending::cancelled : Ending::endpoint_failed;
  return revert();
}

/// What was read back decides, not the answer to the commit: a lost answer with the limit at 0
/// is a hold.
void SuspendPlan::judge_held(std::size_t endpoint, const Seen& now) {
  for (std::size_t j = 0; j < frontends_; ++j) {
    Switch& one = at(endpoint, j);
    if (now.error) {
      one.verdict = sent_[endpoint] ? Verdict::unknown : Verdict::unchanged;
      if (!one.error) one.error = now.error;
      continue;
    }
    one.limit_now = now.limits[j];
    if (!now.same_process(before_[endpoint])) {
      one.verdict = one.limit_now == 0 ? Verdict::unknown : Verdict::unchanged;
      one.error = Error{Errc::haproxy_restarted,
                        "another process answers than before the commit; its limits are those of "
                        "its configuration",
                        {},
                        {},
                        {}};
    } else if (one.limit_now == 0) {
      one.verdict = Verdict::held;
      one.error.reset();
      one.method = "maxconn";
      one.lease = "none";
      one.hold_id = request_.record.id;
    } else {
      // A commit without an answer may still run, late: it is rolled back like one that did.
      one.verdict = lost_[endpoint] ? Verdict::unknown : Verdict::unchanged;
      if (!one.error) {
        one.error = Error{Errc::limit_mismatch,
                          "HAProxy took the command, but the limit reads back as it was",
                          {},
                          {},
                          {}};
      }
    }
  }
}

Step SuspendPlan::revert() {
  Batch batch;
  batch.phase = "rolling back";
  batch.uninterruptible = true;
  batch.work.resize(endpoints_);
  for (std::size_t i = 0; i < endpoints_; ++i) {
    for (std::size_t j = 0; j < frontends_; ++j) {
      const Switch& one = at(i, j);
      if (one.verdict != Verdict::held && one.verdict != Verdict::unknown) continue;
      batch.work[i].push_back(*Command::set_maxconn(one.frontend, *one.limit_before));
    }
  }
  const bool nothing = std::all_of(batch.work.begin(), batch.work.end(),
                                   [](const auto& commands) { return commands.empty(); });
  if (nothing) return close_record();
  ++attempts_;
  stage_ = Stage::reverting;
  return batch;
}

Step SuspendPlan::reverted(const std::vector<Answer>& /*answers*/) {
  // Whatever was answered, only what is read back counts.
  stage_ = Stage::verifying_revert;
  return survey("verifying", true);
}

Step SuspendPlan::revert_verified(const std::vector<Answer>& answers) {
  bool missing = false;
  for (std::size_t i = 0; i < endpoints_; ++i) {
    judge_reverted(i, read_survey(answers[i], request_.question.frontends));
    for (std::size_t j = 0; j < frontends_; ++j) {
      const Verdict verdict = at(i, j).verdict;
      missing = missing || verdict == Verdict::held || verdict == Verdict::unknown;
    }
  }
  if (missing && attempts_ < rollback_attempts) {
    stage_ = Stage::pausing;
    return step::Wait{rollback_pause};
  }
  return close_record();
}

void SuspendPlan::judge_reverted(std::size_t endpoint, const Seen& now) {
  for (std::size_t j = 0; j < frontends_; ++j) {
    Switch& one = at(endpoint, j);
    if (one.verdict != Verdict::held && one.verdict != Verdict::unknown) continue;
    if (now.error) {
      one.verdict = Verdict::unknown;
      if (!one.error) one.error = now.error;
      continue;
    }
    one.limit_now = now.limits[j];
    if (one.limit_now == 0) {
      // Still held: only a later attempt, or a resume, changes that.
      one.verdict = Verdict::held;
      one.error = Error{Errc::limit_mismatch,
                        "the rollback did not take: the limit still reads 0; run 'stillgate "
                        "resume'",
                        {},
                        {},
                        {}};
      continue;
    }
    one.verdict = Verdict::reverted;
    one.hold_id.reset();
    one.method.reset();
    one.lease.reset();
    if (one.limit_now != one.limit_before) {
      one.error = Error{Errc::limit_mismatch,
                        fmt::format("open again, with the limit {} in place of {}",
                                    one.limit_now.value_or(0), *one.limit_before),
                        {},
                        {},
                        {}};
    } else if (!one.error) {
      one.error = Error{Errc::rolled_back,
                        "held, and released again because the call failed "
                        "elsewhere or was stopped",
                        {},
                        {},
                        {}};
    }
  }
}

/// What is not surely open again stays on record, for `resume`.
Step SuspendPlan::close_record() {
  auto& switches = request_.record.switches;
  std::erase_if(switches, [this](const HeldSwitch& held) {
    return std::none_of(report_.switches.begin(), report_.switches.end(),
                        [&held](const Switch& one) {
                          return one.endpoint == held.endpoint && one.frontend == held.frontend &&
                                 (one.verdict == Verdict::held || one.verdict == Verdict::unknown);
                        });
  });
  if (!switches.empty()) report_.holds.push_back(request_.record.summary());
  stage_ = Stage::closing_record;
  return step::WriteJournal{request_.record};
}

Step SuspendPlan::done() { return step::Done{std::move(report_)}; }

Batch SuspendPlan::survey(const char* phase, bool uninterruptible) const {
  Batch batch;
  batch.phase = phase;
  batch.uninterruptible = uninterruptible;
  batch.work.assign(endpoints_, survey_commands());
  return batch;
}

Batch SuspendPlan::commit() const {
  Batch batch;
  batch.phase = "holding";
  batch.barrier = true;
  std::vector<Command> commands;
  for (const std::string& frontend : request_.question.frontends) {
    commands.push_back(*Command::set_maxconn(frontend, 0));
  }
  batch.work.assign(endpoints_, commands);
  return batch;
}

Switch& SuspendPlan::at(std::size_t endpoint, std::size_t frontend) {
  return report_.switches[endpoint * frontends_ + frontend];
}

}  // namespace stillgate::hold
