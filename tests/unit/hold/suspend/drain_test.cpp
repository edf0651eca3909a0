// The drain inside a suspend, over simulated HAProxies: quiet, busy, shared, too slow, lost.
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"

namespace stillgate::hold {
namespace {

// show info, stat and so on: the looks at one host before the first of the drain
constexpr std::size_t looks_before = 2;

const std::string ours =
    "0x1: src=127.0.0.1:7 fe=a be=servers srv=s1 age=9s calls=1\n"
    "0x2: src=127.0.0.1:8 fe=a be=servers srv=<none> age=1s calls=1\n";
const std::string others = "0x3: src=127.0.0.1:9 fe=other be=servers srv=s1 age=9s calls=1\n";

SimulatedFleet busy(std::vector<std::int64_t> in_flight) {
  SimulatedFleet fleet(2, {"a"});
  fleet.hosts[1].in_flight.assign(looks_before, in_flight.empty() ? 0 : in_flight[0]);
  fleet.hosts[1].in_flight.insert(fleet.hosts[1].in_flight.end(), in_flight.begin(),
                                  in_flight.end());
  fleet.hosts[1].streams = ours + others;
  return fleet;
}

Report suspend(SimulatedFleet& fleet,
               std::chrono::milliseconds drain_timeout = std::chrono::milliseconds(500)) {
  auto request = suspend_request(fleet);
  request.drain_timeout = drain_timeout;
  SuspendPlan plan(request);
  Report report = fleet.drive(plan);
  expect_truth(fleet, report);
  return report;
}

TEST(Drain, AQuietFleetIsNotLookedAtAgain) {
  SimulatedFleet fleet(3, {"a"});
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_EQ(report.drained, true);
  EXPECT_EQ(fleet.hosts[0].looks, looks_before);
  EXPECT_EQ(report.switches[0].in_flight, 0);
  EXPECT_EQ(report.switches[0].leaked, 0);
}

TEST(Drain, ItLooksUntilNothingIsLeft) {
  SimulatedFleet fleet = busy({3, 2, 2, 0});
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_EQ(report.drained, true);
  EXPECT_GT(*report.drain_ms, 0);
  EXPECT_EQ(fleet.hosts[0].looks, looks_before);
  EXPECT_EQ(fleet.hosts[1].looks, looks_before + 4);
}

TEST(Drain, ABackendOfEndlessStreamsIsLeftOutByName) {
  SimulatedFleet fleet = busy({3});
  auto request = suspend_request(fleet);
  request.drain_timeout = std::chrono::milliseconds(500);
  request.hold.options.drain_except = "websockets,servers";
  SuspendPlan mistyped(request);
  const Report refused = fleet.drive(mistyped);
  EXPECT_EQ(refused.ending, Ending::refused);
  EXPECT_EQ(refused.switches[1].error->code, Errc::no_such_backend);
  EXPECT_NE(refused.switches[1].error->message.find("'websockets'"), std::string::npos);
  EXPECT_EQ(fleet.writes, 0U);
  request.hold.options.drain_except = "servers";
  fleet.start_over();
  SuspendPlan plan(request);
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_EQ(report.drained, true);
}

/// HAProxy counts what met a condition; the rest of the same backend is waited for.
TEST(Drain, StreamsThatATableTracksAreLeftOut) {
  for (const int tracked : {1, 2}) {
    SimulatedFleet fleet = busy({3});
    for (Host& host : fleet.hosts) {
      host.more_backends = {"websockets"};
      host.tables["websockets"] = "# table: websockets, type: string, size:1024, used:2\n";
    }
    fleet.hosts[1].tables["websockets"] +=
        fmt::format("0x9: key=a/servers use=2 exp=0 conn_cur={}\n", tracked) +
        "0x8: key=other/servers use=9 exp=0 conn_cur=9\n";
    auto request = suspend_request(fleet);
    request.drain_timeout = std::chrono::milliseconds(500);
    request.hold.options.drain_except = "websockets";
    SuspendPlan plan(request);
    const Report report = fleet.drive(plan);
    EXPECT_EQ(report.drained, tracked == 2);
    if (tracked == 2) continue;
    ASSERT_TRUE(report.switches[1].error);
    EXPECT_NE(report.switches[1].error->message.find("1 request (127.0.0.1:8"), std::string::npos);
  }
}

TEST(Drain, WhereClientsAreConnectedASecondLookMustAgree) {
  SimulatedFleet fleet = busy({0});
  fleet.hosts[1].sessions = 5;
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_EQ(report.drained, true);
  EXPECT_EQ(fleet.hosts[1].looks, looks_before + 1);
}

TEST(Drain, ARequestThatWasBegunMeanwhileIsWaitedFor) {
  SimulatedFleet fleet = busy({0});
  fleet.hosts[1].sessions = 5;
  fleet.hosts[1].leaks_per_look = 1;
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.drained, false);
  EXPECT_TRUE(fleet.all_open());
}

TEST(Drain, OthersMayKeepTheBackendsBusy) {
  SimulatedFleet fleet = busy({5});
  fleet.hosts[1].streams = others;
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_EQ(report.drained, true);
}

TEST(Drain, WhatDoesNotEndIsNamedAndAllIsResumed) {
  SimulatedFleet fleet = busy({5});
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.drained, false);
  EXPECT_TRUE(fleet.all_open());
  EXPECT_TRUE(fleet.all_forgotten());
  EXPECT_TRUE(fleet.journal.empty());
  EXPECT_EQ(report.switches[0].error->code, Errc::rolled_back);
  const Error& error = *report.switches[1].error;
  EXPECT_EQ(error.code, Errc::drain_timeout);
  EXPECT_NE(error.message.find("2 requests (127.0.0.1:7 to servers/s1 for 9 s, 127.0.0.1:8 to "
                               "servers/(queued) for 1 s)"),
            std::string::npos)
      << error.message;
}

TEST(Drain, WithoutTimeNobodyWaits) {
  SimulatedFleet fleet = busy({5});
  const Report report = suspend(fleet, std::chrono::milliseconds(0));
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_FALSE(report.drained);
  EXPECT_FALSE(report.drain_ms);
}

TEST(Drain, OneLostLookIsNoLossAndTwoAre) {
  for (const std::size_t lost : {1U, 2U}) {
    SimulatedFleet fleet = busy({3, 2, 2, 0});
    for (std::size_t i = 0; i < lost; ++i) fleet.faults[{7 + i, 1}] = Fault::hangs;
    const Report report = suspend(fleet);
    EXPECT_EQ(report.ending, lost == 1 ? Ending::done : Ending::endpoint_failed);
    if (lost == 2) {
      EXPECT_TRUE(fleet.all_open());
      EXPECT_EQ(report.switches[1].error->code, Errc::reply_timeout);
    }
  }
}

TEST(Drain, AReloadMeanwhileEndsTheHoldEverywhere) {
  for (const Fault fault : {Fault::restarts, Fault::dies}) {
    SimulatedFleet fleet = busy({3, 3, 3, 0});
    fleet.faults[{6, 1}] = fault;
    const Report report = suspend(fleet);
    EXPECT_EQ(report.ending, Ending::endpoint_failed);
    EXPECT_EQ(fleet.hosts[0].limits, fleet.hosts[0].configured);
    EXPECT_EQ(report.switches[1].error->code,
              fault == Fault::dies ? Errc::connection_refused : Errc::haproxy_restarted);
  }
}

TEST(Drain, ALimitThatSomebodyElseSetsMeanwhileEndsIt) {
  SimulatedFleet fleet = busy({3, 3, 3, 0});
  fleet.hosts[1].meddling[looks_before + 1] = [](Host& host) { host.limits["a"] = 7; };
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.switches[1].error->code, Errc::limit_mismatch);
  EXPECT_TRUE(fleet.all_open());
}

TEST(Drain, WithoutAListTheCountersAloneSayWhy) {
  SimulatedFleet fleet = busy({4});
  fleet.hosts[1].streams = "nonsense";
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_NE(report.switches[1].error->message.find("4 requests"), std::string::npos);
}

TEST(Drain, OfTwoFrontendsTheOneThatDidNotDrainIsNamed) {
  SimulatedFleet fleet(1, {"a", "b"});
  fleet.hosts[0].in_flight = {2};
  fleet.hosts[0].streams = ours;
  const Report report = suspend(fleet);
  EXPECT_EQ(report.switches[0].error->code, Errc::drain_timeout);
  EXPECT_EQ(report.switches[1].error->code, Errc::rolled_back);
}

TEST(Drain, AStopWhileItDrainsLeavesNothingHeld) {
  SimulatedFleet fleet = busy({5});
  fleet.cancel_at = 10;
  const Report report = suspend(fleet, std::chrono::milliseconds(60'000));
  EXPECT_EQ(report.ending, Ending::cancelled);
  EXPECT_TRUE(fleet.all_open());
  EXPECT_TRUE(fleet.journal.empty());
}

TEST(Drain, WhatSlipsThroughIsCounted) {
  SimulatedFleet fleet = busy({3, 2, 0});
  fleet.hosts[1].leaks_per_look = 10;
  const Report suspended = suspend(fleet);
  EXPECT_EQ(suspended.switches[1].leaked, 0);
  fleet.start_over();
  fleet.journal.clear();  // another machine's
  ResumePlan plan(resume_request(fleet));
  const Report resumed = fleet.drive(plan);
  EXPECT_EQ(resumed.ending, Ending::done);
  // From the look that found it drained to the one before the release.
  EXPECT_EQ(resumed.switches[1].leaked, 10);
  EXPECT_EQ(resumed.switches[0].leaked, 0);
  EXPECT_EQ(resumed.switches[1].verdict, Verdict::resumed);
  EXPECT_TRUE(fleet.all_open());
}

}  // namespace
}  // namespace stillgate::hold
