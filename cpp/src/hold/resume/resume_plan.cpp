// The course of a resume, from check to done. Its parts decide, and say what is sent; only next()
// knows their order.
#include "resume_plan.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "aftermath.hpp"
#include "hold/record/lookup.hpp"
#include "hold/record/owner.hpp"
#include "hold/resume_point.hpp"
#include "lateness.hpp"
#include "owner.hpp"
#include "ramp.hpp"
#include "release.hpp"
#include "verdict.hpp"
#include "waits.hpp"

namespace stillgate::hold {

using runtime_api::Batch;
using std::chrono::milliseconds;

namespace {

bool is_limit_due(const ResumedSwitch& row) { return is_due(row) && !row.gate.used; }

/// In the worker that answers, and in those that reloads have replaced.
std::int64_t waiting_in(const Switch& report) {
  return report.waiting.value_or(0) + (report.old_workers ? report.old_workers->waiting : 0);
}

/// Open by the gate, but not all who waited there have gone.
bool is_emptying(const ResumedSwitch& row) {
  return row.settled && row.was_gated && row.report.verdict == Verdict::resumed &&
         waiting_in(row.report) > 0;
}

/// A release was sent, and what came of it is unknown.
bool is_unseen(const ResumedSwitch& row) { return row.written && is_pending(row); }

bool has_failed(const ResumedSwitch& row) {
  return row.report.error && row.report.error->code != Errc::hold_ended;
}

/// Begins anew in the new worker. A gate outlives its process: it has nothing to begin anew.
void follow_reload(ResumedSwitch& row) {
  if (row.was_gated) return;
  row.followed = is_over(row);
  row.settled = row.written = row.ramped = row.unfinished = false;
  row.lost.reset();
  row.refusal.reset();
  row.target.reset();
}

}  // namespace

ResumePlan::ResumePlan(Request request)
    : request_(std::move(request)),
      waited_up_(!request_.wait_up && request_.wait_up_for.empty()),
      ramped_(request_.ramp <= milliseconds(0)) {
  report_.action = "resume";
  for (const std::string& url : request_.hold.endpoints) {
    ResumedEndpoint endpoint{url};
    for (const std::string& frontend : request_.hold.frontends) {
      ResumedSwitch row;
      row.place = endpoint.switches.size();
      row.report.endpoint = url;
      row.report.frontend = frontend;
      endpoint.switches.push_back(std::move(row));
    }
    rows_.push_back(std::move(endpoint));
  }
}

Step ResumePlan::next(const Observation& observation) {
  switch (at_) {
    case 0:
      // Each attempt is short and its end is told to the caller, so that a stop can act between
      // two. Within an attempt nothing is released twice: without the pause after it, and the look
      // at the time there, a release that breaks off each time would be asked for ever.
      for (;;) {
        YIELD(1, ask("checking"));
        read(observation);
        if (turn_to_new_workers(observation)) continue;
        if (refuse_foreign(observation)) return done();
        if (refuse_unknown_backend(observation)) return done();
        if (must_wait_up(observation)) {
          YIELD(2, step::Wait{wait_up_pause});
          continue;
        }
        if (may_release(observation)) {
          if (must_ramp()) {
            YIELD(3, ramp::mark(rows_, request_));
            ramp::read_marks(rows_, answers_of(observation));
            if (must_look_again(observation)) continue;
            while (mark_next_record()) {
              YIELD(4, step::WriteJournal{request_.records[next_record_ - 1]});
              if (!confirm_mark(observation)) break;
            }
            while (takes_step(observation)) {
              YIELD(5, ramp::raise(rows_, request_, step_));
              YIELD(6,
                    step::Wait{observation.cancelled ? milliseconds(0) : ramp::pause_of(request_)});
            }
          }
          YIELD(7, release(observation.now));
          release::read(rows_, answers_of(observation));
          if (must_look_again(observation)) continue;
          YIELD(8, ask("verifying"));
          read(observation);
          while (must_look_last(observation)) {
            YIELD(9, step::Wait{last_look_pause});
            YIELD(10, ask("releasing"));
            read(observation);
          }
          if (turn_to_new_workers(observation)) continue;
        }
        if (!must_retry(observation)) break;
        YIELD(11, step::Wait{retry_pause});
      }
      conclude(observation);
      sweeps_ = waits::of_ended(rows_, observation.now);
      for (batch_ = sweeps_.begin(observation.elapsed); asks(batch_);
           batch_ = sweeps_.next(answers_of(observation), observation.elapsed)) {
        YIELD(16, batch_);
      }
      waits::note_left(rows_, sweeps_);
      if (asks(owner::disarm(rows_, request_, observation.now))) {
        YIELD(12, owner::disarm(rows_, request_, observation.now));
      }
      while (close_next_record()) {
        YIELD(13, step::WriteJournal{request_.records[next_record_ - 1]});
        note_closed(observation);
      }
      aftermath::begin(rows_, observation.elapsed);
      while (aftermath::must_look(rows_, observation)) {
        YIELD(14, step::Wait{aftermath::pause});
        YIELD(15, aftermath::look(rows_));
        aftermath::read(rows_, answers_of(observation));
      }
      note_aftermath(observation);
  }
  return done();
}

/// A ramp takes its time: nobody waits for its end.
bool ResumePlan::is_letting_through(const ResumedEndpoint& endpoint) const {
  return request_.ramp <= milliseconds(0) && std::ranges::any_of(endpoint.switches, is_emptying);
}

bool ResumePlan::is_asked(const ResumedEndpoint& endpoint) const {
  return std::ranges::any_of(endpoint.switches, is_pending) || is_letting_through(endpoint);
}

Batch ResumePlan::ask(const char* phase) const {
  Batch batch;
  batch.phase = phase;
  // What was released is looked at, or its lock and its record would outlive the hold.
  batch.uninterruptible = step_ > 0 || any_switch(rows_, is_unseen);
  batch.fresh = fresh_;
  batch.haste = runtime_api::Haste::once_half_answered;
  for (const ResumedEndpoint& endpoint : rows_) {
    auto& work = batch.work.emplace_back();
    if (is_asked(endpoint)) work = survey_commands(request_.hold.frontends, scope());
  }
  return batch;
}

void ResumePlan::read(const Observation& observation) {
  const auto& answers = answers_of(observation);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    ResumedEndpoint& endpoint = rows_[i];
    if (!is_asked(endpoint)) continue;
    endpoint.last = read_survey(answers[i], endpoint.url, request_.hold.frontends, scope());
    verdict::judge(endpoint, request_, *endpoint.last);
  }
}

/// A connection that was made before a reload leads to the old worker, which says that it is
/// stopping. What it holds is of no matter any more: who waited there waits for the new one, which
/// is asked from the start.
bool ResumePlan::turn_to_new_workers(const Observation& observation) {
  if (std::exchange(fresh_, false) || observation.cancelled || reloads_ >= most_reloads)
    return false;
  for (ResumedEndpoint& endpoint : rows_) {
    if (!endpoint.last || endpoint.last->error || !endpoint.last->info->stopping) continue;
    endpoint.first.reset();
    endpoint.last.reset();
    for (ResumedSwitch& row : endpoint.switches) follow_reload(row);
    fresh_ = true;
  }
  if (fresh_) ++reloads_;
  return fresh_;
}

/// Something was released.
bool ResumePlan::has_begun() const {
  return step_ > 0 || any_switch(rows_, [](const ResumedSwitch& row) { return row.written; });
}

/// True where somebody else's hold ends the call, with nothing released anywhere.
bool ResumePlan::refuse_foreign(const Observation& observation) {
  if (observation.cancelled) return false;
  const bool too_late = has_begun();
  if (!owner::leave_foreign(rows_, request_, report_, observation.now) || too_late) return false;
  report_.ending = Ending::held_by_other;
  return true;
}

/// Whether the caller waits until that backend has a server: those that he names, or all but those
/// that had none when the hold began.
bool ResumePlan::is_wanted_up(const ResumedEndpoint& endpoint, const std::string& backend) const {
  if (!request_.wait_up_for.empty()) return request_.wait_up_for.has(backend);
  return std::ranges::none_of(endpoint.switches, [&](const ResumedSwitch& row) {
    const HeldSwitch* held =
        row.record ? row.record->find(endpoint.url, row.report.frontend) : nullptr;
    return is_pending(row) && held != nullptr && held->down.has(backend);
  });
}

/// The first backend without a server that is up, as `name at endpoint: servers`.
std::optional<std::string> ResumePlan::find_down() const {
  for (const ResumedEndpoint& endpoint : rows_) {
    const bool pending = std::ranges::any_of(endpoint.switches, is_pending);
    if (!pending || !endpoint.last || endpoint.last->error) continue;
    for (const BackendSeen& backend : endpoint.last->backends) {
      if (backend.up || !is_wanted_up(endpoint, backend.name)) continue;
      return fmt::format("backend '{}' at {}{}{}", backend.name, endpoint.url,
                         backend.down.empty() ? "" : ": ", backend.down);
    }
  }
  return std::nullopt;
}

/// True where a name that is to be waited for is no backend's: with nothing released anywhere.
bool ResumePlan::refuse_unknown_backend(const Observation& observation) {
  if (waited_up_ || observation.cancelled) return false;
  bool any = false;
  for (ResumedEndpoint& endpoint : rows_) {
    if (!endpoint.last || endpoint.last->error) continue;
    const auto error = no_such_backend("wait_up_for", request_.wait_up_for, *endpoint.last);
    if (!error) continue;
    any = true;
    for (ResumedSwitch& row : endpoint.switches) row.report.error = error;
  }
  if (any) report_.ending = Ending::refused;
  return any;
}

bool ResumePlan::must_wait_up(const Observation& observation) {
  if (waited_up_ || !may_release(observation)) return false;
  const auto down = find_down();
  waited_up_ = !down;
  if (down && observation.elapsed + wait_up_pause < request_.retry_for) return true;
  if (down) {
    give_up_waiting(*down, observation.now);
  } else {
    tell_unshown();
  }
  return false;
}

void ResumePlan::give_up_waiting(const std::string& down, WallTime now) {
  for (ResumedEndpoint& endpoint : rows_) {
    for (ResumedSwitch& row : endpoint.switches) {
      if (!is_due(row)) continue;
      row.settled = true;
      row.report.error = Error{
          Errc::application_down,
          fmt::format("no server was up in time, shown by a check since its last change of state: "
                      "{}; start the application, or run 'stillgate resume {}' without --wait-up; "
                      "{} is held {}",
                      down, row.report.frontend, row.report.frontend,
                      row.record ? time_left(*row.record, now) : "still")};
    }
  }
}

/// It counts: there is nothing more to be had. But the word `up` is then HAProxy's alone.
void ResumePlan::tell_unshown() {
  for (ResumedEndpoint& endpoint : rows_) {
    if (!endpoint.last || endpoint.last->error) continue;
    for (const BackendSeen& backend : endpoint.last->backends) {
      if (backend.unshown.empty()) continue;
      for (ResumedSwitch& row : endpoint.switches) {
        if (!is_due(row)) continue;
        row.report.findings.push_back(Finding::of(
            FindingCode::up_unshown,
            fmt::format("nothing shows that backend '{}' is up: {}; give its servers a check "
                        "(and 'fall' above 1)",
                        backend.name, backend.unshown)));
      }
    }
  }
}

bool ResumePlan::may_release(const Observation& observation) const {
  return !observation.cancelled && any_switch(rows_, is_due);
}

bool ResumePlan::must_ramp() const { return !ramped_ && any_switch(rows_, is_limit_due); }

/// The journal's records of what is ramped, one after the other, are marked too.
bool ResumePlan::mark_next_record() {
  while (next_record_ < request_.records.size()) {
    Record& record = request_.records[next_record_++];
    const bool concerned = any_switch(
        rows_, [&record](const ResumedSwitch& row) { return row.report.hold_id == record.id; });
    if (!concerned) continue;
    record.ramping = true;
    return true;
  }
  return false;
}

/// Without its mark there is no ramp.
bool ResumePlan::confirm_mark(const Observation& observation) {
  const auto& error = std::get<observed::Journaled>(observation.what).error;
  if (!error) return true;
  report_.error = error;
  ramped_ = true;
  return false;
}

/// A stop in the middle opens at once: a resume is never left half-way.
bool ResumePlan::takes_step(const Observation& observation) {
  if (ramped_) return false;
  ++step_;
  ramped_ = observation.cancelled || step_ >= ramp::steps_of(request_);
  return !ramped_;
}

/// Another hold has come since the look: what is to be done there is decided anew.
bool ResumePlan::must_look_again(const Observation& observation) {
  const auto& answers = answers_of(observation);
  bool changed = false;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (!answers[i].error || answers[i].error->code != Errc::hold_changed) continue;
    changed = true;
    for (ResumedSwitch& row : rows_[i].switches) {
      if (is_due(row) && row.record && row.meant.empty()) row.meant = row.record->id;
      row.ramped = false;
    }
  }
  return changed && !observation.cancelled && changes_++ < most_changes;
}

Batch ResumePlan::release(WallTime now) {
  Batch batch = release::write(rows_, request_, now);
  // A stop comes before it or behind it: an answer that nobody reads leaves what is open locked.
  batch.uninterruptible = true;
  return batch;
}

bool ResumePlan::must_look_last(const Observation& observation) {
  if (observation.cancelled) return false;
  const bool any = std::ranges::any_of(
      rows_, [this](const ResumedEndpoint& endpoint) { return is_letting_through(endpoint); });
  if (!any) return false;
  return last_looks_++ < most_last_looks ||
         observation.elapsed + last_look_pause < request_.retry_for;
}

/// A gate that is open is not yet the end of the hold for those who wait there.
void ResumePlan::tell_waiting() {
  for (ResumedEndpoint& endpoint : rows_) {
    if (!is_letting_through(endpoint)) continue;
    for (ResumedSwitch& row : endpoint.switches) {
      if (!is_emptying(row) || row.report.error) continue;
      row.report.error =
          Error{Errc::gate_failed,
                fmt::format("the gate is open, but {} requests still wait in it; look again by "
                            "'stillgate status {}', and reload HAProxy if they stay",
                            waiting_in(row.report), row.report.frontend)};
    }
  }
}

bool ResumePlan::must_retry(const Observation& observation) const {
  return any_switch(rows_, is_pending) && !observation.cancelled &&
         observation.elapsed + retry_pause < request_.retry_for;
}

void ResumePlan::conclude(const Observation& observation) {
  next_record_ = 0;
  if (!observation.cancelled) tell_waiting();
  if (!request_.at_deadline) lateness::tell(rows_, request_, report_, observation.now);
  if (observation.cancelled && any_switch(rows_, is_pending)) {
    report_.ending = Ending::cancelled;
  } else if (any_switch(rows_, has_failed)) {
    report_.ending = Ending::endpoint_failed;
  } else if (any_switch(rows_, lateness::is_late)) {
    report_.ending = Ending::too_late;
  }
  for (const ResumedEndpoint& endpoint : rows_) {
    for (const ResumedSwitch& row : endpoint.switches) {
      const Record* record = row.record
                                 ? &*row.record
                                 : find_record(request_.records, endpoint.url, row.report.frontend);
      if (record != nullptr) add_hold(report_, *record);
    }
  }
}

bool ResumePlan::is_over(const HeldSwitch& held) const {
  return any_switch(rows_, [&held](const ResumedSwitch& row) {
    return row.report.endpoint == held.endpoint && row.report.frontend == held.frontend &&
           hold::is_over(row);
  });
}

/// Takes what is open again off the journal's records, one record after the other.
bool ResumePlan::close_next_record() {
  while (next_record_ < request_.records.size()) {
    Record& record = request_.records[next_record_++];
    const auto erased =
        std::erase_if(record.switches, [this](const HeldSwitch& held) { return is_over(held); });
    if (erased > 0) return true;
  }
  return false;
}

void ResumePlan::note_closed(const Observation& observation) {
  const auto& error = std::get<observed::Journaled>(observation.what).error;
  if (error && !report_.error) report_.error = error;
}

/// Who stopped the watch does not know whether all went well.
void ResumePlan::note_aftermath(const Observation& observation) {
  if (report_.ending == Ending::cancelled || !aftermath::was_any_at_risk(rows_)) return;
  aftermath::conclude(rows_, !observation.cancelled);
  if (any_switch(rows_, has_failed)) {
    report_.ending = Ending::endpoint_failed;
  } else if (aftermath::is_watched(rows_) && observation.cancelled) {
    report_.ending = Ending::cancelled;
  }
}

Report ResumePlan::report() const {
  Report report = report_;
  for (const ResumedEndpoint& endpoint : rows_) {
    for (const ResumedSwitch& row : endpoint.switches) report.switches.push_back(row.report);
  }
  return report;
}

Step ResumePlan::done() {
  const bool well = report_.ending == Ending::done || report_.ending == Ending::too_late;
  if (report_.error && well) report_.ending = Ending::endpoint_failed;
  return step::Done{report()};
}

}  // namespace stillgate::hold
