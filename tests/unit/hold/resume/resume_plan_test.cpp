// The resume plan over simulated HAProxies: it releases all it can reach, and comes to an end.
#include "hold/resume/resume_plan.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"

namespace stillgate::hold {
namespace {

constexpr std::size_t last_batch = 6;

/// Three hosts whose two frontends are held and on record.
SimulatedFleet held(bool accept_hazard = false, bool by_gate = false) {
  SimulatedFleet fleet(3, {"a", "b"});
  if (by_gate) {
    for (Host& host : fleet.hosts) host.gates["a"] = host.gates["b"] = {};
  }
  auto request = suspend_request(fleet);
  request.record.accept_hazard = accept_hazard;
  SuspendPlan plan(request);
  EXPECT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  return fleet;
}

Report resume(SimulatedFleet& fleet, ResumePlan::Request request) {
  ResumePlan plan(std::move(request));
  Report report = fleet.drive(plan);
  expect_truth(fleet, report);
  return report;
}

Report resume(SimulatedFleet& fleet) { return resume(fleet, resume_request(fleet)); }

bool every(const Report& report, Verdict verdict) {
  return std::all_of(report.switches.begin(), report.switches.end(),
                     [verdict](const Switch& one) { return one.verdict == verdict; });
}

TEST(ResumePlan, RestoresTheRecordedNumbers) {
  SimulatedFleet fleet = held();
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_TRUE(every(report, Verdict::resumed));
  EXPECT_TRUE(fleet.all_open());
  EXPECT_TRUE(fleet.journal.empty());
  EXPECT_EQ(report.switches[5].limit_before, 121);
  EXPECT_EQ(report.switches[5].limit_now, 121);
  EXPECT_EQ(report.switches[5].hold_id, "0123456789abcdef");
  ASSERT_EQ(report.holds.size(), 1U);
}

TEST(ResumePlan, AnotherLimitOnRequest) {
  SimulatedFleet fleet = held();
  auto request = resume_request(fleet);
  request.limit = 7;
  const Report report = resume(fleet, request);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_EQ(fleet.limit("unix:///run/0.sock", "a"), 7);
}

TEST(ResumePlan, WhatIsOpenAlreadyIsTakenOffTheRecord) {
  SimulatedFleet fleet = held();
  fleet.hosts[1].limits = fleet.hosts[1].configured;
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::too_late);
  EXPECT_EQ(report.switches[2].verdict, Verdict::resumed);
  ASSERT_EQ(report.switches[2].findings.size(), 1U);
  EXPECT_EQ(report.switches[2].findings[0].code, "already_open");
  EXPECT_TRUE(fleet.journal.empty());
  EXPECT_EQ(fleet.writes, 4U);
}

TEST(ResumePlan, WhereNothingIsHeldItSaysOpen) {
  SimulatedFleet fleet(2, {"a"});
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_TRUE(every(report, Verdict::open));
  EXPECT_EQ(fleet.writes, 0U);
}

TEST(ResumePlan, ANumberIsNeverGuessed) {
  SimulatedFleet fleet(2, {"a"});
  fleet.hosts[1].limits["a"] = 0;
  ResumePlan plan(resume_request(fleet));
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.switches[1].verdict, Verdict::held);
  EXPECT_EQ(report.switches[1].error->code, Errc::limit_is_zero);
  EXPECT_EQ(fleet.writes, 0U);
}

TEST(ResumePlan, OneFrontendLeavesTheOtherOnRecord) {
  SimulatedFleet fleet = held();
  auto request = resume_request(fleet);
  request.hold.frontends = {"b"};
  const Report report = resume(fleet, request);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_EQ(fleet.limit("unix:///run/1.sock", "a"), 0);
  EXPECT_EQ(fleet.limit("unix:///run/1.sock", "b"), 111);
  ASSERT_EQ(fleet.journal.size(), 1U);
  EXPECT_EQ(fleet.records()[0].switches.size(), 3U);
}

TEST(ResumePlan, TheHazardKeepsItHeldUntilAccepted) {
  SimulatedFleet fleet = held();
  fleet.hosts[1].version = "2.6.12";
  const Report refused = resume(fleet);
  EXPECT_EQ(refused.ending, Ending::endpoint_failed);
  EXPECT_EQ(refused.switches[2].error->code, Errc::crash_hazard);
  EXPECT_EQ(refused.switches[2].verdict, Verdict::held);
  EXPECT_EQ(refused.switches[0].verdict, Verdict::resumed);
  fleet.start_over();
  auto request = resume_request(fleet);
  request.hold.options.accept_hazard = true;
  EXPECT_EQ(resume(fleet, request).ending, Ending::done);
  EXPECT_TRUE(fleet.all_open());
}

TEST(ResumePlan, AHazardAcceptedWhenItWasHeldStaysAccepted) {
  SimulatedFleet fleet = held(true);
  fleet.hosts[1].version = "2.6.12";
  EXPECT_EQ(resume(fleet).ending, Ending::done);
}

TEST(ResumePlan, AFrontendThatIsGoneIsTold) {
  SimulatedFleet fleet = held();
  fleet.hosts[1].limits.erase("a");
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.switches[2].error->code, Errc::no_such_frontend);
  EXPECT_EQ(report.switches[3].verdict, Verdict::resumed);
}

/// Whether a fault that is over can keep a host held: only a refusal, and a success that was none,
/// are taken for an answer. All else is tried again.
bool final_answer(Fault fault) {
  return fault == Fault::refuses_writes || fault == Fault::ignores_writes || fault == Fault::dies;
}

TEST(ResumePlan, AFaultAtEachStepOfEachHostIsOvercome) {
  for (const Fault fault : all_faults) {
    for (std::size_t batch = 0; batch < last_batch; ++batch) {
      for (std::size_t host = 0; host < 3; ++host) {
        SCOPED_TRACE(testing::Message() << "fault " << static_cast<int>(fault) << " in batch "
                                        << batch << " at host " << host);
        SimulatedFleet fleet = held();
        fleet.faults[{batch, host}] = fault;
        const Report report = resume(fleet);
        for (std::size_t i = 0; i < 3; ++i) {
          if (i == host && final_answer(fault)) continue;
          EXPECT_EQ(fleet.hosts[i].limits, fleet.hosts[i].configured);
        }
        if (!final_answer(fault) && fault != Fault::restarts) {
          EXPECT_EQ(report.ending, Ending::done);
          EXPECT_TRUE(fleet.journal.empty());
        }
      }
    }
  }
}

TEST(ResumePlan, AHostThatStaysAwayEndsWithTheTime) {
  for (std::size_t since = 0; since < 3; ++since) {
    SCOPED_TRACE(since);
    SimulatedFleet fleet = held();
    for (std::size_t batch = since; batch < 200; ++batch) {
      fleet.faults[{batch, 1}] = Fault::refuses_connection;
    }
    const Report report = resume(fleet);
    EXPECT_LT(fleet.batches, 45U);  // a survey each 250 ms, for 5 s
    EXPECT_EQ(report.ending, since < 2 ? Ending::endpoint_failed : report.ending);
    EXPECT_EQ(report.switches[0].verdict, Verdict::resumed);
    EXPECT_EQ(report.switches[2].verdict, Verdict::unknown);
    EXPECT_EQ(report.switches[2].error->code, Errc::connection_refused);
    EXPECT_TRUE(fleet.recorded("unix:///run/1.sock", "a"));
    EXPECT_FALSE(fleet.recorded("unix:///run/0.sock", "a"));
  }
}

/// Asked it answers well, told to release it breaks off: neither endless nor given up at once.
TEST(ResumePlan, AHostThatLosesEachReleaseEndsWithTheTime) {
  SimulatedFleet fleet = held();
  for (std::size_t batch = 1; batch < 300; batch += 1) {
    if (batch % 3 == 1) fleet.faults[{batch, 1}] = Fault::loses_commands;
  }
  const Report report = resume(fleet);
  EXPECT_LT(fleet.batches, 70U);
  EXPECT_TRUE(fleet.recorded("unix:///run/1.sock", "a") || fleet.all_open());
  EXPECT_NE(report.ending, Ending::refused);
}

TEST(ResumePlan, ARestartIsToldAlthoughItIsOpen) {
  SimulatedFleet fleet = held();
  fleet.faults[{1, 1}] = Fault::restarts;
  const Report report = resume(fleet);
  EXPECT_EQ(report.switches[2].verdict, Verdict::resumed);
  ASSERT_TRUE(report.switches[2].error);
  EXPECT_EQ(report.switches[2].error->code, Errc::haproxy_restarted);
  EXPECT_TRUE(fleet.journal.empty());
}

TEST(ResumePlan, ARecordThatCannotBeWrittenIsTold) {
  SimulatedFleet fleet = held();
  fleet.journal_failures = {0};
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  ASSERT_TRUE(report.error);
  EXPECT_EQ(report.error->code, Errc::journal_failed);
  EXPECT_TRUE(every(report, Verdict::resumed));
}

TEST(ResumePlan, AStopAtEachStepTellsTheTruth) {
  for (const Stop stop :
       {Stop::after_the_batch, Stop::before_it_is_sent, Stop::before_its_answers}) {
    for (std::size_t step = 0; step < 6; ++step) {
      SCOPED_TRACE(testing::Message() << "stop " << static_cast<int>(stop) << " at " << step);
      SimulatedFleet fleet = held();
      fleet.cancel_at = step;
      fleet.stop = stop;
      const Report report = resume(fleet);
      EXPECT_TRUE(report.ending == Ending::cancelled || report.ending == Ending::done);
      EXPECT_LT(fleet.steps, 8U);
      EXPECT_EQ(report.ending == Ending::done, fleet.journal.empty());
    }
  }
}

TEST(ResumePlan, WhatAStoppedOneHasOpenedCanBeHeldAgain) {
  for (const bool by_gate : {false, true}) {
    for (const Stop stop :
         {Stop::after_the_batch, Stop::before_it_is_sent, Stop::before_its_answers}) {
      for (std::size_t step = 0; step < 9; ++step) {
        SCOPED_TRACE(testing::Message() << (by_gate ? "gate" : "maxconn") << ", stop "
                                        << static_cast<int>(stop) << " at " << step);
        SimulatedFleet fleet = held(false, by_gate);
        fleet.cancel_at = step;
        fleet.stop = stop;
        resume(fleet);
        if (!fleet.all_open()) continue;
        EXPECT_TRUE(fleet.journal.empty());
        fleet.start_over();
        auto request = suspend_request(fleet);
        request.record.id = "fedcba9876543210";
        SuspendPlan again(std::move(request));
        EXPECT_EQ(fleet.drive(again).ending, Ending::done);
      }
    }
  }
}

}  // namespace
}  // namespace stillgate::hold
