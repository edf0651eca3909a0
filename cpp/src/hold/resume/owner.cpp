// Leaving somebody else's hold alone, and ending the caller's.
#include "owner.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "hold/record/record_variable.hpp"

namespace stillgate::hold::owner {

using runtime_api::Batch;

namespace {

bool is_in_effect(const ResumedSwitch& row) {
  return row.report.verdict == Verdict::held || row.unfinished;
}

void note_forced(ResumedSwitch& row, const ResumeRequest& request, WallTime now) {
  if (!is_in_effect(row) || std::exchange(row.forced, true)) return;
  row.report.findings.push_back(
      Finding::of(FindingCode::forced, fmt::format("{}; ended by {}: {}", whose(*row.record, now),
                                                   request.claim.owner, request.claim.reason)));
}

/// Why that switch is left alone.
std::optional<Error> refusal(ResumedSwitch& row, const ResumeRequest& request, WallTime now) {
  if (!row.record || row.written || row.ramped) return std::nullopt;
  Claim unforced = request.claim;
  unforced.force = false;
  // Nobody has overruled, or meant, a hold that came later.
  const bool later = !row.meant.empty() && row.meant != row.record->id;
  if (later) unforced.hold = row.meant;
  auto error = not_the_holder(*row.record, unforced, request.records, now);
  const bool forces = request.claim.force && !later;
  if (error && forces) note_forced(row, request, now);
  row.foreign = error && !forces;
  return row.foreign && is_in_effect(row) ? error : std::nullopt;
}

/// The id of the hold whose end may be marked there: the one that has the lock, if it is the
/// caller's to end. Where there is no lock it is the one on record.
std::optional<std::string> to_mark(const ResumedSwitch& row, const ResumeRequest& request,
                                   WallTime now) {
  if (!row.keeps_marks || row.foreign) return std::nullopt;
  const auto& last = row.lock.last;
  if (!last) return row.record ? std::optional(row.record->id) : std::nullopt;
  if (row.lock.ended && row.lock.ended->id == last->id) return std::nullopt;
  if (row.record && row.record->id == last->id) return last->id;
  // Left by a suspend that died before it held anything, or whose record went with a reload.
  if (!row.lock.taken(now) || !last->record) return std::nullopt;
  if (not_the_holder(*last->record, request.claim, request.records, now)) return std::nullopt;
  return last->id;
}

/// Whoever was overruled reads there by whom, and why.
std::string ended_by(const ResumedSwitch& row, const ResumeRequest& request) {
  const Claim& claim = request.claim;
  return row.forced ? fmt::format("{} by --force ({})", claim.owner, claim.reason) : claim.owner;
}

/// As the resume has found it: what was open already, it did not end.
std::vector<runtime_api::Command> mark(const ResumedSwitch& row, const std::string& id,
                                       const ResumeRequest& request, WallTime now) {
  const std::string& frontend = row.report.frontend;
  const auto& ended = row.report.ended;
  if (!ended || row.report.hold_id != id) {
    return mark_ended(frontend, id, How::resumed, now, ended_by(row, request));
  }
  const How how = ended->how == End::expired ? How::expired : How::opened;
  return mark_ended(frontend, id, how, ended->at.value_or(now));
}

}  // namespace

bool leave_foreign(ResumeRows& rows, const ResumeRequest& request, Report& report, WallTime now) {
  bool any = false;
  for (ResumedEndpoint& endpoint : rows) {
    for (ResumedSwitch& row : endpoint.switches) {
      auto error = refusal(row, request, now);
      if (!error) continue;
      any = true;
      row.settled = true;
      row.report.error = std::move(error);
      add_hold(report, *row.record);
    }
  }
  return any;
}

std::vector<runtime_api::Command> mark_resumed(const ResumedSwitch& row,
                                               const ResumeRequest& request, WallTime now) {
  const auto id = to_mark(row, request, now);
  if (!id) return {};
  return mark_ended(row.report.frontend, *id, How::resumed, now, ended_by(row, request));
}

Batch disarm(const ResumeRows& rows, const ResumeRequest& request, WallTime now) {
  Batch batch;
  batch.phase = "resuming";
  batch.uninterruptible = true;
  for (const ResumedEndpoint& endpoint : rows) {
    auto& work = batch.work.emplace_back();
    for (const ResumedSwitch& row : endpoint.switches) {
      const std::string& frontend = row.report.frontend;
      // Where a guard has not come yet, the emptied record tells it that the hold is over.
      const bool marks = row.remembered || (row.young && !row.was_gated);
      if (!is_over(row)) continue;
      if (const auto id = to_mark(row, request, now)) {
        append(work, mark(row, *id, request, now));
      }
      if (marks && !row.foreign) append(work, empty_variable(frontend));
    }
    // A guard that comes behind a reload writes the record of the hold that is over.
    batch.conditions.push_back(unchanged(endpoint, [](const ResumedSwitch& row) {
      return is_over(row) && !row.foreign && !row.young;
    }));
  }
  return batch;
}

}  // namespace stillgate::hold::owner
