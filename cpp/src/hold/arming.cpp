// Writing the record into HAProxies, and reading it back.
#include "arming.hpp"

#include "variable.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;

bool remembers(const Seen& seen) {
  return !seen.remembered.empty() && seen.remembered[0].supported;
}

Result<Batch> arming(const Question& question, const std::vector<Seen>& seen,
                     const Record& record) {
  Batch batch;
  batch.phase = "arming";
  batch.work.resize(seen.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    auto& work = batch.work[i];
    if (!remembers(seen[i])) {
      work.push_back(Command::show_cli_level());
      continue;
    }
    for (const std::string& frontend : question.frontends) {
      const auto commands = write_variable(frontend, record.only(question.endpoints[i], frontend));
      if (!commands) return commands.error();
      work.insert(work.end(), commands->begin(), commands->end());
      work.push_back(read_variable(frontend));
    }
  }
  return batch;
}

std::optional<Error> unarmed(const Question& question, const Seen& seen, std::size_t endpoint,
                             const Answer& answer, const std::string& id) {
  if (answer.error) return answer.error;
  if (!remembers(seen)) return std::nullopt;
  const std::size_t each = answer.replies.size() / question.frontends.size();
  for (std::size_t n = 0; n < answer.replies.size(); ++n) {
    const auto& reply = answer.replies[n];
    if (n % each != each - 1) {
      if (reply.refusal) return reply.refusal;
      continue;
    }
    const auto now =
        read_remembered(reply, question.endpoints[endpoint], question.frontends[n / each]);
    if (now.record && now.record->id == id) continue;
    return Error{Errc::journal_failed,
                 "HAProxy took the record of the hold, but it does not read back; somebody else "
                 "may be holding the same frontend just now",
                 {},
                 {},
                 {}};
  }
  return std::nullopt;
}

}  // namespace stillgate::hold
