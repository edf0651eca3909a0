// The proof that a release may wait at an HAProxy, in the course of a suspend.
#include "hold/waits/wait_proof.hpp"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/suspend/suspend_plan.hpp"

namespace stillgate::hold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Two HAProxies, of which the second is proven in any case.
class Proven : public testing::Test {
 protected:
  Proven() : fleet_(2, {"a"}) {
    fleet_.hosts[0].proving = fleet_.hosts[1].proving = Proving::ends;
    fleet_.backed = fleet_.urls();
  }

  Report suspend() {
    SuspendPlan plan(suspend_request(fleet_));
    Report report = fleet_.drive(plan);
    expect_truth(fleet_, report);
    for (const Host& host : fleet_.hosts) EXPECT_THAT(host.lines, IsEmpty());
    return report;
  }
  /// What the first HAProxy's row says of it; empty: nothing.
  static std::string told(const Report& report) {
    for (const Finding& finding : report.switches[0].findings) {
      if (finding.is(FindingCode::wait_unproven)) return finding.message;
    }
    return {};
  }

  SimulatedFleet fleet_;
};

TEST_F(Proven, WhereACloseEndsTheLineTheLeaseIsBacked) {
  const Report report = suspend();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(fleet_.proofs, 1U);
  EXPECT_EQ(report.switches[0].lease, "guard+wait");
  EXPECT_EQ(told(report), "");
  for (const HeldSwitch& held : fleet_.guarded->switches) EXPECT_EQ(held.lease, Lease::backed);
}

TEST_F(Proven, WhereTheRestRunsTheGuardIsToldToSendNone) {
  fleet_.hosts[0].proving = Proving::fires;
  const Report report = suspend();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(fleet_.proofs, 1U);
  EXPECT_EQ(report.switches[0].lease, "guard");
  EXPECT_EQ(report.switches[1].lease, "guard+wait");
  EXPECT_THAT(told(report), HasSubstr("relay"));
  EXPECT_EQ(fleet_.guarded->switches[0].lease, Lease::guard);
  EXPECT_EQ(fleet_.records()[0].switches[0].lease, Lease::guard);
}

TEST_F(Proven, WhatMayHaveFiredByItsTimeIsTriedWithMoreOfIt) {
  fleet_.hosts[0].proving = Proving::closes_late;
  const Report report = suspend();
  EXPECT_EQ(fleet_.proofs, 3U);
  EXPECT_EQ(report.switches[0].lease, "guard");
  EXPECT_EQ(report.switches[1].lease, "guard+wait");
  EXPECT_THAT(told(report), HasSubstr("in time"));
}

TEST_F(Proven, ALineThatIsNotRunProvesNothing) {
  fleet_.hosts[0].proving = Proving::never_begins;
  const Report report = suspend();
  EXPECT_EQ(report.switches[0].lease, "guard");
  EXPECT_THAT(told(report), HasSubstr("did not begin"));
}

TEST_F(Proven, ALineThatNobodyCouldFindProvesNothing) {
  fleet_.hosts[0].proving = Proving::unseen;
  const Report report = suspend();
  EXPECT_EQ(report.switches[0].lease, "guard");
  EXPECT_THAT(told(report), HasSubstr("does not show"));
}

TEST_F(Proven, ALineThatCannotBeSentProvesNothing) {
  fleet_.hosts[0].proving = Proving::no_way;
  const Report report = suspend();
  EXPECT_EQ(report.switches[0].lease, "guard");
  EXPECT_THAT(told(report), HasSubstr("could not be sent"));
}

TEST_F(Proven, BelowThreeNothingIsTried) {
  for (Host& host : fleet_.hosts) host.version = "2.8.14";
  const Report report = suspend();
  EXPECT_EQ(fleet_.proofs, 0U);
  EXPECT_EQ(report.switches[0].lease, "guard");
  EXPECT_EQ(told(report), "");
}

TEST_F(Proven, WithoutALeaseNothingIsTried) {
  auto request = suspend_request(fleet_);
  request.hold.options.no_lease = true;
  SuspendPlan plan(std::move(request));
  EXPECT_TRUE(fleet_.drive(plan).ok());
  EXPECT_EQ(fleet_.proofs, 0U);
}

TEST_F(Proven, AStopAtAnyStepLeavesNoLine) {
  for (std::size_t at = 0; at < 40; ++at) {
    SimulatedFleet fleet(1, {"a"});
    fleet.hosts[0].proving = Proving::ends;
    fleet.backed = fleet.urls();
    fleet.cancel_at = at;
    SuspendPlan plan(suspend_request(fleet));
    const Report report = fleet.drive(plan);
    expect_truth(fleet, report);
    EXPECT_THAT(fleet.hosts[0].lines, IsEmpty()) << at;
    EXPECT_EQ(report.ok(), !fleet.all_open()) << at;
  }
}

TEST_F(Proven, AnyFaultInAnyBatchIsAHoldOrNone) {
  for (std::size_t batch = 0; batch < 20; ++batch) {
    for (const Fault fault : all_faults) {
      SimulatedFleet fleet(1, {"a"});
      fleet.hosts[0].proving = Proving::ends;
      fleet.backed = fleet.urls();
      fleet.faults[{batch, 0}] = fault;
      SuspendPlan plan(suspend_request(fleet));
      expect_truth(fleet, fleet.drive(plan));
    }
  }
}

}  // namespace
}  // namespace stillgate::hold
