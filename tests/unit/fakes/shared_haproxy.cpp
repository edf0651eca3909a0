// The acts of those who meet at one simulated HAProxy.
#include "shared_haproxy.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "hold/extend_plan.hpp"
#include "hold/resume/resume_plan.hpp"
#include "hold/suspend/suspend_plan.hpp"
#include "runtime_api/release.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Command;
using std::chrono::milliseconds;

namespace {

const WallTime start(milliseconds(1'800'000'000'000));
constexpr milliseconds max_hold{5000};
constexpr milliseconds extended_by{5000};
/// So long after all was said, nothing may differ from that any more: ten surveys of a guard.
constexpr milliseconds soon{1000};
constexpr milliseconds before_deadline{4};
/// A command is not under way for longer than that, as far as its own time goes.
constexpr milliseconds latest{100};
/// A line that fires so soon may fire now.
constexpr milliseconds near{50};

constexpr std::int64_t gate_start_ms = 50'000'000;

std::string id_of(std::size_t number) { return fmt::format("{:016x}", 0xa0 + number); }

std::string owner_of(int machine) { return fmt::format("user{}@here", machine); }

bool writes(const Command& command) { return command.text().starts_with("set "); }

}  // namespace

SharedHAProxy::SharedHAProxy(const Meeting& meeting)
    : meeting_(meeting),
      trouble_(Trouble::none),
      expires_(meeting.expires),
      reloads_(meeting.reloads),
      processes_{SimulatedFleet(1, {"a"})} {
  Host& host = processes_[0].hosts[0];
  host.version = meeting.version;
  host.remembers = meeting.variables;
  host.compares = runtime_api::has_compare_and_set(meeting.version);
  if (meeting.waits) host.proving = Proving::ends;
  if (meeting.gated) host.gates["a"] = {};
  if (meeting.gated) host.gate_clock_ms = gate_start_ms;
  if (meeting.held) {
    // Its number is behind those of the calls that meet.
    const std::size_t number = meeting.calls.size();
    for (std::size_t i = 0; i <= number; ++i) {
      Call& call = calls_.emplace_back();
      call.made = i < number ? meeting.calls[i] : CallMade{Verb::suspend};
      call.id = id_of(i);
    }
    while (!calls_[number].over()) act_call(number);
    // The first survey of its hold.
    for (auto& [of, guard] : guards_) {
      do {
        act_guard(of, guard);
      } while (!guard.rests_until);
    }
  } else {
    for (std::size_t i = 0; i < meeting.calls.size(); ++i) {
      Call& call = calls_.emplace_back();
      call.made = meeting.calls[i];
      call.id = id_of(i);
    }
  }
  trouble_ = meeting.trouble;
  story_.clear();
}

std::vector<Record> SharedHAProxy::journal_of(int machine) const {
  std::vector<Record> list;
  if (const auto found = journals_.find(machine); found != journals_.end()) {
    for (const auto& [id, record] : found->second) list.push_back(record);
  }
  return list;
}

milliseconds SharedHAProxy::since_start(WallTime time) const {
  return std::chrono::ceil<milliseconds>(time - start);
}

/// Time passes in order: whoever waits for longer comes later.
bool SharedHAProxy::must_rest(milliseconds until) const {
  if (until <= now_) return false;
  if (late_ && late_->asked_at + latest < until) return true;
  const auto is_first = [until](const auto& one) {
    return (one.rests_until && *one.rests_until < until) ||
           (one.asks && one.asks->asked_at + latest < until);
  };
  return std::any_of(calls_.begin(), calls_.end(),
                     [&](const Call& call) { return !call.over() && is_first(call); }) ||
         std::any_of(guards_.begin(), guards_.end(),
                     [&](const auto& one) { return one.second.acts() && is_first(one.second); });
}

std::vector<SharedHAProxy::Actor> SharedHAProxy::able() const {
  std::vector<Actor> all;
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    const Call& call = calls_[i];
    if (call.over() || (call.rests_until && must_rest(*call.rests_until))) continue;
    all.push_back(static_cast<Actor>(i));
  }
  for (const auto& [number, guard] : guards_) {
    if (!guard.acts() || (guard.rests_until && must_rest(*guard.rests_until))) continue;
    all.push_back(first_guard + static_cast<Actor>(number));
  }
  if (reloads_) all.push_back(reload);
  if (expires_ && next_deadline()) all.push_back(expiry);
  if (trouble_ != Trouble::none) all.push_back(trouble);
  if (late_) all.push_back(late_command);
  const Line* next = next_line();
  const bool due = next != nullptr && !must_rest(next->fires_at);
  if (due && (all.empty() || next->fires_at <= now_ + near)) all.push_back(line);
  const bool frozen = std::any_of(guards_.begin(), guards_.end(),
                                  [](const auto& one) { return one.second.frozen; });
  if (frozen) all.push_back(thaw);
  return all;
}

bool SharedHAProxy::busy(Actor who) const {
  if (is_call(who)) return calls_[static_cast<std::size_t>(who)].asks.has_value();
  if (!is_guard(who)) return false;
  return guards_.at(static_cast<std::size_t>(who - first_guard)).asks.has_value();
}

bool SharedHAProxy::over(Actor who) const {
  if (is_call(who)) return calls_[static_cast<std::size_t>(who)].over();
  return is_guard(who) && guards_.at(static_cast<std::size_t>(who - first_guard)).left;
}

bool SharedHAProxy::over() const {
  return std::all_of(calls_.begin(), calls_.end(), [](const Call& call) { return call.over(); }) &&
         std::all_of(guards_.begin(), guards_.end(),
                     [](const auto& one) { return one.second.left; }) &&
         !reloads_ && !late_ && next_line() == nullptr;
}

void SharedHAProxy::act(Actor who) {
  if (is_call(who)) {
    story_ += fmt::format("{}", who);
    act_call(static_cast<std::size_t>(who));
  } else if (is_guard(who)) {
    story_ += static_cast<char>('a' + who - first_guard);
    const auto number = static_cast<std::size_t>(who - first_guard);
    act_guard(number, guards_.at(number));
  } else if (who == reload) {
    story_ += " RELOAD ";
    act_reload();
  } else if (who == expiry) {
    story_ += " EXPIRY ";
    act_expiry();
  } else if (who == trouble) {
    story_ += " TROUBLE ";
    act_trouble();
  } else if (who == late_command) {
    story_ += " LATE ";
    act_late_command();
  } else if (who == line) {
    act_line();
  } else {
    story_ += " THAW ";
    for (auto& [number, guard] : guards_) guard.frozen = false;
  }
  note_state();
}

void SharedHAProxy::make_plan(Call& call) {
  call.began = now_;
  HoldRequest hold;
  hold.endpoints = processes_[0].urls();
  hold.frontends = {"a"};
  hold.options.max_hold = max_hold;
  if (meeting_.rejects) hold.options.on_expiry = Expiry::reject;
  const auto records = journal_of(call.made.machine);
  for (const Record& record : records) call.known.insert(record.id);
  const Claim claim{owner_of(call.made.machine), {}, call.made.force, "it must be"};
  if (call.made.verb == Verb::suspend) {
    SuspendPlan::Request request;
    request.hold = hold;
    request.record.id = call.id;
    request.record.owner = claim.owner;
    request.known = records;
    call.plan = std::make_unique<SuspendPlan>(std::move(request));
  } else if (call.made.verb == Verb::resume) {
    ResumePlan::Request request;
    request.hold = hold;
    request.records = records;
    request.claim = claim;
    call.plan = std::make_unique<ResumePlan>(std::move(request));
  } else {
    ExtendPlan::Request request;
    request.hold = hold;
    request.records = records;
    request.claim = claim;
    request.by = extended_by;
    call.plan = std::make_unique<ExtendPlan>(std::move(request));
  }
}

/// One command of its step, or the next step.
void SharedHAProxy::act_call(std::size_t number) {
  Call& call = calls_[number];
  if (!call.plan) make_plan(call);
  if (call.rests_until) {
    pass_to(std::max(now_, *call.rests_until));
    call.rests_until.reset();
  }
  if (call.asks) {
    run_some(*call.asks);
    if (!call.asks->done()) return;
    pass_to(now_ + milliseconds(1));
    std::vector<Answer> answers;
    answers.push_back(std::move(call.asks->answer));
    call.asks.reset();
    call.seen.what = observed::Answers{std::move(answers)};
  }
  call.seen.now = start + now_;
  call.seen.elapsed = now_ - call.began;
  Step step = call.plan->next(call.seen);
  if (auto* done = std::get_if<step::Done>(&step)) {
    call.report = std::move(done->report);
    note_done(call);
  } else if (const auto* batch = std::get_if<runtime_api::Batch>(&step)) {
    if (batch->fresh || !call.process) call.process = processes_.size() - 1;
    // The question comes right before the commands.
    if (!processes_[*call.process].fulfils(0, batch->condition_of(0))) {
      Answer answer;
      answer.error = Error{Errc::hold_changed, "simulated"};
      call.seen.what = observed::Answers{{std::move(answer)}};
      return;
    }
    call.asks = Exchange{batch->work[0], *call.process, now_};
  } else if (const auto* write = std::get_if<step::WriteJournal>(&step)) {
    auto& journal = journals_[call.made.machine];
    if (write->record.switches.empty()) {
      journal.erase(write->record.id);
    } else {
      journal[write->record.id] = write->record;
    }
    call.seen.what = observed::Journaled{};
  } else if (const auto* begin = std::get_if<step::StartGuard>(&step)) {
    start_guard(call, begin->record);
  } else if (const auto* tell = std::get_if<step::TellGuard>(&step)) {
    using Word = step::TellGuard::Word;
    Guard& guard = guards_.at(number);
    if (tell->word == Word::hold) guard.input.mode = GuardMode::holding;
    if (tell->word == Word::end) guard.input.mode = GuardMode::ending;
    if (tell->word == Word::leave) guard.left = true;
    if (tell->word != Word::leave) guard.rests_until.reset();
    call.seen.what = observed::Guarded{};
  } else if (const auto* prove = std::get_if<step::ProveWaits>(&step)) {
    // On a connection of its own.
    call.seen.what = observed::Proving{processes_.back().start_proof(*prove)};
  } else if (std::holds_alternative<step::EndProof>(step)) {
    for (SimulatedFleet& one : processes_) one.end_proof();
    call.seen.what = observed::Tick{};
  } else {
    call.rests_until = now_ + std::get<step::Wait>(step).time;
    call.seen.what = observed::Tick{};
  }
}

/// It has surveyed before its starter goes on.
void SharedHAProxy::start_guard(Call& call, const Record& record) {
  const auto number = static_cast<std::size_t>(&call - calls_.data());
  Guard& guard = guards_[number];
  guard.record = record;
  guard.machine = call.made.machine;
  guard.input.deadline = since_start(*record.deadline);
  begin_plan(guard);
  const auto is_ready = [&guard] {
    return guard.plan->error() || (guard.plan->surveyed() && guard.plan->backed());
  };
  while (!is_ready()) act_guard(number, guard);
  std::vector<std::string> backed;
  if (guard.plan->backed().value_or(false)) backed = processes_[0].urls();
  call.seen.what = observed::Guarded{guard.plan->error(), std::move(backed)};
  if (guard.plan->error()) guard.left = true;
}

/// Also of a standby guard, which knows what the one before has reported. The connection of that
/// one has closed, and its line with it.
void SharedHAProxy::begin_plan(Guard& guard) {
  if (guard.plan) guard.record = guard.plan->record();
  Record record = guard.record;
  guard.plan = std::make_unique<GuardPlan>(record.switches[0].endpoint, std::move(record));
  guard.asks.reset();
  guard.answer.reset();
  guard.process.reset();
  guard.rests_until.reset();
  guard.reads = false;
}

void SharedHAProxy::act_guard(std::size_t number, Guard& guard) {
  if (guard.asks) {
    run_some(*guard.asks);
    if (!guard.asks->done()) return;
    pass_to(now_ + milliseconds(1));
    guard.answer = std::move(guard.asks->answer);
    guard.asks.reset();
  }
  // As its main loop reads the journal, twice between two surveys.
  auto& journal = journals_[guard.machine];
  const auto found = journal.find(guard.record.id);
  const bool was_over = guard.input.over;
  const auto deadline_before = guard.input.deadline;
  if (found != journal.end()) {
    guard.in_journal = true;
    guard.input.deadline = std::max(guard.input.deadline, since_start(*found->second.deadline));
  } else if (guard.in_journal && guard.input.mode == GuardMode::holding) {
    guard.input.over = true;
  }
  if (guard.rests_until) {
    const bool changed = was_over != guard.input.over || deadline_before != guard.input.deadline;
    if (!changed) pass_to(std::max(now_, *guard.rests_until));
    guard.rests_until.reset();
  }
  guard.input.now = now_;
  guard.input.wall = start + now_;
  const auto records = journal_of(guard.machine);
  guard.input.journal = std::exchange(guard.reads, false) ? &records : nullptr;
  const auto step = guard.plan->next(guard.input, guard.answer ? &*guard.answer : nullptr);
  guard.answer.reset();
  guard.input.journal = nullptr;
  if (guard.plan->resumed()) guard.input.over = true;
  if (const auto later = guard.plan->extended()) {
    guard.input.deadline = std::max(guard.input.deadline, since_start(*later));
  }
  if (const auto* ask = std::get_if<guard_step::Ask>(&step)) {
    if (ask->fresh || !guard.process) guard.process = processes_.size() - 1;
    guard.asks = Exchange{ask->commands, *guard.process, now_};
  } else if (const auto* rest = std::get_if<guard_step::Wait>(&step)) {
    guard.rests_until = rest->until;
  } else if (std::holds_alternative<guard_step::ReadJournal>(step)) {
    guard.reads = true;
  } else if (const auto* wait = std::get_if<guard_step::Arm>(&step)) {
    arm(number, wait->line);
    guard.answer.emplace();
  } else if (std::holds_alternative<guard_step::Disarm>(step)) {
    close_line(number);
  } else {
    guard.left = true;
    close_line(number);
    journal.erase(guard.record.id);
  }
}

/// On a connection of its own, so in the process that serves.
void SharedHAProxy::arm(std::size_t number, const std::string& line) {
  Line one{processes_.size() - 1,
           SimulatedFleet::add_line(processes_.back().hosts[0], line),
           number,
           now_,
           {}};
  std::istringstream commands(line);
  for (std::string text; std::getline(commands, text, ';');) {
    std::istringstream words(text);
    std::string word;
    words >> word;
    if (word == "wait") {
      words >> word;
      one.fires_at += milliseconds(std::stoi(word));
    } else if (words >> word && word == "maxconn") {
      std::string frontend;
      std::int64_t limit = 0;
      words >> word >> frontend >> limit;
      one.commands.push_back(*Command::set_maxconn(frontend, limit));
    }
  }
  lines_.push_back(std::move(one));
}

/// What a connection that closes leaves waiting does not run: a suspend has proven that. But it is
/// seen there, until HAProxy sees the close.
void SharedHAProxy::close_line(std::size_t number) {
  std::erase_if(lines_, [number](const Line& one) { return one.guard == number; });
}

/// The first one that nobody has ended.
const SharedHAProxy::Line* SharedHAProxy::next_line() const {
  const Line* first = nullptr;
  for (const Line& one : lines_) {
    const auto& waiting = processes_[one.process].hosts[0].lines;
    const bool waits = std::any_of(waiting.begin(), waiting.end(), [&one](const WaitingLine& it) {
      return it.number == one.number;
    });
    if (waits && (first == nullptr || one.fires_at < first->fires_at)) first = &one;
  }
  return first;
}

void SharedHAProxy::act_line() {
  const Line one = *next_line();
  story_ += " LINE ";
  now_ = std::max(now_, one.fires_at);
  SimulatedFleet& there = processes_[one.process];
  std::erase_if(there.hosts[0].lines,
                [&one](const WaitingLine& it) { return it.number == one.number; });
  there.ask_one(0, one.commands, std::nullopt);
}

/// HAProxy is not late.
void SharedHAProxy::pass_to(milliseconds time) {
  while (const Line* next = next_line()) {
    if (next->fires_at > time) break;
    act_line();
  }
  now_ = std::max(now_, time);
  for (SimulatedFleet& one : processes_) {
    if (!meeting_.gated) break;
    one.hosts[0].gate_clock_ms = gate_start_ms + now_.count();
    SimulatedFleet::expire_gates(one.hosts[0]);
  }
}

/// By the state file, which a command to one of them has written. Around a reload the others look
/// at it before they answer anything.
void SharedHAProxy::share_gates(std::size_t from) {
  const SimulatedGate& written = processes_[from].hosts[0].gates.at("a");
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    SimulatedGate& other = processes_[i].hosts[0].gates.at("a");
    if (i == from || other.token == written.token) continue;
    if (written.token.empty()) {
      other.ended.insert(id_in(other.token));
      other.token.clear();
      other.rejecting = false;
    } else if (!other.ended.contains(id_in(written.token))) {
      other.token = written.token;
      other.rejecting = written.rejecting;
      other.began_ms = written.began_ms;
      other.deadline_ms = written.deadline_ms;
      other.known.clear();
    }
  }
}

/// A write alone, with what has to stand before it. Reads come in two halves: more would add
/// courses, and no race that these do not have.
void SharedHAProxy::run_some(Exchange& asks) {
  const std::size_t next = asks.answer.replies.size();
  const auto rest = asks.commands.begin() + static_cast<std::ptrdiff_t>(next);
  const auto write = std::find_if(rest, asks.commands.end(), writes);
  auto end = static_cast<std::size_t>(write - asks.commands.begin()) + 1;
  if (write == asks.commands.end()) {
    end = asks.commands.size();
    if (next == 0) end = (end + 1) / 2;
  }
  asks.answer.sent = true;
  for (std::size_t i = next; i < end; ++i) {
    note_shut(asks.process, asks.commands[i]);
    const std::string before = token_in(asks.process);
    auto answer = processes_[asks.process].ask_one(0, {asks.commands[i]}, std::nullopt);
    asks.answer.replies.push_back(std::move(answer.replies.at(0)));
    if (token_in(asks.process) != before) share_gates(asks.process);
  }
}

/// What has ended has given its address to the next request.
void SharedHAProxy::note_shut(std::size_t process, const Command& command) {
  constexpr std::string_view words = "shutdown session ";
  if (!command.text().starts_with(words)) return;
  const auto& waiting = processes_[process].hosts[0].lines;
  shuts_others_ = shuts_others_ || std::ranges::none_of(waiting, [&](const WaitingLine& one) {
                    return one.pointer == command.text().substr(words.size());
                  });
}

void SharedHAProxy::act_reload() {
  reloads_ = false;
  processes_.push_back(processes_[0]);
  processes_[0].hosts[0].stopping = true;
  Host& host = processes_[1].hosts[0];
  host.pid += 1;
  host.uptime = 0;
  host.variables.clear();
  host.table.clear();
  host.lines.clear();
  host.limits = host.configured;
  // It reads the state file, and knows nothing else.
  for (auto& [name, gate] : host.gates) {
    gate.said.clear();
    gate.known.clear();
    gate.ended.clear();
    gate.lock_id.clear();
  }
  reloaded_at_ = now_;
}

std::optional<milliseconds> SharedHAProxy::next_deadline() const {
  std::optional<milliseconds> next;
  for (const auto& [number, guard] : guards_) {
    if (!guard.left) next = std::min(next.value_or(guard.input.deadline), guard.input.deadline);
  }
  if (meeting_.gated && !holder().empty()) {
    next = milliseconds(processes_.back().hosts[0].gates.at("a").deadline_ms - gate_start_ms);
  }
  return next;
}

/// Everybody stands still until then.
void SharedHAProxy::act_expiry() {
  expires_ = false;
  pass_to(std::max(now_, *next_deadline() - before_deadline));
}

/// Nobody knows what of it ran.
std::optional<Answer> SharedHAProxy::lose(std::optional<Exchange>& asks, Trouble what) {
  if (!asks) return std::nullopt;
  if (what == Trouble::commands_come_late) {
    late_ = asks;
    late_->asked_at = now_;
  }
  const bool runs = what == Trouble::call_loses_answer || what == Trouble::guard_loses_answer;
  while (runs && !asks->done()) run_some(*asks);
  asks.reset();
  Answer answer;
  answer.sent = true;
  answer.error = Error{Errc::early_eof, "simulated"};
  return answer;
}

void SharedHAProxy::act_trouble() {
  const Trouble what = std::exchange(trouble_, Trouble::none);
  if (what == Trouble::call_dies) {
    Call& call = calls_[0];
    if (call.over()) return;
    call.died = true;
    const auto guard = guards_.find(0);
    if (guard != guards_.end() && guard->second.input.mode == GuardMode::arming) {
      guard->second.input.mode = GuardMode::ending;
      guard->second.rests_until.reset();
    }
    return;
  }
  if (what == Trouble::guard_dies || what == Trouble::guard_freezes) {
    const auto oldest = std::find_if(guards_.rbegin(), guards_.rend(),
                                     [](const auto& one) { return !one.second.left; });
    if (oldest == guards_.rend()) return;
    Guard& guard = oldest->second;
    if (what == Trouble::guard_dies) {
      close_line(oldest->first);
      begin_plan(guard);
      return;
    }
    guard.frozen = true;
    // HAProxy has its commands, and goes on.
    while (guard.asks && !guard.asks->done()) run_some(*guard.asks);
    return;
  }
  for (Call& call : calls_) {
    if (what == Trouble::guard_loses_answer) break;
    if (auto answer = lose(call.asks, what)) {
      call.process.reset();
      call.seen.what = observed::Answers{{*std::move(answer)}};
      return;
    }
  }
  for (auto& [number, guard] : guards_) {
    if (what == Trouble::call_loses_answer) break;
    if (auto answer = lose(guard.asks, what)) {
      guard.process.reset();
      guard.answer = std::move(answer);
      return;
    }
  }
}

void SharedHAProxy::act_late_command() {
  run_some(*late_);
  if (late_->done()) late_.reset();
}

void SharedHAProxy::note_done(Call& call) {
  const bool done = call.report->ending == Ending::done;
  story_ += done ? "(done)" : "(not)";
  if (call.made.verb == Verb::suspend) {
    const Switch& one = call.report->switches[0];
    if (done) {
      Promise& promise = promises_[call.id];
      promise.until = since_start(*call.report->holds.at(0).deadline);
      // A resume may have come too early for it, and have found it open.
      if (holder() == call.id) promise.ended = false;
    } else if (one.verdict != Verdict::held && one.verdict != Verdict::unknown) {
      promises_[call.id].ended = true;
    }
  } else if (call.made.verb == Verb::extend) {
    for (const Hold& hold : call.report->holds) {
      if (done) promises_[hold.id].until = since_start(*hold.deadline);
    }
  } else if (call.report->ending != Ending::held_by_other) {
    const bool ended = done || call.report->ending == Ending::too_late;
    for (const Switch& one : call.report->switches) {
      if (one.hold_id)
        (ended ? promises_[*one.hold_id].ended : promises_[*one.hold_id].doubted) = true;
    }
  }
}

bool SharedHAProxy::held() const {
  const Host& host = processes_.back().hosts[0];
  return host.limits.at("a") == 0 || !holder().empty();
}

std::string SharedHAProxy::token_in(std::size_t process) const {
  return meeting_.gated ? processes_[process].hosts[0].gates.at("a").token : "";
}

std::string SharedHAProxy::holder() const { return id_in(token_in(processes_.size() - 1)); }

bool SharedHAProxy::stands(const Promise& promise) const {
  return !promise.ended && !promise.doubted && now_ < promise.until;
}

/// A hold that was promised is to be in effect, and is not.
bool SharedHAProxy::is_missing() const {
  return std::any_of(promises_.begin(), promises_.end(), [this](const auto& one) {
    return stands(one.second) && (meeting_.gated ? holder() != one.first : !held());
  });
}

/// A guard keeps it, or HAProxy itself, and will end it.
bool SharedHAProxy::owned() const {
  const auto has_ended = [this](const std::string& id) {
    const auto said = promises_.find(id);
    return said != promises_.end() && said->second.ended;
  };
  if (meeting_.gated) return !has_ended(holder());
  return std::any_of(guards_.begin(), guards_.end(), [&](const auto& one) {
    const Guard& guard = one.second;
    return !guard.left && !has_ended(guard.record.id) && guard.input.mode == GuardMode::holding &&
           now_ < guard.input.deadline;
  });
}

/// Who resumes may have opened it, and not have said so yet.
bool SharedHAProxy::is_resuming() const {
  return std::any_of(calls_.begin(), calls_.end(), [](const Call& call) {
    return call.made.verb == Verb::resume && call.plan && !call.report;
  });
}

void SharedHAProxy::note_state() {
  const bool quiet =
      std::all_of(calls_.begin(), calls_.end(), [](const Call& call) { return call.over(); });
  if (!quiet || owned() || !held()) {
    unwanted_since_.reset();
  } else if (!unwanted_since_) {
    unwanted_since_ = now_;
  }
  if (!is_missing() || is_resuming()) {
    missing_since_.reset();
  } else if (!missing_since_) {
    missing_since_ = now_;
  }
}

std::optional<std::string> SharedHAProxy::wrong() const {
  if (shuts_others_) return "somebody's request was ended in place of a line that waits";
  if (over() && held() && !(meeting_.gated && owned())) return "held for ever";
  const auto holding = std::count_if(promises_.begin(), promises_.end(),
                                     [this](const auto& one) { return stands(one.second); });
  if (holding > 1 && !is_resuming()) return "two are told that they hold";
  if (unwanted_since_ && now_ - *unwanted_since_ > soon) {
    return "held, although nobody was told so, or it was told to be over";
  }
  if (!missing_since_) return std::nullopt;
  // A new process is open until the guard has seen it.
  const bool reloading = reloaded_at_ && *missing_since_ - *reloaded_at_ <= soon;
  if (!reloading || now_ - *missing_since_ > soon) {
    return "open early, although it was told to be held";
  }
  return std::nullopt;
}

}  // namespace stillgate::hold
