// The steps of a status.
#include "status_plan.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "hold/check/method.hpp"
#include "hold/check/warnings.hpp"
#include "hold/record/lookup.hpp"
#include "hold/record/owner.hpp"
#include "hold/record/record.hpp"
#include "hold/survey/survey.hpp"
#include "hold/survey/unknown_frontend.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;

StatusPlan::StatusPlan(Request request)
    : request_(std::move(request)),
      names_(request_.endpoints.size(), request_.frontends),
      failed_(request_.endpoints.size()) {
  report_.action = "status";
}

Step StatusPlan::next(const Observation& observation) {
  switch (stage_) {
    case Stage::start: {
      if (!request_.frontends.empty()) return ask();
      stage_ = Stage::listing;
      Batch batch;
      batch.work.assign(request_.endpoints.size(), survey_commands({}, Scope::proxies));
      return batch;
    }
    case Stage::listing:
      return listed(std::get<observed::Answers>(observation.what).answers);
    case Stage::asking:
      return asked(observation);
  }
  return step::Done{std::move(report_)};
}

Step StatusPlan::listed(const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Seen seen = read_survey(answers[i], request_.endpoints[i], {}, Scope::proxies);
    failed_[i] = seen.error;
    names_[i] = seen.names;
  }
  return ask();
}

Step StatusPlan::ask() {
  stage_ = Stage::asking;
  Batch batch;
  batch.work.resize(request_.endpoints.size());
  for (std::size_t i = 0; i < request_.endpoints.size(); ++i) {
    if (failed_[i]) continue;
    batch.work[i] = survey_commands(names_[i], Scope::holds);
  }
  return batch;
}

Step StatusPlan::asked(const Observation& observation) {
  const auto& answers = std::get<observed::Answers>(observation.what).answers;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    Seen seen;
    if (failed_[i]) {
      seen.error = failed_[i];
    } else {
      seen = read_survey(answers[i], request_.endpoints[i], names_[i], Scope::holds);
    }
    if (seen.error && names_[i].empty()) {
      Switch one;
      one.endpoint = request_.endpoints[i];
      one.frontend = "*";
      one.verdict = Verdict::unknown;
      one.error = seen.error;
      report_.switches.push_back(std::move(one));
    }
    for (std::size_t j = 0; j < names_[i].size(); ++j) {
      report_.switches.push_back(judge(i, j, seen, observation.now));
    }
  }
  const bool failed = std::any_of(report_.switches.begin(), report_.switches.end(),
                                  [](const Switch& one) { return one.error.has_value(); });
  if (failed) report_.ending = Ending::endpoint_failed;
  if (observation.cancelled) report_.ending = Ending::cancelled;
  return step::Done{std::move(report_)};
}

Switch StatusPlan::judge(std::size_t endpoint, std::size_t frontend, const Seen& seen,
                         WallTime now) {
  Switch one;
  one.endpoint = request_.endpoints[endpoint];
  one.frontend = names_[endpoint][frontend];
  one.verdict = Verdict::unknown;
  one.error = seen.error;
  if (seen.error) return one;
  one.version = seen.info->version;
  one.rtt_ms = seen.rtt_ms;
  one.limit_now = seen.limit(frontend);
  if (!one.limit_now) {
    one.error = unknown_frontend(seen, one.frontend);
    return one;
  }
  one.rate = seen.frontends[frontend]->busy;
  const bool gate_holds = seen.gate_holds(frontend);
  one.verdict = gate_holds || one.limit_now == 0 ? Verdict::held : Verdict::open;
  // Whose the streams are is not asked here: it costs HAProxy too much to be watched.
  if (seen.in_flight() == 0 || seen.names.size() == 1) one.in_flight = seen.in_flight();
  tell_gate(one, seen, frontend);
  if (seen.frontends[frontend]->stopped) {
    one.findings.push_back(
        Finding::of(FindingCode::frontend_stopped,
                    fmt::format("the frontend is disabled or shut down, and refuses its clients; "
                                "'enable frontend {}' at its socket ends the first, a reload both",
                                one.frontend)));
  }
  const Record* record = record_of(seen, frontend, one.endpoint, one.frontend, request_.records);
  if (one.verdict == Verdict::open) {
    if (record != nullptr) {
      one.findings.push_back(
          Finding::of(FindingCode::already_open,
                      fmt::format("the frontend is open, but a hold by {} is on record: "
                                  "its lease, a reload or somebody by hand has ended it",
                                  record->owner)));
    }
    if (frontend < seen.locks.size()) judge_lock(one, seen.locks[frontend], now);
    judge_untold(one);
    return one;
  }
  if (gate_holds) {
    judge_gate(one, seen, frontend, record);
    return one;
  }
  if (record == nullptr) {
    one.findings.push_back(Finding::of(
        FindingCode::limit_is_zero,
        fmt::format("the limit is 0, and no record says who set it or has the old limit; run "
                    "'stillgate resume {} --limit N' to set it to N",
                    one.frontend)));
    return one;
  }
  const HeldSwitch* held = record->find(one.endpoint, one.frontend);
  one.hold_id = record->id;
  one.method = by_maxconn;
  one.lease = word(held->lease);
  one.limit_before = held->limit_before;
  const auto before = counters_before(*record, one.endpoint, one.frontend, request_.records);
  one.leaked = leaked(held->counters, seen.counters(frontend));
  tell_reload(one, seen, before, false);
  if (record->deadline && *record->deadline < now) {
    one.findings.push_back(
        Finding::of(FindingCode::overdue,
                    fmt::format("the deadline passed at {}, and the hold is still in effect; run "
                                "'stillgate resume {}'",
                                clock(*record->deadline), one.frontend)));
  }
  add_hold(report_, *record);
  return one;
}

/// Open: somebody may be about to hold it, and the deadline may have ended the last hold.
void StatusPlan::judge_lock(Switch& one, const LockSeen& lock, WallTime now) {
  if (lock.taken(now) && one.findings.empty()) {
    one.findings.push_back(Finding::of(
        FindingCode::locked,
        lock.last->record
            ? fmt::format("not held, but locked for a hold by {}{}{}, {}: it is about to begin, "
                          "or its suspend died",
                          lock.last->record->owner, lock.last->record->reason.empty() ? "" : ": ",
                          lock.last->record->reason, time_left(*lock.last->record, now))
            : fmt::format("not held, but locked for hold {}", lock.last->id)));
  }
  if (lock.ended && lock.ended->how == How::expired) {
    one.findings.push_back(Finding::of(
        FindingCode::expired,
        fmt::format("the last hold ended at its deadline {}", day_and_clock(lock.ended->at))));
  }
}

/// A hold that began here, of whose end no resume has told its holder.
void StatusPlan::judge_untold(Switch& one) const {
  const Record* live = find_record(request_.records, one.endpoint, one.frontend);
  const Record* over = find_untold(request_.ended, one.endpoint, one.frontend);
  const Record* hold = live != nullptr ? live : over;
  if (hold == nullptr) return;
  one.findings.push_back(Finding::of(
      FindingCode::too_late,
      fmt::format("the hold by {} of {} has ended, and its holder has not been told: the next "
                  "'stillgate resume {}' says so",
                  hold->owner, clock(hold->started_at), one.frontend)));
}

/// Held by the gate, which keeps the deadline itself.
void StatusPlan::judge_gate(Switch& one, const Seen& seen, std::size_t frontend,
                            const Record* record) {
  one.method = by_gate;
  one.lease = "haproxy";
  if (seen.gate->switches[frontend].mode == runtime_api::GateSwitch::Mode::rejecting) {
    one.findings.push_back(Finding::of(
        FindingCode::rejecting,
        fmt::format("the deadline has passed, and the gate answers 503 to every request; run "
                    "'stillgate resume {}' to let requests pass",
                    one.frontend)));
  }
  if (record == nullptr) {
    one.hold_id = seen.gate->switches[frontend].id;
    one.findings.push_back(Finding::of(
        FindingCode::record_unreadable,
        "the gate holds for an unknown owner: the record in its switch cannot be read"));
    return;
  }
  const HeldSwitch* held = record->find(one.endpoint, one.frontend);
  one.hold_id = record->id;
  one.limit_before = held->limit_before;
  const auto before = counters_before(*record, one.endpoint, one.frontend, request_.records);
  one.leaked = leaked(before, seen, frontend);
  tell_reload(one, seen, before, true);
  add_hold(report_, *record);
}

}  // namespace stillgate::hold
