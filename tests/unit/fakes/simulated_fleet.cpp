// Carrying out a plan's steps against simulated hosts.
#include "simulated_fleet.hpp"

#include <algorithm>
#include <charconv>

#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "hold/record/record_variable.hpp"
#include "model/numbers.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using runtime_api::Reply;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t most_steps = 1000;

Answer failed(Errc code, bool sent) {
  Answer answer;
  answer.error = Error{code, "simulated"};
  answer.sent = sent;
  return answer;
}

}  // namespace

std::string id_in(const std::string& token) {
  return token.empty() ? "" : token.substr(2, token.find('.', 2) - 2);
}

SimulatedFleet::SimulatedFleet(std::size_t count, std::vector<std::string> names)
    : frontends(std::move(names)) {
  for (std::size_t i = 0; i < count; ++i) {
    Host host;
    host.url = fmt::format("unix:///run/{}.sock", i);
    host.node = fmt::format("lb{}", i);
    std::int64_t limit = 100 + 10 * static_cast<std::int64_t>(i);
    for (const std::string& name : frontends) host.configured[name] = limit++;
    host.limits = host.configured;
    hosts.push_back(std::move(host));
  }
}

void SimulatedFleet::start_over() {
  faults.clear();
  freezes.clear();
  cancel_at.reset();
  journal_failures.clear();
  limits_set.clear();
  first_write_batch.reset();
  steps = batches = writes = unrecorded_holds = closed_while_held = journal_writes_ = 0;
}

Report SimulatedFleet::drive(Plan& plan) {
  Observation seen{observed::Begin{}, {}, {}, false};
  for (steps = 0; steps < most_steps; ++steps) {
    if (auto report = carry_out(plan, seen)) return *std::move(report);
  }
  endless = true;
  return {};
}

/// What HAProxy itself waits for before it goes on with the next command.
static milliseconds longest_wait(const Batch& batch) {
  milliseconds longest{0};
  for (const auto& commands : batch.work) {
    for (const auto& command : commands) {
      std::string_view text = command.text();
      if (!text.starts_with("wait ")) continue;
      text.remove_prefix(5);
      milliseconds::rep time = 0;
      std::from_chars(text.data(), text.data() + text.size(), time);
      longest = std::max(longest, milliseconds(time));
    }
  }
  return longest;
}

milliseconds SimulatedFleet::time_of(const Batch& batch) const {
  bool is_hanging = false;
  for (std::size_t i = 0; i < batch.work.size(); ++i) {
    is_hanging = is_hanging || (!batch.work[i].empty() && fault_of(i) == Fault::hangs);
  }
  const milliseconds most = batch.within.value_or(milliseconds::max());
  return std::min(is_hanging ? std::max(hang, round_trip) : round_trip, most) + longest_wait(batch);
}

std::optional<Report> SimulatedFleet::carry_out(Plan& plan, Observation& seen) {
  seen.cancelled = seen.cancelled || (cancel_at && steps >= *cancel_at);
  seen.now = WallTime(milliseconds(1'800'000'000'000)) + clock + seen.elapsed;
  Step step = plan.next(seen);
  for (Event& event : plan.take_events()) events.push_back(std::move(event));
  if (auto* done = std::get_if<step::Done>(&step)) return std::move(done->report);
  if (const auto* batch = std::get_if<Batch>(&step)) {
    const bool stopped = cancel_at && steps + 1 >= *cancel_at;
    const milliseconds time = time_of(*batch);
    seen.what = observed::Answers{run(*batch, stopped)};
    seen.elapsed += time;
  } else if (const auto* write = std::get_if<step::WriteJournal>(&step)) {
    seen.what = observed::Journaled{keep(write->record)};
  } else if (const auto* cut = std::get_if<step::KeepCutover>(&step)) {
    seen.what = observed::Journaled{keep(cut->record)};
  } else if (const auto* prove = std::get_if<step::ProveWaits>(&step)) {
    seen.what = observed::Proving{start_proof(*prove)};
  } else if (std::holds_alternative<step::EndProof>(step)) {
    end_proof();
    seen.what = observed::Tick{};
  } else if (const auto* start = std::get_if<step::StartGuard>(&step)) {
    seen.what = observed::Guarded{guard_failure, backed};
    if (!guard_failure) guarded = start->record;
  } else if (const auto* tell = std::get_if<step::TellGuard>(&step)) {
    guard_told.push_back(tell->word);
    const bool lost = guard_dies && tell->word == step::TellGuard::Word::hold;
    seen.what = observed::Guarded{
        lost ? std::optional(Error{Errc::guard_failed, "gone"}) : std::nullopt, {}};
  } else {
    seen.elapsed += std::get<step::Wait>(step).time;
    seen.what = observed::Tick{};
  }
  return std::nullopt;
}

std::vector<Answer> SimulatedFleet::run(const Batch& batch, bool stopped) {
  const bool cut = stopped && !batch.uninterruptible && stop != Stop::after_the_batch;
  bool missing = cut && stop == Stop::before_it_is_sent;
  if (up_at && batches >= *up_at) {
    for (Host& host : hosts) host.up = true;
  }
  locking_ = std::string_view(batch.phase) == "locking";
  std::vector<Answer> answers(hosts.size());
  if (const auto frozen = freezes.find(batches); frozen != freezes.end()) frozen->second(*this);
  std::vector<bool> changed(hosts.size(), false);
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (batch.work[i].empty()) continue;
    changed[i] = !fulfils(i, batch.condition_of(i));
    missing = missing || (batch.barrier && (changed[i] || !reachable(i)));
  }
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (batch.work[i].empty()) continue;
    if (changed[i]) {
      answers[i] = failed(Errc::hold_changed, false);
      continue;
    }
    if (missing) {
      answers[i] = reachable(i) ? failed(cut ? Errc::cancelled : Errc::rolled_back, false)
                                : failed(Errc::connection_refused, false);
      continue;
    }
    answers[i] = ask(i, batch.work[i]);
    if (cut && !answers[i].error) answers[i] = failed(Errc::cancelled, true);
  }
  ++batches;
  return answers;
}

/// Asked and answered in no time.
bool SimulatedFleet::fulfils(std::size_t host, const runtime_api::Condition* condition) {
  if (condition == nullptr || !reachable(host)) return true;
  std::vector<Reply> replies;
  for (const Command& command : condition->question) {
    replies.push_back(answer(hosts[host], command.text(), std::nullopt));
  }
  return condition->holds(replies);
}

std::optional<Fault> SimulatedFleet::fault_of(std::size_t host) const {
  const auto at = faults.find({batches, host});
  return at == faults.end() ? std::nullopt : std::optional(at->second);
}

bool SimulatedFleet::reachable(std::size_t host) const {
  return hosts[host].alive && fault_of(host) != Fault::refuses_connection;
}

Answer SimulatedFleet::ask_one(std::size_t host, const std::vector<Command>& commands,
                               std::optional<Fault> fault) {
  faults.clear();
  if (fault) faults[{batches, host}] = *fault;
  return ask(host, commands);
}

Answer SimulatedFleet::ask(std::size_t index, const std::vector<Command>& commands) {
  Host& host = hosts[index];
  const auto fault = fault_of(index);
  if (!reachable(index)) return failed(Errc::connection_refused, false);
  if (fault == Fault::loses_commands) return failed(Errc::connection_reset, true);
  if (fault == Fault::hangs) return failed(Errc::reply_timeout, true);
  if (fault == Fault::dies) {
    host.alive = false;
    return failed(Errc::early_eof, true);
  }
  if (fault == Fault::restarts) {
    ++host.pid;
    host.uptime = 0;
    host.limits = host.configured;
    host.variables.clear();
    host.table.clear();
    host.serving = host.configured_serving;
    host.unseen_restart = true;
  }
  Answer answer;
  answer.sent = true;
  answer.timings = {1.0, 2.0, 2.0 + static_cast<double>(round_trip.count())};
  commands_asked += commands.size();
  for (const Command& command : commands) {
    answer.replies.push_back(this->answer(host, command.text(), fault));
    if (fault == Fault::runs_half) break;
  }
  if (fault == Fault::runs_half || fault == Fault::loses_answer) {
    return failed(Errc::early_eof, true);
  }
  return answer;
}

Reply SimulatedFleet::answer(Host& host, std::string_view command, std::optional<Fault> fault) {
  if (command == "show info") {
    host.unseen_restart = false;
    return {fmt::format("Name: HAProxy\nVersion: {}\nPid: {}\nUptime_sec: {}\nnode: {}\n"
                        "Nbproc: {}\nStopping: {}",
                        host.version, host.pid, host.uptime, host.node, host.processes,
                        host.stopping ? 1 : 0),
            {}};
  }
  if (command == "show cli level") return {host.level, {}};
  if (command.starts_with("show stat")) return show_stat(host);
  if (command == "show servers state") return show_servers(host);
  if (command.starts_with("show map")) return show_map(host, command);
  if (command.starts_with("set server ")) return set_server(host, command, fault);
  if (command.starts_with("set map ")) return set_map(host, command, fault);
  if (command == "show sess") return show_streams(host);
  if (command.starts_with("show table ")) return show_table(host, command.substr(11));
  if (command.starts_with("show sess ")) return show_stream(host, command.substr(10));
  if (command.starts_with("shutdown session ")) return shut_stream(host, command.substr(17));
  if (command.starts_with("wait ")) return {"Done.", {}};
  if (command == "show fd") return {host.descriptors, {}};
  if (command.starts_with("stillgate")) return gate(host, command, fault);
  if (command.starts_with("set table")) return set_table(host, command, fault);
  if (command.starts_with("get var") || command.starts_with("set var") ||
      command.starts_with("experimental-mode")) {
    return variable(host, command, fault);
  }
  return set_limit(host, command, fault);
}

namespace {

/// What stands between two words of a text.
std::string between(std::string_view text, std::string_view left, std::string_view right) {
  const std::size_t at = text.find(left);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + left.size());
  return std::string(text.substr(0, text.find(right)));
}

std::vector<std::string> split(std::string_view line) {
  std::vector<std::string> words;
  while (!line.empty()) {
    const std::string_view word = line.substr(0, line.find(' '));
    words.emplace_back(word);
    line.remove_prefix(std::min(line.size(), word.size() + 1));
  }
  return words;
}

/// As HAProxy prints it: the two largest units that are not 0.
std::string human(std::int64_t seconds) {
  std::string text;
  int units = 0;
  for (const auto& [size, name] :
       {std::pair{86'400, 'd'}, std::pair{3600, 'h'}, std::pair{60, 'm'}, std::pair{1, 's'}}) {
    if (seconds < size || units == 2) continue;
    text += fmt::format("{}{}", seconds / size, name);
    seconds %= size;
    ++units;
  }
  return text;
}

}  // namespace

std::vector<std::pair<std::string, Error>> SimulatedFleet::start_proof(
    const step::ProveWaits& wanted) {
  ++proofs;
  std::vector<std::pair<std::string, Error>> failures;
  for (const auto& [url, line] : wanted.lines) {
    const auto host = std::find_if(hosts.begin(), hosts.end(),
                                   [&url = url](const Host& one) { return one.url == url; });
    if (!host->alive || host->proving == Proving::no_way) {
      failures.emplace_back(url, Error{Errc::connection_refused, "simulated"});
      continue;
    }
    if (host->proving == Proving::never_begins) continue;
    add_line(*host, line);
    WaitingLine& waiting = host->lines.back();
    waiting.variable = between(line, "set var proc.", " ");
    const std::string running = between(line, " str(", ")");
    waiting.fired = "fired" + running.substr(std::string_view("running").size());
    host->variables[waiting.variable] =
        host->proving == Proving::closes_late ? waiting.fired : running;
    if (host->proving == Proving::unseen) host->lines.pop_back();
  }
  return failures;
}

std::string SimulatedFleet::add_line(Host& host, std::string_view line) {
  const auto seconds =
      runtime_api::parse_number<std::int64_t>(between(line, "set timeout cli ", "s"));
  const int number = host.next_line++;
  host.lines.push_back(
      {fmt::format("0x7f{:02x}", number), fmt::format("{}", 10 + number), human(*seconds)});
  return host.lines.back().number;
}

void SimulatedFleet::end_proof() {
  for (Host& host : hosts) {
    for (const WaitingLine& line : host.lines) {
      if (!line.variable.empty() && host.proving == Proving::fires) {
        host.variables[line.variable] = line.fired;
      }
    }
    std::erase_if(host.lines, [](const WaitingLine& line) { return !line.variable.empty(); });
  }
}

Reply SimulatedFleet::show_streams(Host& host) {
  std::string text = host.streams;
  for (const WaitingLine& line : host.lines) {
    text += fmt::format(
        "{}: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=0s "
        "calls=2 rq[f=848000h,i=0,an=00h,ax=] scf=[8,0h,fd=11,rex={},wex=] scb=[8,1h,fd=-1,rex=,"
        "wex=] exp=9s rc=0 c_exp=\n",
        line.pointer, line.timeout);
  }
  for (const auto& [name, one] : host.gates) {
    if (!host.probed || one.loses_probe) continue;
    text += fmt::format(
        "0x9: proto=unix_stream src=unix:7 fe={} be=<NONE> srv=<none> ts=00 age=0s calls=2 "
        "rq[f=40480000h,i=16384,an=30h,rx={},wx=,ax=0s] exp=0s\n",
        name, one.cut_s ? fmt::format("{}s", *one.cut_s) : "");
  }
  host.probed = false;
  return {text, {}};
}

Reply SimulatedFleet::show_table(const Host& host, std::string_view name) {
  const auto found = host.tables.find(std::string(name.substr(0, name.find(' '))));
  if (found == host.tables.end()) {
    return {"", Error{Errc::command_failed, "simulated", "No such table"}};
  }
  return {found->second, {}};
}

Reply SimulatedFleet::show_stream(const Host& host, std::string_view pointer) {
  for (const WaitingLine& line : host.lines) {
    if (line.pointer != pointer) continue;
    return {fmt::format("{}: [28/Nov/2026:12:15:19.984505] id={} proto=unix_stream source=unix:1\n"
                        "  frontend=GLOBAL (id=0 mode=tcp), listener=? (id=1) addr=unix:1\n"
                        "  scf=0x7f0 flags=0x0 ioto={} state=EST\n  scb=0x7f1 ioto=0s\n",
                        line.pointer, line.number, line.timeout),
            {}};
  }
  return {"", {}};
}

Reply SimulatedFleet::shut_stream(Host& host, std::string_view pointer) {
  const auto same = [pointer](const WaitingLine& line) { return line.pointer == pointer; };
  if (!host.keeps_lines && std::erase_if(host.lines, same) > 0) return {};
  if (host.keeps_lines) return {};
  return {"", Error{Errc::command_failed, "simulated", "No such session (use 'show sess')."}};
}

Reply SimulatedFleet::show_servers(const Host& host) {
  std::string text =
      "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight "
      "srv_iweight srv_time_since_last_change srv_check_state\n";
  for (const auto& [place, server] : host.serving.servers) {
    const std::size_t slash = place.find('/');
    const int admin = server.state == "maint" ? 1 : server.state == "drain" ? 8 : 0;
    text += fmt::format("3 {} 1 {} 127.0.0.1 {} {} {} 1 0 {}\n", place.substr(0, slash),
                        place.substr(slash + 1), server.running && admin != 1 ? 2 : 0, admin,
                        server.weight, server.checked ? 6 : 0);
  }
  return {text, {}};
}

Reply SimulatedFleet::show_map(const Host& host, std::string_view command) {
  std::string text;
  if (command == "show map") {
    for (const auto& [file, entries] : host.serving.maps) {
      text += fmt::format("0 ({}) pattern loaded from file '{}'\n", file, file);
    }
    return {"# id (file) description\n" + text, {}};
  }
  const auto map = host.serving.maps.find(std::string(command.substr(9)));
  if (map == host.serving.maps.end()) {
    return {"", Error{Errc::command_failed, "simulated", "Unknown map identifier."}};
  }
  for (const auto& [key, value] : map->second) text += fmt::format("0x55d {} {}\n", key, value);
  return {text, {}};
}

Reply SimulatedFleet::set_server(Host& host, std::string_view command, std::optional<Fault> fault) {
  if (fault == Fault::refuses_writes) {
    return {"", Error{Errc::permission_denied, "simulated", "Permission denied"}};
  }
  if (fault == Fault::ignores_writes) return {};
  const auto words = split(command);
  const auto server = host.serving.servers.find(words.at(2));
  if (server == host.serving.servers.end()) {
    return {"", Error{Errc::command_failed, "simulated", "No such server."}};
  }
  if (cutovers.empty()) ++unrecorded_cuts;
  if (words.at(3) == "health") {
    host.check_health[words.at(2)] = 0;
    return {};
  }
  const bool leaves = words.at(3) == "state" && server->second.state == "maint";
  if (leaves && words.at(4) != "maint") host.check_health[words.at(2)] = 2;
  (words.at(3) == "state" ? server->second.state : server->second.weight) = words.at(4);
  return {};
}

Reply SimulatedFleet::set_map(Host& host, std::string_view command, std::optional<Fault> fault) {
  if (fault == Fault::refuses_writes) {
    return {"", Error{Errc::permission_denied, "simulated", "Permission denied"}};
  }
  if (fault == Fault::ignores_writes) return {};
  const auto words = split(command);
  if (cutovers.empty()) ++unrecorded_cuts;
  host.serving.maps.at(words.at(2)).at(words.at(3)) = words.at(4);
  return {};
}

Reply SimulatedFleet::show_stat(Host& host) {
  const auto hand = host.meddling.find(host.looks);
  if (!locking_ && hand != host.meddling.end()) {
    hand->second(host);
  }
  std::string text =
      "# pxname,svname,qcur,scur,slim,stot,status,rate,mode,req_tot,check_status,check_health,"
      "check_rise,check_fall,\n";
  for (const auto& [name, limit] : host.limits) {
    text += fmt::format("{},FRONTEND,,{},{},10,{},3,http,{},\n", name, host.sessions, limit,
                        host.shut ? "STOP" : "OPEN", host.reached);
  }
  const std::int64_t running =
      host.in_flight.empty() ? 0 : host.in_flight[std::min(host.looks, host.in_flight.size() - 1)];
  text += fmt::format("servers,BACKEND,0,{},10,{},{},0,http,,\n", running, host.reached,
                      host.up ? "UP" : "DOWN");
  for (const std::string& name : host.more_backends) {
    text += fmt::format("{},BACKEND,0,0,10,0,UP,0,http,,\n", name);
  }
  for (const auto& [place, server] : host.serving.servers) text += server_row(host, place, server);
  if (locking_) return {text, {}};
  ++host.looks;
  host.reached += host.leaks_per_look;
  return {text, {}};
}

/// `str(TEXT)`, or `var(proc.A),field(1,.),strcmp(proc.B),not,iif(TEXT,)`, which is nothing where
/// they differ.
static std::optional<std::string> value_of(const Host& host, std::string_view expression) {
  const auto inside = [&expression](std::string_view word) {
    const std::size_t at = expression.find(word) + word.size();
    return std::string(expression.substr(at, expression.find_first_of(",)", at) - at));
  };
  if (!expression.starts_with("var(")) return inside("str(");
  const auto first = host.variables.find(inside("var(proc."));
  const auto other = host.variables.find(inside("strcmp(proc."));
  if (first == host.variables.end() || other == host.variables.end()) return std::nullopt;
  const bool same = first->second.substr(0, first->second.find('.')) == other->second;
  return same ? std::optional(inside("iif(")) : std::nullopt;
}

/// `rise 2`. What HAProxy says before a check has finished it says at one look.
std::string SimulatedFleet::server_row(Host& host, const std::string& place,
                                       const SimulatedServer& server) {
  constexpr int rise = 2;
  const int full = rise + server.fall - 1;
  const std::size_t slash = place.find('/');
  const auto row = [&](const std::string& status, const std::string& check) {
    return fmt::format("{},{},0,0,,0,{},0,http,,{}\n", place.substr(0, slash),
                       place.substr(slash + 1), status, check);
  };
  if (server.state == "maint") return row("MAINT", ",,,,");
  if (!server.checked) return row(server.state == "drain" ? "DRAIN" : "no check", ",,,,");
  const auto known = host.check_health.find(place);
  const int health = known != host.check_health.end() ? known->second : server.running ? full : 0;
  host.check_health.erase(place);
  const std::string up = server.state == "drain" ? "DRAIN" : "UP";
  const std::string between =
      health < full ? fmt::format(" {}/{}", health - rise + 1, server.fall) : "";
  return row(
      health < rise ? "DOWN" : up + between,
      fmt::format("{},{},{},{},", health == 0 ? "L4CON" : "L7OK", health, rise, server.fall));
}

Reply SimulatedFleet::variable(Host& host, std::string_view command, std::optional<Fault> fault) {
  if (!host.remembers) {
    return {"", Error{Errc::unknown_command, "simulated", "Unknown command"}};
  }
  if (command.starts_with("experimental-mode")) return {};
  const bool reads = command.starts_with("get");
  command.remove_prefix(std::string_view("get var proc.").size());
  std::string name(command.substr(0, command.find(' ')));
  if (reads) {
    const auto at = host.variables.find(name);
    if (at == host.variables.end()) {
      return {"", Error{Errc::command_failed, "simulated", "Variable not found."}};
    }
    return {fmt::format("proc.{}: type=str value=<{}>", name, at->second), {}};
  }
  if (fault == Fault::refuses_writes) {
    return {"", Error{Errc::permission_denied, "simulated", "Permission denied"}};
  }
  const auto value = value_of(host, command.substr(name.size() + 1));
  if (const std::size_t comma = name.find(','); comma != std::string::npos) {
    if (!host.compares) {
      return {"", Error{Errc::command_failed, "simulated", "invalid variable name"}};
    }
    const bool once = name.find(",ifnotset") != std::string::npos;
    name.resize(comma);
    // An empty text counts as set.
    if (once && host.variables.contains(name)) return {};
  }
  if (fault == Fault::ignores_writes || !value) return {};
  host.variables[name] = *value;
  for (const auto& [frontend, limit] : host.limits) {
    const bool emptied = variable_of(frontend) == name && host.variables[name].empty();
    if (emptied && limit == 0) ++closed_while_held;
  }
  return {};
}

Reply SimulatedFleet::gate(Host& host, std::string_view command, std::optional<Fault> fault) {
  if (host.gates.empty()) {
    return {"", Error{Errc::unknown_command, "simulated", "Unknown command"}};
  }
  expire_gates(host);
  if (command.starts_with("stillgate prove")) {
    std::string list;
    for (const auto& [name, one] : host.gates) {
      list += fmt::format("{}\"{}\":{{\"proven\":{}}}", list.empty() ? "" : ",", name, one.proven);
    }
    return {fmt::format("{{\"format\":1,\"room\":{},\"frontends\":{{{}}}}}", host.has_room, list),
            {}};
  }
  if (command.starts_with("stillgate held")) {
    host.probed = true;
    std::string list;
    for (const auto& [name, one] : host.gates) {
      list += fmt::format("{}\"{}\":{{\"listed\":\"7\"}}", list.empty() ? "" : ",", name);
    }
    return {fmt::format("{{\"format\":1,\"frontends\":{{{}}}}}", list), {}};
  }
  if (host.gate_locks &&
      (command.starts_with("stillgate lock") || command.starts_with("stillgate unlock"))) {
    if (fault == Fault::refuses_writes || fault == Fault::ignores_writes) return gate_status(host);
    lock_gate(host, command);
  }
  if (command.starts_with("stillgate sync") && fault != Fault::ignores_writes &&
      !host.gate_sticks) {
    sync_gate(host, std::string(command.substr(std::string_view("stillgate sync ").size())));
  }
  return gate_status(host);
}

void SimulatedFleet::lock_gate(Host& host, std::string_view command) {
  std::istringstream words{std::string(command)};
  std::string word;
  std::string verb;
  std::string frontend;
  std::string id;
  words >> word >> verb >> frontend >> id;
  const auto at = host.gates.find(frontend);
  if (at == host.gates.end()) return;
  SimulatedGate& one = at->second;
  if (verb == "unlock") {
    if (one.lock_id == id) one.lock_id.clear();
    return;
  }
  const auto holder_of = [&host](const SimulatedGate& gate) -> std::string {
    const bool free = gate.ended.contains(gate.lock_id) ||
                      (host.gate_clock_ms && *host.gate_clock_ms >= gate.lock_ends_ms);
    return !gate.token.empty() ? id_in(gate.token) : free ? "" : gate.lock_id;
  };
  std::string record;
  std::string behind;
  words >> word >> record >> behind;
  if (!behind.empty() && holder_of(host.gates.at(behind)) != id) return;
  const std::string holder = holder_of(one);
  if (!holder.empty() && holder != id) return;
  one.lock_id = id;
  one.lock_record = record;
  one.lock_ends_ms =
      host.gate_clock_ms.value_or(0) + *runtime_api::parse_number<std::int64_t>(word);
}

namespace {

std::string old_workers(const SimulatedGate& one) {
  if (one.old_waiting + one.old_released == 0) return "";
  return fmt::format(
      ",\"old\":{{\"waiting\":{},\"released\":{},\"rejected\":0,\"silent\":0,\"pids\":\"7\"}}",
      one.old_waiting, one.old_released);
}

}  // namespace

Reply SimulatedFleet::gate_status(Host& host) {
  std::string list;
  for (auto& [name, one] : host.gates) {
    list += fmt::format(
        "{}\"{}\":{{\"mode\":\"{}\",\"id\":\"{}\",\"token\":\"{}\",\"waiting\":{},\"lock_id\":\"{}"
        "\","
        "\"lock_record\":\"{}\",\"all_counted\":{},\"all_unseen\":{}{}}}",
        list.empty() ? "" : ",", name,
        one.token.empty() ? "open" : (one.rejecting ? "rejecting" : "held"), id_in(one.token),
        one.token, one.waiting, one.lock_id, one.lock_record, one.counted, one.unseen_before,
        (one.unseen ? fmt::format(",\"unseen\":{}", *one.unseen) : "") + old_workers(one));
    if (one.released && one.waiting > 0) --one.waiting;
    if (one.released && one.old_waiting > 0) {
      --one.old_waiting;
      ++one.old_released;
    }
  }
  const std::string clock =
      host.gate_clock_ms ? fmt::format("\"now_ms\":{},", *host.gate_clock_ms) : "";
  return {
      fmt::format("{{\"format\":1,{}\"locks_behind\":{},\"reloads\":{},\"names\":{},\"table\":{},"
                  "\"frontends\":{{{}}}}}",
                  clock, host.gate_locks, host.gate_reloads, host.gate_names, host.has_table, list),
      {}};
}

Reply SimulatedFleet::set_table(Host& host, std::string_view command, std::optional<Fault> fault) {
  if (fault == Fault::refuses_writes) {
    return {"", Error{Errc::permission_denied, "simulated", "Permission denied"}};
  }
  if (fault == Fault::ignores_writes) return {};
  command.remove_prefix(std::string_view("set table stillgate key ").size());
  const std::size_t space = command.find(' ');
  host.table[std::string(command.substr(0, space))] =
      *runtime_api::parse_number<std::int64_t>(command.substr(command.rfind(' ') + 1));
  return {};
}

void SimulatedFleet::expire_gates(Host& host) {
  if (!host.gate_clock_ms) return;
  for (auto& [name, one] : host.gates) {
    if (one.token.empty() || one.rejecting || *host.gate_clock_ms < one.deadline_ms) continue;
    one.rejecting = one.token.find(".reject.") != std::string::npos;
    if (one.rejecting) continue;
    one.ended.insert(id_in(one.token));
    one.token.clear();
    one.released = true;
  }
}

/// As the Lua file does it: the variable, or the table's news, or what it has of the hold in
/// effect.
void SimulatedFleet::sync_gate(Host& host, const std::string& frontend) {
  SimulatedGate& one = host.gates[frontend];
  std::string said;
  if (const auto at = host.variables.find("stillgate_gate_" + encode_name(frontend));
      at != host.variables.end()) {
    said = at->second;
  }
  std::string holds;
  std::string released;
  for (const auto& [key, number] : host.table) {
    if (!key.starts_with(frontend + "/")) continue;
    const std::string token = key.substr(frontend.size() + 1);
    const bool over = one.ended.contains(id_in(token));
    if (number == 1 && !over && !one.known.contains(token)) said = token;
    if (number == 1 && !over && token == one.said) holds = token;
    if (number != 1 && token == one.token) released = "open";
    if (number != 1 && id_in(token) != id_in(one.token)) one.ended.insert(id_in(token));
  }
  if (said.empty()) said = holds.empty() ? released : holds;
  if (!said.empty() && said != one.said) switch_gate(host, frontend, said);
}

void SimulatedFleet::switch_gate(Host& host, const std::string& frontend, const std::string& said) {
  SimulatedGate& one = host.gates[frontend];
  one.said = said;
  if (said.starts_with("open")) {
    const std::size_t name = said.find('.', std::string_view("open.").size());
    const std::string of = name == std::string::npos ? "" : said.substr(name + 1);
    const std::string id = id_in(one.token);
    if (!of.empty() && host.gate_clock_ms) one.ended.insert(of);
    if (one.token.empty() || (!of.empty() && of != id)) return;
    if (one.lock_id == id) one.lock_id.clear();
    if (host.gate_clock_ms) one.ended.insert(id);
    one.token.clear();
    one.rejecting = false;
    one.released = true;
    return;
  }
  const std::string id = id_in(said);
  if (one.ended.contains(id)) return;
  const bool same = id_in(one.token) == id;
  if (host.gate_clock_ms && !same && !one.token.empty()) {
    one.ended.insert(id);
    return;
  }
  const std::int64_t now_ms = host.gate_clock_ms.value_or(0);
  const std::string times = said.substr(3 + id.size());
  const auto number = [](const std::string& text) {
    return runtime_api::parse_number<std::int64_t>(text);
  };
  const auto lasts = number(times.substr(0, times.find_first_of("_.")));
  const auto until = number(between(times.substr(0, times.find('.')) + ".", "_", "."));
  const std::int64_t began = same ? one.began_ms : now_ms;
  const std::int64_t deadline = std::min(began + lasts.value_or(0), until.value_or(INT64_MAX));
  if (host.gate_clock_ms && !same && deadline <= now_ms) {
    one.ended.insert(id);
    return;
  }
  if (!same) one.known.clear();
  one.known.insert(said);
  one.began_ms = began;
  one.deadline_ms = deadline;
  one.rejecting = false;
  one.released = false;
  count_hold(host, frontend, true);
  one.token = said;
  ++writes;
  if (!first_write_batch) first_write_batch = batches;
}

void SimulatedFleet::count_hold(const Host& host, const std::string& frontend, bool remembered) {
  const bool known = std::any_of(journal.begin(), journal.end(), [&](const auto& entry) {
    const HeldSwitch* held = entry.second.find(host.url, frontend);
    return held != nullptr && held->limit_before == host.limits.at(frontend);
  });
  unrecorded_holds += known && remembered ? 0U : 1U;
}

Reply SimulatedFleet::set_limit(Host& host, std::string_view command, std::optional<Fault> fault) {
  if (fault == Fault::refuses_writes) {
    return {"", Error{Errc::permission_denied, "simulated", "Permission denied"}};
  }
  if (fault == Fault::ignores_writes) return {};
  command.remove_prefix(std::string_view("set maxconn frontend ").size());
  const std::size_t space = command.find(' ');
  const std::string name(command.substr(0, space));
  const auto limit = *runtime_api::parse_number<std::int64_t>(command.substr(space + 1));
  if (limit == 0) {
    // One that restarts has forgotten, and the journal knows.
    const bool remembered =
        !host.remembers || fault == Fault::restarts || !host.variables[variable_of(name)].empty();
    count_hold(host, name, remembered);
  }
  host.limits[name] = limit;
  if (&host == hosts.data()) limits_set.push_back(limit);
  ++writes;
  if (!first_write_batch) first_write_batch = batches;
  return {};
}

std::optional<Error> SimulatedFleet::keep(const CutoverRecord& record) {
  if (journal_failures.contains(journal_writes_++)) {
    return Error{Errc::journal_failed, "simulated"};
  }
  if (record.rows.empty()) {
    cutovers.erase(record.name);
  } else {
    cutovers[record.name] = record;
  }
  return std::nullopt;
}

std::optional<Error> SimulatedFleet::keep(const Record& record) {
  if (journal_failures.contains(journal_writes_++)) {
    return Error{Errc::journal_failed, "simulated"};
  }
  if (const auto before = journal.find(record.id); before != journal.end()) {
    for (const HeldSwitch& held : before->second.switches) {
      if (record.find(held.endpoint, held.frontend) != nullptr) continue;
      // Of a host that is gone nobody can say that it holds anything.
      const auto host = std::find_if(hosts.begin(), hosts.end(),
                                     [&held](const Host& one) { return one.url == held.endpoint; });
      if (host->alive && this->held(host->url, held.frontend)) ++closed_while_held;
    }
  }
  if (record.switches.empty()) {
    journal.erase(record.id);
  } else {
    journal[record.id] = record;
  }
  return std::nullopt;
}

std::int64_t SimulatedFleet::limit(const std::string& url, const std::string& frontend) const {
  for (const Host& host : hosts) {
    if (host.url != url) continue;
    const auto at = host.limits.find(frontend);
    return at == host.limits.end() ? -1 : at->second;
  }
  return -1;
}

bool SimulatedFleet::held(const std::string& url, const std::string& frontend) const {
  if (limit(url, frontend) == 0) return true;
  return std::any_of(hosts.begin(), hosts.end(), [&](const Host& host) {
    const auto gate = host.gates.find(frontend);
    return host.url == url && gate != host.gates.end() && !gate->second.token.empty();
  });
}

bool SimulatedFleet::recorded(const std::string& url, const std::string& frontend) const {
  return std::any_of(journal.begin(), journal.end(), [&](const auto& entry) {
    return entry.second.find(url, frontend) != nullptr;
  });
}

bool SimulatedFleet::restarted_unseen(const std::string& url) const {
  return std::any_of(hosts.begin(), hosts.end(),
                     [&url](const Host& host) { return host.url == url && host.unseen_restart; });
}

bool SimulatedFleet::all_forgotten() const {
  return std::all_of(hosts.begin(), hosts.end(), [](const Host& host) {
    return std::all_of(host.variables.begin(), host.variables.end(), [](const auto& one) {
      // What a gate was last switched to stays, and does nothing; so do the marks of the lock.
      return one.second.empty() || !one.first.starts_with("stillgate_maxconn_");
    });
  });
}

std::vector<std::string> SimulatedFleet::urls() const {
  std::vector<std::string> list;
  for (const Host& host : hosts) list.push_back(host.url);
  return list;
}

std::vector<Record> SimulatedFleet::records() const {
  std::vector<Record> list;
  for (const auto& [id, record] : journal) list.push_back(record);
  return list;
}

bool SimulatedFleet::all_open() const {
  return std::all_of(hosts.begin(), hosts.end(), [](const Host& host) {
    return host.limits == host.configured &&
           std::all_of(host.gates.begin(), host.gates.end(),
                       [](const auto& one) { return one.second.token.empty(); });
  });
}

SuspendPlan::Request suspend_request(const SimulatedFleet& fleet) {
  SuspendPlan::Request request;
  request.hold.endpoints = fleet.urls();
  request.hold.frontends = fleet.frontends;
  for (const Host& host : fleet.hosts) request.hold.local_endpoints.insert(host.url);
  request.record.id = "0123456789abcdef";
  request.record.owner = "test@here";
  request.drain_timeout = milliseconds(500);
  request.known = fleet.records();
  return request;
}

ResumePlan::Request resume_request(const SimulatedFleet& fleet) {
  ResumePlan::Request request;
  request.hold.endpoints = fleet.urls();
  request.hold.frontends = fleet.frontends;
  request.records = fleet.records();
  request.retry_for = milliseconds(5000);
  request.claim.owner = "test@here";
  return request;
}

void expect_truth(const SimulatedFleet& fleet, const Report& report) {
  ASSERT_FALSE(fleet.endless) << "the plan never came to its end";
  EXPECT_EQ(fleet.unrecorded_holds, 0U);
  EXPECT_EQ(fleet.closed_while_held, 0U);
  for (const Switch& one : report.switches) {
    const bool is_held = fleet.held(one.endpoint, one.frontend);
    // What restarts after it was read back, was as it was told when it was read back.
    if (fleet.restarted_unseen(one.endpoint)) continue;
    if (one.verdict == Verdict::held) {
      EXPECT_TRUE(is_held);
    } else if (one.verdict != Verdict::unknown && report.action == "suspend") {
      EXPECT_FALSE(is_held) << name(one.verdict);
    } else if (one.verdict == Verdict::resumed || one.verdict == Verdict::open) {
      EXPECT_FALSE(is_held) << name(one.verdict);
    }
    if (is_held) {
      EXPECT_TRUE(fleet.recorded(one.endpoint, one.frontend));
    }
  }
  if (report.ending == Ending::refused || report.ending == Ending::held_by_other) {
    EXPECT_EQ(fleet.writes, 0U);
  }
}

}  // namespace stillgate::hold
