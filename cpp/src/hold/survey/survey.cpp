// Reading the answers of a survey.
#include "survey.hpp"

#include <algorithm>
#include <span>

#include <stillgate/stat.hpp>

#include "hold/record/lookup.hpp"
#include "runtime_api/release.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Command;
using runtime_api::GateSwitch;
using runtime_api::Reply;

namespace {

constexpr std::size_t fixed_commands = 3;

std::int64_t number(const Stat& stat, const Stat::Row& row, std::string_view column) {
  return stat.number(row, column).value_or(0);
}

/// Nothing if its limit is not a number.
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

/// If one server has no limit, the backend has none.
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
          Errc::malformed_reply, "show stat: the frontend's slim is not a number", {}, {}, {}};
    }
  }
  return std::nullopt;
}

/// An HAProxy without the Lua file does not know the command: then it has no gate. Everything else
/// that cannot be understood is an error, because it might hide a hold.
std::optional<Error> read_gate(Seen& seen, std::span<const Reply> replies,
                               const std::string& endpoint,
                               const std::vector<std::string>& frontends) {
  const auto& refusal = replies.back().refusal;
  if (refusal && refusal->code == Errc::unknown_command) return std::nullopt;
  if (refusal) return refusal;
  const auto status = runtime_api::parse_gate_status(replies.back().text);
  if (!status) return status.error();
  GateSeen gate{status->locks, status->table, status->state_error, status->error, {}, {}, {}};
  for (const std::string& name : frontends) {
    const auto found = status->frontends.find(name);
    gate.switches.push_back(found == status->frontends.end() ? GateSwitch{} : found->second);
    auto record = record_in(gate.switches.back().token, endpoint, name);
    gate.records.push_back(record ? std::optional(*std::move(record)) : std::nullopt);
  }
  if (replies.size() > 1) {
    const auto proofs = runtime_api::parse_gate_proofs(replies.front().text);
    for (const std::string& name : frontends) {
      if (proofs && proofs->contains(name)) {
        gate.doubts.push_back(proofs->at(name));
      } else {
        gate.doubts.emplace_back(proofs ? "no probe was made" : proofs.error().message);
      }
    }
  }
  gate.now_ms = status->now_ms;
  seen.gate = std::move(gate);
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

const runtime_api::GateSwitch* Seen::gate_switch(std::size_t frontend) const {
  return gate && frontend < gate->switches.size() ? &gate->switches[frontend] : nullptr;
}

bool Seen::gate_holds(std::size_t frontend) const {
  const auto* one = gate_switch(frontend);
  return one != nullptr && one->mode != runtime_api::GateSwitch::Mode::open;
}

bool Seen::has_variables() const { return !remembered.empty() && remembered[0].supported; }

bool Seen::can_lock() const {
  return has_variables() && info && runtime_api::has_compare_and_set(info->version);
}

bool Seen::can_lock_by_gate() const { return gate && gate->locks && info && !can_lock(); }

GateHandle Seen::gate_handle(std::size_t frontend) const {
  const auto* one = gate_switch(frontend);
  if (one == nullptr) return {};
  return {gate_holds(frontend), !has_variables(), one->token};
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
  // Counters that went down were cleared by somebody.
  if (now->reached < before->reached || now->begun < before->begun) return std::nullopt;
  return std::min(now->reached - before->reached, now->begun - before->begun);
}

Scope lean_scope(const Seen& before) { return before.gate ? Scope::gates : Scope::proxies; }

std::vector<Command> survey_commands(const std::vector<std::string>& frontends, Scope scope) {
  std::vector<Command> commands{
      Command::show_info(),
      scope == Scope::servers ? Command::show_servers() : Command::show_proxies(),
      Command::show_cli_level()};
  if (scope == Scope::proxies) return commands;
  // The proof also tries the state file, and the status reports the result.
  if (scope == Scope::servers) commands.push_back(*Command::gate_proofs(frontends));
  commands.push_back(*Command::gate_status(frontends));
  if (scope == Scope::gates) return commands;
  for (const std::string& name : frontends) {
    commands.push_back(read_variable(name));
    commands.push_back(read_hint(name));
    commands.push_back(read_end(name));
  }
  return commands;
}

Seen read_survey(const Answer& answer, const std::string& endpoint,
                 const std::vector<std::string>& frontends, Scope scope) {
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
  std::size_t next = fixed_commands;
  if (scope != Scope::proxies) {
    const std::size_t asked = scope == Scope::servers ? 2 : 1;
    seen.error =
        read_gate(seen, {answer.replies.begin() + fixed_commands, asked}, endpoint, frontends);
    if (seen.error) return seen;
    if (seen.gate) seen.gate->asked_at_ms = timings.sent_ms.value_or(0);
    next += asked;
  }
  for (; next + 2 < answer.replies.size(); next += 3) {
    const std::string& name = frontends.at(seen.remembered.size());
    seen.remembered.push_back(read_remembered(answer.replies[next], endpoint, name));
    seen.locks.push_back({read_lock(answer.replies[next + 1], endpoint, name),
                          read_ended(answer.replies[next + 2])});
  }
  seen.info = *std::move(info);
  return seen;
}

const Record* record_of(const Seen& seen, std::size_t frontend, std::string_view endpoint,
                        std::string_view name, const std::vector<Record>& records) {
  if (seen.gate_holds(frontend)) {
    const auto& record = seen.gate->records[frontend];
    return record ? &*record : nullptr;
  }
  if (frontend < seen.remembered.size() && seen.remembered[frontend].record) {
    return &*seen.remembered[frontend].record;
  }
  return find_record(records, endpoint, name);
}

}  // namespace stillgate::hold
