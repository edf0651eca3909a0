// The course of a resume. Its ramp stands in resume_ramp.cpp, what it makes of each answer in
// resume_verdict.cpp, whose holds it leaves alone in resume_ownership.cpp.
#include "resume_plan.hpp"
#include "hold/record/lookup.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using std::chrono::milliseconds;

ResumePlan::ResumePlan(Request request)
    : request_(std::move(request)),
      endpoints_(request_.hold.endpoints.size()),
      frontends_(request_.hold.frontends.size()),
      courses_(endpoints_ * frontends_),
      first_(endpoints_),
      last_(endpoints_),
      waited_up_(!request_.wait_up),
      ramped_(request_.ramp <= milliseconds(0)) {
  report_.action = "resume";
  for (const std::string& endpoint : request_.hold.endpoints) {
    for (const std::string& frontend : request_.hold.frontends) {
      Switch one;
      one.endpoint = endpoint;
      one.frontend = frontend;
      report_.switches.push_back(std::move(one));
    }
  }
}

Step ResumePlan::next(const Observation& observation) {
  switch (stage_) {
    case Stage::start:
    case Stage::pausing:
    case Stage::waiting_up:
      stage_ = Stage::surveying;
      return ask("checking");
    case Stage::letting_through:
      stage_ = Stage::verifying;
      return ask("letting through");
    case Stage::surveying:
    case Stage::verifying:
      return surveyed(observation);
    case Stage::marking:
      return marked(observation);
    case Stage::marking_journal:
      if (const auto& error = std::get<observed::Journaled>(observation.what).error) {
        report_.error = error;
        ramped_ = true;
        return release();
      }
      return mark_journal(observation);
    case Stage::between_steps:
      return ramp_step(observation);
    case Stage::ramping:
      stage_ = Stage::between_steps;
      return step::Wait{observation.cancelled
                            ? milliseconds(0)
                            : std::max(shortest_ramp_step, request_.ramp / ramp_steps)};
    case Stage::releasing:
      return released(answers_of(observation));
    case Stage::disarming:
      return close_records();
    case Stage::closing_records:
      if (const auto& error = std::get<observed::Journaled>(observation.what).error;
          error && !report_.error) {
        report_.error = error;
      }
      return close_records();
  }
  return done();
}

bool ResumePlan::pending(std::size_t endpoint) const {
  const auto* first = &courses_[endpoint * frontends_];
  return std::any_of(first, first + frontends_, [](const Course& one) { return !one.settled; });
}

/// Open by the gate, but not all who waited there have gone. A ramp takes its time.
bool ResumePlan::letting_through(std::size_t endpoint) const {
  for (std::size_t j = 0; j < frontends_; ++j) {
    const std::size_t index = endpoint * frontends_ + j;
    if (courses_[index].settled && courses_[index].was_gated &&
        report_.switches[index].verdict == Verdict::resumed &&
        report_.switches[index].waiting.value_or(0) > 0) {
      return request_.ramp <= milliseconds(0);
    }
  }
  return false;
}

bool ResumePlan::anybody_waits() const {
  for (std::size_t i = 0; i < endpoints_; ++i) {
    if (letting_through(i)) return true;
  }
  return false;
}

/// Each attempt is short and its end is told to the caller, so that a stop can act between two.
Step ResumePlan::ask(const char* phase) {
  Batch batch;
  batch.phase = phase;
  batch.uninterruptible = step_ > 0;
  batch.haste = runtime_api::Haste::once_half_answered;
  batch.work.resize(endpoints_);
  for (std::size_t i = 0; i < endpoints_; ++i) {
    if (!pending(i) && !letting_through(i)) continue;
    batch.work[i] = survey_commands(request_.hold.frontends, Scope::holds);
  }
  return batch;
}

Step ResumePlan::surveyed(const Observation& observation) {
  const auto& answers = answers_of(observation);
  for (std::size_t i = 0; i < endpoints_; ++i) {
    if (!pending(i) && !letting_through(i)) continue;
    last_[i] =
        read_survey(answers[i], request_.hold.endpoints[i], request_.hold.frontends, Scope::holds);
    judge(i, *last_[i]);
  }
  if (stage_ == Stage::surveying && !observation.cancelled && refuse_foreign(observation.now)) {
    return done();
  }
  if (stage_ == Stage::verifying && !observation.cancelled && anybody_waits() &&
      last_looks_++ < most_last_looks) {
    stage_ = Stage::letting_through;
    return step::Wait{last_look_pause};
  }
  // After a release nothing is released at once again: without the pause between, and the look at
  // the time there, one that breaks off each time would be asked for ever.
  if (observation.cancelled || stage_ == Stage::verifying || !any_due()) {
    return retry_or_close(observation);
  }
  return wait_up_or_release(observation);
}

Step ResumePlan::wait_up_or_release(const Observation& observation) {
  if (!waited_up_) {
    const auto who = down();
    if (who && observation.elapsed + wait_up_pause < request_.retry_for) {
      stage_ = Stage::waiting_up;
      return step::Wait{wait_up_pause};
    }
    if (who) {
      for (std::size_t i = 0; i < courses_.size(); ++i) {
        if (!due(i)) continue;
        courses_[i].settled = true;
        report_.switches[i].error =
            Error{Errc::application_down,
                  fmt::format("no server was up in time: {}; 'stillgate resume {}' without "
                              "--wait-up lets the requests through all the same",
                              *who, report_.switches[i].frontend)};
      }
      return retry_or_close(observation);
    }
    waited_up_ = true;
  }
  if (!ramped_ && any_limit_due()) return mark_ramp();
  return release();
}

/// The first backend without a server that is up, as `name at endpoint`.
std::optional<std::string> ResumePlan::down() const {
  for (std::size_t i = 0; i < endpoints_; ++i) {
    if (!pending(i) || !last_[i] || last_[i]->error) continue;
    for (const BackendSeen& backend : last_[i]->backends) {
      if (backend.up) continue;
      return fmt::format("backend '{}' at {}", backend.name, request_.hold.endpoints[i]);
    }
  }
  return std::nullopt;
}

bool ResumePlan::any_due() const {
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    if (due(i)) return true;
  }
  return false;
}

bool ResumePlan::any_limit_due() const {
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    if (due(i) && !courses_[i].gate.used) return true;
  }
  return false;
}

/// Seen at 0 just now (or in the middle of a ramp that nobody finished), and wanted open.
bool ResumePlan::due(std::size_t course) const {
  const Course& one = courses_[course];
  return !one.settled && !one.written && (one.target || one.gate.used) &&
         (one.unfinished || report_.switches[course].verdict == Verdict::held);
}

Step ResumePlan::release() {
  Batch batch;
  batch.phase = "resuming";
  // Where a ramp has begun, it must come to its end.
  batch.uninterruptible = step_ > 0;
  batch.work.resize(endpoints_);
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    Course& course = courses_[i];
    if (!due(i)) continue;
    course.written = true;
    course.refusal.reset();
    const std::string& frontend = report_.switches[i].frontend;
    const std::vector<Command> commands =
        course.gate.used ? open_gate(frontend, course.gate, request_.ramp)
                         : std::vector<Command>{*Command::set_maxconn(frontend, *course.target)};
    course.commands = commands.size();
    auto& work = batch.work[i / frontends_];
    work.insert(work.end(), commands.begin(), commands.end());
  }
  stage_ = Stage::releasing;
  return batch;
}

/// What is read back afterwards decides; a refusal only says why it is so.
Step ResumePlan::released(const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < endpoints_; ++i) {
    std::size_t reply = 0;
    for (std::size_t j = 0; j < frontends_; ++j) {
      Course& course = courses_[i * frontends_ + j];
      const std::size_t end = reply + std::exchange(course.commands, 0);
      if (course.settled || !course.written) continue;
      if (end > reply) course.lost = answers[i].error;
      for (; reply < std::min(end, answers[i].replies.size()); ++reply) {
        if (!course.refusal) course.refusal = answers[i].replies[reply].refusal;
      }
    }
  }
  stage_ = Stage::verifying;
  return ask("verifying");
}

Step ResumePlan::retry_or_close(const Observation& observation) {
  const bool open_ends =
      std::any_of(courses_.begin(), courses_.end(), [](const Course& one) { return !one.settled; });
  if (open_ends && !observation.cancelled &&
      observation.elapsed + retry_pause < request_.retry_for) {
    stage_ = Stage::pausing;
    return step::Wait{retry_pause};
  }
  const bool failed = std::any_of(report_.switches.begin(), report_.switches.end(),
                                  [](const Switch& one) { return one.error.has_value(); });
  if (observation.cancelled && open_ends) {
    report_.ending = Ending::cancelled;
  } else if (failed) {
    report_.ending = Ending::endpoint_failed;
  }
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    if (courses_[i].record) {
      add_hold(report_, *courses_[i].record);
      continue;
    }
    const Switch& one = report_.switches[i];
    if (const Record* record = find_record(request_.records, one.endpoint, one.frontend)) {
      add_hold(report_, *record);
    }
  }
  return disarm(observation.now);
}

/// Open, with the limit that was wanted or by somebody else's hand: no record is needed any more.
bool ResumePlan::over(std::size_t course) const {
  const Verdict verdict = report_.switches[course].verdict;
  return (verdict == Verdict::resumed || verdict == Verdict::open) && !courses_[course].unfinished;
}

/// Takes what is open again off the records, one record after the other.
Step ResumePlan::close_records() {
  stage_ = Stage::closing_records;
  while (next_record_ < request_.records.size()) {
    Record record = request_.records[next_record_++];
    const auto erased = std::erase_if(record.switches, [this](const HeldSwitch& held) {
      for (std::size_t i = 0; i < courses_.size(); ++i) {
        const Switch& one = report_.switches[i];
        if (one.endpoint == held.endpoint && one.frontend == held.frontend) return over(i);
      }
      return false;
    });
    if (erased > 0) return step::WriteJournal{std::move(record)};
  }
  return done();
}

Step ResumePlan::done() {
  if (report_.error && report_.ending == Ending::done) report_.ending = Ending::endpoint_failed;
  return step::Done{std::move(report_)};
}

}  // namespace stillgate::hold
