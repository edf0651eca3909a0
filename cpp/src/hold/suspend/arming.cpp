// Writing the record into HAProxies, and reading it back.
#include "arming.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

#include "hold/record/record_variable.hpp"
#include "lock.hpp"

namespace stillgate::hold::arming {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using runtime_api::Reply;

namespace {

bool is_armed(const SuspendedSwitch& row) { return !row.commands.empty(); }

/// The last reply is the record read back, those before it are to its writes.
std::optional<Error> unarmed(const SuspendedSwitch& row, std::span<const Reply> replies,
                             const Record& hold) {
  for (const Reply& reply : replies.first(replies.size() - 1)) {
    if (reply.refusal) return reply.refusal;
  }
  const auto now = read_remembered(replies.back(), row.held.endpoint, row.held.frontend);
  if (now.record && now.record->id == hold.id) return std::nullopt;
  return Error{Errc::journal_failed,
               "HAProxy accepted the record of the hold, but does not report it; somebody else may "
               "be holding the same frontend just now"};
}

/// Why the record does not stand in that HAProxy.
std::optional<Error> unarmed(const SuspendedEndpoint& endpoint, const Answer& answer,
                             const Record& hold) {
  if (answer.error) return answer.error;
  std::span<const Reply> left(answer.replies);
  for (const SuspendedSwitch& row : endpoint.switches) {
    if (!is_armed(row)) continue;
    const std::size_t count = row.commands.size();
    if (auto error = unarmed(row, left.first(count), hold)) return error;
    left = left.subspan(count);
  }
  return std::nullopt;
}

}  // namespace

std::optional<Error> prepare(SuspendRows& rows, const Record& hold) {
  for (SuspendedEndpoint& endpoint : rows) {
    if (!endpoint.before.has_variables()) continue;
    for (SuspendedSwitch& row : endpoint.switches) {
      if (row.gate.used) continue;
      const auto commands = write_variable(row.held.frontend, record_for(hold, row));
      if (!commands) return commands.error();
      row.commands = *commands;
      row.commands.push_back(read_variable(row.held.frontend));
    }
  }
  return std::nullopt;
}

Batch write(const SuspendRows& rows, const Record& hold) {
  Batch batch;
  batch.phase = "arming";
  for (const SuspendedEndpoint& endpoint : rows) {
    auto& work = batch.work.emplace_back();
    batch.conditions.push_back(unchanged(endpoint, hold.id, is_armed));
    for (const SuspendedSwitch& row : endpoint.switches) append(work, row.commands);
    if (work.empty()) work.push_back(Command::show_cli_level());
    append(work, lock::write_hints(endpoint));
  }
  return batch;
}

bool read(SuspendRows& rows, const std::vector<Answer>& answers, const Record& hold) {
  bool all = true;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SuspendedEndpoint& endpoint = rows[i];
    endpoint.armed = answers[i].sent && std::ranges::any_of(endpoint.switches, is_armed);
    const auto error = unarmed(endpoint, answers[i], hold);
    if (!error) continue;
    all = false;
    for (SuspendedSwitch& row : endpoint.switches) row.report.error = error;
  }
  return all;
}

}  // namespace stillgate::hold::arming
