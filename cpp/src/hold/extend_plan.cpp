// The steps of an extend.
#include "extend_plan.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "hold/check/method.hpp"
#include "hold/rows.hpp"
#include "hold/survey/condition.hpp"
#include "hold/survey/held_probe.hpp"

namespace stillgate::hold {

using runtime_api::Batch;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds look_pause{60};
constexpr int most_looks = 50;  ///< the guard looks every 100 ms
/// So shortly before its deadline a guard may have looked for the last time, and so shortly after
/// it its release may still be under way: what is read in between says nothing. Both for an HAProxy
/// that answers at once.
constexpr milliseconds last_look{1000};
constexpr milliseconds last_release{250};

Error ended_before() { return {Errc::not_held, "the hold ended before its deadline was moved"}; }

}  // namespace

ExtendPlan::ExtendPlan(Request request)
    : request_(std::move(request)),
      waiting_(request_.hold.endpoints.size()),
      frontends_(request_.hold.frontends.size()),
      courses_(request_.hold.endpoints.size() * frontends_),
      keeps_(request_.hold.endpoints.size(), false) {
  report_.action = "extend";
  for (const std::string& endpoint : request_.hold.endpoints) {
    for (const std::string& frontend : request_.hold.frontends) {
      Switch one;
      one.endpoint = endpoint;
      one.frontend = frontend;
      report_.switches.push_back(std::move(one));
    }
  }
  // Before anybody has answered: who never does must not take what is kept.
  for (const Record& record : request_.records) {
    if (record.id == request_.claim.hold && record.deadline) end_before(*record.deadline);
  }
}

Step ExtendPlan::next(const Observation& observation) {
  now_ = observation.now;
  Step step = proceed(observation);
  auto* batch = std::get_if<Batch>(&step);
  if (batch != nullptr && limit_) {
    batch->within = std::max(std::chrono::floor<milliseconds>(*limit_ - now_), least_time);
  }
  return step;
}

void ExtendPlan::end_before(WallTime deadline) {
  if (!request_.keep) return;
  const WallTime until = deadline - *request_.keep;
  limit_ = std::min(limit_.value_or(until), until);
}

Step ExtendPlan::proceed(const Observation& observation) {
  switch (stage_) {
    case Stage::start:
      return ask(Stage::surveying);
    case Stage::surveying:
      return surveyed(observation);
    case Stage::timing:
      return timed(observation);
    case Stage::rehearsing:
      return rehearsed(observation);
    case Stage::looking:
    case Stage::following:
      return looked(observation);
    case Stage::writing:
      return follow();
    case Stage::resting:
      return look(Stage::following, observation);
    case Stage::verifying:
      return verified(observation);
    case Stage::recording:
      if (const auto& error = std::get<observed::Journaled>(observation.what).error) {
        tell_unrecorded(*error);
      }
      return record(observation.now);
    case Stage::settling:
      return ask(Stage::settled);
    case Stage::settled:
      return settled(observation);
  }
  return done();
}

Step ExtendPlan::ask(Stage stage) {
  stage_ = stage;
  Batch batch;
  batch.phase = stage == Stage::surveying ? "checking" : "verifying";
  batch.uninterruptible = stage != Stage::surveying;
  batch.work.assign(request_.hold.endpoints.size(),
                    survey_commands(request_.hold.frontends, Scope::holds));
  return batch;
}

Step ExtendPlan::surveyed(const Observation& observation) {
  const auto& answers = std::get<observed::Answers>(observation.what).answers;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    seen_.push_back(
        read_survey(answers[i], request_.hold.endpoints[i], request_.hold.frontends, Scope::holds));
    keeps_[i] = seen_[i].has_variables();
    for (std::size_t j = 0; j < frontends_; ++j) weigh(i, j, seen_[i], observation.now);
  }
  if (observation.cancelled) report_.ending = Ending::cancelled;
  if (refused_ || observation.cancelled) return done();
  Batch batch = time();
  if (!asks(batch)) return look(Stage::looking, observation);
  stage_ = Stage::timing;
  return batch;
}

Batch ExtendPlan::time() const {
  Batch batch;
  batch.phase = "checking";
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    const auto first = courses_.begin() + static_cast<std::ptrdiff_t>(i * frontends_);
    const bool gated = std::any_of(first, first + static_cast<std::ptrdiff_t>(frontends_),
                                   [](const Course& one) { return one.longer && one.gate.used; });
    auto& work = batch.work.emplace_back();
    if (gated) work = held_probe_commands(request_.hold.frontends, seen_[i]);
  }
  return batch;
}

/// Whoever has waited since the beginning waits for the whole of it.
Step ExtendPlan::timed(const Observation& observation) {
  const auto& answers = std::get<observed::Answers>(observation.what).answers;
  for (std::size_t index = 0; index < courses_.size(); ++index) {
    const Course& course = courses_[index];
    const std::size_t i = index / frontends_;
    if (index % frontends_ == 0) read_held_probe(seen_[i], answers[i], request_.hold.frontends);
    if (!course.longer || !course.gate.used) continue;
    const auto whole = std::chrono::duration_cast<milliseconds>(*course.longer->deadline -
                                                                course.longer->started_at);
    Switch& one = report_.switches[index];
    one.error = cut_too_soon(seen_[i], index % frontends_, whole);
    if (!one.error) continue;
    refused_ = true;
    report_.ending = Ending::refused;
  }
  if (observation.cancelled) report_.ending = Ending::cancelled;
  return refused_ || observation.cancelled ? done() : look(Stage::looking, observation);
}

/// Something is extended there whose guard is backed by a release that waits.
bool ExtendPlan::is_backed(std::size_t endpoint) const {
  for (std::size_t j = 0; j < frontends_; ++j) {
    const std::size_t index = endpoint * frontends_ + j;
    if (courses_[index].longer && report_.switches[index].lease == word(Lease::backed)) return true;
  }
  return false;
}

Step ExtendPlan::look(Stage stage, const Observation& observation) {
  stage_ = stage;
  sweeps_ = WaitSweeps(waiting_.size(), stage == Stage::following);
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    if (!is_backed(i) || waiting_[i].followed) continue;
    std::vector<std::string> ids;
    for (std::size_t j = 0; j < frontends_; ++j) {
      const auto& longer = courses_[i * frontends_ + j].longer;
      if (longer) ids.push_back(longer->id);
    }
    sweeps_.set(i, WaitSweep(ids, WaitSweep::Until::found));
  }
  Batch batch = sweeps_.begin(observation.elapsed);
  if (asks(batch)) return batch;
  return stage == Stage::looking ? rehearse() : ask(Stage::verifying);
}

Step ExtendPlan::looked(const Observation& observation) {
  Batch batch = sweeps_.next(answers_of(observation), observation.elapsed);
  if (asks(batch)) return batch;
  if (stage_ == Stage::following) return follow();
  for (std::size_t i = 0; i < waiting_.size(); ++i) waiting_[i].before = sweeps_[i].numbers();
  return observation.cancelled ? done() : rehearse();
}

/// The old line fires at the old deadline: nothing is said before the guard has ended it. It is not
/// ended here: where the guard is frozen or dead, that line is all that ends the hold.
Step ExtendPlan::follow() {
  bool all = true;
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    if (is_backed(i) && !waiting_[i].followed) all = has_followed(i) && all;
  }
  // What is read back decides.
  if (all || looks_++ >= most_looks || is_over()) return ask(Stage::verifying);
  stage_ = Stage::resting;
  return step::Wait{look_pause};
}

bool ExtendPlan::has_followed(std::size_t endpoint) {
  if (looks_ == 0) return false;
  const auto& before = waiting_[endpoint].before;
  const auto now = sweeps_[endpoint].numbers();
  const bool old = std::any_of(now.begin(), now.end(), [&before](const std::string& number) {
    return std::find(before.begin(), before.end(), number) != before.end();
  });
  waiting_[endpoint].followed = !old && !now.empty();
  return waiting_[endpoint].followed;
}

/// Where none waited before, none opens it at the old deadline: the guard alone has the hold.
void ExtendPlan::tell_behind() {
  std::vector<std::size_t> behind;
  for (std::size_t index = 0; index < courses_.size(); ++index) {
    Switch& one = report_.switches[index];
    const std::size_t i = index / frontends_;
    if (!courses_[index].longer || one.error || !is_backed(i) || waiting_[i].followed) continue;
    if (waiting_[i].before.empty()) {
      behind.push_back(index);
      continue;
    }
    one.error = Error{Errc::guard_failed,
                      "HAProxy has the new deadline, but the guard of the hold did not follow: the "
                      "release that waits in HAProxy may open it at the old deadline; resume, or "
                      "look after the machine that holds"};
  }
  for (const std::size_t index : behind) {
    Switch& one = report_.switches[index];
    one.lease = word(Lease::guard);
    one.findings.push_back(Finding::of(
        FindingCode::wait_unproven,
        "HAProxy's own 'wait' does not back the guard here: none waits; nothing ends the hold if "
        "the machine that holds freezes or fails"));
  }
}

/// Each record goes into the journal as it is: a journal that cannot be written has to show while
/// nothing has been extended. Its new deadline comes last, because a guard below 2.4 takes it from
/// there.
Step ExtendPlan::rehearse() {
  stage_ = Stage::rehearsing;
  while (next_record_ < request_.records.size()) {
    const Record& record = request_.records[next_record_++];
    if (is_extended(record)) return step::WriteJournal{record};
  }
  next_record_ = 0;
  return write();
}

Step ExtendPlan::rehearsed(const Observation& observation) {
  const auto& error = std::get<observed::Journaled>(observation.what).error;
  if (!error && !observation.cancelled) return rehearse();
  report_.ending = observation.cancelled ? Ending::cancelled : Ending::refused;
  report_.error = error;
  for (const Record& record : request_.records) {
    if (is_extended(record)) add_hold(report_, record);
  }
  return done();
}

bool ExtendPlan::is_extended(const Record& record) const {
  return std::any_of(courses_.begin(), courses_.end(), [&record](const Course& one) {
    return one.longer && one.longer->id == record.id;
  });
}

void ExtendPlan::weigh(std::size_t endpoint, std::size_t frontend, const Seen& seen, WallTime now) {
  const std::size_t index = endpoint * frontends_ + frontend;
  Switch& one = report_.switches[index];
  if (seen.error) {
    one.verdict = Verdict::unknown;
    one.error = seen.error;
    return;
  }
  one.version = seen.info->version;
  one.rtt_ms = seen.rtt_ms;
  one.limit_now = seen.limit(frontend);
  const bool gated = seen.gate_holds(frontend);
  const bool held = gated || one.limit_now == 0;
  one.verdict = held ? Verdict::held : Verdict::open;
  const Record* record =
      held ? record_of(seen, frontend, one.endpoint, one.frontend, request_.records) : nullptr;
  const bool extensible = record != nullptr && record->deadline;
  if (!extensible) {
    refused_ = true;
    report_.ending = Ending::refused;
    one.error = Error{
        Errc::not_held,
        record != nullptr
            ? fmt::format("the hold of '{}' has no deadline to move", one.frontend)
            : fmt::format(
                  "'{}' is not held here: its traffic flows, and there is no deadline to move",
                  one.frontend)};
    return;
  }
  one.hold_id = record->id;
  one.method = gated ? by_gate : by_maxconn;
  const HeldSwitch& before = *record->find(one.endpoint, one.frontend);
  one.lease = gated ? "haproxy" : word(before.lease);
  one.limit_before = before.limit_before;
  Claim claim = request_.claim;
  claim.command = fmt::format("stillgate extend {} {:g}", one.frontend,
                              std::chrono::duration<double>(request_.by).count());
  if (auto error = not_the_holder(*record, claim, request_.records, now)) {
    refused_ = true;
    report_.ending = Ending::held_by_other;
    one.error = std::move(error);
    add_hold(report_, *record);
    return;
  }
  end_before(*record->deadline);
  Record longer = record->only(one.endpoint, one.frontend);
  *longer.deadline += request_.by;
  courses_[index] = {std::move(longer), seen.gate_handle(frontend)};
}

/// Each hold still stands, where HAProxy knows it.
std::vector<runtime_api::Condition> ExtendPlan::conditions() const {
  std::vector<runtime_api::Condition> list;
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    std::vector<Place> places;
    for (std::size_t j = 0; j < frontends_; ++j) {
      const auto& [longer, gate] = courses_[i * frontends_ + j];
      if (longer && (gate.used || keeps_[i]))
        places.push_back({j, request_.hold.frontends[j], {}, longer->id});
    }
    list.push_back(no_other_hold(seen_[i], request_.hold.endpoints[i], places));
  }
  return list;
}

bool ExtendPlan::reaches_all() const {
  return std::none_of(seen_.begin(), seen_.end(),
                      [](const Seen& seen) { return seen.error.has_value(); });
}

/// A hold by maxconn must be known to be followed by its guard before that looks for the last time.
milliseconds ExtendPlan::time_needed() const {
  double longest = 0;
  for (const Seen& seen : seen_) longest = std::max(longest, seen.rtt_ms.value_or(0));
  const auto round_trip = milliseconds(static_cast<std::int64_t>(longest));
  const bool by_guard = std::any_of(courses_.begin(), courses_.end(),
                                    [](const Course& one) { return one.longer && !one.gate.used; });
  const milliseconds guard = last_look + 2 * round_trip - *request_.keep;
  return least_time + least_round_trips * round_trip +
         (by_guard ? std::max(guard, milliseconds(0)) : milliseconds(0));
}

Step ExtendPlan::refuse_late() {
  report_.ending = Ending::refused;
  const auto left = limit_ ? std::chrono::floor<milliseconds>(*limit_ - now_) : milliseconds(0);
  report_.error = Error{
      Errc::cutover_too_late,
      reaches_all()
          ? fmt::format("the hold has {} ms left to be extended in, which needs {} ms; nothing was "
                        "changed",
                        std::max<std::int64_t>(left.count(), 0), time_needed().count())
          : "not every HAProxy answers, so the hold was not extended; nothing was changed"};
  return done();
}

Step ExtendPlan::write() {
  if (request_.keep && (!reaches_all() || !limit_ || now_ + time_needed() > *limit_)) {
    return refuse_late();
  }
  stage_ = Stage::writing;
  Batch batch;
  batch.phase = "extending";
  batch.work.resize(request_.hold.endpoints.size());
  batch.conditions = conditions();
  for (std::size_t index = 0; index < courses_.size(); ++index) {
    Course& course = courses_[index];
    if (!course.longer) continue;
    const std::size_t i = index / frontends_;
    Switch& one = report_.switches[index];
    Result<std::vector<runtime_api::Command>> commands{std::vector<runtime_api::Command>()};
    if (course.gate.used) {
      course.gate.token = longer_token(course.gate.token, request_.by, *course.longer);
      commands = hold_gate(one.frontend, course.gate);
    } else if (keeps_[i]) {
      commands = write_variable(one.frontend, *course.longer);
    }
    if (!commands) {
      one.error = commands.error();
      continue;
    }
    batch.work[i].insert(batch.work[i].end(), commands->begin(), commands->end());
  }
  return batch;
}

/// Below 2.4 only the journal has a hold by maxconn, and its guard reads that.
Step ExtendPlan::verified(const Observation& observation) {
  const auto& answers = std::get<observed::Answers>(observation.what).answers;
  for (std::size_t index = 0; index < courses_.size(); ++index) {
    const Course& course = courses_[index];
    Switch& one = report_.switches[index];
    if (!course.longer || one.error) continue;
    const std::size_t i = index / frontends_;
    const std::size_t j = index % frontends_;
    const Seen now = read_survey(answers[i], one.endpoint, request_.hold.frontends, Scope::holds);
    if (now.error) {
      one.verdict = Verdict::unknown;
      one.error = now.error;
      continue;
    }
    const bool held = course.gate.used ? now.gate_holds(j) : now.limit(j) == 0;
    one.verdict = held ? Verdict::held : Verdict::open;
    const Record* record = record_of(now, j, one.endpoint, one.frontend, request_.records);
    const bool by_journal = !course.gate.used && !keeps_[i];
    const bool longer = record != nullptr && record->id == course.longer->id &&
                        (by_journal || record->deadline == course.longer->deadline);
    if (held && longer) continue;
    one.error = ended_before();
    if (!held || record == nullptr || record->id != course.longer->id) continue;
    one.error->message =
        "HAProxy accepted the new deadline, but does not report it; run 'stillgate status'";
  }
  tell_behind();
  for (std::size_t index = 0; index < courses_.size(); ++index) {
    if (report_.switches[index].error) report_.ending = Ending::endpoint_failed;
    if (courses_[index].longer && !report_.switches[index].error) {
      add_hold(report_, *courses_[index].longer);
    }
  }
  return record(observation.now);
}

Step ExtendPlan::record(WallTime now) {
  stage_ = Stage::recording;
  while (next_record_ < request_.records.size()) {
    Record record = request_.records[next_record_++];
    const auto same = std::find_if(report_.holds.begin(), report_.holds.end(),
                                   [&record](const Hold& one) { return one.id == record.id; });
    if (same == report_.holds.end()) continue;
    record.deadline = same->deadline;
    same->frontends = record.summary().frontends;
    return step::WriteJournal{std::move(record)};
  }
  return settle(now);
}

/// Where the old deadline is near: only behind it is it known that the guard has followed.
Step ExtendPlan::settle(WallTime now) {
  std::optional<WallTime> until;
  for (std::size_t index = 0; index < courses_.size(); ++index) {
    const Course& course = courses_[index];
    if (!course.longer || course.gate.used || report_.switches[index].error) continue;
    const auto answer = milliseconds(static_cast<int>(report_.switches[index].rtt_ms.value_or(0)));
    const WallTime before = *course.longer->deadline - request_.by;
    if (before - now > last_look + 2 * answer) continue;
    if (request_.keep) {
      // Nobody waits for that here: what is kept is wanted now.
      report_.ending = Ending::endpoint_failed;
      report_.switches[index].error =
          Error{Errc::cutover_too_late,
                "HAProxy has the new deadline, but so late that the guard may have missed it"};
      continue;
    }
    until = std::max(until, std::optional(before + last_release + 2 * answer));
  }
  if (!until) return done();
  stage_ = Stage::settling;
  return step::Wait{std::max(std::chrono::ceil<milliseconds>(*until - now), milliseconds(0))};
}

Step ExtendPlan::settled(const Observation& observation) {
  const auto& answers = answers_of(observation);
  for (std::size_t index = 0; index < courses_.size(); ++index) {
    const Course& course = courses_[index];
    Switch& one = report_.switches[index];
    if (!course.longer || course.gate.used || one.error) continue;
    const Seen now = read_survey(answers[index / frontends_], one.endpoint, request_.hold.frontends,
                                 Scope::holds);
    one.verdict = now.error                            ? Verdict::unknown
                  : now.limit(index % frontends_) == 0 ? Verdict::held
                                                       : Verdict::open;
    one.error = now.error;
    if (one.verdict == Verdict::open) one.error = ended_before();
    if (one.error) report_.ending = Ending::endpoint_failed;
  }
  if (observation.cancelled) report_.ending = Ending::cancelled;
  return done();
}

void ExtendPlan::tell_unrecorded(const Error& error) {
  report_.ending = Ending::endpoint_failed;
  if (report_.error) return;
  report_.error = error;
  const bool by_journal = std::find(keeps_.begin(), keeps_.end(), false) != keeps_.end();
  report_.error->message = fmt::format(
      "the HAProxies have the new deadline, but this machine's journal does not{}: {}",
      by_journal ? " (a hold by maxconn below 2.4 may end at the old one)" : "", error.message);
}

Step ExtendPlan::done() { return step::Done{std::move(report_)}; }

}  // namespace stillgate::hold
