// The plan of a cutover over simulated HAProxies: everywhere or nowhere, whatever goes wrong.
#include "hold/cutover/cutover_plan.hpp"

#include <chrono>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/suspend/suspend_plan.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr const char* file = "/etc/haproxy/release.map";

/// blue serves; green is there, in drain.
Serving before() {
  Serving serving;
  serving.servers = {{"app/blue1", {"ready", "10", true}},
                     {"app/green1", {"drain", "1", true}},
                     {"app_green/s1", {"ready", "1", true}}};
  serving.maps[file] = {{"active", "app_blue"}, {"other", "x"}};
  return serving;
}

Cutover green() {
  Cutover cutover;
  cutover.name = "green";
  cutover.servers = {{"app/blue1", "maint"}, {"app/green1", "ready"}};
  cutover.weights = {{"app/green1", 10}};
  cutover.maps[file] = {{"active", "app_green"}};
  return cutover;
}

Serving after() {
  Serving serving = before();
  serving.servers["app/blue1"].state = "maint";
  serving.servers["app/green1"] = {"ready", "10", true};
  serving.maps[file]["active"] = "app_green";
  return serving;
}

SimulatedFleet fleet_of(std::size_t hosts, std::vector<std::string> frontends = {}) {
  SimulatedFleet fleet(hosts, std::move(frontends));
  for (Host& host : fleet.hosts) host.serving = host.configured_serving = before();
  return fleet;
}

CutoverRequest request(const SimulatedFleet& fleet, bool back = false) {
  CutoverRequest request;
  request.name = "green";
  request.endpoints = fleet.urls();
  request.retry_for = milliseconds(3000);
  const auto known = fleet.cutovers.find("green");
  if (known != fleet.cutovers.end()) request.known = known->second.rows;
  for (const std::string& url : request.endpoints) {
    for (auto& row : changes_of(green(), url)) request.changes.push_back(row);
  }
  request.back = back;
  if (back) request.changes = changes_back(request.known, request.endpoints);
  return request;
}

Report cut(SimulatedFleet& fleet, CutoverRequest wanted) {
  CutoverPlan plan(std::move(wanted));
  return fleet.drive(plan);
}

Report cut(SimulatedFleet& fleet) { return cut(fleet, request(fleet)); }

bool stands(const SimulatedFleet& fleet, const Serving& serving) {
  return std::ranges::all_of(fleet.hosts,
                             [&](const Host& host) { return host.serving == serving; });
}

CutoverState state_of(const Report& report) { return report.cutover->state; }

TEST(CutoverPlan, StandsEverywhereAndGoesBack) {
  SimulatedFleet fleet = fleet_of(3);
  const Report report = cut(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_EQ(state_of(report), CutoverState::applied);
  EXPECT_TRUE(stands(fleet, after()));
  EXPECT_EQ(fleet.unrecorded_cuts, 0U);
  ASSERT_EQ(report.cutover->changes.size(), 12U);
  const CutoverChange& first = report.cutover->changes[0];
  EXPECT_EQ(first.what, "server app/green1 state");
  EXPECT_EQ(first.before, "drain");
  EXPECT_EQ(first.now, "ready");
  EXPECT_EQ(first.state, ChangeState::applied);

  fleet.start_over();
  const Report back = cut(fleet, request(fleet, true));
  EXPECT_EQ(back.ending, Ending::done);
  EXPECT_TRUE(stands(fleet, before()));
  EXPECT_TRUE(fleet.cutovers.empty());
}

TEST(CutoverPlan, ASecondOneChangesNothingAndKeepsWhatStoodBeforeTheFirst) {
  SimulatedFleet fleet = fleet_of(2);
  (void)cut(fleet);
  const auto kept = fleet.cutovers;
  fleet.start_over();
  const Report again = cut(fleet);
  EXPECT_EQ(state_of(again), CutoverState::applied);
  EXPECT_EQ(again.cutover->changes[0].state, ChangeState::unchanged);
  EXPECT_EQ(fleet.batches, 1U);
  EXPECT_EQ(fleet.cutovers, kept);
  // One HAProxy lost it, as by a reload.
  fleet.hosts[1].serving = before();
  fleet.start_over();
  EXPECT_EQ(state_of(cut(fleet)), CutoverState::applied);
  EXPECT_EQ(fleet.cutovers, kept);
  fleet.start_over();
  (void)cut(fleet, request(fleet, true));
  EXPECT_TRUE(stands(fleet, before()));
}

TEST(CutoverPlan, NamesAllThatIsUnknownInOneRefusal) {
  SimulatedFleet fleet = fleet_of(2);
  fleet.hosts[1].serving.servers.erase("app/green1");
  fleet.hosts[1].serving.servers["app/green-1.x"] = {};
  fleet.hosts[0].serving.maps[file].erase("active");
  const Report report = cut(fleet);
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(state_of(report), CutoverState::refused);
  EXPECT_EQ(report.error->code, Errc::cutover_unknown);
  EXPECT_EQ(report.error->message,
            "unix:///run/0.sock has no key 'active' in the map '/etc/haproxy/release.map'; it has: "
            "other; unix:///run/1.sock has no server 'green1' in 'app'; it has: blue1, green-1.x");
  EXPECT_EQ(fleet.batches, 1U);
  EXPECT_TRUE(fleet.cutovers.empty());

  fleet.start_over();
  fleet.hosts[0].serving.maps = {{"/a.map", {}}};
  EXPECT_THAT(cut(fleet).error->message,
              HasSubstr("has no map '/etc/haproxy/release.map' loaded; it has: /a.map"));
  fleet.start_over();
  fleet.hosts[0].serving.servers = {{"web/s1", {}}};
  EXPECT_THAT(cut(fleet).error->message,
              HasSubstr("has no backend 'app' with servers; it has: web"));
}

TEST(CutoverPlan, RefusesToLeaveABackendWithoutAServerThatIsUp) {
  SimulatedFleet fleet = fleet_of(2);
  fleet.hosts[1].serving.servers["app/green1"].running = false;
  const Report down = cut(fleet);
  EXPECT_EQ(down.ending, Ending::refused);
  EXPECT_EQ(down.error->code, Errc::cutover_none_up);
  EXPECT_EQ(down.error->message,
            "unix:///run/1.sock: the backend 'app' would have no server that is up (green1 is DOWN "
            "(L4CON))");
  // The backend that a map is to name counts, too.
  fleet.start_over();
  fleet.hosts[0].serving.servers["app_green/s1"].state = "drain";
  EXPECT_THAT(cut(fleet).error->message,
              HasSubstr("0.sock: the backend 'app_green' would have no"));
}

/// HAProxy would call it up from leaving maintenance until its first check.
TEST(CutoverPlan, AServerInMaintenanceIsUpOnlyWhereNothingCouldShowIt) {
  SimulatedFleet fleet = fleet_of(1);
  SimulatedServer& green1 = fleet.hosts[0].serving.servers["app/green1"];
  green1.state = "maint";
  CutoverRequest tried = request(fleet);
  tried.dry_run = true;
  const Report refused = cut(fleet, tried);
  EXPECT_EQ(refused.error->code, Errc::cutover_none_up);
  EXPECT_THAT(refused.error->message, HasSubstr("green1 is in maint, where nothing checks it"));
  EXPECT_THAT(refused.error->message, HasSubstr("--ready-first"));
  EXPECT_EQ(fleet.batches, 1U) << "no check will come";

  fleet.start_over();
  green1.checked = false;
  const Report unchecked = cut(fleet, tried);
  EXPECT_EQ(state_of(unchecked), CutoverState::possible);
  ASSERT_EQ(unchecked.cutover->unshown.size(), 1U);
  EXPECT_THAT(unchecked.cutover->unshown[0], HasSubstr("green1 has no health check"));
}

/// A dry run of it: what it would have checked before anything else is no reason to refuse.
TEST(CutoverPlan, ADryRunCountsWhatReadyFirstWouldHaveChecked) {
  SimulatedFleet fleet = fleet_of(2);
  for (Host& host : fleet.hosts) host.serving.servers["app/green1"].state = "maint";
  CutoverRequest tried = request(fleet);
  tried.dry_run = tried.ready_first = true;
  const Report report = cut(fleet, tried);
  EXPECT_EQ(state_of(report), CutoverState::possible);
  ASSERT_EQ(report.cutover->unshown.size(), 2U);
  EXPECT_EQ(report.cutover->unshown[1],
            "unix:///run/1.sock: would be checked first, in drain, and must each be up then: "
            "app/green1");
  EXPECT_EQ(fleet.hosts[0].serving.servers["app/green1"].state, "maint");

  // It may become up, but is not now; and one that is in maintenance for good mends nothing.
  fleet.start_over();
  SimulatedServer& green1 = fleet.hosts[0].serving.servers["app/green1"];
  green1.state = "drain";
  green1.running = false;
  const Report down = cut(fleet, tried);
  EXPECT_EQ(down.error->code, Errc::cutover_not_ready);
  EXPECT_THAT(down.error->message, HasSubstr("app/green1 is DOWN (L4CON); --ready-first would"));
  fleet.start_over();
  green1 = {"maint", "1", true};
  fleet.hosts[0].serving.servers["app_green/s1"].state = "maint";
  const Report other = cut(fleet, tried);
  EXPECT_EQ(other.error->code, Errc::cutover_none_up);
  EXPECT_THAT(other.error->message, HasSubstr("the backend 'app_green' would have no server"));

  // A check that is still to come is not waited for: it would be, before.
  fleet.start_over();
  green1.state = "drain";
  fleet.hosts[0].serving.servers["app_green/s1"].state = "ready";
  fleet.hosts[0].check_health["app/green1"] = 2;
  tried.check_for = milliseconds(1000);
  EXPECT_EQ(cut(fleet, tried).cutover->unshown.size(), 2U);
  EXPECT_EQ(fleet.batches, 1U);
}

TEST(CutoverPlan, WaitsForTheFirstCheckOfAServerThatHasLeftMaintenance) {
  for (const bool running : {true, false}) {
    SimulatedFleet fleet = fleet_of(1);
    fleet.hosts[0].serving.servers["app/green1"].running = running;
    fleet.hosts[0].check_health["app/green1"] = 2;
    CutoverRequest tried = request(fleet);
    tried.dry_run = true;
    const Report hasty = cut(fleet, tried);
    EXPECT_THAT(hasty.error->message, HasSubstr("no check has passed since"));

    fleet.start_over();
    fleet.hosts[0].check_health["app/green1"] = 2;
    tried.check_for = milliseconds(1000);
    const Report patient = cut(fleet, tried);
    EXPECT_EQ(patient.ok(), running);
    EXPECT_EQ(fleet.batches, 2U);
    EXPECT_TRUE(patient.cutover->unshown.empty());
  }
}

/// They are checked by nobody there, and whoever goes back does so in need.
TEST(CutoverPlan, GoingBackToServersInMaintenanceIsNotRefused) {
  SimulatedFleet fleet = fleet_of(1);
  (void)cut(fleet);
  fleet.start_over();
  const Report back = cut(fleet, request(fleet, true));
  EXPECT_TRUE(back.ok());
  EXPECT_TRUE(stands(fleet, before()));
}

TEST(CutoverPlan, RefusesWhatItCouldNotUndo) {
  SimulatedFleet fleet = fleet_of(1);
  fleet.hosts[0].serving.maps[file]["active"] = "a;b";
  const Report report = cut(fleet);
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(report.error->code, Errc::cutover_irreversible);
}

TEST(CutoverPlan, AJournalThatCannotBeWrittenIsARefusal) {
  SimulatedFleet fleet = fleet_of(2);
  fleet.journal_failures = {0};
  const Report report = cut(fleet);
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(report.error->code, Errc::journal_failed);
  EXPECT_TRUE(stands(fleet, before()));
}

/// Whatever goes wrong once, at whichever batch and host: it stands everywhere, or what stood
/// before does, and the report says which. Only an HAProxy that is gone for good can be unknown.
TEST(CutoverPlan, OneFaultAnywhereLeavesNoTwoSides) {
  for (const Fault fault : all_faults) {
    for (std::size_t batch = 0; batch < 6; ++batch) {
      SCOPED_TRACE(fmt::format("fault {} in batch {}", static_cast<int>(fault), batch));
      SimulatedFleet fleet = fleet_of(2);
      fleet.faults[{batch, 1}] = fault;
      const Report report = cut(fleet);
      ASSERT_FALSE(fleet.endless);
      EXPECT_EQ(fleet.unrecorded_cuts, 0U);
      if (!fleet.hosts[1].alive) {
        // What restarts comes back as it was configured.
        fleet.hosts[1].serving = before();
        EXPECT_NE(state_of(report), CutoverState::applied);
      }
      const bool applied = state_of(report) == CutoverState::applied;
      EXPECT_TRUE(stands(fleet, applied ? after() : before()));
      EXPECT_EQ(report.ok(), applied);
    }
  }
}

TEST(CutoverPlan, ALostAnswerIsAskedAgain) {
  for (const Fault fault : {Fault::loses_commands, Fault::loses_answer, Fault::runs_half,
                            Fault::hangs, Fault::ignores_writes, Fault::restarts}) {
    SimulatedFleet fleet = fleet_of(2);
    fleet.faults[{1, 1}] = fault;
    const Report report = cut(fleet);
    EXPECT_EQ(state_of(report), CutoverState::applied) << static_cast<int>(fault);
    EXPECT_TRUE(stands(fleet, after()));
  }
}

TEST(CutoverPlan, AReloadInTheMiddleIsToldAndAppliedAgain) {
  SimulatedFleet fleet = fleet_of(2);
  fleet.faults[{2, 1}] = Fault::restarts;
  const Report report = cut(fleet);
  EXPECT_EQ(state_of(report), CutoverState::applied);
  EXPECT_TRUE(stands(fleet, after()));
  EXPECT_EQ(report.cutover->changes[0].written, 1);
  EXPECT_EQ(report.cutover->changes[4].written, 2);
}

TEST(CutoverPlan, ARefusalOfHAProxysIsUndoneEverywhere) {
  SimulatedFleet fleet = fleet_of(3);
  fleet.faults[{1, 1}] = Fault::refuses_writes;
  const Report report = cut(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(state_of(report), CutoverState::undone);
  EXPECT_EQ(report.error->code, Errc::cutover_undone);
  EXPECT_EQ(report.error->haproxy, "Permission denied");
  EXPECT_TRUE(stands(fleet, before()));
  EXPECT_EQ(report.cutover->changes[0].state, ChangeState::undone);
  EXPECT_TRUE(fleet.cutovers.empty());
}

TEST(CutoverPlan, WhatCannotBeUndoneIsUnknownAndStaysOnRecord) {
  SimulatedFleet fleet = fleet_of(2);
  fleet.faults[{1, 0}] = Fault::refuses_writes;
  fleet.faults[{2, 1}] = Fault::dies;
  const Report report = cut(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(state_of(report), CutoverState::unknown);
  EXPECT_EQ(report.error->code, Errc::cutover_unsure);
  EXPECT_THAT(report.error->message, HasSubstr("stillgate cutover green --back"));
  EXPECT_EQ(report.cutover->changes[4].state, ChangeState::unknown);
  ASSERT_TRUE(report.cutover->changes[4].error);
  EXPECT_EQ(fleet.cutovers.at("green").rows.size(), 8U);
}

TEST(CutoverPlan, AStopAtAnyStepLeavesWhatStoodBeforeOrAll) {
  for (const Stop how :
       {Stop::after_the_batch, Stop::before_it_is_sent, Stop::before_its_answers}) {
    for (std::size_t at = 0; at < 8; ++at) {
      SCOPED_TRACE(fmt::format("stop {} at {}", static_cast<int>(how), at));
      SimulatedFleet fleet = fleet_of(2);
      fleet.stop = how;
      fleet.cancel_at = at;
      const Report report = cut(fleet);
      const bool applied = state_of(report) == CutoverState::applied;
      EXPECT_TRUE(stands(fleet, applied ? after() : before()));
      EXPECT_EQ(report.ending, applied ? Ending::done : Ending::cancelled);
    }
  }
}

/// Who carries it out dies behind any step: what is on record brings back what stood before.
TEST(CutoverPlan, BackRestoresAfterADeathAtAnyStep) {
  for (std::size_t steps = 0; steps < 8; ++steps) {
    SCOPED_TRACE(steps);
    SimulatedFleet fleet = fleet_of(2);
    fleet.faults[{1, 1}] = Fault::runs_half;
    {
      CutoverPlan plan(request(fleet));
      Observation seen{observed::Begin{}, {}, {}, false};
      for (std::size_t i = 0; i < steps && !fleet.carry_out(plan, seen); ++i) continue;
    }
    fleet.start_over();
    const bool recorded = !fleet.cutovers.empty();
    EXPECT_TRUE(recorded || stands(fleet, before()));
    if (recorded) {
      EXPECT_EQ(state_of(cut(fleet, request(fleet, true))), CutoverState::applied);
    }
    EXPECT_TRUE(stands(fleet, before()));
  }
}

/// The same while it goes back.
TEST(CutoverPlan, ADeathOnTheWayBackLosesNothingOnRecord) {
  for (std::size_t steps = 0; steps < 6; ++steps) {
    SCOPED_TRACE(steps);
    SimulatedFleet fleet = fleet_of(2);
    (void)cut(fleet);
    fleet.start_over();
    fleet.faults[{1, 1}] = Fault::loses_commands;
    {
      CutoverPlan plan(request(fleet, true));
      Observation seen{observed::Begin{}, {}, {}, false};
      for (std::size_t i = 0; i < steps && !fleet.carry_out(plan, seen); ++i) continue;
    }
    fleet.start_over();
    if (!fleet.cutovers.empty()) (void)cut(fleet, request(fleet, true));
    EXPECT_TRUE(stands(fleet, before()));
  }
}

// --- behind a hold --------------------------------------------------------------------

/// Held: by the gate at the first host, by maxconn at the second.
SimulatedFleet held() {
  SimulatedFleet fleet = fleet_of(2, {"a"});
  fleet.hosts[0].gates["a"] = {};
  fleet.hosts[0].gate_clock_ms = 1'000'000;
  SuspendPlan plan(suspend_request(fleet));
  EXPECT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  return fleet;
}

CutoverRequest behind(const SimulatedFleet& fleet, std::string owner = "test@here") {
  CutoverRequest wanted = request(fleet);
  wanted.frontends = fleet.frontends;
  wanted.records = fleet.records();
  wanted.claim.owner = std::move(owner);
  return wanted;
}

/// The fleet's clock, so that the hold has this time left.
void leave(SimulatedFleet& fleet, milliseconds left) {
  const WallTime epoch(milliseconds(1'800'000'000'000));
  fleet.clock =
      std::chrono::duration_cast<milliseconds>(*fleet.records()[0].deadline - epoch) - left;
}

TEST(CutoverPlan, BehindAHoldItChangesWhatServesAndNothingElse) {
  SimulatedFleet fleet = held();
  EXPECT_EQ(state_of(cut(fleet, behind(fleet))), CutoverState::applied);
  EXPECT_TRUE(stands(fleet, after()));
  for (const Host& host : fleet.hosts) EXPECT_TRUE(fleet.held(host.url, "a"));
}

TEST(CutoverPlan, WithoutTheHoldNothingIsChanged) {
  SimulatedFleet fleet = held();
  fleet.hosts[1].limits = fleet.hosts[1].configured;
  const Report report = cut(fleet, behind(fleet));
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(report.error->code, Errc::not_held);
  EXPECT_TRUE(stands(fleet, before()));
}

TEST(CutoverPlan, SomebodyElsesHoldIsLeftAlone) {
  SimulatedFleet fleet = held();
  CutoverRequest wanted = behind(fleet, "other@there");
  wanted.records.clear();
  const Report report = cut(fleet, wanted);
  EXPECT_EQ(report.ending, Ending::held_by_other);
  EXPECT_EQ(report.error->code, Errc::not_the_holder);
  EXPECT_TRUE(stands(fleet, before()));
}

TEST(CutoverPlan, BeginsOnlyWhereThereIsTimeBeforeTheDeadline) {
  SimulatedFleet fleet = held();
  leave(fleet, milliseconds(300));
  const Report report = cut(fleet, behind(fleet));
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(report.error->code, Errc::cutover_too_late);
  EXPECT_TRUE(stands(fleet, before()));
  EXPECT_TRUE(fleet.cutovers.empty());
}

TEST(CutoverPlan, LeavesTheTimeThatIsKeptForTheUndoOfTheCommand) {
  SimulatedFleet fleet = held();
  leave(fleet, milliseconds(3000));
  CutoverRequest wanted = behind(fleet);
  wanted.keep = milliseconds(2800);
  const Report report = cut(fleet, wanted);
  EXPECT_EQ(report.error->code, Errc::cutover_too_late);
  EXPECT_TRUE(stands(fleet, before()));
  wanted.keep = milliseconds(1000);
  EXPECT_EQ(cut(fleet, wanted).ending, Ending::done);
}

TEST(CutoverPlan, IsAbandonedInTimeToUndoItBeforeTheDeadline) {
  SimulatedFleet fleet = held();
  leave(fleet, milliseconds(1300));
  // One HAProxy does not answer for 700 ms from the first write on.
  for (std::size_t batch = 2; batch < 20; ++batch) fleet.faults[{batch, 1}] = Fault::hangs;
  const Report report = cut(fleet, behind(fleet));
  EXPECT_EQ(state_of(report), CutoverState::undone);
  EXPECT_TRUE(stands(fleet, before()));
}

/// Whatever a silent HAProxy's own timeouts are: the others go back, and the time of the command's
/// undo is left.
TEST(CutoverPlan, WhoNeverAnswersTakesNoTimeThatIsKept) {
  for (const std::size_t first : {0U, 1U, 2U}) {
    SimulatedFleet fleet = held();
    leave(fleet, milliseconds(3000));
    fleet.hang = milliseconds(5000);
    for (std::size_t batch = first; batch < 40; ++batch) fleet.faults[{batch, 1}] = Fault::hangs;
    CutoverRequest wanted = behind(fleet);
    wanted.claim.hold = fleet.records()[0].id;
    wanted.keep = milliseconds(1000);
    CutoverPlan plan(wanted);
    Observation seen{observed::Begin{}, {}, {}, false};
    std::optional<Report> report;
    while (!report) report = fleet.carry_out(plan, seen);
    EXPECT_FALSE(report->ok());
    EXPECT_LE(seen.now, *fleet.records()[0].deadline - wanted.keep) << first;
    EXPECT_EQ(fleet.hosts[0].serving, before()) << first;
  }
}

/// As where its process was stopped in the middle, until the hold had ended.
TEST(CutoverPlan, WhatStandsIsReadThoughTheHoldHasEnded) {
  SimulatedFleet fleet = held();
  leave(fleet, milliseconds(3000));
  fleet.freezes[2] = [](SimulatedFleet& frozen) { frozen.clock += milliseconds(9000); };
  CutoverPlan plan(behind(fleet));
  Observation seen{observed::Begin{}, {}, {}, false};
  std::optional<Report> report;
  while (!report) report = fleet.carry_out(plan, seen);
  EXPECT_EQ(state_of(*report), CutoverState::applied);
  EXPECT_TRUE(stands(fleet, after()));
}

TEST(CutoverPlan, ADryRunInsideAHoldSaysThatThereIsNoTime) {
  SimulatedFleet fleet = held();
  leave(fleet, milliseconds(300));
  CutoverRequest wanted = behind(fleet);
  wanted.dry_run = true;
  EXPECT_EQ(cut(fleet, wanted).error->code, Errc::cutover_too_late);
}

}  // namespace
}  // namespace stillgate::hold
