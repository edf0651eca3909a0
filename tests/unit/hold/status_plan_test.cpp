// The status plan over simulated HAProxies: what is held, by whom, from any machine.
#include "hold/status_plan.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;

SimulatedFleet held(bool leased = false) {
  SimulatedFleet fleet(2, {"a", "b"});
  auto request = suspend_request(fleet);
  request.hold.frontends = {"b"};
  request.hold.options.max_hold = milliseconds(100);
  request.hold.options.no_lease = !leased;
  SuspendPlan plan(request);
  EXPECT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  return fleet;
}

Report status(SimulatedFleet& fleet, std::vector<std::string> frontends = {}) {
  StatusPlan plan({fleet.urls(), std::move(frontends), fleet.records()});
  Report report = fleet.drive(plan);
  EXPECT_EQ(report.action, "status");
  EXPECT_EQ(fleet.writes, 0U);
  return report;
}

TEST(StatusPlan, TellsAllFrontendsAndWhoHolds) {
  SimulatedFleet fleet = held();
  fleet.journal.clear();  // as from another machine
  fleet.hosts[1].leaks_per_look = 0;
  fleet.hosts[1].reached += 4;
  const Report report = status(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  ASSERT_EQ(report.switches.size(), 4U);
  EXPECT_EQ(report.switches[0].verdict, Verdict::open);
  const Switch& one = report.switches[3];
  EXPECT_EQ(one.verdict, Verdict::held);
  EXPECT_EQ(one.frontend, "b");
  EXPECT_EQ(one.limit_before, 111);
  EXPECT_EQ(one.method, "maxconn");
  EXPECT_EQ(one.lease, "none");
  EXPECT_EQ(one.leaked, 4);
  EXPECT_EQ(one.in_flight, 0);
  ASSERT_EQ(report.holds.size(), 1U);
  EXPECT_EQ(report.holds[0].owner, "test@here");
  EXPECT_FALSE(report.holds[0].deadline);
}

TEST(StatusPlan, WhatRefusesItsClientsIsToldWhateverIsHeld) {
  SimulatedFleet fleet = held();
  fleet.hosts[1].shut = true;
  const Report report = status(fleet);
  const auto is_told = [](const Switch& one) {
    return std::any_of(one.findings.begin(), one.findings.end(),
                       [](const Finding& found) { return found.code == "frontend_stopped"; });
  };
  EXPECT_FALSE(is_told(report.switches[0]));
  EXPECT_EQ(report.switches[2].verdict, Verdict::open);
  EXPECT_TRUE(is_told(report.switches[2]));
  EXPECT_EQ(report.switches[3].verdict, Verdict::held);
  EXPECT_TRUE(is_told(report.switches[3]));
}

TEST(StatusPlan, AReloadWithinTheHoldIsTold) {
  SimulatedFleet fleet = held();
  fleet.hosts[1].pid = 4711;
  const Report report = status(fleet, {"b"});
  const auto told = [&report](std::size_t i) {
    const auto& findings = report.switches[i].findings;
    return std::any_of(findings.begin(), findings.end(), [](const Finding& one) {
      return one.is(FindingCode::reloaded) && one.level == Level::warning &&
             one.message.find("process 100 then, 4711 now") != std::string::npos;
    });
  };
  EXPECT_FALSE(told(0));
  EXPECT_TRUE(told(1));
}

TEST(StatusPlan, ADeadlineThatHasPassedIsTold) {
  SimulatedFleet fleet = held(true);
  // The simulated clock begins anew with each course, before the deadline; then long after it.
  EXPECT_TRUE(status(fleet, {"b"}).switches[0].findings.empty());
  fleet.clock = milliseconds(60'000);
  const Report report = status(fleet, {"b"});
  EXPECT_EQ(report.switches[0].lease, "guard");
  ASSERT_EQ(report.switches[0].findings.size(), 1U);
  EXPECT_EQ(report.switches[0].findings[0].code, "overdue");
  EXPECT_EQ(report.holds[0].max_hold_s, 0.1);
}

TEST(StatusPlan, AZeroByHandIsNobodysHold) {
  SimulatedFleet fleet(1, {"a"});
  fleet.hosts[0].limits["a"] = 0;
  const Report report = status(fleet);
  EXPECT_EQ(report.switches[0].verdict, Verdict::held);
  EXPECT_FALSE(report.switches[0].hold_id);
  ASSERT_EQ(report.switches[0].findings.size(), 1U);
  EXPECT_EQ(report.switches[0].findings[0].code, "limit_is_zero");
}

TEST(StatusPlan, AHoldThatSomebodyElseEndedIsTold) {
  SimulatedFleet fleet = held();
  fleet.hosts[0].limits["b"] = 55;
  const Report report = status(fleet, {"b"});
  EXPECT_EQ(report.switches[0].verdict, Verdict::open);
  ASSERT_EQ(report.switches[0].findings.size(), 2U);
  EXPECT_EQ(report.switches[0].findings[0].code, "already_open");
  EXPECT_EQ(report.switches[0].findings[1].code, "too_late");
}

TEST(StatusPlan, WhoCannotBeAskedIsUnknown) {
  SimulatedFleet fleet = held();
  fleet.hosts[0].alive = false;
  const Report all = status(fleet);
  EXPECT_EQ(all.ending, Ending::endpoint_failed);
  ASSERT_EQ(all.switches.size(), 3U);
  EXPECT_EQ(all.switches[0].frontend, "*");
  EXPECT_EQ(all.switches[0].verdict, Verdict::unknown);
  EXPECT_EQ(all.switches[0].error->code, Errc::connection_refused);
  const Report named = status(fleet, {"b", "nosuch"});
  ASSERT_EQ(named.switches.size(), 4U);
  EXPECT_EQ(named.switches[1].error->code, Errc::connection_refused);
  EXPECT_EQ(named.switches[2].verdict, Verdict::held);
  EXPECT_EQ(named.switches[3].error->code, Errc::no_such_frontend);
}

}  // namespace
}  // namespace stillgate::hold
