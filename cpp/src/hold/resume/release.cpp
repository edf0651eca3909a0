// The commands of a release, and HAProxy's answers to them.
#include "release.hpp"

#include <cstddef>
#include <utility>

#include "owner.hpp"

namespace stillgate::hold::release {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;

namespace {

bool has_changed(const Answer& answer) {
  return answer.error && answer.error->code == Errc::hold_changed;
}

}  // namespace

Batch write(ResumeRows& rows, const ResumeRequest& request, WallTime now) {
  Batch batch;
  batch.phase = "resuming";
  for (ResumedEndpoint& endpoint : rows) {
    auto& work = batch.work.emplace_back();
    batch.conditions.push_back(unchanged(endpoint, is_due));
    for (ResumedSwitch& row : endpoint.switches) {
      if (!is_due(row)) continue;
      row.written = true;
      row.at_risk = row.hazardous;
      row.refusal.reset();
      const std::string& frontend = row.report.frontend;
      std::vector<Command> commands =
          row.gate.used ? open_gate(frontend, row.gate, request.ramp)
                        : std::vector<Command>{*Command::set_maxconn(frontend, *row.target)};
      append(commands, owner::mark_resumed(row, request, now));
      row.commands = commands.size();
      append(work, commands);
    }
  }
  return batch;
}

void read(ResumeRows& rows, const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto reply = answers[i].replies.begin();
    for (ResumedSwitch& row : rows[i].switches) {
      const std::size_t count = std::exchange(row.commands, 0);
      if (count > 0 && has_changed(answers[i])) {
        row.written = false;
        continue;
      }
      if (count > 0) row.lost = answers[i].error;
      for (std::size_t n = 0; n < count && reply != answers[i].replies.end(); ++n) {
        if (!row.refusal) row.refusal = reply->refusal;
        ++reply;
      }
    }
  }
}

}  // namespace stillgate::hold::release
