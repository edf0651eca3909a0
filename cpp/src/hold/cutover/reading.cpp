// Reading what stands at an endpoint.
#include "reading.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "hold/rows.hpp"

namespace stillgate::hold::reading {

using runtime_api::Answer;
using runtime_api::Command;

namespace {

Scope scope_of(const CutoverRequest& request) {
  return request.frontends.empty() ? Scope::standing : Scope::up;
}

/// Of all servers; what is malformed there was refused with the survey.
std::map<std::string, ServerHealth> read_healths(std::string_view text) {
  std::map<std::string, ServerHealth> healths;
  const auto stat = Stat::parse(text);
  if (!stat) return healths;
  for (const auto& row : stat->rows()) {
    if (row[1] == "FRONTEND" || row[1] == "BACKEND") continue;
    healths.emplace(row[0] + '/' + row[1], health_of(*stat, row));
  }
  return healths;
}

/// The answers to the commands of the cutover's own, which follow the survey's.
std::optional<Error> read_own(Standing& standing, const std::vector<std::string>& files,
                              const std::vector<runtime_api::Reply>& replies, std::size_t next) {
  const auto& states = replies.at(next++);
  const auto& maps = replies.at(next++);
  if (states.refusal) return states.refusal;
  if (maps.refusal) return maps.refusal;
  auto backends = runtime_api::parse_server_states(states.text);
  if (!backends) return backends.error();
  standing.backends = *std::move(backends);
  standing.files = runtime_api::parse_maps(maps.text);
  for (const std::string& file : files) {
    const auto& reply = replies.at(next++);
    // A map that is not loaded is told by name, with those that are.
    if (reply.refusal && reply.refusal->code == Errc::command_failed) continue;
    if (reply.refusal) return reply.refusal;
    auto entries = runtime_api::parse_map(reply.text);
    if (!entries) return entries.error();
    standing.maps[file] = *std::move(entries);
  }
  return std::nullopt;
}

}  // namespace

std::vector<Command> commands(const CutEndpoint& endpoint, const CutoverRequest& request) {
  auto asked = survey_commands(request.frontends, scope_of(request));
  asked.push_back(Command::show_server_states());
  asked.push_back(Command::show_maps());
  for (const std::string& file : endpoint.files) {
    auto command = Command::show_map(file);
    if (command) asked.push_back(*std::move(command));
  }
  return asked;
}

bool is_final(const Error& refusal) {
  return !refusal.haproxy || refusal.haproxy->find("is disabled") == std::string::npos;
}

void read(CutEndpoint& endpoint, const CutoverRequest& request, const Answer& answer) {
  endpoint.standing = {};
  const std::size_t surveyed = survey_commands(request.frontends, scope_of(request)).size();
  Answer survey = answer;
  if (!answer.error) survey.replies.resize(surveyed);
  Standing& standing = endpoint.standing;
  standing.seen = read_survey(survey, endpoint.url, request.frontends, scope_of(request));
  endpoint.error = standing.seen.error;
  if (!endpoint.error) {
    endpoint.error = read_own(standing, endpoint.files, answer.replies, surveyed);
    // The second command of every survey.
    standing.healths = read_healths(answer.replies.at(1).text);
  }
  for (ChangeAtEndpoint& change : endpoint.changes) {
    change.now = endpoint.error ? std::nullopt : value_at(standing, change.row);
    if (!change.first) change.first = change.now;
  }
}

}  // namespace stillgate::hold::reading
