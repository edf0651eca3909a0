// The course of a suspend.
#include "suspend_plan.hpp"

#include <algorithm>
#include <utility>

#include "advice.hpp"
#include "timing.hpp"
#include "variable.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using std::chrono::milliseconds;

namespace {

const std::vector<Answer>& answers_of(const Observation& observation) {
  return std::get<observed::Answers>(observation.what).answers;
}

}  // namespace

SuspendPlan::SuspendPlan(Request request)
    : request_(std::move(request)),
      endpoints_(request_.question.endpoints.size()),
      frontends_(request_.question.frontends.size()),
      armed_(endpoints_, false),
      sent_(endpoints_, false),
      lost_(endpoints_, false),
      drain_(request_.question),
      rollback_(request_.question, report_.switches, armed_) {
  report_.action = request_.check_only ? "check" : "suspend";
}

Step SuspendPlan::next(const Observation& observation) {
  switch (stage_) {
    case Stage::start:
      stage_ = Stage::surveying;
      return survey("checking", Scope::servers, false);
    case Stage::surveying:
      return surveyed(observation);
    case Stage::listing:
      return listed(answers_of(observation));
    case Stage::recording:
      return recorded(observation);
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
      if (!observation.cancelled) return done();
      report_.ending = Ending::cancelled;
      report_.holds.clear();
      return roll_back();
    case Stage::rolling_back:
      if (auto step = rollback_.next(observation)) return *std::move(step);
      return close_record();
    case Stage::closing_record:
      if (const auto& error = std::get<observed::Journaled>(observation.what).error;
          error && !report_.error) {
        report_.error = error;
        if (report_.ending == Ending::done) report_.ending = Ending::endpoint_failed;
      }
      return done();
  }
  return done();
}

Step SuspendPlan::surveyed(const Observation& observation) {
  const auto& answers = answers_of(observation);
  for (std::size_t i = 0; i < endpoints_; ++i) {
    before_.push_back(
        read_survey(answers[i], request_.question.endpoints[i], request_.question.frontends));
  }
  report_.switches = weigh(request_.question, before_, request_.known);
  if (observation.cancelled) {
    report_.ending = Ending::cancelled;
    return done();
  }
  if (request_.check_only) return list_streams();
  if (refused(report_.switches)) return refuse();
  return record(observation);
}

/// Which requests are slow, and who else talks to the stats sockets: for a check alone, because it
/// costs HAProxy more than anything else that is asked here.
Step SuspendPlan::list_streams() {
  stage_ = Stage::listing;
  Batch batch;
  batch.phase = "checking";
  batch.work.resize(endpoints_);
  bool any = false;
  for (std::size_t i = 0; i < endpoints_; ++i) {
    if (before_[i].error || connections_now(before_[i]) > most_streams_listed) continue;
    batch.work[i].push_back(Command::show_streams());
    any = true;
  }
  if (any) return batch;
  return refused(report_.switches) ? refuse() : done();
}

Step SuspendPlan::listed(const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < endpoints_; ++i) {
    if (answers[i].replies.empty() || answers[i].replies[0].refusal) continue;
    const auto streams = runtime_api::parse_streams(answers[i].replies[0].text);
    if (!streams) continue;
    for (std::size_t j = 0; j < frontends_; ++j) {
      advise(at(i, j), *streams, request_.drain_timeout);
    }
  }
  return refused(report_.switches) ? refuse() : done();
}

Step SuspendPlan::refuse() {
  report_.ending = Ending::refused;
  for (std::size_t i = 0; i < report_.switches.size(); ++i) {
    const Switch& one = report_.switches[i];
    if (!one.hold_id) continue;
    report_.ending = Ending::held_by_other;
    const Record* record = record_of(before_[i / frontends_], i % frontends_, one.endpoint,
                                     one.frontend, request_.known);
    if (record != nullptr) add_hold(report_, *record);
  }
  return done();
}

Step SuspendPlan::record(const Observation& observation) {
  Record& record = request_.record;
  record.started_at = std::chrono::time_point_cast<milliseconds>(observation.now);
  if (request_.kept) record.deadline = record.started_at + request_.question.max_hold;
  for (Switch& one : report_.switches) {
    one.limit_before = one.limit_now;
    record.switches.push_back({one.endpoint, one.frontend, *one.limit_now, {}});
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
  return arm();
}

bool SuspendPlan::remembers(std::size_t endpoint) const {
  const auto& remembered = before_[endpoint].remembered;
  return !remembered.empty() && remembered[0].supported;
}

/// Also a short round trip right before the commit, by which its writes are aligned.
Step SuspendPlan::arm() {
  Batch batch;
  batch.phase = "arming";
  batch.work.resize(endpoints_);
  for (std::size_t i = 0; i < endpoints_; ++i) {
    if (!remembers(i)) {
      batch.work[i].push_back(Command::show_cli_level());
      continue;
    }
    for (const std::string& frontend : request_.question.frontends) {
      auto commands =
          write_variable(frontend, request_.record.only(request_.question.endpoints[i], frontend));
      if (!commands) {
        report_.ending = Ending::refused;
        report_.error = commands.error();
        return close_record();
      }
      batch.work[i].insert(batch.work[i].end(), commands->begin(), commands->end());
      batch.work[i].push_back(read_variable(frontend));
    }
  }
  stage_ = Stage::arming;
  return batch;
}

/// Why the record does not stand in that HAProxy, by its answers to arm().
std::optional<Error> SuspendPlan::unarmed(std::size_t endpoint,
                                          const std::vector<runtime_api::Reply>& replies) const {
  if (!remembers(endpoint)) return std::nullopt;
  const std::size_t each = replies.size() / frontends_;
  for (std::size_t n = 0; n < replies.size(); ++n) {
    const bool last = n % each == each - 1;
    if (!last && replies[n].refusal) return replies[n].refusal;
    if (!last) continue;
    const auto now = read_remembered(replies[n], request_.question.endpoints[endpoint],
                                     request_.question.frontends[n / each]);
    if (now.record && now.record->id == request_.record.id) continue;
    return Error{
        Errc::journal_failed,
        "HAProxy took the record of the hold, but it does not read back; somebody else may "
        "be holding the same frontend just now",
        {},
        {},
        {}};
  }
  return std::nullopt;
}

Step SuspendPlan::armed(const Observation& observation) {
  const auto& answers = answers_of(observation);
  bool failed = false;
  for (std::size_t i = 0; i < endpoints_; ++i) {
    armed_[i] = remembers(i) && answers[i].sent;
    const auto error = answers[i].error ? answers[i].error : unarmed(i, answers[i].replies);
    if (!error) continue;
    failed = true;
    for (std::size_t j = 0; j < frontends_; ++j) at(i, j).error = error;
  }
  if (failed || observation.cancelled) {
    report_.ending = observation.cancelled ? Ending::cancelled : Ending::endpoint_failed;
    return roll_back();
  }
  stage_ = Stage::committing;
  return commit();
}

Step SuspendPlan::committed(const Observation& observation) {
  const auto& answers = answers_of(observation);
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
    report_.ending = observation.cancelled ? Ending::cancelled : Ending::endpoint_failed;
    return roll_back();
  }
  report_.commit_window_ms = commit_window_ms(answers);
  report_.skew_ms = skew_ms(answers);
  stage_ = Stage::verifying;
  return survey("verifying", Scope::proxies, true);
}

Step SuspendPlan::verified(const Observation& observation) {
  const auto& answers = answers_of(observation);
  held_.clear();
  for (std::size_t i = 0; i < endpoints_; ++i) {
    held_.push_back(
        read_survey(answers[i], request_.question.endpoints[i], request_.question.frontends));
    judge(i, held_.back());
  }
  const bool all_held =
      std::all_of(report_.switches.begin(), report_.switches.end(),
                  [](const Switch& one) { return one.verdict == Verdict::held && !one.error; });
  if (!all_held || observation.cancelled) {
    report_.ending = all_held ? Ending::cancelled : Ending::endpoint_failed;
    return roll_back();
  }
  return drain(drain_.begin(held_, observation.elapsed), observation);
}

/// What was read back decides, not the answer to the commit: a lost answer with the limit at 0
/// is a hold.
void SuspendPlan::judge(std::size_t endpoint, const Seen& now) {
  for (std::size_t j = 0; j < frontends_; ++j) {
    Switch& one = at(endpoint, j);
    if (now.error) {
      one.verdict = sent_[endpoint] ? Verdict::unknown : Verdict::unchanged;
      if (!one.error) one.error = now.error;
      continue;
    }
    one.limit_now = now.limit(j);
    if (!now.same_process(before_[endpoint])) {
      one.verdict = one.limit_now == 0 ? Verdict::unknown : Verdict::unchanged;
      one.error = Error{Errc::haproxy_restarted,
                        "another process answers than before the commit; its limits are those of "
                        "its configuration",
                        {},
                        {},
                        {}};
    } else if (now.frontends[j] && now.frontends[j]->stopped) {
      one.verdict = Verdict::unknown;
      one.error = stopped(one.frontend);
    } else if (one.limit_now == 0) {
      one.verdict = Verdict::held;
      one.error.reset();
      one.method = "maxconn";
      one.lease = request_.kept ? "holder" : "none";
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

/// Adds to the records from where leaks are counted, so that whoever resumes can count them.
Step SuspendPlan::seal() {
  Batch batch;
  batch.phase = "recording";
  batch.work.resize(endpoints_);
  for (HeldSwitch& one : request_.record.switches) {
    const auto index = static_cast<std::size_t>(&one - request_.record.switches.data());
    const std::size_t i = index / frontends_;
    one.counters = drain_.seen(i).counters(index % frontends_);
    if (!armed_[i]) continue;
    const auto commands =
        write_variable(one.frontend, request_.record.only(one.endpoint, one.frontend));
    if (!commands) continue;
    batch.work[i].insert(batch.work[i].end(), commands->begin(), commands->end());
  }
  stage_ = Stage::sealing;
  return batch;
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
  for (Switch& one : report_.switches) one.leaked = 0;
  report_.holds.push_back(request_.record.summary());
  stage_ = Stage::recording_counters;
  return step::WriteJournal{request_.record};
}

Step SuspendPlan::roll_back() {
  stage_ = Stage::rolling_back;
  if (auto step = rollback_.begin()) return *std::move(step);
  return close_record();
}

/// What is not surely open again stays on record, for `resume`.
Step SuspendPlan::close_record() {
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

Batch SuspendPlan::survey(const char* phase, Scope scope, bool uninterruptible) const {
  Batch batch;
  batch.phase = phase;
  batch.uninterruptible = uninterruptible;
  batch.work.assign(endpoints_, survey_commands(request_.question.frontends, scope));
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
