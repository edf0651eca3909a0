// Writing the record into HAProxies, and reading it back.
#include "arming.hpp"

#include "hold/record/record_variable.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;

Arming::Arming(const HoldRequest& request, const std::vector<GateHandle>& gates)
    : request_(request), gates_(gates) {}

std::vector<std::string> Arming::armed_frontends(std::size_t endpoint, const Seen& seen) const {
  std::vector<std::string> names;
  if (!seen.has_variables()) return names;
  const std::size_t frontends = request_.frontends.size();
  for (std::size_t j = 0; j < frontends; ++j) {
    if (!gates_[endpoint * frontends + j].used) names.push_back(request_.frontends[j]);
  }
  return names;
}

bool Arming::arms(std::size_t endpoint, const Seen& seen) const {
  return !armed_frontends(endpoint, seen).empty();
}

Result<Batch> Arming::begin(const std::vector<Seen>& seen, const Record& record) const {
  Batch batch;
  batch.phase = "arming";
  batch.work.resize(seen.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    auto& work = batch.work[i];
    for (const std::string& frontend : armed_frontends(i, seen[i])) {
      const auto commands = write_variable(frontend, record.only(request_.endpoints[i], frontend));
      if (!commands) return commands.error();
      work.insert(work.end(), commands->begin(), commands->end());
      work.push_back(read_variable(frontend));
    }
    if (work.empty()) work.push_back(Command::show_cli_level());
  }
  return batch;
}

std::optional<Error> Arming::unarmed(const Seen& seen, std::size_t endpoint, const Answer& answer,
                                     const std::string& id) const {
  if (answer.error) return answer.error;
  const auto names = armed_frontends(endpoint, seen);
  if (names.empty()) return std::nullopt;
  // Written by begin() for each: two commands that write, and one that reads. Others may follow.
  static constexpr std::size_t each = 3;
  for (std::size_t n = 0; n < each * names.size(); ++n) {
    const auto& reply = answer.replies[n];
    if (n % each != each - 1) {
      if (reply.refusal) return reply.refusal;
      continue;
    }
    const auto now = read_remembered(reply, request_.endpoints[endpoint], names[n / each]);
    if (now.record && now.record->id == id) continue;
    return Error{Errc::journal_failed,
                 "HAProxy took the record of the hold, but it does not read back; somebody else "
                 "may be holding the same frontend just now"};
  }
  return std::nullopt;
}

}  // namespace stillgate::hold
