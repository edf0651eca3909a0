// Reading the answers of a survey.
#include "survey.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include <fmt/format.h>

#include <stillgate/stat.hpp>

#include "hold/record/lookup.hpp"
#include "runtime_api/release.hpp"
#include "server_health.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Command;
using runtime_api::GateSwitch;
using runtime_api::Reply;

namespace {

constexpr std::size_t fixed_commands = 3;

/// What is read as a number or a word must be there: a column that is missing would pass for 0, and
/// a backend that is busy for one that is drained.
constexpr std::string_view needed[] = {"qcur", "scur", "slim", "stot", "rate", "status", "req_tot"};

Error malformed(std::string message) { return {Errc::malformed_reply, std::move(message)}; }

std::optional<Error> missing_column(const Stat& stat) {
  const auto& columns = stat.columns();
  for (const std::string_view column : needed) {
    if (std::ranges::find(columns, column) == columns.end()) {
      return malformed(fmt::format("show stat: there is no column {}", column));
    }
  }
  return std::nullopt;
}

/// Reads the numbers of one row; the first that is none becomes the error.
class Numbers {
 public:
  Numbers(const Stat& stat, const Stat::Row& row) : stat_(stat), row_(row) {}

  std::int64_t operator()(std::string_view column) {
    const auto value = stat_.number(row_, column);
    if (!value && !error_) {
      error_ = malformed(
          fmt::format("show stat: {} of {},{} is not a number", column, row_[0], row_[1]));
    }
    return value.value_or(0);
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  const Stat& stat_;
  const Stat::Row& row_;
  std::optional<Error> error_;
};

Result<FrontendSeen> read_frontend(const Stat& stat, const Stat::Row& row) {
  Numbers number(stat, row);
  FrontendSeen seen;
  seen.limit = number("slim");
  // 1.8 and older have no such column.
  const auto mode = stat.text(row, "mode");
  seen.http = mode.empty() || mode == "http";
  const auto status = stat.text(row, "status");
  seen.stopped = status == "STOP" || status == "PAUSED";
  seen.sessions = number("scur");
  seen.rate = number("rate");
  seen.connections = number("stot");
  seen.begun = seen.http ? number("req_tot") : seen.connections;
  // Only a reason to count for a moment longer.
  seen.busy = seen.http ? stat.number(row, "req_rate").value_or(0) : seen.rate;
  if (number.error()) return *number.error();
  return seen;
}

Result<BackendSeen> read_backend(const Stat& stat, const Stat::Row& row) {
  Numbers number(stat, row);
  BackendSeen seen;
  seen.name = row[0];
  seen.running = number("scur");
  seen.queued = number("qcur");
  seen.reached = number("stot");
  seen.up = stat.text(row, "status").starts_with("UP");
  seen.answer_ms = stat.number(row, "ttime");
  if (number.error()) return *number.error();
  return seen;
}

/// If one server has no limit, the backend has none.
void add_servers(const Stat& stat, BackendSeen& backend) {
  std::int64_t sum = 0;
  bool any = false;
  for (const auto& row : stat.rows()) {
    if (row[0] != backend.name || row[1] == "FRONTEND" || row[1] == "BACKEND") continue;
    // It gets nothing after the release either.
    if (stat.text(row, "status").starts_with("MAINT")) continue;
    const auto slots = stat.number(row, "slim");
    if (!slots || *slots == 0) return;
    any = true;
    sum += *slots;
  }
  if (any) backend.slots = sum;
}

/// `green1 is DOWN (L4CON, Connection refused)`
std::string down_words(const Stat& stat, const Stat::Row& row) {
  std::string why(stat.text(row, "check_status"));
  const auto last = stat.text(row, "last_chk");
  const auto status = stat.text(row, "status");
  if (status.starts_with("MAINT")) why.clear();
  if (!why.empty() && !last.empty()) why += fmt::format(", {}", last);
  return fmt::format("{} is {}{}{}{}", row[1], status, why.empty() ? "" : " (", why,
                     why.empty() ? "" : ")");
}

void judge_servers(const Stat& stat, BackendSeen& backend) {
  bool any = false;
  bool shown = false;
  for (const auto& row : stat.rows()) {
    if (row[0] != backend.name || row[1] == "FRONTEND" || row[1] == "BACKEND") continue;
    any = true;
    const ServerHealth health = health_of(stat, row);
    if (health.drained) continue;
    if (health.up == Up::shown) shown = true;
    if (health.up == Up::unshown) {
      backend.unshown = fmt::format("server '{}' {}", row[1], health.words);
    }
    if (health.up == Up::no || health.up == Up::soon) {
      backend.down += fmt::format("{}{}", backend.down.empty() ? "" : ", ", down_words(stat, row));
    }
  }
  if (shown) backend.unshown.clear();
  if (any) backend.up = shown || !backend.unshown.empty();
}

std::optional<Error> read_stat(Seen& seen, const Stat& stat,
                               const std::vector<std::string>& frontends, Scope scope) {
  if (auto error = missing_column(stat)) return error;
  for (const auto& row : stat.rows()) {
    if (row[1] == "FRONTEND") seen.names.push_back(row[0]);
    if (row[1] != "BACKEND") continue;
    auto backend = read_backend(stat, row);
    if (!backend) return backend.error();
    add_servers(stat, *backend);
    if (scope == Scope::up) judge_servers(stat, *backend);
    seen.backends.push_back(*std::move(backend));
  }
  for (const std::string& name : frontends) {
    const auto* row = stat.frontend(name);
    if (row == nullptr) {
      seen.frontends.emplace_back();
      continue;
    }
    auto frontend = read_frontend(stat, *row);
    if (!frontend) return frontend.error();
    seen.frontends.emplace_back(*std::move(frontend));
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
  GateSeen gate;
  gate.locks = status->locks;
  gate.reloads = status->reloads;
  gate.stopping = status->stopping;
  gate.names = status->names;
  gate.table = status->table;
  gate.state_error = status->state_error;
  gate.error = status->error;
  for (const std::string& name : frontends) {
    const auto found = status->frontends.find(name);
    gate.switches.push_back(found == status->frontends.end() ? GateSwitch{} : found->second);
    auto record = record_in(gate.switches.back().token, endpoint, name);
    gate.records.push_back(record ? std::optional(*std::move(record)) : std::nullopt);
  }
  if (replies.size() > 1) {
    const auto proofs = runtime_api::parse_gate_proofs(replies.front().text);
    if (proofs) gate.room = proofs->room;
    for (const std::string& name : frontends) {
      if (proofs && proofs->frontends.contains(name)) {
        gate.proofs.push_back(proofs->frontends.at(name));
      } else {
        gate.proofs.push_back({proofs ? "no probe was made" : proofs.error().message, {}, {}});
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

std::int64_t Seen::in_flight(const NameList& except) const {
  std::int64_t sum = 0;
  for (const BackendSeen& backend : backends) {
    if (!except.has(backend.name)) sum += backend.running + backend.queued;
  }
  return sum;
}

bool Seen::has_backend(std::string_view name) const {
  return std::ranges::any_of(backends,
                             [name](const BackendSeen& backend) { return backend.name == name; });
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
  return {gate_holds(frontend), !has_variables(), one->token, gate->names};
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

std::optional<std::int64_t> leaked(const std::optional<Counters>& before, const Seen& seen,
                                   std::size_t frontend) {
  const auto most = leaked(before, seen.counters(frontend));
  const auto* gate = seen.gate_holds(frontend) ? seen.gate_switch(frontend) : nullptr;
  if (!most || gate == nullptr || !gate->unseen) return most;
  return std::min(*most, *gate->unseen);
}

Scope lean_scope(const Seen& before) { return before.gate ? Scope::gates : Scope::proxies; }

std::vector<Command> survey_commands(const std::vector<std::string>& frontends, Scope scope) {
  const bool servers = scope == Scope::servers || scope == Scope::up || scope == Scope::standing;
  std::vector<Command> commands{Command::show_info(),
                                servers ? Command::show_servers() : Command::show_proxies(),
                                Command::show_cli_level()};
  if (scope == Scope::proxies || scope == Scope::standing) return commands;
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
  seen.error = read_stat(seen, *stat, frontends, scope);
  if (seen.error) return seen;
  if (!answer.replies.at(2).refusal) seen.level = answer.replies[2].text;
  std::size_t next = fixed_commands;
  if (scope != Scope::proxies && scope != Scope::standing) {
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
  // HAProxy 2.2 does not tell it.
  if (seen.gate && seen.gate->stopping) seen.info->stopping = true;
  return seen;
}

std::optional<Error> no_such_backend(std::string_view option, const NameList& names,
                                     const Seen& seen) {
  constexpr std::size_t most_named = 10;
  const auto unknown = names.first([&](std::string_view name) { return !seen.has_backend(name); });
  if (!unknown) return std::nullopt;
  std::string known;
  for (std::size_t i = 0; i < seen.backends.size() && i < most_named; ++i) {
    known += fmt::format("{}'{}'", i > 0 ? ", " : "", seen.backends[i].name);
  }
  if (seen.backends.size() > most_named) {
    known += fmt::format(" and {} more", seen.backends.size() - most_named);
  }
  return Error{Errc::no_such_backend,
               fmt::format("{}: this HAProxy has no backend '{}'; it has {}", option, *unknown,
                           known.empty() ? "none" : known)};
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
