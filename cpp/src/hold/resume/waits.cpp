// Which lines a resume ends, and what it says of those that stay.
#include "waits.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "runtime_api/release.hpp"

namespace stillgate::hold::waits {

namespace {

/// A line was set up for that hold, as far as its record tells.
bool may_wait(const Record& record, const ResumedSwitch& row) {
  const HeldSwitch* held = record.find(row.report.endpoint, row.report.frontend);
  return held == nullptr || held->lease == Lease::backed;
}

std::vector<std::string> ids_of(const ResumedEndpoint& endpoint) {
  std::vector<std::string> ids;
  for (const ResumedSwitch& row : endpoint.switches) {
    if (row.foreign || row.was_gated || !is_over(row)) continue;
    if (row.record && may_wait(*row.record, row)) ids.push_back(row.record->id);
    // Whoever marked its end has ended its line before.
    const auto& last = row.lock.last;
    if (!last || (row.lock.ended && row.lock.ended->id == last->id)) continue;
    if (!last->record || may_wait(*last->record, row)) ids.push_back(last->id);
  }
  return ids;
}

}  // namespace

WaitSweeps of_ended(const ResumeRows& rows, WallTime now) {
  WaitSweeps sweeps(rows.size(), true);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& last = rows[i].last;
    if (!last || last->error || !runtime_api::has_wait(last->info->version)) continue;
    const bool firing = std::ranges::any_of(rows[i].switches, [now](const ResumedSwitch& row) {
      const auto deadline = row.record ? row.record->deadline : std::nullopt;
      return deadline && now + WaitSweep::before_it_fires >= *deadline;
    });
    sweeps.set(
        i, WaitSweep(ids_of(rows[i]), firing ? WaitSweep::Until::gone : WaitSweep::Until::ended));
  }
  return sweeps;
}

void note_left(ResumeRows& rows, WaitSweeps& sweeps) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto left = sweeps[i].left();
    const auto& error = sweeps[i].error();
    if (left.empty() && !error) continue;
    const std::string what =
        error ? "unknown whether a release of this hold still waits in HAProxy: " + error->message
              : fmt::format(
                    "a release of this hold still waits in HAProxy; run 'shutdown session {0}' "
                    "there as long as 'show sess {0}' shows an 'ioto=' of days",
                    left[0]);
    for (ResumedSwitch& row : rows[i].switches) {
      if (row.foreign || row.was_gated || !is_over(row)) continue;
      row.report.findings.push_back(Finding::of(
          FindingCode::wait_left, what + "; it would open a hold that begins before its deadline"));
    }
  }
}

}  // namespace stillgate::hold::waits
