// What is proven, what is swept, and what is said of it.
#include "waits.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime_api/release.hpp"

namespace stillgate::hold::waits {

using std::chrono::milliseconds;

namespace {

bool can_wait(const SuspendedEndpoint& endpoint) {
  return endpoint.before.info && runtime_api::has_wait(endpoint.before.info->version);
}

bool is_guarded(const SuspendedSwitch& row) { return row.held.lease == Lease::guard; }

void tell(SuspendedSwitch& row, const std::string& why) {
  row.report.findings.push_back(Finding::of(
      FindingCode::wait_unproven,
      fmt::format("HAProxy's own 'wait' does not back the guard here: {}; nothing ends the hold if "
                  "this machine freezes or fails",
                  why)));
}

/// A line was set up for that hold, as far as its record tells.
bool may_wait(const LockHolder& holder, const SuspendedSwitch& row) {
  if (!holder.record) return true;
  const HeldSwitch* held = holder.record->find(row.held.endpoint, row.held.frontend);
  return held == nullptr || held->lease == Lease::backed;
}

std::vector<std::string> holds_before(const SuspendedEndpoint& endpoint, WallTime now) {
  std::vector<std::string> ids;
  if (!endpoint.before.can_lock()) return ids;
  for (const SuspendedSwitch& row : endpoint.switches) {
    const LockSeen& seen = endpoint.before.locks[row.place];
    if (row.gate.used || !seen.last || seen.taken(now)) continue;
    if (may_wait(*seen.last, row)) ids.push_back(seen.last->id);
  }
  return ids;
}

}  // namespace

WaitProofs wanted(const SuspendRows& rows, const Record& hold) {
  WaitProofs proofs;
  double longest_ms = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!can_wait(rows[i]) || !std::ranges::any_of(rows[i].switches, is_guarded)) continue;
    longest_ms = std::max(longest_ms, rows[i].before.rtt_ms.value_or(0));
    proofs.add(i, rows[i].url);
  }
  proofs.begin(rows.size(), hold.id, milliseconds(static_cast<int>(std::ceil(longest_ms))));
  return proofs;
}

void take(SuspendRows& rows, const WaitProofs& proofs) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string why = proofs.why(i);
    for (SuspendedSwitch& row : rows[i].switches) {
      if (!is_guarded(row)) continue;
      if (proofs.proven(i)) row.held.lease = Lease::backed;
      if (!why.empty()) tell(row, why);
    }
  }
}

void take_back(SuspendedSwitch& row) {
  row.held.lease = Lease::guard;
  tell(row, "the guard could not set it up");
}

WaitSweeps left_over(const SuspendRows& rows, WallTime now) {
  WaitSweeps sweeps(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (can_wait(rows[i]))
      sweeps.set(i, WaitSweep(holds_before(rows[i], now), WaitSweep::Until::gone));
  }
  return sweeps;
}

bool are_gone(SuspendRows& rows, WaitSweeps& sweeps) {
  bool all = true;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto left = sweeps[i].left();
    if (left.empty() && !sweeps[i].error()) continue;
    all = false;
    Error error = sweeps[i].error().value_or(
        Error{Errc::wait_left,
              fmt::format(
                  "a release of the hold before waits in HAProxy and would end this one; wait for "
                  "that hold's deadline, or run 'shutdown session {0}' there as long as 'show "
                  "sess {0}' shows an 'ioto=' of days: the address may be a client's later",
                  left.empty() ? "0x..." : left[0])});
    for (SuspendedSwitch& row : rows[i].switches) row.report.error = error;
  }
  return all;
}

}  // namespace stillgate::hold::waits
