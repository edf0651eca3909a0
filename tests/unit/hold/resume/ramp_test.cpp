// A resume that ramps up or waits for the application, over simulated HAProxies.
#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;

SimulatedFleet held(bool remembers = true) {
  SimulatedFleet fleet(2, {"a"});
  for (Host& host : fleet.hosts) host.remembers = remembers;
  SuspendPlan plan(suspend_request(fleet));
  EXPECT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  return fleet;
}

Report resume(SimulatedFleet& fleet, milliseconds ramp, bool wait_up = false) {
  auto request = resume_request(fleet);
  request.ramp = ramp;
  request.wait_up = wait_up;
  ResumePlan plan(request);
  Report report = fleet.drive(plan);
  expect_truth(fleet, report);
  return report;
}

TEST(Ramp, RaisesTheLimitStepByStep) {
  SimulatedFleet fleet = held();
  EXPECT_EQ(resume(fleet, milliseconds(2000)).ending, Ending::done);
  ASSERT_EQ(fleet.limits_set.size(), 20U);
  EXPECT_EQ(fleet.limits_set.front(), 5);
  EXPECT_EQ(fleet.limits_set.back(), 100);
  EXPECT_TRUE(std::is_sorted(fleet.limits_set.begin(), fleet.limits_set.end()));
  EXPECT_TRUE(fleet.all_open());
  EXPECT_TRUE(fleet.journal.empty());
  EXPECT_TRUE(fleet.all_forgotten());
}

TEST(Ramp, AShortOneHasFewSteps) {
  SimulatedFleet fleet = held();
  EXPECT_EQ(resume(fleet, milliseconds(200)).ending, Ending::done);
  EXPECT_EQ(fleet.limits_set, (std::vector<std::int64_t>{25, 50, 75, 100}));
}

TEST(Ramp, AStopOpensAtOnce) {
  for (std::size_t step = 3; step < 12; ++step) {
    SCOPED_TRACE(step);
    SimulatedFleet fleet = held();
    fleet.cancel_at = step;
    const Report report = resume(fleet, milliseconds(10'000));
    EXPECT_EQ(report.ending, Ending::done);
    EXPECT_TRUE(fleet.all_open());
    EXPECT_LT(fleet.limits_set.size(), 8U);
  }
}

/// As kill -9 in the middle: whoever resumes next restores the number, and not the step.
TEST(Ramp, OneThatWasBrokenOffIsFinishedByTheNext) {
  for (const bool remembers : {true, false}) {
    SimulatedFleet fleet = held(remembers);
    auto request = resume_request(fleet);
    request.ramp = milliseconds(2000);
    ResumePlan plan(request);
    Observation seen{observed::Begin{}, {}, {}, false};
    while (fleet.limits_set.size() < 4) fleet.carry_out(plan, seen);
    EXPECT_EQ(fleet.hosts[0].limits["a"], 20);
    fleet.start_over();
    EXPECT_EQ(resume(fleet, milliseconds(0)).ending, Ending::done);
    EXPECT_TRUE(fleet.all_open()) << remembers;
    EXPECT_TRUE(fleet.journal.empty());
  }
}

TEST(Ramp, WithoutItsMarkInTheJournalAllIsReleasedAtOnceAndTakenOffTheRecord) {
  SimulatedFleet fleet = held();
  fleet.journal_failures = {0};
  const Report report = resume(fleet, milliseconds(2000));
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.error->code, Errc::journal_failed);
  EXPECT_EQ(fleet.limits_set, (std::vector<std::int64_t>{100}));
  EXPECT_TRUE(fleet.all_open());
  EXPECT_TRUE(fleet.journal.empty());
}

TEST(WaitUp, NothingIsReleasedBeforeEachBackendHasAServer) {
  SimulatedFleet fleet = held();
  fleet.hosts[1].up = false;
  fleet.up_at = 4;
  const Report report = resume(fleet, milliseconds(0), true);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_TRUE(fleet.all_open());
  EXPECT_EQ(fleet.first_write_batch, 5U);
}

TEST(WaitUp, AnApplicationThatStaysDownIsTold) {
  SimulatedFleet fleet = held();
  fleet.hosts[1].up = false;
  const Report report = resume(fleet, milliseconds(0), true);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(fleet.writes, 0U);
  for (const Switch& one : report.switches) {
    EXPECT_EQ(one.verdict, Verdict::held);
    EXPECT_EQ(one.error->code, Errc::application_down);
    EXPECT_NE(one.error->message.find("backend 'servers' at unix:///run/1.sock"),
              std::string::npos);
  }
  // And without the word it is let through.
  fleet.start_over();
  EXPECT_EQ(resume(fleet, milliseconds(0)).ending, Ending::done);
}

TEST(WaitUp, ABackendThatWasDownAtTheSuspendIsNotWaitedFor) {
  SimulatedFleet fleet(2, {"a"});
  fleet.hosts[1].up = false;
  SuspendPlan plan(suspend_request(fleet));
  EXPECT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  EXPECT_EQ(resume(fleet, milliseconds(0), true).ending, Ending::done);
  EXPECT_TRUE(fleet.all_open());
}

TEST(WaitUp, NamedBackendsAreWaitedForAndNoOthers) {
  for (const std::string name : {"servers", "other"}) {
    SCOPED_TRACE(name);
    SimulatedFleet fleet = held();
    for (Host& host : fleet.hosts) host.up = false;
    fleet.hosts[0].more_backends = fleet.hosts[1].more_backends = {"other"};
    auto request = resume_request(fleet);
    request.wait_up_for = NameList(name);
    ResumePlan plan(request);
    const Report report = fleet.drive(plan);
    EXPECT_EQ(report.ending, name == "other" ? Ending::done : Ending::endpoint_failed);
    EXPECT_EQ(fleet.all_open(), name == "other");
  }
}

TEST(WaitUp, ANameOfNoBackendReleasesNothing) {
  SimulatedFleet fleet = held();
  auto request = resume_request(fleet);
  request.wait_up_for = NameList("server");
  ResumePlan plan(request);
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(report.switches[0].error->code, Errc::no_such_backend);
  EXPECT_EQ(fleet.writes, 0U);
}

}  // namespace
}  // namespace stillgate::hold
