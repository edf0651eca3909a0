// The public Fleet: makes the plans, and has them carried out.
#include <stillgate/fleet.hpp>

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "announced_cutover.hpp"
#include "check_options.hpp"
#include "cutover_lock.hpp"
#include "drive.hpp"
#include "ended_holds.hpp"
#include "engine/session.hpp"
#include "engine/ssh_sessions.hpp"
#include "events.hpp"
#include "fleet/guard/keeper.hpp"
#include "fleet/guard/surroundings.hpp"
#include "hold/check/check_plan.hpp"
#include "hold/cutover/cutover_plan.hpp"
#include "hold/cutover/ready_plan.hpp"
#include "hold/events.hpp"
#include "hold/extend_plan.hpp"
#include "hold/record/record_time.hpp"
#include "hold/request.hpp"
#include "hold/resume/resume_plan.hpp"
#include "hold/status_plan.hpp"
#include "hold/suspend/suspend_plan.hpp"
#include "identity.hpp"
#include "journal.hpp"
#include "listen_queues.hpp"
#include "looks.hpp"
#include "runtime_api/command.hpp"
#include "take_back.hpp"

namespace stillgate {
namespace {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
Outcome outcome_of(const Endpoint& endpoint, Answer answer) {
  Outcome outcome{endpoint.url(), {}, std::move(answer.error), answer.timings};
  if (outcome.error) return outcome;
  auto& reply = answer.replies.back();
  if (reply.refusal) {
    outcome.error = std::move(reply.refusal);
  } else {
    outcome.reply = std::move(reply.text);
  }
  return outcome;
}

/// Who asks for a resume or an extend.
template <class Options>
hold::Claim claim_of(const Options& options) {
  return {options.owner.empty() ? fleet::default_owner() : options.owner, options.hold,
          options.force, options.reason};
}

Report refused_cutover(const Cutover& cutover, const Error& error) {
  Report report;
  report.action = "cutover";
  report.ending = Ending::refused;
  report.error = error;
  report.cutover = CutoverResult{cutover.name, CutoverState::refused, {}};
  return report;
}

/// The report of a call with what became of its cutover.
Report with_cutover(Report report, const std::optional<Report>& cut) {
  if (!cut) return report;
  report.cutover = cut->cutover;
  if (!report.error) report.error = cut->error;
  if (report.ok()) report.ending = cut->ending;
  return report;
}

enum class Asks { check, suspend };

/// What is said of a guard that would end with its starter, and whether that refuses the hold.
std::optional<hold::SharedFate> shared_fate(const std::string& why, const SuspendOptions& wanted,
                                            Asks asks) {
  if (why.empty()) return std::nullopt;
  if (wanted.accept_shared_fate || fleet::shared_fate_is_accepted()) {
    return hold::SharedFate{
        "accepted (--accept-shared-fate or $STILLGATE_ACCEPT_SHARED_FATE): " + why, false};
  }
  if (wanted.holder_stays) {
    return hold::SharedFate{
        why + "; this command ends the hold itself, unless it is killed at the same time", false};
  }
  if (asks == Asks::check) {
    return hold::SharedFate{
        why +
            "; so 'suspend' refuses without --accept-shared-fate, and 'hold -- COMMAND' or "
            "suspended() does not, because its process stays and ends the hold itself",
        false};
  }
  return hold::SharedFate{
      why +
          "; use 'hold -- COMMAND' or suspended(), whose process stays and ends the hold itself, "
          "or the gate, or run this outside; --accept-shared-fate holds nevertheless",
      true};
}

/// The report of a suspend that was stopped when all was held: what `undone`, the resume of its
/// hold, found.
Report stopped_behind(const Report& held, Report undone) {
  Report report = std::move(undone);
  if (report.ok() || report.ending == Ending::too_late) {
    for (Switch& one : report.switches) one.verdict = Verdict::reverted;
  } else {
    report.holds = held.holds;
  }
  report.ending = Ending::cancelled;
  return report;
}

}  // namespace

struct Fleet::State {
  State(std::vector<Endpoint> those, const FleetOptions& given)
      : endpoints(std::move(those)),
        options(given),
        names(endpoints),
        events(state_directory(), given.events, [this](Event& event) { names.put_into(event); }),
        guard(std::filesystem::absolute(state_directory()).string(), given.events) {}

  std::vector<Endpoint> endpoints;
  FleetOptions options;
  Progress progress;
  fleet::EndpointNames names;
  fleet::EventLog events;
  fleet::GuardKeeper guard;
  CutoverWatch watch;
  std::shared_ptr<void> ssh_sessions{};
  std::optional<fleet::Looks> looks{};

  /// Made at the first use: a process may fork between making a fleet and using it.
  void keep_sessions() { ssh_sessions = engine::keep_ssh_sessions(endpoints); }
  [[nodiscard]] hold::HoldRequest hold_request(const std::vector<std::string>& frontends) const {
    hold::HoldRequest request;
    for (const Endpoint& endpoint : endpoints) request.endpoints.push_back(endpoint.url());
    request.frontends = frontends;
    return request;
  }
  [[nodiscard]] hold::HoldRequest hold_request(const std::vector<std::string>& frontends,
                                               const SuspendOptions& options, Asks asks,
                                               const std::stop_token& stop) {
    hold::HoldRequest request = hold_request(frontends);
    request.options = options;
    if (options.owner.empty()) request.options.owner = fleet::default_owner();
    if (options.method != Method::gate && !options.no_lease) {
      auto fate = fleet::fate_of_guard(stop);
      request.shared_fate = shared_fate(fate.why, options, asks);
      guard.start_by(std::move(fate.way_out));
    }
    for (const Endpoint& endpoint : endpoints) {
      if (fleet::is_local(endpoint)) request.local_endpoints.insert(endpoint.url());
    }
    request.listen_depths = fleet::listen_depths();
    return request;
  }

  fleet::Means means() { return {endpoints, options, progress, events, guard, names}; }
  Report drive(hold::Plan& plan, const fleet::Journal& journal, const std::stop_token& stop) {
    keep_sessions();
    return fleet::drive(plan, journal, means(), stop);
  }
  /// Behind a hold on these frontends; without any, whoever holds. With less than `enough` left of
  /// that hold it does not begin.
  Report cut_over(const CutoverOptions& wanted, const std::vector<std::string>& frontends,
                  const hold::Claim& claim, const std::stop_token& stop,
                  std::chrono::milliseconds enough = {});
  /// What is asked for, without a hold.
  [[nodiscard]] Result<hold::CutoverRequest> cutover_request(const CutoverOptions& wanted,
                                                             const fleet::Journal& journal) const;
  /// Whether it is possible; changes nothing. So long it waits for a first check; those that
  /// `ready_first` would have checked before count as up.
  Report try_cutover(const Cutover& cutover, std::chrono::milliseconds check_for,
                     std::chrono::milliseconds ready_first, const std::stop_token& stop);
  /// The cutover's servers are up, shown by checks, or all are as before. `moved`: what was brought
  /// to drain for it.
  Report make_ready(const CutoverOptions& wanted, std::vector<hold::CutoverRow>& moved,
                    const std::stop_token& stop);
  /// Puts that back. Whatever comes of it is told with the next cutover: it serves nothing there.
  void put_back(const Cutover& cutover, const std::vector<hold::CutoverRow>& moved);
  Report suspend_proven(const std::vector<std::string>& frontends, const SuspendOptions& wanted,
                        const std::stop_token& stop);
  Report suspend_now(const std::vector<std::string>& frontends, const SuspendOptions& wanted,
                     const std::stop_token& stop);
  std::optional<Report> cut_over_before_release(const std::vector<std::string>& frontends,
                                                const ResumeOptions& wanted,
                                                const std::stop_token& stop);
  Report extend(const std::vector<std::string>& frontends, const hold::Claim& claim,
                std::chrono::milliseconds by, std::optional<std::chrono::milliseconds> keep,
                const std::stop_token& stop);
  /// What is held; `drive` carries the plan out.
  template <class Drive>
  Report status(const std::vector<std::string>& frontends, const Drive& drive);
  Report check(const std::vector<std::string>& frontends, const SuspendOptions& wanted,
               const std::stop_token& stop);
  Report suspend(const std::vector<std::string>& frontends, const SuspendOptions& wanted,
                 const std::stop_token& stop);
  Report resume(const std::vector<std::string>& frontends, const ResumeOptions& wanted,
                const std::stop_token& stop);
  Report release(const std::vector<std::string>& frontends, const ResumeOptions& wanted,
                 const std::stop_token& stop);
  /// Ends the hold of this id, for whose holder nobody has a report.
  Report take_back(const std::vector<std::string>& frontends, const std::string& id) {
    ResumeOptions by_id;
    by_id.hold = id;
    return resume(frontends, by_id, {});
  }
};

Result<hold::CutoverRequest> Fleet::State::cutover_request(const CutoverOptions& wanted,
                                                           const fleet::Journal& journal) const {
  const std::string& name = wanted.cutover.name;
  auto known = journal.load_cutover(name);
  if (!known) return known.error();
  hold::CutoverRequest request;
  request.name = name;
  request.endpoints = hold_request({}).endpoints;
  request.known = known->rows;
  for (const std::string& url : request.endpoints) {
    if (wanted.back) break;
    for (auto& row : hold::changes_of(wanted.cutover, url)) request.changes.push_back(row);
  }
  if (wanted.back) request.changes = hold::changes_back(request.known, request.endpoints);
  if (wanted.back && request.changes.empty()) {
    return Error{Errc::cutover_no_record,
                 fmt::format("nothing on this machine says what served before the cutover "
                             "'{}' at these HAProxies; name what is to serve in a cutover of "
                             "its own",
                             name)};
  }
  request.back = wanted.back;
  request.dry_run = wanted.dry_run;
  request.retry_for = request.check_for = wanted.retry_for;
  return request;
}

Report Fleet::State::cut_over(const CutoverOptions& wanted,
                              const std::vector<std::string>& frontends, const hold::Claim& claim,
                              const std::stop_token& stop, std::chrono::milliseconds enough) {
  const fleet::Journal journal(state_directory());
  std::optional<fleet::CutoverLock> lock;
  if (!wanted.dry_run) {
    auto taken = fleet::CutoverLock::take(state_directory(), wanted.cutover.name,
                                          hold_request({}).endpoints);
    if (!taken) return refused_cutover(wanted.cutover, taken.error());
    lock = *std::move(taken);
  }
  std::vector<hold::CutoverRow> moved;
  const bool is_ready_first = wanted.ready_first.count() > 0;
  if (is_ready_first && !wanted.dry_run) {
    Report ready = make_ready(wanted, moved, stop);
    if (!ready.ok()) return ready;
  }
  auto request = cutover_request(wanted, journal);
  if (!request) return refused_cutover(wanted.cutover, request.error());
  request->frontends = frontends;
  request->records = journal.load().records;
  request->claim = claim;
  request->keep = wanted.keep;
  request->enough = enough;
  request->ready_first = is_ready_first && wanted.dry_run;
  hold::CutoverPlan plan(*std::move(request));
  Report report = [&] {
    fleet::AnnouncedCutover announced(
        plan, watch, {wanted.cutover, wanted.back, frontends, {}, {}, wanted.retry_for});
    return drive(announced, journal, stop);
  }();
  report.action = "cutover";
  if (!report.ok()) put_back(wanted.cutover, moved);
  return report;
}

Report Fleet::State::make_ready(const CutoverOptions& wanted, std::vector<hold::CutoverRow>& moved,
                                const std::stop_token& stop) {
  const fleet::Journal journal(state_directory());
  auto request = cutover_request(wanted, journal);
  if (!request) return refused_cutover(wanted.cutover, request.error());
  hold::ReadyPlan plan({*std::move(request), wanted.ready_first});
  Report report = drive(plan, journal, stop);
  if (report.ok()) moved = plan.moved();
  return report;
}

void Fleet::State::put_back(const Cutover& cutover, const std::vector<hold::CutoverRow>& moved) {
  if (moved.empty()) return;
  const fleet::Journal journal(state_directory());
  CutoverOptions options;
  options.cutover = cutover;
  auto request = cutover_request(options, journal);
  if (!request) return;
  // What was on record before stays there.
  std::erase_if(request->known, [&moved](const hold::CutoverRow& row) {
    return std::ranges::find(moved, row) != moved.end();
  });
  hold::ReadyPlan plan({*std::move(request), {}, moved});
  (void)drive(plan, journal, {});
}

/// Nothing where all stands, or none is asked for; else the report that the resume ends with, or
/// goes on with.
std::optional<Report> Fleet::State::cut_over_before_release(
    const std::vector<std::string>& frontends, const ResumeOptions& wanted,
    const std::stop_token& stop) {
  // What a hold that is about to end is given for it, and with how much left it is: whoever
  // continues it takes a while to begin.
  constexpr std::chrono::milliseconds more_time{5000};
  constexpr std::chrono::milliseconds enough{3000};
  if (wanted.cutover.name.empty()) return std::nullopt;
  const hold::Claim claim = claim_of(wanted);
  CutoverOptions options;
  options.cutover = wanted.cutover;
  options.retry_for = wanted.retry_for;
  Report report = cut_over(options, frontends, claim, stop, enough);
  if (report.error && report.error->code == Errc::cutover_too_late) {
    // Everywhere or nowhere: an HAProxy that gets it too late opens to the old code. Whatever came
    // of it, the hold that is there now is asked for its time.
    (void)extend(frontends, claim, more_time, std::chrono::milliseconds(0), stop);
    report = cut_over(options, frontends, claim, stop);
  }
  report.action = "resume";
  return report;
}

Report Fleet::State::extend(const std::vector<std::string>& frontends, const hold::Claim& claim,
                            std::chrono::milliseconds by,
                            std::optional<std::chrono::milliseconds> keep,
                            const std::stop_token& stop) {
  const fleet::Journal journal(state_directory());
  auto loaded = journal.load();
  hold::ExtendPlan plan({hold_request(frontends), std::move(loaded.records), claim, by, keep});
  Report report = drive(plan, journal, stop);
  report.action = "extend";
  for (Event& event : hold::extended_events(report, std::chrono::system_clock::now())) {
    events.report(std::move(event));
  }
  if (loaded.error && !report.error) report.error = std::move(loaded.error);
  return report;
}

template <class Drive>
Report Fleet::State::status(const std::vector<std::string>& frontends, const Drive& drive) {
  const fleet::Journal journal(state_directory());
  auto loaded = journal.load();
  hold::StatusPlan plan(
      {hold_request(frontends).endpoints, frontends, loaded.records, journal.load_ended()});
  Report report = drive(plan, journal);
  report.action = "status";
  for (const hold::Parted& parted :
       hold::ended_records(report, loaded.records, std::chrono::system_clock::now())) {
    (void)journal.retire(parted);
  }
  if (loaded.error && !report.error) report.error = std::move(loaded.error);
  return report;
}

Report Fleet::State::check(const std::vector<std::string>& frontends, const SuspendOptions& wanted,
                           const std::stop_token& stop) {
  const fleet::Journal journal(state_directory());
  auto loaded = journal.load();
  hold::CheckPlan plan({hold_request(frontends, wanted, Asks::check, stop),
                        std::move(loaded.records),
                        std::min(wanted.drain_timeout, wanted.max_hold)});
  Report report = drive(plan, journal, stop);
  report.action = "check";
  if (report.ending != Ending::cancelled) {
    events.report(hold::checked_event(report, frontends, std::chrono::system_clock::now()));
  }
  if (loaded.error && !report.error) report.error = std::move(loaded.error);
  if (wanted.cutover.name.empty() || report.ending == Ending::cancelled) return report;
  return with_cutover(std::move(report), try_cutover(wanted.cutover, {}, wanted.ready_first, stop));
}

Report Fleet::State::try_cutover(const Cutover& cutover, std::chrono::milliseconds check_for,
                                 std::chrono::milliseconds ready_first,
                                 const std::stop_token& stop) {
  CutoverOptions tried;
  tried.cutover = cutover;
  tried.ready_first = ready_first;
  tried.dry_run = true;
  tried.retry_for = check_for;
  return cut_over(tried, {}, {}, stop);
}

Report Fleet::State::suspend(const std::vector<std::string>& frontends,
                             const SuspendOptions& wanted, const std::stop_token& stop) {
  if (wanted.cutover.name.empty()) return suspend_now(frontends, wanted, stop);
  if (wanted.ready_first.count() == 0) return suspend_proven(frontends, wanted, stop);
  auto lock =
      fleet::CutoverLock::take(state_directory(), wanted.cutover.name, hold_request({}).endpoints);
  Report report;
  std::vector<hold::CutoverRow> moved;
  if (lock) {
    CutoverOptions ready;
    ready.cutover = wanted.cutover;
    ready.ready_first = wanted.ready_first;
    report = make_ready(ready, moved, stop);
  } else {
    report = refused_cutover(wanted.cutover, lock.error());
  }
  if (report.ok()) {
    try {
      report = suspend_proven(frontends, wanted, stop);
    } catch (...) {
      put_back(wanted.cutover, moved);
      throw;
    }
    if (!report.ok()) put_back(wanted.cutover, moved);
  }
  report.action = "suspend";
  return report;
}

/// What could not be had behind the hold is known before it.
Report Fleet::State::suspend_proven(const std::vector<std::string>& frontends,
                                    const SuspendOptions& wanted, const std::stop_token& stop) {
  Report tried = try_cutover(wanted.cutover, CutoverOptions().retry_for, {}, stop);
  tried.action = "suspend";
  if (!tried.ok()) return tried;
  Report report = suspend_now(frontends, wanted, stop);
  report.cutover = std::move(tried.cutover);
  return report;
}

Report Fleet::State::suspend_now(const std::vector<std::string>& frontends,
                                 const SuspendOptions& wanted, const std::stop_token& stop) {
  const fleet::Journal journal(state_directory());
  auto loaded = journal.load();
  if (loaded.error) {
    Report report;
    report.action = "suspend";
    report.ending = Ending::refused;
    report.error = std::move(loaded.error);
    return report;
  }
  hold::SuspendPlan::Request request;
  request.hold = hold_request(frontends, wanted, Asks::suspend, stop);
  request.record.id = fleet::new_id();
  request.record.owner = wanted.owner.empty() ? fleet::default_owner() : wanted.owner;
  request.record.reason = wanted.reason;
  request.record.accept_hazard = wanted.accept_hazard;
  request.known = std::move(loaded.records);
  request.drain_timeout = std::min(wanted.drain_timeout, wanted.max_hold);
  const std::string id = request.record.id;
  Hold told = request.record.summary();
  if (!wanted.no_lease || wanted.method == Method::gate) {
    told.max_hold_s = std::chrono::duration<double>(wanted.max_hold).count();
  }
  Report unended = fleet::unended(request.hold.endpoints, frontends, std::move(told));
  hold::SuspendPlan plan(std::move(request));
  const auto suspend = [&] {
    Report report = drive(plan, journal, stop);
    // The last look: the plan has not seen a stop that came during its last step.
    if (report.ok() && stop.stop_requested())
      report = stopped_behind(report, take_back(frontends, id));
    report.action = "suspend";
    return report;
  };
  return fleet::suspend_or_take_back({suspend, [&] { return take_back(frontends, id); },
                                      [&plan](Hold& hold) {
                                        hold.started_at = plan.hold_record().started_at;
                                        hold.deadline = plan.hold_record().deadline;
                                        return plan.may_hold();
                                      }},
                                     std::move(unended));
}

Report Fleet::State::resume(const std::vector<std::string>& frontends, const ResumeOptions& wanted,
                            const std::stop_token& stop) {
  const auto cut = cut_over_before_release(frontends, wanted, stop);
  if (cut && !cut->ok()) return *cut;
  return with_cutover(release(frontends, wanted, stop), cut);
}

Report Fleet::State::release(const std::vector<std::string>& frontends, const ResumeOptions& wanted,
                             const std::stop_token& stop) {
  const fleet::Journal journal(state_directory());
  auto loaded = journal.load();
  hold::ResumePlan::Request request;
  request.hold = hold_request(frontends);
  request.hold.options.accept_hazard = wanted.accept_hazard;
  request.records = loaded.records;
  request.ended = journal.load_ended();
  const std::vector<hold::Record> ended = request.ended;
  request.at_deadline = wanted.at_deadline;
  request.limit = wanted.limit;
  request.retry_for = wanted.retry_for;
  request.ramp = wanted.ramp;
  request.wait_up = wanted.wait_up;
  request.wait_up_for = hold::NameList(wanted.wait_up_for);
  request.claim = claim_of(wanted);
  hold::ResumePlan plan(std::move(request));
  Report report = drive(plan, journal, stop);
  report.action = "resume";
  // Whoever stops the call sees no report: it is told the next time.
  if (report.ending != Ending::cancelled && !stop.stop_requested()) {
    fleet::note_told(journal, report, loaded.records, ended,
                     {End::resumed, hold::in_milliseconds(std::chrono::system_clock::now()),
                      wanted.owner.empty() ? fleet::default_owner() : wanted.owner, true},
                     wanted.at_deadline ? wanted.hold : "");
  }
  for (Event& event : hold::resumed_events(report, {fleet::default_owner(), wanted.at_deadline},
                                           std::chrono::system_clock::now())) {
    events.report(std::move(event));
  }
  if (loaded.error && !report.error) report.error = std::move(loaded.error);
  return report;
}

Fleet::Fleet(std::shared_ptr<State> state) : state_(std::move(state)) {}
Fleet::Fleet(Fleet&&) noexcept = default;
Fleet& Fleet::operator=(Fleet&&) noexcept = default;
Fleet::~Fleet() = default;

Result<Fleet> Fleet::create(std::vector<Endpoint> endpoints, const FleetOptions& options) {
  if (endpoints.empty()) return fleet::input(Errc::empty_fleet, "endpoints", "name at least one");
  std::set<std::string_view> seen;
  std::set<std::string_view> names;
  for (const Endpoint& endpoint : endpoints) {
    if (!seen.insert(endpoint.url()).second) {
      return fleet::input(Errc::duplicate_endpoint, "endpoints",
                          fmt::format("'{}' is named twice", endpoint.url()));
    }
    if (!endpoint.name().empty() && !names.insert(endpoint.name()).second) {
      return fleet::input(Errc::duplicate_endpoint, "endpoints",
                          fmt::format("two endpoints are called '{}'", endpoint.name()));
    }
  }
  if (auto error = fleet::check_options(options)) return *std::move(error);
  return Fleet(std::make_shared<State>(std::move(endpoints), options));
}

Result<std::vector<Outcome>> Fleet::execute(const std::string& command,
                                            const std::optional<std::string>& payload,
                                            const std::stop_token& stop) {
  auto checked = Command::parse(command, payload);
  if (!checked) return checked.error();
  Batch batch;
  batch.phase = "asking";
  batch.closing = runtime_api::Closing::quit;
  batch.work.assign(state_->endpoints.size(), {*std::move(checked)});
  // What an HAProxy calls itself, on the same connection, where nobody has asked yet.
  for (std::size_t i = 0; command != "show info" && i < batch.work.size(); ++i) {
    if (state_->names.knows(i)) continue;
    batch.work[i].insert(batch.work[i].begin(), Command::show_info());
  }
  state_->keep_sessions();
  engine::Session session(state_->endpoints, state_->options, state_->progress, stop);
  auto answers = session.run(batch, stop);
  state_->names.learn(answers);
  std::vector<Outcome> outcomes;
  outcomes.reserve(answers.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    outcomes.push_back(outcome_of(state_->endpoints[i], std::move(answers[i])));
  }
  state_->names.put_into(outcomes);
  state_->progress.phase = "done";
  return outcomes;
}

Result<Report> Fleet::check(const std::vector<std::string>& frontends,
                            const SuspendOptions& options, const std::stop_token& stop) {
  if (auto error = fleet::check_frontends(frontends)) return *std::move(error);
  if (auto error = fleet::check_suspend(options)) return *std::move(error);
  return state_->check(frontends, options, stop);
}

Result<Report> Fleet::suspend(const std::vector<std::string>& frontends,
                              const SuspendOptions& options, const std::stop_token& stop) {
  if (auto error = fleet::check_frontends(frontends)) return *std::move(error);
  if (auto error = fleet::check_suspend(options)) return *std::move(error);
  return state_->suspend(frontends, options, stop);
}

std::optional<Error> Fleet::refuse(const ResumeOptions& options) {
  return fleet::check_resume(options);
}

Result<Report> Fleet::resume(const std::vector<std::string>& frontends,
                             const ResumeOptions& options, const std::stop_token& stop) {
  if (auto error = fleet::check_frontends(frontends)) return *std::move(error);
  if (auto error = fleet::check_resume(options)) return *std::move(error);
  return state_->resume(frontends, options, stop);
}

Result<Report> Fleet::extend(const std::vector<std::string>& frontends,
                             const ExtendOptions& options, const std::stop_token& stop) {
  if (auto error = fleet::check_frontends(frontends)) return *std::move(error);
  if (auto error = fleet::check_extend(options)) return *std::move(error);
  const std::optional keep(options.keep);
  return state_->extend(frontends, claim_of(options), options.by,
                        options.for_cutover ? keep : std::nullopt, stop);
}

Result<Report> Fleet::cutover(const CutoverOptions& options, const std::stop_token& stop) {
  if (auto error = fleet::check_cutover(options)) return *std::move(error);
  if (options.hold.empty()) return state_->cut_over(options, {}, {}, stop);
  if (auto error = fleet::check_frontends(options.frontends)) return *std::move(error);
  const hold::Claim claim{fleet::default_owner(), options.hold, false, {}};
  return state_->cut_over(options, options.frontends, claim, stop);
}

void Fleet::watch_cutovers(CutoverWatch watch) { state_->watch = std::move(watch); }

Result<Report> Fleet::status(const std::vector<std::string>& frontends,
                             const std::stop_token& stop) {
  if (!frontends.empty()) {
    if (auto error = fleet::check_frontends(frontends)) return *std::move(error);
  }
  return state_->status(frontends, [&](hold::Plan& plan, const fleet::Journal& journal) {
    return state_->drive(plan, journal, stop);
  });
}

Result<Report> Fleet::look(const std::vector<std::string>& frontends, const std::stop_token& stop) {
  if (!frontends.empty()) {
    if (auto error = fleet::check_frontends(frontends)) return *std::move(error);
  }
  state_->keep_sessions();
  if (!state_->looks) state_->looks.emplace(state_->means());
  Report report = state_->status(frontends, [&](hold::Plan& plan, const fleet::Journal& journal) {
    return state_->looks->drive(plan, journal, stop);
  });
  state_->looks->count_in_kernel(report, stop);
  return report;
}

int Fleet::guard_descriptor() const noexcept { return state_->guard.descriptor(); }

std::optional<Error> Fleet::renew_guard(const std::stop_token& stop) {
  return state_->guard.renew(stop);
}

const std::vector<Endpoint>& Fleet::endpoints() const noexcept { return state_->endpoints; }
const Progress& Fleet::progress() const noexcept { return state_->progress; }

}  // namespace stillgate
