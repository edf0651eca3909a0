// A resume that comes too late, over simulated HAProxies: which hold is meant, and how it ended.
#include "hold/resume/lateness.hpp"

#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/record/lock_variables.hpp"
#include "hold/resume/resume_plan.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string holder = "test@here";

/// Two hosts, held for ten seconds from the start of the clock.
SimulatedFleet held() {
  SimulatedFleet fleet(2, {"a"});
  auto request = suspend_request(fleet);
  request.hold.options.max_hold = seconds(10);
  SuspendPlan plan(request);
  EXPECT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  return fleet;
}

/// As a hand does it, or HAProxy's own `wait`.
void open(SimulatedFleet& fleet) {
  for (Host& host : fleet.hosts) host.limits = host.configured;
}

/// As the guard leaves it behind.
Record retired(SimulatedFleet& fleet, End how, const std::string& by) {
  Record over = fleet.records().at(0);
  over.end = RecordEnd{how, over.started_at + seconds(10), by, false};
  fleet.journal.clear();
  for (Host& host : fleet.hosts) host.variables.clear();
  open(fleet);
  return over;
}

Report resume(SimulatedFleet& fleet, ResumePlan::Request request) {
  ResumePlan plan(std::move(request));
  Report report = fleet.drive(plan);
  expect_truth(fleet, report);
  fleet.start_over();
  return report;
}

Report resume(SimulatedFleet& fleet) { return resume(fleet, resume_request(fleet)); }

TEST(Lateness, WhatIsHeldUntilNowIsInTime) {
  SimulatedFleet fleet = held();
  fleet.clock = seconds(60);  // overdue: it let nobody pass
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_FALSE(report.switches[0].ended);
}

TEST(Lateness, AnOpenFrontendOnRecordHadEnded) {
  SimulatedFleet fleet = held();
  open(fleet);
  fleet.hosts[0].reached += 7;
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::too_late);
  ASSERT_TRUE(report.switches[0].ended);
  EXPECT_EQ(report.switches[0].ended->how, End::opened);
  EXPECT_FALSE(report.switches[0].ended->at);
  EXPECT_FALSE(report.switches[0].ended->by);
  EXPECT_EQ(report.switches[0].ended->requests_since, 7);
  EXPECT_EQ(report.switches[1].ended->requests_since, 0);
  EXPECT_EQ(report.switches[0].error->code, Errc::hold_ended);
  EXPECT_TRUE(fleet.journal.empty());
  EXPECT_EQ(resume(fleet).ending, Ending::done);
}

TEST(Lateness, PastItsDeadlineTheDeadlineEndedIt) {
  SimulatedFleet fleet = held();
  open(fleet);
  fleet.clock = seconds(14);
  const Report report = resume(fleet);
  EXPECT_EQ(report.switches[0].ended->how, End::expired);
  EXPECT_EQ(report.switches[0].ended->by, "guard");
  EXPECT_EQ(report.switches[0].ended->at, report.holds.at(0).deadline);
}

/// Its mark goes with the release.
TEST(Lateness, AResumeThatWasKilledBehindItsReleaseIsNoOtherEnd) {
  SimulatedFleet fleet = held();
  ResumePlan killed(resume_request(fleet));
  Observation seen{observed::Begin{}, {}, {}, false};
  while (!fleet.all_open()) ASSERT_FALSE(fleet.carry_out(killed, seen));
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_FALSE(report.switches[0].ended);
}

TEST(Lateness, SomebodyElsesThatWasKilledIsTold) {
  SimulatedFleet fleet = held();
  auto forced = resume_request(fleet);
  forced.records.clear();
  forced.claim = {"other@there", {}, true, "it must be"};
  ResumePlan killed(std::move(forced));
  Observation seen{observed::Begin{}, {}, {}, false};
  while (!fleet.all_open()) ASSERT_FALSE(fleet.carry_out(killed, seen));
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::too_late);
  ASSERT_TRUE(report.switches[0].ended);
  EXPECT_EQ(report.switches[0].ended->how, End::resumed);
  EXPECT_EQ(report.switches[0].ended->by, "other@there by --force (it must be)");
}

TEST(Lateness, OneOfTwoIsEnough) {
  SimulatedFleet fleet = held();
  fleet.hosts[1].limits = fleet.hosts[1].configured;
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::too_late);
  EXPECT_FALSE(report.switches[0].ended);
  EXPECT_TRUE(report.switches[1].ended);
}

TEST(Lateness, AFailureIsToldFirst) {
  SimulatedFleet fleet = held();
  fleet.hosts[1].limits = fleet.hosts[1].configured;
  fleet.hosts[0].alive = false;
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_TRUE(report.switches[1].ended);
}

TEST(Lateness, WhatTheGuardLeftIsFound) {
  for (const End how : {End::expired, End::guard_ended, End::opened}) {
    SimulatedFleet fleet = held();
    auto request = resume_request(fleet);
    request.ended = {retired(fleet, how, "guard")};
    request.records.clear();
    const Report report = resume(fleet, request);
    EXPECT_EQ(report.ending, Ending::too_late);
    EXPECT_EQ(report.switches[0].ended->how, how);
    EXPECT_EQ(report.holds.at(0).id, request.ended[0].id);
    request.ended[0].end->told = true;
    EXPECT_EQ(resume(fleet, request).ending, Ending::done);
  }
}

TEST(Lateness, ByNameTheLastHoldCountsAndByItsIdEach) {
  SimulatedFleet fleet = held();
  auto request = resume_request(fleet);
  const Record first = retired(fleet, End::expired, "guard");
  Record second = first;
  second.id = "second";
  second.started_at += seconds(60);
  second.end->told = true;
  request.records.clear();
  request.ended = {second, first};
  EXPECT_EQ(resume(fleet, request).ending, Ending::done);
  request.claim.hold = first.id;
  EXPECT_EQ(resume(fleet, request).ending, Ending::too_late);
  request.claim.hold = second.id;
  EXPECT_EQ(resume(fleet, request).ending, Ending::done);
  request.claim.hold = "unheard-of";
  EXPECT_EQ(resume(fleet, request).ending, Ending::done);
}

TEST(Lateness, AtItsOwnDeadlineNobodyIsLate) {
  SimulatedFleet fleet = held();
  open(fleet);
  auto request = resume_request(fleet);
  request.at_deadline = true;
  EXPECT_EQ(resume(fleet, request).ending, Ending::done);
}

TEST(Lateness, SomebodyElsesForcedResumeIsToldWithTheName) {
  SimulatedFleet fleet = held();
  auto here = resume_request(fleet);
  auto elsewhere = resume_request(fleet);
  elsewhere.records.clear();
  elsewhere.claim = {"bob@there", "", true, "asleep"};
  EXPECT_EQ(resume(fleet, elsewhere).ending, Ending::done);
  const Report report = resume(fleet, here);
  EXPECT_EQ(report.ending, Ending::too_late);
  EXPECT_EQ(report.switches[0].ended->how, End::resumed);
  EXPECT_EQ(report.switches[0].ended->by, "bob@there by --force (asleep)");
  EXPECT_TRUE(report.switches[0].ended->at);
}

TEST(Lateness, TheSameOwnerElsewhereIsTheHolder) {
  SimulatedFleet fleet = held();
  auto here = resume_request(fleet);
  auto elsewhere = resume_request(fleet);
  elsewhere.records.clear();
  EXPECT_EQ(resume(fleet, elsewhere).ending, Ending::done);
  EXPECT_EQ(resume(fleet, here).ending, Ending::done);
}

TEST(Lateness, WhoKnowsNothingOfAHoldIsWell) {
  SimulatedFleet fleet = held();
  open(fleet);
  auto elsewhere = resume_request(fleet);
  elsewhere.records.clear();
  elsewhere.claim.owner = "bob@there";
  fleet.clock = seconds(14);
  EXPECT_EQ(resume(fleet, elsewhere).ending, Ending::done);
}

TEST(Lateness, WhoNamesItElsewhereHearsWhatHAProxyKnows) {
  SimulatedFleet fleet = held();
  const Record hold = fleet.records().at(0);
  auto elsewhere = resume_request(fleet);
  elsewhere.records.clear();
  elsewhere.claim = {"bob@there", hold.id, false, ""};
  open(fleet);
  for (Host& host : fleet.hosts) {
    host.variables["stillgate_maxconn_a"] = "";
    host.variables["stillgate_ended_a"] = hold.id + ".expired." + std::to_string(1'800'000'010'000);
  }
  const Report report = resume(fleet, elsewhere);
  EXPECT_EQ(report.ending, Ending::too_late);
  EXPECT_EQ(report.switches[0].ended->how, End::expired);
  EXPECT_FALSE(report.switches[0].ended->requests_since);
  elsewhere.claim.hold.clear();
  EXPECT_EQ(resume(fleet, elsewhere).ending, Ending::done);
}

TEST(Aftermath, AReleaseAtRiskIsWatchedUntilTheRiskIsOver) {
  SimulatedFleet fleet(1, {"a"});
  fleet.hosts[0].version = "2.6.12";
  auto request = suspend_request(fleet);
  request.hold.options.accept_hazard = request.record.accept_hazard = true;
  SuspendPlan plan(request);
  ASSERT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  ASSERT_FALSE(report.switches[0].findings.empty());
  EXPECT_EQ(report.switches[0].findings.back().code, "survived");
}

TEST(Aftermath, OneThatDiesOfItIsNotDone) {
  for (const Fault fault : {Fault::dies, Fault::restarts}) {
    SimulatedFleet fleet(1, {"a"});
    fleet.hosts[0].version = "2.6.12";
    auto request = suspend_request(fleet);
    request.hold.options.accept_hazard = request.record.accept_hazard = true;
    SuspendPlan plan(request);
    ASSERT_EQ(fleet.drive(plan).ending, Ending::done);
    fleet.start_over();
    // Survey, release, survey, the marks: and then at the third look.
    fleet.faults[{6, 0}] = fault;
    const Report report = resume(fleet);
    EXPECT_EQ(report.ending, Ending::endpoint_failed);
    ASSERT_TRUE(report.switches[0].error);
    EXPECT_EQ(report.switches[0].error->code, Errc::crashed_on_resume);
  }
}

}  // namespace
}  // namespace stillgate::hold
