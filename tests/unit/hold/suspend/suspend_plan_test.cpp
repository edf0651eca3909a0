// The suspend plan over simulated HAProxies: its good course, each refusal, a failure anywhere.
#include "hold/suspend/suspend_plan.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/check/check_plan.hpp"
#include "hold/waits/wait_mark.hpp"

namespace stillgate::hold {
namespace {

// survey, the lock at its first host, the lock at the others, arm, commit, verify,
// seal, three times revert and verify, disarm
constexpr std::size_t last_batch = 14;
constexpr std::size_t good_steps = 9;  // and two writes of the journal

/// Batches from the arming on; a fleet of one has no other host to lock.
constexpr std::size_t arm_of(std::size_t hosts) { return hosts > 1 ? 3 : 2; }
constexpr std::size_t arm = arm_of(3);
constexpr std::size_t commit = arm + 1;

SimulatedFleet three() { return {3, {"a", "b"}}; }

Report suspend(SimulatedFleet& fleet) {
  SuspendPlan plan(suspend_request(fleet));
  Report report = fleet.drive(plan);
  expect_truth(fleet, report);
  return report;
}

void expect_reachable_as_before(const SimulatedFleet& fleet) {
  for (const Host& one : fleet.hosts) {
    if (!one.alive) continue;
    EXPECT_EQ(one.limits, one.configured) << one.url;
  }
}

bool every(const Report& report, Verdict verdict) {
  return std::all_of(report.switches.begin(), report.switches.end(),
                     [verdict](const Switch& one) { return one.verdict == verdict; });
}

TEST(SuspendPlan, HoldsAllAndTellsIt) {
  SimulatedFleet fleet = three();
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_TRUE(every(report, Verdict::held));
  ASSERT_EQ(report.switches.size(), 6U);
  const Switch& last = report.switches[5];
  EXPECT_EQ(last.endpoint, "unix:///run/2.sock");
  EXPECT_EQ(last.frontend, "b");
  EXPECT_EQ(last.limit_before, 121);
  EXPECT_EQ(last.limit_now, 0);
  EXPECT_EQ(last.method, "maxconn");
  EXPECT_EQ(last.lease, "guard");
  EXPECT_EQ(last.hold_id, "0123456789abcdef");
  EXPECT_EQ(report.commit_window_ms, 1.0);
  ASSERT_EQ(report.holds.size(), 1U);
  EXPECT_EQ(report.holds[0].frontends, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(fleet.records()[0].switches.size(), 6U);
}

TEST(SuspendPlan, ACommitThatMayRunLateIsTakenBack) {
  SimulatedFleet fleet = three();
  fleet.faults[{commit, 2}] = Fault::loses_commands;  // the commit of the last host, and its answer
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  // Two hosts held and released; the third never held, and yet told its limits.
  EXPECT_EQ(fleet.writes, 2U * 2 * 2 + 2);
  EXPECT_TRUE(every(report, Verdict::reverted));
  EXPECT_TRUE(fleet.journal.empty());
}

Report check(SimulatedFleet& fleet) {
  const auto request = suspend_request(fleet);
  CheckPlan plan({request.hold, request.known, std::chrono::milliseconds(5000)});
  Report report = fleet.drive(plan);
  EXPECT_EQ(report.action, "check");
  EXPECT_EQ(fleet.writes, 0U);
  EXPECT_TRUE(fleet.journal.empty());
  EXPECT_TRUE(fleet.all_forgotten());
  return report;
}

TEST(CheckPlan, ChangesNothing) {
  SimulatedFleet fleet = three();
  fleet.hosts[2].streams = "0x1: src=10.0.0.1:7 fe=b be=servers srv=s1 age=60s calls=1\n";
  const Report report = check(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  // The last switch is of the host and the frontend with the slow request.
  EXPECT_EQ(report.switches[5].findings.back().code, "drain_may_fail");
  EXPECT_NE(report.switches[4].findings.back().code, "drain_may_fail");
}

TEST(CheckPlan, TellsAllThatIsWrongAndEndsAsASuspendWould) {
  SimulatedFleet fleet = three();
  fleet.hosts[0].version = "2.6.12";
  fleet.hosts[1].alive = false;
  const Report report = check(fleet);
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(report.switches[0].error->code, Errc::crash_hazard);
  EXPECT_EQ(report.switches[2].error->code, Errc::connection_refused);
  EXPECT_FALSE(report.switches[4].error);
}

TEST(CheckPlan, AStopEndsIt) {
  SimulatedFleet fleet = three();
  fleet.cancel_at = 1;
  EXPECT_EQ(check(fleet).ending, Ending::cancelled);
}

struct Refusal {
  const char* name;
  void (*spoil)(SimulatedFleet&);
  Errc code;
};

class SuspendRefused : public testing::TestWithParam<Refusal> {};

TEST_P(SuspendRefused, WritesNothing) {
  SimulatedFleet fleet = three();
  GetParam().spoil(fleet);
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(fleet.writes, 0U);
  EXPECT_TRUE(fleet.journal.empty());
  EXPECT_TRUE(every(report, Verdict::unchanged));
  const auto spoiled = std::find_if(report.switches.begin(), report.switches.end(),
                                    [](const Switch& one) { return one.error.has_value(); });
  ASSERT_NE(spoiled, report.switches.end());
  EXPECT_EQ(spoiled->error->code, GetParam().code);
  ASSERT_FALSE(spoiled->findings.empty());
  EXPECT_EQ(spoiled->findings[0].code, name(GetParam().code));
  EXPECT_EQ(spoiled->findings[0].level, Level::refusal);
}

INSTANTIATE_TEST_SUITE_P(
    All, SuspendRefused,
    testing::Values(
        Refusal{"hazard", [](auto& f) { f.hosts[1].version = "2.6.12-1+deb12u4"; },
                Errc::crash_hazard},
        Refusal{"no_known_fix", [](auto& f) { f.hosts[1].version = "2.7.3"; }, Errc::crash_hazard},
        Refusal{"level", [](auto& f) { f.hosts[2].level = "user"; }, Errc::permission_denied},
        Refusal{"stopping", [](auto& f) { f.hosts[0].stopping = true; }, Errc::haproxy_stopping},
        Refusal{"frontend", [](auto& f) { f.hosts[1].limits.erase("b"); }, Errc::no_such_frontend},
        Refusal{"shut", [](auto& f) { f.hosts[1].shut = true; }, Errc::frontend_stopped},
        Refusal{"unreachable", [](auto& f) { f.hosts[1].alive = false; }, Errc::connection_refused},
        Refusal{"twice", [](auto& f) { f.hosts[2].node = f.hosts[0].node; }, Errc::same_haproxy}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(SuspendPlan, ALimitOfZeroWithoutARecordIsRefused) {
  SimulatedFleet fleet = three();
  fleet.hosts[1].limits["a"] = 0;
  SuspendPlan plan(suspend_request(fleet));
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(report.switches[2].error->code, Errc::limit_is_zero);
  EXPECT_EQ(fleet.writes, 0U);
}

TEST(SuspendPlan, ASecondHoldIsToldWhoHolds) {
  SimulatedFleet fleet = three();
  suspend(fleet);
  fleet.start_over();
  auto request = suspend_request(fleet);
  request.record.id = "another";
  SuspendPlan plan(request);
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.ending, Ending::held_by_other);
  EXPECT_EQ(report.switches[0].error->code, Errc::already_held);
  ASSERT_EQ(report.holds.size(), 1U);
  EXPECT_EQ(report.holds[0].id, "0123456789abcdef");
  EXPECT_EQ(fleet.writes, 0U);
  EXPECT_EQ(fleet.journal.size(), 1U);
}

TEST(SuspendPlan, AHoldThatCannotBeGuardedIsRefused) {
  SimulatedFleet fleet = three();
  fleet.guard_failure = Error{Errc::connection_refused, "no", {}, {}, fleet.hosts[1].url};
  SuspendPlan plan(suspend_request(fleet));
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(report.error->code, Errc::connection_refused);
  EXPECT_FALSE(report.switches[0].error);
  EXPECT_EQ(report.switches[2].error->code, Errc::connection_refused);
  EXPECT_EQ(fleet.writes, 0U);
  EXPECT_TRUE(fleet.journal.empty());
}

TEST(SuspendPlan, AGuardThatDiesBeforeTheHoldIsHandedOverRollsItBack) {
  SimulatedFleet fleet = three();
  fleet.guard_dies = true;
  SuspendPlan plan(suspend_request(fleet));
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.error->code, Errc::guard_failed);
  EXPECT_TRUE(fleet.all_open());
  EXPECT_TRUE(report.holds.empty());
  expect_truth(fleet, report);
}

/// The hold before this one, whose guard was frozen when somebody ended it.
TEST(SuspendPlan, WhatWaitsForTheHoldBeforeIsEndedFirst) {
  SimulatedFleet fleet(1, {"a"});
  fleet.hosts[0].proving = Proving::ends;
  fleet.backed = fleet.urls();
  SuspendPlan first(suspend_request(fleet));
  ASSERT_TRUE(fleet.drive(first).ok());
  fleet.start_over();
  ResumePlan resume(resume_request(fleet));
  ASSERT_TRUE(fleet.drive(resume).ok());
  fleet.start_over();

  Host& host = fleet.hosts[0];
  const auto mark = wait_mark("0123456789abcdef").count();
  const auto rest = mark % 86'400;
  const std::string small = rest < 60     ? std::to_string(rest) + "s"
                            : rest < 3600 ? std::to_string(rest / 60) + "m"
                                          : std::to_string(rest / 3600) + "h";
  host.lines.push_back({"0x7f99", "99", std::to_string(mark / 86'400) + "d" + small});
  auto request = suspend_request(fleet);
  request.record.id = "fedcba9876543210";
  host.keeps_lines = true;
  SuspendPlan refused(request);
  const Report report = fleet.drive(refused);
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(report.switches[0].error->code, Errc::wait_left);
  EXPECT_TRUE(fleet.all_open());

  fleet.start_over();
  fleet.clock += std::chrono::milliseconds(1000);
  host.keeps_lines = false;
  request.record.id = "00000000000000aa";
  SuspendPlan second(request);
  EXPECT_TRUE(fleet.drive(second).ok());
  EXPECT_TRUE(host.lines.empty());
}

TEST(SuspendPlan, TheGuardIsToldHowItEnded) {
  using Word = step::TellGuard::Word;
  SimulatedFleet fleet = three();
  fleet.hosts[1].proving = Proving::ends;
  fleet.backed = {fleet.hosts[1].url};
  SuspendPlan plan(suspend_request(fleet));
  const Report report = fleet.drive(plan);
  EXPECT_EQ(fleet.guard_told, std::vector{Word::hold});
  EXPECT_EQ(report.switches[0].lease, "guard");
  EXPECT_EQ(report.switches[2].lease, "guard+wait");
  EXPECT_EQ(fleet.guarded->deadline, report.holds[0].deadline);
  // What a status from anywhere will read.
  EXPECT_EQ(fleet.records()[0].switches[0].lease, Lease::guard);
  EXPECT_EQ(fleet.records()[0].switches[2].lease, Lease::backed);

  SimulatedFleet failing = three();
  failing.hosts[1].proving = Proving::ends;
  failing.faults[{*fleet.first_write_batch, 1}] = Fault::refuses_writes;
  SuspendPlan failed(suspend_request(failing));
  EXPECT_EQ(failing.drive(failed).ending, Ending::endpoint_failed);
  EXPECT_EQ(failing.guard_told, std::vector{Word::leave});

  SimulatedFleet dying = three();
  dying.hosts[1].proving = Proving::ends;
  dying.faults[{*fleet.first_write_batch + 1, 1}] = Fault::dies;
  SuspendPlan unknown(suspend_request(dying));
  EXPECT_EQ(dying.drive(unknown).ending, Ending::endpoint_failed);
  EXPECT_EQ(dying.guard_told, std::vector{Word::end});
}

/// All is open when it was read back, and the commit may come after that.
TEST(SuspendPlan, TheGuardStaysWhereACommitMayComeLate) {
  SimulatedFleet fleet = three();
  fleet.faults[{commit, 2}] = Fault::loses_commands;
  SuspendPlan plan(suspend_request(fleet));
  EXPECT_TRUE(every(fleet.drive(plan), Verdict::reverted));
  EXPECT_EQ(fleet.guard_told, std::vector{step::TellGuard::Word::end});
}

TEST(SuspendPlan, WhoWasFrozenBeyondTheDeadlineHoldsNothing) {
  SimulatedFleet fleet = three();
  auto request = suspend_request(fleet);
  request.hold.options.max_hold = std::chrono::milliseconds(2);
  SuspendPlan plan(std::move(request));
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.error->code, Errc::deadline_passed);
  EXPECT_TRUE(fleet.all_open());
}

/// A guard that was starting up at the deadline has left before it was ready.
TEST(SuspendPlan, ADeadlineBeforeTheGuardWasReadyIsToldAsThat) {
  SimulatedFleet fleet = three();
  fleet.guard_failure = Error{Errc::guard_failed, "did not start"};
  auto request = suspend_request(fleet);
  request.hold.options.max_hold = std::chrono::milliseconds(2);
  SuspendPlan plan(std::move(request));
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.error->code, Errc::deadline_passed);
  EXPECT_TRUE(fleet.all_open());
}

TEST(SuspendPlan, ADeadlineBeforeTheHoldIsConfirmedIsTheReason) {
  for (const int max_ms : {200, 20'000}) {
    SimulatedFleet fleet = three();
    fleet.hosts[1].meddling[1] = [](Host& host) { host.limits["a"] = 110; };
    auto request = suspend_request(fleet);
    request.hold.options.max_hold = std::chrono::milliseconds(max_ms);
    SuspendPlan plan(std::move(request));
    const Report report = fleet.drive(plan);
    const bool is_late = max_ms < 1000;
    EXPECT_EQ(report.ending, Ending::endpoint_failed);
    EXPECT_EQ(report.error.has_value(), is_late);
    ASSERT_TRUE(report.switches[2].error);
    EXPECT_EQ(report.switches[2].error->code,
              is_late ? Errc::deadline_passed : Errc::limit_mismatch);
    EXPECT_TRUE(fleet.all_open());
  }
}

TEST(SuspendPlan, AnAcceptedHazardIsAWarning) {
  SimulatedFleet fleet = three();
  fleet.hosts[1].version = "2.6.12";
  auto request = suspend_request(fleet);
  request.hold.options.accept_hazard = true;
  SuspendPlan plan(request);
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_EQ(report.switches[2].findings[0].level, Level::warning);
}

TEST(SuspendPlan, ARecordThatIsTooLongForHaproxyIsRefused) {
  SimulatedFleet fleet = three();
  auto request = suspend_request(fleet);
  request.record.reason = std::string(13'000, 'x');
  SuspendPlan plan(request);
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.ending, Ending::refused);
  ASSERT_TRUE(report.error);
  EXPECT_EQ(report.error->code, Errc::bad_command);
  EXPECT_EQ(fleet.writes, 0U);
  EXPECT_TRUE(fleet.journal.empty());
}

TEST(SuspendPlan, TheKernelsQueuesAreWeighedOnce) {
  SimulatedFleet fleet = three();
  fleet.hosts[1].descriptors = "  4 : st=0x1 l.st=RDY fe=a fam=ipv4 lport=80\n";
  auto request = suspend_request(fleet);
  request.hold.listen_depths = {{80, 2}};
  SuspendPlan plan(request);
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.ending, Ending::done);
  const auto warned = [&report](std::size_t i) {
    const auto& findings = report.switches[i].findings;
    return std::count_if(findings.begin(), findings.end(),
                         [](const Finding& one) { return one.code == "queue_too_short"; });
  };
  EXPECT_EQ(warned(2), 1);
  EXPECT_EQ(warned(0), 0);
}

TEST(SuspendPlan, WhoHasFewConnectionsLeftIsWarnedOf) {
  SimulatedFleet fleet = three();
  // The listener is no connection, and what goes to a server is none of its own.
  fleet.hosts[1].descriptors =
      "  4 : st=0x1 l.st=RDY fe=GLOBAL fam=unix\n 5 : st=0x1 back=1 fe=GLOBAL mux=PASS\n";
  fleet.hosts[2].descriptors = fleet.hosts[1].descriptors;
  const std::string client = "  9 : st=0x1 back=0 cflg=0x1 fam=unix fe=GLOBAL mux=PASS\n";
  for (int i = 0; i < 7; ++i) fleet.hosts[1].descriptors += client;
  for (int i = 0; i < 8; ++i) fleet.hosts[2].descriptors += client;
  auto request = suspend_request(fleet);
  request.hold.listen_depths = {{80, 2}};
  SuspendPlan plan(request);
  const Report report = fleet.drive(plan);
  EXPECT_EQ(report.ending, Ending::done);
  const auto warned = [&report](std::size_t i) {
    const auto& findings = report.switches[i].findings;
    return std::any_of(findings.begin(), findings.end(),
                       [](const Finding& one) { return one.code == "stats_connections"; });
  };
  EXPECT_FALSE(warned(2));
  EXPECT_TRUE(warned(4));
}

TEST(SuspendPlan, AFrontendThatIsShutInTheMiddleIsNoHeldOne) {
  SimulatedFleet fleet = three();
  fleet.hosts[1].meddling[1] = [](Host& host) { host.shut = true; };
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  ASSERT_TRUE(report.switches[2].error);
  EXPECT_EQ(report.switches[2].error->code, Errc::frontend_stopped);
  EXPECT_EQ(report.switches[0].verdict, Verdict::reverted);
  EXPECT_TRUE(fleet.all_open());
}

TEST(SuspendPlan, AnotherLimitAfterTheRollbackIsTold) {
  SimulatedFleet fleet = three();
  fleet.faults[{commit, 0}] = Fault::refuses_writes;
  fleet.hosts[1].meddling[2] = [](Host& host) { host.limits["a"] = 55; };
  const Report report = suspend(fleet);
  EXPECT_EQ(report.switches[2].verdict, Verdict::reverted);
  ASSERT_TRUE(report.switches[2].error);
  EXPECT_EQ(report.switches[2].error->code, Errc::limit_mismatch);
  EXPECT_NE(report.switches[2].error->message.find("55 instead of 110"), std::string::npos);
}

TEST(SuspendPlan, NothingIsHeldThatCannotBeRecorded) {
  SimulatedFleet fleet = three();
  fleet.journal_failures = {0};
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::refused);
  ASSERT_TRUE(report.error);
  EXPECT_EQ(report.error->code, Errc::journal_failed);
  EXPECT_EQ(fleet.writes, 0U);
}

void expect_no_trace(const SimulatedFleet& fleet, const Report& report, std::size_t batch) {
  expect_reachable_as_before(fleet);
  EXPECT_TRUE(std::any_of(report.switches.begin(), report.switches.end(),
                          [](const Switch& one) { return one.error.has_value(); }));
  const bool all_alive = std::all_of(fleet.hosts.begin(), fleet.hosts.end(),
                                     [](const Host& one) { return one.alive; });
  EXPECT_EQ(fleet.journal.empty(), all_alive || batch <= arm_of(fleet.hosts.size()));
}

/// One fault anywhere: whoever can be reached is as before, and the verdicts say so. A fleet of
/// one has nobody else whose rollback would bring a second look.
TEST(SuspendPlan, AFaultAtEachStepOfEachHostLeavesNothingHeld) {
  for (const std::size_t hosts : {1U, 3U}) {
    for (const Fault fault : all_faults) {
      for (std::size_t n = 0; n < last_batch * hosts; ++n) {
        const std::size_t batch = n / hosts;
        const std::size_t host = n % hosts;
        SCOPED_TRACE(testing::Message() << "fault " << static_cast<int>(fault) << " in batch "
                                        << batch << " at host " << host << " of " << hosts);
        SimulatedFleet fleet(hosts, {"a", "b"});
        fleet.faults[{batch, host}] = fault;
        // What restarts after it was read back, was held when it was read back.
        if (fault == Fault::restarts && batch == arm_of(hosts) + 3) continue;
        const Report report = suspend(fleet);
        if (report.ending != Ending::done) expect_no_trace(fleet, report, batch);
      }
    }
  }
}

/// Two faults: the first makes it fail, the second meets the rollback.
TEST(SuspendPlan, ASecondFaultInTheRollbackLeavesNothingHeld) {
  for (const Fault fault : all_faults) {
    for (std::size_t batch = commit + 1; batch < last_batch; ++batch) {
      for (std::size_t host = 0; host < 3; ++host) {
        SCOPED_TRACE(testing::Message() << "fault " << static_cast<int>(fault) << " in batch "
                                        << batch << " at host " << host);
        SimulatedFleet fleet = three();
        fleet.faults[{commit, 1}] = Fault::refuses_writes;
        fleet.faults[{batch, host}] = fault;
        const Report report = suspend(fleet);
        EXPECT_EQ(report.ending, Ending::endpoint_failed);
        expect_reachable_as_before(fleet);
      }
    }
  }
}

TEST(SuspendPlan, ALostAnswerAfterAllHoldsAll) {
  SimulatedFleet fleet = three();
  fleet.faults[{commit, 1}] = Fault::loses_answer;
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_TRUE(every(report, Verdict::held));
  EXPECT_FALSE(report.commit_window_ms);
}

TEST(SuspendPlan, OneMissingAtTheBarrierMeansNothingIsWritten) {
  SimulatedFleet fleet = three();
  fleet.faults[{commit, 2}] = Fault::refuses_connection;
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_TRUE(every(report, Verdict::unchanged));
  EXPECT_EQ(fleet.writes, 0U);
  EXPECT_TRUE(fleet.journal.empty());
  EXPECT_EQ(report.switches[5].error->code, Errc::connection_refused);
}

TEST(SuspendPlan, ARollbackThatNeverTakesStaysOnRecord) {
  SimulatedFleet fleet = three();
  fleet.faults[{commit, 0}] = Fault::refuses_writes;
  for (std::size_t batch = commit + 1; batch < 25; ++batch)
    fleet.faults[{batch, 1}] = Fault::ignores_writes;
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.switches[2].verdict, Verdict::held);
  EXPECT_EQ(report.switches[2].error->code, Errc::limit_mismatch);
  EXPECT_EQ(report.switches[4].verdict, Verdict::reverted);
  EXPECT_EQ(report.switches[4].error->code, Errc::rolled_back);
  ASSERT_EQ(report.holds.size(), 1U);
  EXPECT_EQ(fleet.records()[0].switches.size(), 2U);
}

TEST(SuspendPlan, ARecordThatCannotBeRemovedIsTold) {
  SimulatedFleet fleet = three();
  fleet.faults[{commit, 2}] = Fault::refuses_connection;
  fleet.journal_failures = {1};
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  ASSERT_TRUE(report.error);
  EXPECT_EQ(report.error->code, Errc::journal_failed);
}

TEST(SuspendPlan, AStopAtEachStepLeavesNothingHeld) {
  for (const Stop stop :
       {Stop::after_the_batch, Stop::before_it_is_sent, Stop::before_its_answers}) {
    for (std::size_t step = 0; step <= good_steps; ++step) {
      SCOPED_TRACE(testing::Message() << "stop " << static_cast<int>(stop) << " at " << step);
      SimulatedFleet fleet = three();
      fleet.cancel_at = step;
      fleet.stop = stop;
      const Report report = suspend(fleet);
      EXPECT_EQ(report.ending, Ending::cancelled);
      EXPECT_TRUE(fleet.all_open());
      EXPECT_TRUE(fleet.journal.empty());
    }
  }
}

}  // namespace
}  // namespace stillgate::hold
