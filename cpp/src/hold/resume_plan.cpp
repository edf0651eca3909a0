// The course of a resume.
#include "resume_plan.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "../runtime_api/hazards.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;

ResumePlan::ResumePlan(Request request)
    : request_(std::move(request)),
      endpoints_(request_.question.endpoints.size()),
      frontends_(request_.question.frontends.size()),
      courses_(endpoints_ * frontends_),
      first_(endpoints_) {
  report_.action = "resume";
  for (const std::string& endpoint : request_.question.endpoints) {
    for (const std::string& frontend : request_.question.frontends) {
      Switch one;
      one.endpoint = endpoint;
      one.frontend = frontend;
      if (const Record* record = find_record(request_.records, endpoint, frontend)) {
        one.hold_id = record->id;
        one.limit_before = record->find(endpoint, frontend)->limit_before;
      }
      report_.switches.push_back(std::move(one));
    }
  }
}

Step ResumePlan::next(const Observation& observation) {
  const auto& what = observation.what;
  switch (stage_) {
    case Stage::start:
    case Stage::pausing:
      stage_ = Stage::surveying;
      return ask("checking");
    case Stage::surveying:
    case Stage::verifying:
      return surveyed(std::get<observed::Answers>(what).answers, observation);
    case Stage::releasing:
      return released(std::get<observed::Answers>(what).answers);
    case Stage::closing_records:
      if (const auto& error = std::get<observed::Journaled>(what).error; error && !report_.error) {
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

/// Each attempt is short and its end is told to the caller, so that a stop can act between two.
Step ResumePlan::ask(const char* phase) {
  Batch batch;
  batch.phase = phase;
  batch.work.resize(endpoints_);
  for (std::size_t i = 0; i < endpoints_; ++i) {
    if (pending(i)) batch.work[i] = survey_commands();
  }
  return batch;
}

Step ResumePlan::surveyed(const std::vector<Answer>& answers, const Observation& observation) {
  for (std::size_t i = 0; i < endpoints_; ++i) {
    if (pending(i)) judge(i, read_survey(answers[i], request_.question.frontends));
  }
  if (observation.cancelled) return retry_or_close(observation);
  // After a release nothing is released at once again: without the pause between, and the look at
  // the time there, one that breaks off each time would be asked for ever.
  bool to_release = false;
  for (std::size_t i = 0; i < courses_.size(); ++i) to_release = to_release || due(i);
  return to_release && stage_ == Stage::surveying ? release() : retry_or_close(observation);
}

/// Seen at 0 just now, and wanted open.
bool ResumePlan::due(std::size_t course) const {
  const Course& one = courses_[course];
  return !one.settled && !one.written && one.target &&
         report_.switches[course].verdict == Verdict::held;
}

void ResumePlan::judge(std::size_t endpoint, const Seen& seen) {
  const std::string& url = request_.question.endpoints[endpoint];
  for (std::size_t j = 0; j < frontends_; ++j) {
    Switch& one = report_.switches[endpoint * frontends_ + j];
    Course& course = courses_[endpoint * frontends_ + j];
    if (course.settled) continue;
    one.error.reset();
    if (seen.error) {
      one.verdict = Verdict::unknown;
      one.error = seen.error;
      // A release whose outcome cannot be read is sent again: restoring a limit twice is harmless.
      course.written = false;
      course.lost.reset();
      continue;
    }
    one.version = seen.info->version;
    one.rtt_ms = seen.rtt_ms;
    one.limit_now = seen.limits[j];
    const Record* record = find_record(request_.records, url, one.frontend);
    if (!one.limit_now) {
      course.settled = true;
      one.error = Error{Errc::no_such_frontend,
                        fmt::format("this HAProxy has no frontend '{}'", one.frontend),
                        {},
                        {},
                        {}};
    } else if (*one.limit_now > 0) {
      judge_open(one, course, record);
      if (first_[endpoint] && !seen.same_process(*first_[endpoint])) {
        one.error = Error{Errc::haproxy_restarted,
                          "open, but another process answers than before: requests that waited in "
                          "the old one may be lost",
                          {},
                          {},
                          {}};
      }
    } else {
      judge_zero(one, course, record);
    }
  }
  if (!seen.error && !first_[endpoint]) first_[endpoint] = seen;
}

void ResumePlan::judge_open(Switch& one, Course& course, const Record* record) {
  course.settled = true;
  one.verdict = course.target || record != nullptr ? Verdict::resumed : Verdict::open;
  if (course.target && one.limit_now != course.target) {
    one.error = Error{
        Errc::limit_mismatch,
        fmt::format("open, but the limit reads {} in place of {}", *one.limit_now, *course.target),
        {},
        {},
        {}};
  } else if (!course.target && record != nullptr) {
    one.findings.push_back({"already_open", Level::info,
                            "was open already: a reload or somebody's hand ended the hold"});
  }
}

void ResumePlan::judge_zero(Switch& one, Course& course, const Record* record) {
  one.verdict = Verdict::held;
  if (course.lost) {
    one.error = std::exchange(course.lost, std::nullopt);
    course.written = false;
    return;
  }
  if (course.written) {
    course.settled = true;
    if (!one.error) {
      one.error = Error{Errc::limit_mismatch,
                        "HAProxy took the command, but the limit still reads 0",
                        {},
                        {},
                        {}};
    }
    return;
  }
  course.target = request_.limit ? request_.limit : one.limit_before;
  if (!course.target) {
    course.settled = true;
    one.error = Error{Errc::limit_is_zero,
                      fmt::format("the limit is 0, and no record here says what it was before; "
                                  "'stillgate resume {} --limit N' restores it to N",
                                  one.frontend),
                      {},
                      {},
                      {}};
    return;
  }
  const auto crash = runtime_api::resume_crash(*one.version);
  const bool accepted =
      request_.question.accept_hazard || (record != nullptr && record->accept_hazard);
  if (crash && !accepted) {
    course.settled = true;
    one.error = Error{
        Errc::crash_hazard, crash->why + "; --accept-hazard resumes it all the same", {}, {}, {}};
  }
}

Step ResumePlan::release() {
  Batch batch;
  batch.phase = "resuming";
  batch.work.resize(endpoints_);
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    Course& course = courses_[i];
    if (!due(i)) continue;
    course.written = true;
    batch.work[i / frontends_].push_back(
        *Command::set_maxconn(report_.switches[i].frontend, *course.target));
  }
  stage_ = Stage::releasing;
  return batch;
}

Step ResumePlan::released(const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < endpoints_; ++i) {
    std::size_t reply = 0;
    for (std::size_t j = 0; j < frontends_; ++j) {
      Course& course = courses_[i * frontends_ + j];
      if (course.settled || !course.written) continue;
      course.lost = answers[i].error;
      if (reply >= answers[i].replies.size()) continue;
      const auto& refusal = answers[i].replies[reply++].refusal;
      if (!refusal) continue;
      course.settled = true;
      report_.switches[i * frontends_ + j].error = refusal;
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
  for (const Record& record : request_.records) {
    const bool named = std::any_of(report_.switches.begin(), report_.switches.end(),
                                   [&](const Switch& one) { return one.hold_id == record.id; });
    if (named) report_.holds.push_back(record.summary());
  }
  return close_records();
}

/// Takes what is open again off the records, one record after the other.
Step ResumePlan::close_records() {
  stage_ = Stage::closing_records;
  while (next_record_ < request_.records.size()) {
    Record record = request_.records[next_record_++];
    const auto erased = std::erase_if(record.switches, [this](const HeldSwitch& held) {
      return std::any_of(report_.switches.begin(), report_.switches.end(),
                         [&held](const Switch& one) {
                           return one.endpoint == held.endpoint && one.frontend == held.frontend &&
                                  (one.verdict == Verdict::resumed || one.verdict == Verdict::open);
                         });
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
