// The verdict on each switch after the commit.
#include "verdict.hpp"

#include <cstddef>
#include <string>
#include <string_view>

#include "hold/check/already_held.hpp"
#include "hold/check/method.hpp"

namespace stillgate::hold::verdict {

using runtime_api::Answer;
using runtime_api::Batch;

namespace {

bool is_held(const SuspendedSwitch& row) {
  return row.report.verdict == Verdict::held && !row.report.error;
}

void set_held(SuspendedSwitch& row, std::string_view method, std::string_view lease,
              const std::string& hold_id) {
  row.report.verdict = Verdict::held;
  row.report.error.reset();
  row.report.method = method;
  row.report.lease = lease;
  row.report.hold_id = hold_id;
}

/// Another process is no matter here: a gate outlives a reload.
void judge_gate(SuspendedSwitch& row, const SuspendedEndpoint& endpoint, const Seen& now,
                const std::string& hold_id) {
  Switch& report = row.report;
  const auto* gate = now.gate_holds(row.place) ? now.gate_switch(row.place) : nullptr;
  if (gate != nullptr && gate->id == hold_id) {
    set_held(row, by_gate, "haproxy", hold_id);
    report.waiting = gate->waiting;
    report.gate = gate->counters;
    return;
  }
  // A switch that was written without its sync would hold at anybody's next sync, and a commit
  // without an answer may run late: both are rolled back like one that holds.
  const bool others = gate != nullptr;
  report.verdict = endpoint.sent && !others ? Verdict::unknown : Verdict::unchanged;
  if (report.error) return;
  report.error = Error{others ? Errc::already_held : Errc::gate_failed,
                       others ? "another hold has just switched the gate"
                              : "HAProxy accepted the switch, but the gate is open"};
}

/// Whoever resumes may find a record of it before it holds, and frees its lock then.
bool is_ended(const SuspendedSwitch& row, const Seen& now, const std::string& hold_id) {
  if (row.place >= now.locks.size()) return false;
  const auto& ended = now.locks[row.place].ended;
  return ended && ended->id == hold_id;
}

Scope scope_of(const SuspendedEndpoint& endpoint) {
  return endpoint.armed ? Scope::holds : lean_scope(endpoint.before);
}

void judge_limit(SuspendedSwitch& row, const SuspendedEndpoint& endpoint, const Seen& now,
                 const std::string& hold_id) {
  Switch& report = row.report;
  if (!now.same_process(endpoint.before)) {
    report.verdict = report.limit_now == 0 ? Verdict::unknown : Verdict::unchanged;
    report.error = Error{Errc::haproxy_restarted,
                         "another process answers than before the commit; its limits are those of "
                         "its configuration"};
  } else if (now.frontends[row.place] && now.frontends[row.place]->stopped) {
    report.verdict = Verdict::unknown;
    report.error = stopped(report.frontend);
  } else if (report.limit_now == 0 && is_ended(row, now, hold_id)) {
    report.verdict = Verdict::held;
    report.error =
        Error{Errc::hold_ended, "somebody resumed this hold before it was in effect; try again"};
  } else if (report.limit_now == 0) {
    set_held(row, by_maxconn, word(row.held.lease), hold_id);
  } else {
    // A commit without an answer may still run, late: it is rolled back like one that did.
    report.verdict = endpoint.lost ? Verdict::unknown : Verdict::unchanged;
    if (!report.error) {
      report.error =
          Error{Errc::limit_mismatch, "HAProxy accepted the command, but the limit is unchanged"};
    }
  }
}

void judge_switch(SuspendedSwitch& row, const SuspendedEndpoint& endpoint, const Seen& now,
                  const std::string& hold_id) {
  if (now.error) {
    row.report.verdict = endpoint.sent ? Verdict::unknown : Verdict::unchanged;
    if (!row.report.error) row.report.error = now.error;
    return;
  }
  row.report.limit_now = now.limit(row.place);
  if (row.gate.used) {
    judge_gate(row, endpoint, now, hold_id);
  } else {
    judge_limit(row, endpoint, now, hold_id);
  }
}

}  // namespace

Batch read_back(const SuspendRows& rows, const SuspendRequest& request) {
  Batch batch;
  batch.phase = "verifying";
  batch.uninterruptible = true;
  batch.haste = runtime_api::Haste::from_the_beginning;
  for (const SuspendedEndpoint& endpoint : rows) {
    batch.work.push_back(survey_commands(request.hold.frontends, scope_of(endpoint)));
  }
  return batch;
}

bool judge(SuspendRows& rows, const SuspendRequest& request, const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SuspendedEndpoint& endpoint = rows[i];
    endpoint.last =
        read_survey(answers[i], endpoint.url, request.hold.frontends, scope_of(endpoint));
    for (SuspendedSwitch& row : endpoint.switches) {
      judge_switch(row, endpoint, endpoint.last, request.record.id);
    }
  }
  return !any_switch(rows, [](const SuspendedSwitch& row) { return !is_held(row); });
}

}  // namespace stillgate::hold::verdict
