// The commands of a ramp.
#include "ramp.hpp"

#include <algorithm>
#include <cstddef>

#include "hold/record/record_variable.hpp"

namespace stillgate::hold::ramp {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using std::chrono::milliseconds;
using Commands = std::vector<Command>;

namespace {

Commands begin(ResumedSwitch& row, milliseconds ramp) {
  if (row.gate.used) {
    row.written = true;
    return open_gate(row.report.frontend, row.gate, ramp);
  }
  row.ramped = true;
  if (!row.remembered || !row.record) return {};
  row.record->ramping = true;
  auto commands = write_variable(row.report.frontend, *row.record);
  return commands ? *std::move(commands) : Commands{};
}

}  // namespace

Batch mark(ResumeRows& rows, const ResumeRequest& request) {
  Batch batch;
  batch.phase = "resuming";
  for (ResumedEndpoint& endpoint : rows) {
    batch.conditions.push_back(unchanged(endpoint, is_due));
    auto& work = batch.work.emplace_back();
    for (ResumedSwitch& row : endpoint.switches) {
      if (is_due(row)) append(work, begin(row, request.ramp));
    }
  }
  return batch;
}

void read_marks(ResumeRows& rows, const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Answer& answer = answers[i];
    const bool refused = std::ranges::any_of(
        answer.replies, [](const auto& reply) { return reply.refusal.has_value(); });
    for (ResumedSwitch& row : rows[i].switches) {
      const bool changed = answer.error && answer.error->code == Errc::hold_changed;
      if (row.gate.used && row.written) row.lost = answer.error;
      if (row.gate.used && changed) {
        row.written = false;
        row.lost.reset();
      }
      if (answer.error || refused) row.ramped = false;
    }
  }
}

std::int64_t steps_of(const ResumeRequest& request) {
  return std::max<std::int64_t>(1, std::min(most_steps, request.ramp / shortest_step));
}

milliseconds pause_of(const ResumeRequest& request) {
  return std::max(shortest_step, request.ramp / most_steps);
}

Batch raise(const ResumeRows& rows, const ResumeRequest& request, std::int64_t step) {
  Batch batch;
  batch.phase = "ramping up";
  batch.uninterruptible = true;
  for (const ResumedEndpoint& endpoint : rows) {
    auto& work = batch.work.emplace_back();
    batch.conditions.push_back(
        unchanged(endpoint, [](const ResumedSwitch& row) { return !row.settled && row.ramped; }));
    for (const ResumedSwitch& row : endpoint.switches) {
      if (row.settled || !row.ramped) continue;
      const auto limit = std::max<std::int64_t>(1, *row.target * step / steps_of(request));
      work.push_back(*Command::set_maxconn(row.report.frontend, limit));
    }
  }
  return batch;
}

}  // namespace stillgate::hold::ramp
