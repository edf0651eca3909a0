// The commands of a rollback, and the verdicts on it.
#include "rollback.hpp"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

#include "hold/record/record_variable.hpp"
#include "lock.hpp"

namespace stillgate::hold::rollback {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using Commands = std::vector<Command>;

namespace {

Batch uninterruptible(const char* phase) {
  Batch batch;
  batch.phase = phase;
  batch.uninterruptible = true;
  batch.haste = runtime_api::Haste::from_the_beginning;
  return batch;
}

Commands open(const SuspendedSwitch& row) {
  if (row.gate.used) return open_gate(row.report.frontend, row.gate, std::chrono::milliseconds(0));
  return {*Command::set_maxconn(row.report.frontend, *row.report.limit_before)};
}

Scope scope_of(const SuspendedEndpoint& endpoint) {
  if (endpoint.before.has_variables()) return Scope::holds;
  const bool gated = std::ranges::any_of(endpoint.switches,
                                         [](const SuspendedSwitch& row) { return row.gate.used; });
  return gated ? Scope::gates : Scope::proxies;
}

/// Ours, as far as HAProxy says whose it is.
bool still_holds(const SuspendedSwitch& row, const Seen& now, const std::string& id) {
  if (row.gate.used) return now.gate_holds(row.place) && now.gate_switch(row.place)->id == id;
  if (row.report.limit_now != 0) return false;
  const bool told = row.place < now.remembered.size() && now.remembered[row.place].record;
  return !told || now.remembered[row.place].record->id == id;
}

/// Only a later attempt, or a resume, changes that.
void set_still_held(SuspendedSwitch& row) {
  row.report.verdict = Verdict::held;
  row.report.error =
      Error{row.gate.used ? Errc::gate_failed : Errc::limit_mismatch,
            fmt::format("the rollback failed: {}; run 'stillgate resume'",
                        row.gate.used ? "the gate still holds" : "the limit is still 0")};
}

void set_reverted(SuspendedSwitch& row) {
  Switch& report = row.report;
  report.verdict = Verdict::reverted;
  // What an earlier attempt of this rollback met is over.
  report.error = row.error_before;
  report.hold_id.reset();
  report.method.reset();
  report.lease.reset();
  if (!row.gate.used && report.limit_now != report.limit_before) {
    report.error = Error{Errc::limit_mismatch,
                         fmt::format("open again, with the limit {} instead of {}",
                                     report.limit_now.value_or(0), *report.limit_before)};
  } else if (!report.error) {
    report.error = Error{Errc::rolled_back,
                         "held, and released again because another endpoint failed or the call "
                         "was stopped"};
  }
}

void judge_switch(SuspendedSwitch& row, const Seen& now, const std::string& id) {
  if (now.error) {
    row.report.verdict = Verdict::unknown;
    if (!row.report.error) row.report.error = now.error;
    return;
  }
  row.report.limit_now = now.limit(row.place);
  if (still_holds(row, now, id)) {
    set_still_held(row);
  } else {
    set_reverted(row);
  }
}

}  // namespace

void begin(SuspendRows& rows) {
  for (SuspendedEndpoint& endpoint : rows) {
    for (SuspendedSwitch& row : endpoint.switches) row.error_before = row.report.error;
  }
}

Batch revert(const SuspendRows& rows, const std::string& id) {
  Batch batch = uninterruptible("rolling back");
  for (const SuspendedEndpoint& endpoint : rows) {
    auto& work = batch.work.emplace_back();
    batch.conditions.push_back(unchanged(endpoint, id, may_be_held));
    for (const SuspendedSwitch& row : endpoint.switches) {
      if (may_be_held(row)) append(work, open(row));
    }
  }
  return batch;
}

Batch read_back(const SuspendRows& rows, const SuspendRequest& request) {
  Batch batch = uninterruptible("verifying");
  for (const SuspendedEndpoint& endpoint : rows) {
    batch.work.push_back(survey_commands(request.hold.frontends, scope_of(endpoint)));
  }
  return batch;
}

void judge(SuspendRows& rows, const SuspendRequest& request, const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Seen now =
        read_survey(answers[i], rows[i].url, request.hold.frontends, scope_of(rows[i]));
    for (SuspendedSwitch& row : rows[i].switches) {
      if (may_be_held(row)) judge_switch(row, now, request.record.id);
    }
  }
}

Batch disarm(const SuspendRows& rows, const Record& hold, WallTime now) {
  Batch batch = uninterruptible("rolling back");
  for (const SuspendedEndpoint& endpoint : rows) {
    auto& work = batch.work.emplace_back();
    batch.conditions.push_back(
        unchanged(endpoint, hold.id, [](const SuspendedSwitch& row) { return !may_be_held(row); }));
    for (const SuspendedSwitch& row : endpoint.switches) {
      if (may_be_held(row)) continue;
      append(work, lock::release(row, hold, now));
      if (endpoint.armed && !row.gate.used) append(work, empty_variable(row.report.frontend));
    }
  }
  return batch;
}

}  // namespace stillgate::hold::rollback
