// Reading the answers of a survey.
#include "survey.hpp"

#include <stillgate/stat.hpp>

namespace stillgate::hold {

using runtime_api::Command;

bool Seen::same_process(const Seen& before) const {
  return info && before.info && info->pid == before.info->pid &&
         info->uptime_s >= before.info->uptime_s;
}

std::vector<Command> survey_commands() {
  return {Command::show_info(), Command::show_frontends(), Command::show_cli_level()};
}

Seen read_survey(const runtime_api::Answer& answer, const std::vector<std::string>& frontends) {
  Seen seen;
  if (answer.error) {
    seen.error = answer.error;
    return seen;
  }
  const auto& timings = answer.timings;
  if (timings.sent_ms && timings.answered_ms) {
    seen.rtt_ms = *timings.answered_ms - *timings.sent_ms;
  }
  for (std::size_t i = 0; i < 2; ++i) {
    if (answer.replies.at(i).refusal) {
      seen.error = answer.replies[i].refusal;
      return seen;
    }
  }
  auto info = parse_info(answer.replies[0].text);
  auto stat = Stat::parse(answer.replies[1].text);
  if (!info || !stat) {
    seen.error = info ? stat.error() : info.error();
    return seen;
  }
  for (const std::string& name : frontends) {
    const auto* row = stat->frontend(name);
    if (row == nullptr) {
      seen.limits.emplace_back();
      continue;
    }
    seen.limits.push_back(stat->number(*row, "slim"));
    if (!seen.limits.back()) {
      seen.error =
          Error{Errc::malformed_reply, "show stat: the frontend's slim is no number", {}, {}, {}};
      return seen;
    }
  }
  if (!answer.replies.at(2).refusal) seen.level = answer.replies[2].text;
  seen.info = *std::move(info);
  return seen;
}

}  // namespace stillgate::hold
