// The commands of a release, and HAProxy's answers to them.
#include "release.hpp"

#include <cstddef>
#include <utility>

namespace stillgate::hold::release {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;

Batch write(ResumeRows& rows, const ResumeRequest& request) {
  Batch batch;
  batch.phase = "resuming";
  for (ResumedEndpoint& endpoint : rows) {
    auto& work = batch.work.emplace_back();
    for (ResumedSwitch& row : endpoint.switches) {
      if (!is_due(row)) continue;
      row.written = true;
      row.at_risk = row.hazardous;
      row.refusal.reset();
      const std::string& frontend = row.report.frontend;
      const std::vector<Command> commands =
          row.gate.used ? open_gate(frontend, row.gate, request.ramp)
                        : std::vector<Command>{*Command::set_maxconn(frontend, *row.target)};
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
      if (count > 0) row.lost = answers[i].error;
      for (std::size_t n = 0; n < count && reply != answers[i].replies.end(); ++n) {
        if (!row.refusal) row.refusal = reply->refusal;
        ++reply;
      }
    }
  }
}

}  // namespace stillgate::hold::release
