// The course of a suspend, from check to done. Its parts decide, and say what is sent; only next()
// knows their order.
#include "suspend_plan.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <utility>

#include "arming.hpp"
#include "drain.hpp"
#include "hold/check/method.hpp"
#include "hold/check/refusals.hpp"
#include "hold/check/warnings.hpp"
#include "hold/events.hpp"
#include "hold/resume_point.hpp"
#include "hold/survey/held_probe.hpp"
#include "hold/survey/timing.hpp"
#include "lock.hpp"
#include "rollback.hpp"
#include "verdict.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using std::chrono::milliseconds;
using Word = step::TellGuard::Word;

namespace {

bool needs_guard(const SuspendedSwitch& row) { return row.held.lease != Lease::none; }

/// Backends without a server, for a resume that waits until they are up: as many as a record in
/// HAProxy may have. It waits for the others, too.
NameList down_in(const Seen& seen) {
  static constexpr std::size_t most_bytes = 500;
  NameList down;
  for (const BackendSeen& backend : seen.backends) {
    if (backend.up || down.text().size() + backend.name.size() >= most_bytes) continue;
    if (!runtime_api::check_frontend_name(backend.name)) down.add(backend.name);
  }
  return down;
}

/// A gate needs no guard: HAProxy itself keeps its deadline.
SuspendedSwitch row_of(Switch found, std::size_t place, const Seen& before, bool no_lease) {
  SuspendedSwitch row;
  row.place = place;
  row.gate.used = found.method == by_gate;
  row.gate.table = !before.has_variables();
  row.gate.names = before.gate && before.gate->names;
  row.held = {found.endpoint, found.frontend, *found.limit_now, {}, Lease::none, down_in(before)};
  if (!row.gate.used && !no_lease) row.held.lease = Lease::guard;
  row.report = std::move(found);
  row.report.limit_before = row.report.limit_now;
  // Nothing is held yet.
  row.report.method.reset();
  return row;
}

/// A failure that the end of the hold does not explain.
bool has_other_reason(const SuspendedSwitch& row) {
  static constexpr std::array explained{Errc::gate_failed, Errc::limit_mismatch,
                                        Errc::drain_timeout, Errc::hold_changed};
  const auto& error = row.report.error;
  return error && std::ranges::find(explained, error->code) == explained.end();
}

}  // namespace

SuspendPlan::SuspendPlan(Request request) : request_(std::move(request)) {
  report_.action = "suspend";
  for (const std::string& url : request_.hold.endpoints) rows_.push_back({url, {}});
}

Step SuspendPlan::next(const Observation& observation) {
  switch (at_) {
    case 0:
      YIELD(1, survey());
      note_survey(observation);
      if (asks(time_waits())) {
        YIELD(25, time_waits());
        note_times(observation);
      }
      if (!confirm_free(observation)) return done();
      if (asks(look_closer())) {
        YIELD(2, look_closer());
        advise(answers_of(observation));
      } else {
        advise(std::vector<Answer>(rows_.size()));
      }
      if (stopped(observation)) return done();

      // From here on something is on record, and whatever fails ends in the rollback.
      make_record(observation);
      YIELD(3, step::WriteJournal{record()});
      if (!confirm_journal(observation)) return done();
      if (stopped(observation)) goto roll_back;

      sweeps_ = waits::left_over(rows_, observation.now);
      for (batch_ = sweeps_.begin(observation.elapsed); asks(batch_);
           batch_ = sweeps_.next(answers_of(observation), observation.elapsed)) {
        YIELD(24, batch_);
      }
      if (!confirm_swept(observation)) goto roll_back;

      // The guard's line is never sent where a close would let it run.
      proofs_ = waits::wanted(rows_, request_.record);
      while (proofs_.wants_round()) {
        proof_began_ = observation.elapsed;
        YIELD(20, proofs_.lines());
        proofs_.told(std::get<observed::Proving>(observation.what).failures, proof_began_);
        for (batch_ = proofs_.next(nullptr); asks(batch_);
             batch_ = proofs_.next(&answers_of(observation))) {
          YIELD(21, batch_);
        }
        YIELD(22, step::EndProof{});
        proofs_.closed(observation.elapsed);
        for (batch_ = proofs_.next(nullptr); asks(batch_);
             batch_ = proofs_.next(&answers_of(observation))) {
          YIELD(23, batch_);
        }
        proofs_.end_round();
        if (stopped(observation)) goto roll_back;
      }
      waits::take(rows_, proofs_);

      if (any_switch(rows_, needs_guard)) {
        YIELD(4, start_guard());
        if (!confirm_guard(observation)) goto roll_back;
      }

      if (!prepare_lock(observation)) goto roll_back;
      while (lock::is_pending(rows_)) {
        YIELD(5, lock::take(rows_, request_));
        if (!confirm_lock(observation)) goto roll_back;
      }

      if (!prepare_arming()) goto roll_back;
      YIELD(6, arming::write(rows_, request_.record));
      if (!confirm_armed(observation)) goto roll_back;

      do {
        if (too_late(observation) || !prepare_commit(observation)) goto roll_back;
        YIELD(7, commit::write(rows_, request_.record));
      } while (must_commit_again(observation));
      if (!confirm_sent(observation)) goto roll_back;

      YIELD(8, verdict::read_back(rows_, request_));
      if (!confirm_held(observation) || too_late(observation)) goto roll_back;
      events_.push_back(held_event(record(), report(), observation.now));

      begin_drain(observation);
      for (;;) {
        if (give_up_drain(observation) || too_late(observation)) goto roll_back;
        if (must_drain()) {
          YIELD(9, step::Wait{drain::pause});
        } else {
          note_drained(observation);
          YIELD(10, commit::seal(rows_, request_.record, terms_));
          if (stopped(observation) || has_lost_hold(observation)) goto roll_back;
          if (confirm_sealed(observation)) break;
        }
        YIELD(11, drain::look(rows_, request_, observation.elapsed));
        drain::read(rows_, request_, answers_of(observation));
      }
      note_sealed(observation);
      // Without its counters the record still ends the hold; only the leaks go uncounted.
      YIELD(12, step::WriteJournal{record()});
      if (stopped(observation) || too_late(observation)) goto roll_back;

      if (has_guard_) {
        YIELD(13, step::TellGuard{Word::hold});
        if (!confirm_handover(observation)) goto roll_back;
      }
      report_.holds.push_back(record().summary());
      return done();

    roll_back:
      if (comes_of_deadline(observation)) tell_deadline();
      rollback::begin(rows_);
      while (any_switch(rows_, may_be_held) && attempt_ < rollback::attempts) {
        if (attempt_++ > 0) YIELD(14, step::Wait{rollback::pause});
        YIELD(15, rollback::revert(rows_, request_.record.id));
        // Whatever was answered, only what is read back counts.
        YIELD(16, rollback::read_back(rows_, request_));
        rollback::judge(rows_, request_, answers_of(observation));
      }
      if (asks(rollback::disarm(rows_, request_.record, observation.now))) {
        YIELD(17, rollback::disarm(rows_, request_.record, observation.now));
      }
      close_record(observation);
      YIELD(18, step::WriteJournal{record_with(may_be_held)});
      note_closed(observation);
      if (has_guard_) YIELD(19, dismiss_guard());
  }
  return done();
}

Batch SuspendPlan::survey() const {
  Batch batch;
  batch.phase = "checking";
  batch.work.assign(rows_.size(), survey_commands(request_.hold.frontends, Scope::servers));
  return batch;
}

void SuspendPlan::note_survey(const Observation& observation) {
  const auto& answers = answers_of(observation);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    rows_[i].before =
        read_survey(answers[i], rows_[i].url, request_.hold.frontends, Scope::servers);
  }
}

/// When HAProxy would end what waits.
Batch SuspendPlan::time_waits() const {
  Batch batch;
  batch.phase = "checking";
  for (const SuspendedEndpoint& endpoint : rows_) {
    auto& work = batch.work.emplace_back();
    if (request_.hold.options.method != Method::maxconn) {
      work = held_probe_commands(request_.hold.frontends, endpoint.before);
    }
  }
  return batch;
}

void SuspendPlan::note_times(const Observation& observation) {
  const auto& answers = answers_of(observation);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    read_held_probe(rows_[i].before, answers[i], request_.hold.frontends);
  }
}

bool SuspendPlan::confirm_free(const Observation& observation) {
  std::vector<Seen> seen;
  for (SuspendedEndpoint& endpoint : rows_) seen.push_back(std::move(endpoint.before));
  conclude(report_, request_.hold, seen, request_.known, observation.now);
  for (std::size_t i = 0; i < rows_.size(); ++i) rows_[i].before = std::move(seen[i]);
  return !stopped(observation) && report_.ok();
}

Batch SuspendPlan::look_closer() const {
  Batch batch;
  batch.phase = "checking";
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    batch.work.push_back(closer_look(request_.hold, i, rows_[i].before, false));
  }
  return batch;
}

void SuspendPlan::advise(const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    advise_closer(report_.switches, request_.hold, i, rows_[i].before, answers[i], std::nullopt);
  }
}

/// What the check found becomes rows.
void SuspendPlan::make_record(const Observation& observation) {
  const SuspendOptions& options = request_.hold.options;
  auto found = std::make_move_iterator(report_.switches.begin());
  for (SuspendedEndpoint& endpoint : rows_) {
    for (std::size_t place = 0; place < request_.hold.frontends.size(); ++place) {
      endpoint.switches.push_back(row_of(*found++, place, endpoint.before, options.no_lease));
    }
  }
  report_.switches.clear();
  Record& record = request_.record;
  record.started_at = std::chrono::time_point_cast<milliseconds>(observation.now);
  terms_.order.on_expiry = options.on_expiry;
  terms_.order.on_reload = options.on_reload;
  terms_.order.max_waiting = options.max_waiting;
  if (options.no_lease && !any_switch(rows_, [](const auto& row) { return row.gate.used; })) return;
  record.deadline = record.started_at + options.max_hold;
  terms_.deadline = observation.elapsed + options.max_hold;
}

bool SuspendPlan::confirm_journal(const Observation& observation) {
  const auto& error = std::get<observed::Journaled>(observation.what).error;
  if (!error) return true;
  report_.ending = Ending::refused;
  report_.error = error;
  return false;
}

step::StartGuard SuspendPlan::start_guard() const { return {record_with(needs_guard)}; }

bool SuspendPlan::confirm_guard(const Observation& observation) {
  const auto& [error, backed] = std::get<observed::Guarded>(observation.what);
  has_guard_ = !error;
  for (SuspendedEndpoint& endpoint : rows_) {
    const bool waiting = std::find(backed.begin(), backed.end(), endpoint.url) != backed.end();
    for (SuspendedSwitch& row : endpoint.switches) {
      if (!error && !waiting && row.held.lease == Lease::backed) waits::take_back(row);
    }
  }
  if (!error && !observation.cancelled) return true;
  end(observation, Ending::refused);
  if (!error || error->code == Errc::cancelled) return false;
  for (SuspendedEndpoint& endpoint : rows_) {
    if (endpoint.url != error->field) continue;
    for (SuspendedSwitch& row : endpoint.switches) row.report.error = error;
  }
  report_.error = error;
  report_.error->field.clear();
  if (error->code == Errc::guard_failed && is_near_deadline(observation)) tell_deadline();
  return false;
}

bool SuspendPlan::prepare_lock(const Observation& observation) {
  const auto error = lock::prepare(rows_, request_.record, observation.now);
  has_begun_ = !error;
  if (!error) return true;
  report_.ending = Ending::refused;
  report_.error = error;
  return false;
}

bool SuspendPlan::confirm_lock(const Observation& observation) {
  lock::read(rows_, request_, answers_of(observation), observation.now);
  const bool failed = lock::has_failed(rows_);
  if (failed) lock::tell(rows_, report_);
  return !stopped(observation) && !failed;
}

bool SuspendPlan::confirm_swept(const Observation& observation) {
  if (waits::are_gone(rows_, sweeps_)) return !stopped(observation);
  end(observation, Ending::refused);
  return false;
}

bool SuspendPlan::prepare_arming() {
  const auto error = arming::prepare(rows_, request_.record);
  if (!error) return true;
  report_.ending = Ending::refused;
  report_.error = error;
  return false;
}

bool SuspendPlan::confirm_armed(const Observation& observation) {
  const bool armed = arming::read(rows_, answers_of(observation), request_.record);
  if (armed && !observation.cancelled) return true;
  end(observation, Ending::endpoint_failed);
  return false;
}

/// A suspend that was frozen for so long must not hold any more: whoever keeps the lease has ended
/// it, or is about to.
bool SuspendPlan::too_late(const Observation& observation) {
  if (!terms_.deadline || observation.elapsed < *terms_.deadline) return false;
  tell_deadline();
  return true;
}

/// The hold has ended, or is about to: by the clock of whoever keeps its deadline, which may be a
/// little ahead of this one.
bool SuspendPlan::is_near_deadline(const Observation& observation) const {
  static constexpr milliseconds clocks_differ{250};
  return !observation.cancelled && terms_.deadline &&
         observation.elapsed >= *terms_.deadline - clocks_differ;
}

/// All that failed since it held may have failed because it had ended.
bool SuspendPlan::comes_of_deadline(const Observation& observation) const {
  return may_hold_ && is_near_deadline(observation) && !any_switch(rows_, has_other_reason);
}

/// What looked like another failure was its consequence.
void SuspendPlan::tell_deadline() {
  const Error error{Errc::deadline_passed,
                    "the hold's deadline came before the suspend was done; use a longer "
                    "--max-hold, or check what delayed this machine or the requests in flight"};
  report_.ending = Ending::endpoint_failed;
  report_.error = error;
  for (SuspendedEndpoint& endpoint : rows_) {
    for (SuspendedSwitch& row : endpoint.switches) {
      if (!has_other_reason(row)) row.report.error = error;
    }
  }
  if (report_.drained) report_.drained = false;
}

bool SuspendPlan::prepare_commit(const Observation& observation) {
  if (terms_.deadline) {
    terms_.order.lasts = std::clamp(*terms_.deadline - observation.elapsed, milliseconds(1),
                                    request_.hold.options.max_hold);
  }
  const auto error = commit::prepare(rows_, request_.record, terms_);
  may_hold_ = may_hold_ || !error;
  if (!error) return true;
  report_.ending = Ending::endpoint_failed;
  report_.error = error;
  return false;
}

/// It stood still at the barrier, and nothing was sent: what HAProxies say is asked anew.
bool SuspendPlan::must_commit_again(const Observation& observation) {
  const bool stalled = std::ranges::any_of(answers_of(observation), [](const Answer& answer) {
    return answer.error && answer.error->code == Errc::stalled;
  });
  return stalled && !observation.cancelled && ++commits_ < most_commits;
}

bool SuspendPlan::confirm_sent(const Observation& observation) {
  const auto& answers = answers_of(observation);
  if (!commit::read(rows_, answers)) {
    end(observation, Ending::endpoint_failed);
    return false;
  }
  report_.commit_window_ms = commit_window_ms(answers);
  report_.skew_ms = skew_ms(answers);
  return true;
}

bool SuspendPlan::confirm_held(const Observation& observation) {
  if (verdict::judge(rows_, request_, answers_of(observation))) return !stopped(observation);
  report_.ending = Ending::endpoint_failed;
  return false;
}

bool SuspendPlan::wants_drain() const { return request_.drain_timeout > milliseconds(0); }

void SuspendPlan::begin_drain(const Observation& observation) {
  drain_began_ = observation.elapsed;
  drain::begin(rows_, request_);
}

bool SuspendPlan::give_up_drain(const Observation& observation) {
  const auto state = drain::state_of(rows_);
  const auto spent = observation.elapsed - drain_began_;
  const bool timed_out =
      wants_drain() && spent + drain::pause > request_.drain_timeout && state == drain::State::more;
  const bool failed = timed_out || state == drain::State::failed;
  if (!failed && !observation.cancelled) return false;
  end(observation, Ending::endpoint_failed);
  if (failed) drain::tell(rows_, request_, timed_out);
  if (wants_drain()) report_.drained = false;
  return true;
}

bool SuspendPlan::must_drain() const {
  return wants_drain() && drain::state_of(rows_) == drain::State::more;
}

void SuspendPlan::note_drained(const Observation& observation) {
  if (!wants_drain()) return;
  const auto spent = observation.elapsed - drain_began_;
  report_.drained = true;
  report_.drain_ms = std::chrono::duration<double, std::milli>(spent).count();
  drain::tell(rows_, request_, false);
}

/// While it stood still, its hold has ended, or another one has begun.
bool SuspendPlan::has_lost_hold(const Observation& observation) {
  const auto& answers = answers_of(observation);
  bool lost = false;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (!answers[i].error || answers[i].error->code != Errc::hold_changed) continue;
    lost = true;
    for (SuspendedSwitch& row : rows_[i].switches) row.report.error = answers[i].error;
  }
  if (lost) report_.ending = Ending::endpoint_failed;
  return lost;
}

/// An HAProxy that did not answer may be gone, and the hold there with it: one more look tells.
bool SuspendPlan::confirm_sealed(const Observation& observation) {
  const auto& answers = answers_of(observation);
  bool doubtful = false;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (!answers[i].error) continue;
    drain::doubt(rows_[i]);
    doubtful = true;
  }
  return !doubtful || std::exchange(has_doubted_, true);
}

/// From here on leaks are counted.
void SuspendPlan::note_sealed(const Observation& observation) {
  if (report_.drained) events_.push_back(drained_event(record(), report(), observation.now));
  for (SuspendedEndpoint& endpoint : rows_) {
    for (SuspendedSwitch& row : endpoint.switches) row.report.leaked = 0;
  }
}

bool SuspendPlan::confirm_handover(const Observation& observation) {
  const auto& error = std::get<observed::Guarded>(observation.what).error;
  if (!error && !observation.cancelled) return true;
  end(observation, Ending::endpoint_failed);
  if (!observation.cancelled) report_.error = error;
  return false;
}

/// What is not surely open again stays on record, for `resume`.
void SuspendPlan::close_record(const Observation& observation) {
  if (has_begun_) {
    for (Event& event : rolled_back_events(record(), report(), observation.now)) {
      events_.push_back(std::move(event));
    }
  }
  // Its holder is told here that the suspend failed: no resume of what is left comes too late.
  Record& record = request_.record;
  record.end = RecordEnd{End::opened, std::chrono::time_point_cast<milliseconds>(observation.now),
                         record.owner, true};
  const Record left = record_with(may_be_held);
  if (!left.switches.empty()) report_.holds.push_back(left.summary());
}

void SuspendPlan::note_closed(const Observation& observation) {
  const auto& error = std::get<observed::Journaled>(observation.what).error;
  if (!error || report_.error) return;
  report_.error = error;
  if (report_.ending == Ending::done) report_.ending = Ending::endpoint_failed;
}

/// What the rollback could not reach, the guard goes on trying. And a commit whose answer was lost
/// may still be on its way: it would hold what was read back as open, with nobody left to end that.
step::TellGuard SuspendPlan::dismiss_guard() const {
  const bool on_its_way = std::any_of(
      rows_.begin(), rows_.end(), [](const SuspendedEndpoint& endpoint) { return endpoint.lost; });
  return {any_switch(rows_, may_be_held) || on_its_way ? Word::end : Word::leave};
}

bool SuspendPlan::stopped(const Observation& observation) {
  if (observation.cancelled) report_.ending = Ending::cancelled;
  return observation.cancelled;
}

void SuspendPlan::end(const Observation& observation, Ending ending) {
  report_.ending = observation.cancelled ? Ending::cancelled : ending;
}

Report SuspendPlan::report() const {
  Report report = report_;
  for (const SuspendedEndpoint& endpoint : rows_) {
    for (const SuspendedSwitch& row : endpoint.switches) report.switches.push_back(row.report);
  }
  return report;
}

template <class Test>
Record SuspendPlan::record_with(const Test& test) const {
  Record record = request_.record;
  for (const SuspendedEndpoint& endpoint : rows_) {
    for (const SuspendedSwitch& row : endpoint.switches) {
      if (test(row)) record.switches.push_back(row.held);
    }
  }
  return record;
}

Record SuspendPlan::record() const {
  return record_with([](const SuspendedSwitch&) { return true; });
}

Step SuspendPlan::done() const { return step::Done{report()}; }

}  // namespace stillgate::hold
