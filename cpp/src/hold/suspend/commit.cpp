// The writes of a commit.
#include "commit.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "hold/record/record_variable.hpp"

namespace stillgate::hold::commit {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using Commands = std::vector<Command>;

namespace {

/// The deadline on the gate's own clock, as the survey read that: a commit that was long under way
/// must not hold any longer for it. The clock was read after it was asked for, so that the hold
/// gets longer by the time between, less than a round trip, and never shorter than its holder was
/// told.
GateOrder order_for(const SuspendedEndpoint& endpoint, const Terms& terms) {
  GateOrder order = terms.order;
  const auto& gate = endpoint.before.gate;
  if (terms.deadline && gate && gate->now_ms) {
    const auto left = static_cast<double>(terms.deadline->count()) - gate->asked_at_ms;
    // Both the clock and the deadline are told in whole milliseconds, rounded down.
    order.until_ms = *gate->now_ms + static_cast<std::int64_t>(std::ceil(left)) + 2;
  }
  return order;
}

Result<Commands> switch_gate(SuspendedSwitch& row, const Record& hold, const GateOrder& order) {
  row.gate.token = gate_token(record_for(hold, row), order);
  return hold_gate(row.held.frontend, row.gate);
}

Result<Commands> commands_for(SuspendedSwitch& row, const Record& hold, const GateOrder& order) {
  if (row.gate.used) return switch_gate(row, hold, order);
  return Commands{*Command::set_maxconn(row.held.frontend, 0)};
}

/// A gate that is switched by a table would have two entries then: there the journal alone knows.
Result<Commands> record_counters(SuspendedSwitch& row, const SuspendedEndpoint& endpoint,
                                 const Record& hold, const Terms& terms) {
  if (row.gate.used && !row.gate.table) return switch_gate(row, hold, order_for(endpoint, terms));
  if (row.gate.used || !endpoint.armed) return Commands{};
  return write_variable(row.held.frontend, record_for(hold, row));
}

/// The connection's error, or HAProxy's first refusal.
void read_replies(SuspendedEndpoint& endpoint, const Answer& answer) {
  auto reply = answer.replies.begin();
  for (SuspendedSwitch& row : endpoint.switches) {
    row.report.error = answer.error;
    for (std::size_t n = 0; n < row.commands.size() && reply != answer.replies.end(); ++n) {
      if (!row.report.error) row.report.error = reply->refusal;
      ++reply;
    }
  }
}

}  // namespace

std::optional<Error> prepare(SuspendRows& rows, const Record& hold, const Terms& terms) {
  for (SuspendedEndpoint& endpoint : rows) {
    const GateOrder order = order_for(endpoint, terms);
    for (SuspendedSwitch& row : endpoint.switches) {
      auto commands = commands_for(row, hold, order);
      if (!commands) return commands.error();
      row.commands = *std::move(commands);
    }
  }
  return std::nullopt;
}

Batch write(const SuspendRows& rows, const Record& hold) {
  Batch batch;
  batch.phase = "holding";
  batch.barrier = true;
  for (const SuspendedEndpoint& endpoint : rows) {
    auto& work = batch.work.emplace_back();
    batch.conditions.push_back(
        unchanged(endpoint, hold.id, [](const SuspendedSwitch&) { return true; }));
    for (const SuspendedSwitch& row : endpoint.switches) append(work, row.commands);
  }
  return batch;
}

bool read(SuspendRows& rows, const std::vector<Answer>& answers) {
  bool any_sent = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].sent = answers[i].sent;
    rows[i].lost = answers[i].sent && answers[i].error;
    any_sent = any_sent || answers[i].sent;
    read_replies(rows[i], answers[i]);
  }
  return any_sent;
}

Batch seal(SuspendRows& rows, const Record& hold, const Terms& terms) {
  Batch batch;
  batch.phase = "recording";
  batch.haste = runtime_api::Haste::from_the_beginning;
  for (SuspendedEndpoint& endpoint : rows) {
    auto& work = batch.work.emplace_back();
    const auto keeps = [&endpoint](const SuspendedSwitch& row) {
      return row.gate.used || endpoint.armed;
    };
    batch.conditions.push_back(unchanged(endpoint, hold.id, keeps, true));
    for (SuspendedSwitch& row : endpoint.switches) {
      row.held.counters = endpoint.last.counters(row.place);
      if (const auto commands = record_counters(row, endpoint, hold, terms)) {
        append(work, *commands);
      }
    }
  }
  return batch;
}

}  // namespace stillgate::hold::commit
