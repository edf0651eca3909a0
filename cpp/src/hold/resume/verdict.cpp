// The verdict of a resume on each switch.
#include "verdict.hpp"

#include <utility>

#include <fmt/format.h>

#include "hold/check/warnings.hpp"
#include "hold/record/lookup.hpp"
#include "hold/survey/unknown_frontend.hpp"
#include "runtime_api/hazards.hpp"

namespace stillgate::hold::verdict {
namespace {

void aim(ResumedSwitch& row, const ResumeRequest& request) {
  row.target = request.limit ? request.limit : row.report.limit_before;
}

/// A release that got no answer is sent again.
void forgive_loss(ResumedSwitch& row) {
  row.report.error = std::exchange(row.lost, std::nullopt);
  row.written = false;
}

/// A process without a record, that has not been up for longer than a hold may last.
bool is_young(const ResumedSwitch& row, const Seen& seen) {
  static constexpr auto longest = std::chrono::floor<std::chrono::seconds>(longest_wait).count();
  if (!seen.has_variables() || seen.info->uptime_s > longest) return false;
  const Remembered& memory = seen.remembered.at(row.place);
  return !memory.record && !memory.emptied && !memory.error;
}

/// Which hold it is, and what reached servers in spite of it until now.
void recognize(ResumedSwitch& row, const ResumeRequest& request, const Seen& seen) {
  Switch& report = row.report;
  row.keeps_marks = seen.has_variables();
  if (row.place < seen.locks.size()) row.lock = seen.locks[row.place];
  row.remembered = row.place < seen.remembered.size() && seen.remembered[row.place].record;
  row.young = is_young(row, seen);
  if (row.written) return;
  const Record* record =
      record_of(seen, row.place, report.endpoint, report.frontend, request.records);
  if (record == nullptr) return;
  row.record = *record;
  const Record* journal = find_record(request.records, report.endpoint, report.frontend);
  if (journal != nullptr && journal->id == record->id && journal->ramping) {
    row.record->ramping = true;
  }
  report.hold_id = record->id;
  report.limit_before = record->find(report.endpoint, report.frontend)->limit_before;
  if (report.limit_now == 0 || seen.gate_holds(row.place)) {
    const auto before = counters_before(*record, report.endpoint, report.frontend, request.records);
    report.leaked = leaked(before, seen, row.place);
    tell_reload(report, seen, before, seen.gate_holds(row.place));
  }
}

/// A gate that is open needs no limit restored, and survives the process that it was in.
void judge_gate(ResumedSwitch& row, const Seen& seen) {
  row.report.verdict = Verdict::held;
  row.was_gated = row.was_held = true;
  row.gate = seen.gate_handle(row.place);
  if (row.lost) {
    forgive_loss(row);
  } else if (row.written) {
    row.settled = true;
    row.report.error = row.refusal.value_or(
        Error{Errc::gate_failed, "HAProxy accepted the switch, but the gate still holds"});
  }
}

/// The ramp of a resume that died: its limit is not the old one. One that was restarted in between
/// and then ramped on looks the same, so that it is no exception.
bool is_broken_off(ResumedSwitch& row, const ResumeRequest& request) {
  const bool ramping = row.record && row.record->ramping;
  if (!ramping || row.written || row.ramped) return false;
  aim(row, request);
  row.unfinished = row.report.limit_now != row.target;
  // Whoever finishes a resume did not come after its hold.
  if (row.unfinished) row.was_held = true;
  return row.unfinished;
}

void judge_open(ResumedSwitch& row, const ResumeRequest& request) {
  Switch& report = row.report;
  if (row.was_gated) {
    report.verdict = Verdict::resumed;
    row.settled = true;
    return;
  }
  if (is_broken_off(row, request)) {
    report.verdict = Verdict::open;
    report.error = Error{
        Errc::limit_mismatch,
        fmt::format(
            "open, but the limit is {}: the ramp was interrupted; run 'stillgate resume' again",
            *report.limit_now)};
    return;
  }
  row.unfinished = row.ramped && row.target && report.limit_now != row.target;
  report.verdict = row.target || row.record ? Verdict::resumed : Verdict::open;
  if (row.unfinished && row.lost) return forgive_loss(row);
  row.settled = true;
  if (row.target && report.limit_now != row.target) {
    report.error = row.refusal.value_or(Error{
        Errc::limit_mismatch,
        fmt::format("open, but the limit is {} instead of {}", *report.limit_now, *row.target)});
  } else if (!row.target && row.record && !row.followed) {
    report.findings.push_back(
        Finding::of(FindingCode::already_open,
                    "already open: its lease, a reload or somebody by hand has ended the hold"));
  }
}

void judge_zero(ResumedSwitch& row, const ResumeRequest& request) {
  Switch& report = row.report;
  report.verdict = Verdict::held;
  row.was_held = true;
  if (row.lost) return forgive_loss(row);
  if (row.written) {
    row.settled = true;
    report.error = row.refusal.value_or(
        Error{Errc::limit_mismatch, "HAProxy accepted the command, but the limit is still 0"});
    return;
  }
  aim(row, request);
  if (!row.target) {
    row.settled = true;
    report.error = Error{Errc::limit_is_zero,
                         fmt::format("the limit is 0, and no record has the old limit; run "
                                     "'stillgate resume {} --limit N' to set it to N",
                                     report.frontend)};
    return;
  }
  const auto crash = runtime_api::resume_crash(*report.version);
  const bool accepted =
      request.hold.options.accept_hazard || (row.record && row.record->accept_hazard);
  if (crash && !accepted) {
    row.settled = true;
    report.error =
        Error{Errc::crash_hazard, crash->why + "; use --accept-hazard to resume nevertheless"};
  }
  row.hazardous = crash && accepted;
}

/// A release whose outcome cannot be read is sent again: restoring a limit twice is harmless.
void judge_lost(ResumedSwitch& row, const Error& error) {
  row.report.verdict = Verdict::unknown;
  row.report.error = error;
  row.written = false;
  row.lost.reset();
  row.refusal.reset();
}

/// Of a gate that was opened: who waits there still.
void judge_settled(ResumedSwitch& row, const Seen& seen) {
  if (!row.was_gated) return;
  row.report.waiting.reset();
  if (!seen.error) tell_gate(row.report, seen, row.place);
}

void judge_limit(ResumedSwitch& row, const ResumedEndpoint& endpoint, const ResumeRequest& request,
                 const Seen& seen) {
  if (row.gate.used && std::exchange(row.gate.used, false) && row.report.limit_now == 0) {
    // Held by maxconn too: that is the next attempt's.
    row.written = false;
  }
  if (*row.report.limit_now <= 0) return judge_zero(row, request);
  judge_open(row, request);
  if (!row.was_gated && endpoint.first && !seen.same_process(*endpoint.first)) {
    row.report.error =
        Error{Errc::haproxy_restarted,
              "open, but another process answers than before: requests that waited in the old one "
              "may be lost"};
  }
}

void judge_switch(ResumedSwitch& row, const ResumedEndpoint& endpoint, const ResumeRequest& request,
                  const Seen& seen) {
  if (row.settled) return judge_settled(row, seen);
  Switch& report = row.report;
  report.error.reset();
  if (seen.error) return judge_lost(row, *seen.error);
  report.version = seen.info->version;
  report.rtt_ms = seen.rtt_ms;
  report.limit_now = seen.limit(row.place);
  tell_gate(report, seen, row.place);
  recognize(row, request, seen);
  if (!report.limit_now) {
    row.settled = true;
    report.error = unknown_frontend(seen, report.frontend);
  } else if (seen.gate_holds(row.place)) {
    judge_gate(row, seen);
  } else {
    judge_limit(row, endpoint, request, seen);
  }
}

}  // namespace

void judge(ResumedEndpoint& endpoint, const ResumeRequest& request, const Seen& seen) {
  for (ResumedSwitch& row : endpoint.switches) judge_switch(row, endpoint, request, seen);
  if (!seen.error && !endpoint.first) endpoint.first = seen;
}

}  // namespace stillgate::hold::verdict
