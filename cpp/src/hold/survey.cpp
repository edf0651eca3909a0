// Reading the answers of a survey.
#include "survey.hpp"

#include <algorithm>

#include <stillgate/stat.hpp>

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Command;

namespace {

constexpr std::size_t fixed_commands = 3;

std::int64_t number(const Stat& stat, const Stat::Row& row, std::string_view column) {
  return stat.number(row, column).value_or(0);
}

/// Nothing where its limit is no number.
std::optional<FrontendSeen> read_frontend(const Stat& stat, const Stat::Row& row) {
  const auto limit = stat.number(row, "slim");
  if (!limit) return std::nullopt;
  FrontendSeen seen;
  seen.limit = *limit;
  // 1.8 and older have no such column.
  const auto mode = stat.text(row, "mode");
  seen.http = mode.empty() || mode == "http";
  const auto status = stat.text(row, "status");
  seen.stopped = status == "STOP" || status == "PAUSED";
  seen.sessions = number(stat, row, "scur");
  seen.rate = number(stat, row, "rate");
  seen.connections = number(stat, row, "stot");
  seen.begun = seen.http ? number(stat, row, "req_tot") : seen.connections;
  return seen;
}

BackendSeen read_backend(const Stat& stat, const Stat::Row& row) {
  BackendSeen seen;
  seen.name = row[0];
  seen.running = number(stat, row, "scur");
  seen.queued = number(stat, row, "qcur");
  seen.reached = number(stat, row, "stot");
  seen.up = stat.text(row, "status").starts_with("UP");
  seen.answer_ms = stat.number(row, "ttime");
  return seen;
}

/// One server without a limit of its own takes all: then the backend has no bound.
void add_servers(const Stat& stat, BackendSeen& backend) {
  std::int64_t sum = 0;
  bool any = false;
  for (const auto& row : stat.rows()) {
    if (row[0] != backend.name || row[1] == "FRONTEND" || row[1] == "BACKEND") continue;
    const auto slots = stat.number(row, "slim");
    if (!slots || *slots == 0) return;
    any = true;
    sum += *slots;
  }
  if (any) backend.slots = sum;
}

std::optional<Error> read_stat(Seen& seen, const Stat& stat,
                               const std::vector<std::string>& frontends) {
  for (const auto& row : stat.rows()) {
    if (row[1] == "FRONTEND") seen.names.push_back(row[0]);
    if (row[1] != "BACKEND") continue;
    seen.backends.push_back(read_backend(stat, row));
    add_servers(stat, seen.backends.back());
  }
  for (const std::string& name : frontends) {
    const auto* row = stat.frontend(name);
    seen.frontends.push_back(row == nullptr ? std::nullopt : read_frontend(stat, *row));
    if (row != nullptr && !seen.frontends.back()) {
      return Error{
          Errc::malformed_reply, "show stat: the frontend's slim is no number", {}, {}, {}};
    }
  }
  return std::nullopt;
}

}  // namespace

bool Seen::same_process(const Seen& before) const {
  return info && before.info && info->pid == before.info->pid &&
         info->uptime_s >= before.info->uptime_s;
}

std::optional<std::int64_t> Seen::limit(std::size_t frontend) const {
  if (frontend >= frontends.size() || !frontends[frontend]) return std::nullopt;
  return frontends[frontend]->limit;
}

std::int64_t Seen::in_flight() const {
  std::int64_t sum = 0;
  for (const BackendSeen& backend : backends) sum += backend.running + backend.queued;
  return sum;
}

std::int64_t Seen::sessions() const {
  std::int64_t sum = 0;
  for (const auto& frontend : frontends) sum += frontend ? frontend->sessions : 0;
  return sum;
}

std::int64_t Seen::begun() const {
  std::int64_t sum = 0;
  for (const auto& frontend : frontends) sum += frontend ? frontend->begun : 0;
  return sum;
}

std::optional<Counters> Seen::counters(std::size_t frontend) const {
  if (!info || frontend >= frontends.size() || !frontends[frontend]) return std::nullopt;
  Counters counters{info->pid, 0, frontends[frontend]->begun};
  for (const BackendSeen& backend : backends) counters.reached += backend.reached;
  return counters;
}

std::optional<std::int64_t> leaked(const std::optional<Counters>& before,
                                   const std::optional<Counters>& now) {
  if (!before || !now || before->pid != now->pid) return std::nullopt;
  // Counters that run backwards were cleared by somebody.
  if (now->reached < before->reached || now->begun < before->begun) return std::nullopt;
  return std::min(now->reached - before->reached, now->begun - before->begun);
}

std::vector<Command> survey_commands(const std::vector<std::string>& frontends, Scope scope) {
  std::vector<Command> commands{
      Command::show_info(),
      scope == Scope::servers ? Command::show_servers() : Command::show_proxies(),
      Command::show_cli_level()};
  if (scope == Scope::proxies) return commands;
  for (const std::string& name : frontends) commands.push_back(read_variable(name));
  return commands;
}

Seen read_survey(const Answer& answer, const std::string& endpoint,
                 const std::vector<std::string>& frontends) {
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
  seen.error = read_stat(seen, *stat, frontends);
  if (seen.error) return seen;
  if (!answer.replies.at(2).refusal) seen.level = answer.replies[2].text;
  for (std::size_t i = fixed_commands; i < answer.replies.size(); ++i) {
    seen.remembered.push_back(
        read_remembered(answer.replies[i], endpoint, frontends.at(i - fixed_commands)));
  }
  seen.info = *std::move(info);
  return seen;
}

}  // namespace stillgate::hold
