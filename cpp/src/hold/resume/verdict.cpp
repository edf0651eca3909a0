// What a resume makes of each look at an HAProxy.
#include <utility>

#include <fmt/format.h>

#include "hold/check/warnings.hpp"
#include "hold/record/lookup.hpp"
#include "resume_plan.hpp"
#include "runtime_api/hazards.hpp"

namespace stillgate::hold {

void ResumePlan::judge(std::size_t endpoint, const Seen& seen) {
  for (std::size_t j = 0; j < frontends_; ++j) {
    Switch& one = report_.switches[endpoint * frontends_ + j];
    Course& course = courses_[endpoint * frontends_ + j];
    if (course.settled) {
      if (course.was_gated) {
        one.waiting.reset();
        if (!seen.error) tell_gate(one, seen, j);
      }
      continue;
    }
    one.error.reset();
    if (seen.error) {
      one.verdict = Verdict::unknown;
      one.error = seen.error;
      // A release whose outcome cannot be read is sent again: restoring a limit twice is harmless.
      course.written = false;
      course.lost.reset();
      course.refusal.reset();
      continue;
    }
    one.version = seen.info->version;
    one.rtt_ms = seen.rtt_ms;
    one.limit_now = seen.limit(j);
    tell_gate(one, seen, j);
    recognize(one, course, seen, j);
    if (!one.limit_now) {
      course.settled = true;
      one.error = Error{Errc::no_such_frontend,
                        fmt::format("this HAProxy has no frontend '{}'", one.frontend)};
    } else if (seen.gate_holds(j)) {
      judge_gate(one, course, seen, j);
    } else if (course.gate.used && std::exchange(course.gate.used, false) && *one.limit_now == 0) {
      // Held by maxconn too: that is the next attempt's.
      course.written = false;
      judge_zero(one, course);
    } else if (*one.limit_now > 0) {
      judge_open(one, course);
      if (!course.was_gated && first_[endpoint] && !seen.same_process(*first_[endpoint])) {
        one.error = Error{Errc::haproxy_restarted,
                          "open, but another process answers than before: requests that waited in "
                          "the old one may be lost"};
      }
    } else {
      judge_zero(one, course);
    }
  }
  if (!seen.error && !first_[endpoint]) first_[endpoint] = seen;
}

/// Which hold it is, and what reached servers in spite of it until now.
void ResumePlan::recognize(Switch& one, Course& course, const Seen& seen, std::size_t frontend) {
  course.keeps_marks = seen.has_variables();
  if (frontend < seen.locks.size()) course.lock = seen.locks[frontend];
  course.remembered = frontend < seen.remembered.size() && seen.remembered[frontend].record;
  if (course.written) return;
  const Record* record = record_of(seen, frontend, one.endpoint, one.frontend, request_.records);
  if (record == nullptr) return;
  course.record = *record;
  const Record* journal = find_record(request_.records, one.endpoint, one.frontend);
  if (journal != nullptr && journal->id == record->id && journal->ramping) {
    course.record->ramping = true;
  }
  one.hold_id = record->id;
  const HeldSwitch* held = record->find(one.endpoint, one.frontend);
  one.limit_before = held->limit_before;
  if (one.limit_now == 0 || seen.gate_holds(frontend)) {
    one.leaked = leaked(counters_before(*record, one.endpoint, one.frontend, request_.records),
                        seen.counters(frontend));
  }
}

/// A gate that is open needs no limit restored, and survives the process that it was in.
void ResumePlan::judge_gate(Switch& one, Course& course, const Seen& seen, std::size_t frontend) {
  one.verdict = Verdict::held;
  course.was_gated = true;
  course.gate = seen.gate_handle(frontend);
  if (course.lost) {
    one.error = std::exchange(course.lost, std::nullopt);
    course.written = false;
  } else if (course.written) {
    course.settled = true;
    one.error = course.refusal.value_or(
        Error{Errc::gate_failed, "HAProxy took the switch, but the gate still holds"});
  }
}

void ResumePlan::judge_open(Switch& one, Course& course) {
  if (course.was_gated) {
    one.verdict = Verdict::resumed;
    course.settled = true;
    return;
  }
  // The ramp of a resume that died: its limit is not the one that stood before. One that was
  // restarted in between and then ramped on looks the same, so that it is no exception.
  const bool ramping = course.record && course.record->ramping;
  if (ramping && !course.written && !course.ramped) {
    aim(one, course);
    course.unfinished = one.limit_now != course.target;
    if (course.unfinished) {
      one.verdict = Verdict::open;
      one.error =
          Error{Errc::limit_mismatch,
                fmt::format("open, but the limit is {}: a ramp was broken off", *one.limit_now)};
      return;
    }
  }
  course.unfinished = course.ramped && course.target && one.limit_now != course.target;
  one.verdict = course.target || course.record ? Verdict::resumed : Verdict::open;
  if (course.unfinished && course.lost) {
    one.error = std::exchange(course.lost, std::nullopt);
    course.written = false;
    return;
  }
  course.settled = true;
  if (course.target && one.limit_now != course.target) {
    one.error = course.refusal.value_or(
        Error{Errc::limit_mismatch, fmt::format("open, but the limit reads {} in place of {}",
                                                *one.limit_now, *course.target)});
  } else if (!course.target && course.record) {
    one.findings.push_back(
        Finding::of(FindingCode::already_open,
                    "was open already: its lease, a reload or somebody's hand ended the hold"));
  }
}

void ResumePlan::aim(Switch& one, Course& course) {
  course.target = request_.limit ? request_.limit : one.limit_before;
}

void ResumePlan::judge_zero(Switch& one, Course& course) {
  one.verdict = Verdict::held;
  if (course.lost) {
    one.error = std::exchange(course.lost, std::nullopt);
    course.written = false;
    return;
  }
  if (course.written) {
    course.settled = true;
    one.error = course.refusal.value_or(
        Error{Errc::limit_mismatch, "HAProxy took the command, but the limit still reads 0"});
    return;
  }
  aim(one, course);
  if (!course.target) {
    course.settled = true;
    one.error = Error{Errc::limit_is_zero,
                      fmt::format("the limit is 0, and no record says what it was before; "
                                  "'stillgate resume {} --limit N' restores it to N",
                                  one.frontend)};
    return;
  }
  const auto crash = runtime_api::resume_crash(*one.version);
  const bool accepted =
      request_.hold.options.accept_hazard || (course.record && course.record->accept_hazard);
  if (crash && !accepted) {
    course.settled = true;
    one.error = Error{Errc::crash_hazard, crash->why + "; --accept-hazard resumes it all the same"};
  }
}

}  // namespace stillgate::hold
