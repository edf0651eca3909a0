// Holds by the gate, over simulated HAProxies: the choice of the method, the course, the way back.
#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/check/check_plan.hpp"
#include "hold/record/gate_token.hpp"
#include "hold/status_plan.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;

// survey, the lock at one host, the lock at the other, arm
constexpr std::size_t commit = 4;

/// One host with a gate for each frontend; the others have none.
SimulatedFleet mixed(std::size_t hosts = 2) {
  SimulatedFleet fleet(hosts, {"a", "b"});
  for (const std::string& name : fleet.frontends) fleet.hosts[0].gates[name] = {};
  return fleet;
}

SimulatedFleet gated() {
  SimulatedFleet fleet = mixed();
  fleet.hosts[1].gates = fleet.hosts[0].gates;
  return fleet;
}

Report suspend_unchecked(SimulatedFleet& fleet, const HoldRequest& wanted = {}) {
  auto request = suspend_request(fleet);
  request.hold.options.method = wanted.options.method;
  request.hold.options.accept_unproven = wanted.options.accept_unproven;
  request.hold.options.on_expiry = wanted.options.on_expiry;
  request.hold.options.max_waiting = wanted.options.max_waiting;
  SuspendPlan plan(std::move(request));
  return fleet.drive(plan);
}

Report suspend(SimulatedFleet& fleet, const HoldRequest& wanted = {}) {
  Report report = suspend_unchecked(fleet, wanted);
  expect_truth(fleet, report);
  return report;
}

Report resume(SimulatedFleet& fleet, milliseconds ramp = milliseconds(0)) {
  fleet.start_over();
  auto request = resume_request(fleet);
  request.ramp = ramp;
  ResumePlan plan(std::move(request));
  Report report = fleet.drive(plan);
  expect_truth(fleet, report);
  return report;
}

Report status(SimulatedFleet& fleet) {
  StatusPlan plan({fleet.urls(), {}, {}});
  return fleet.drive(plan);
}

std::vector<std::string> methods(const Report& report) {
  std::vector<std::string> list;
  for (const Switch& one : report.switches) list.push_back(one.method.value_or("-"));
  return list;
}

bool found(const Switch& one, std::string_view code) {
  return std::any_of(one.findings.begin(), one.findings.end(),
                     [code](const Finding& finding) { return finding.code == code; });
}

TEST(Method, EachSwitchTakesTheGateWhereItIsProven) {
  SimulatedFleet fleet = mixed();
  fleet.hosts[0].gates["b"].proven = false;
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_EQ(methods(report), (std::vector<std::string>{"gate", "maxconn", "maxconn", "maxconn"}));
  EXPECT_EQ(report.switches[0].lease, "haproxy");
  EXPECT_EQ(report.switches[1].lease, "guard");
  EXPECT_TRUE(found(report.switches[1], "gate_unproven"));
  EXPECT_FALSE(found(report.switches[2], "gate_missing"));
  EXPECT_EQ(fleet.limit(fleet.hosts[0].url, "a"), fleet.hosts[0].configured["a"]);
  EXPECT_EQ(fleet.limit(fleet.hosts[0].url, "b"), 0);
}

TEST(Method, AGateHoldsWhatMaxconnWouldCrash) {
  SimulatedFleet fleet = gated();
  for (Host& host : fleet.hosts) host.version = "2.6.12-1+deb12u4";
  EXPECT_EQ(suspend(fleet).ending, Ending::done);
  EXPECT_EQ(resume(fleet).ending, Ending::done);
  EXPECT_TRUE(fleet.all_open());
}

TEST(Method, TheOperatorsWordStandsInForTheProof) {
  SimulatedFleet fleet = gated();
  fleet.hosts[0].gates["a"].proven = false;
  HoldRequest wanted;
  wanted.options.accept_unproven = true;
  const Report report = suspend(fleet, wanted);
  EXPECT_EQ(methods(report), (std::vector<std::string>(4, "gate")));
  EXPECT_TRUE(found(report.switches[0], "gate_unproven"));
  EXPECT_FALSE(found(report.switches[1], "gate_unproven"));
}

TEST(Method, MaxconnIsTakenWhereItIsNamed) {
  SimulatedFleet fleet = gated();
  HoldRequest wanted;
  wanted.options.method = Method::maxconn;
  EXPECT_EQ(methods(suspend(fleet, wanted)), (std::vector<std::string>(4, "maxconn")));
}

struct NoGate {
  const char* name;
  void (*spoil)(Host&);
  Errc code;
};

class GateRefused : public testing::TestWithParam<NoGate> {};

TEST_P(GateRefused, WritesNothing) {
  for (const bool by_option : {false, true}) {
    SimulatedFleet fleet = gated();
    GetParam().spoil(fleet.hosts[1]);
    HoldRequest wanted;
    // What only a gate can do asks for one, too.
    wanted.options.method = by_option ? Method::automatic : Method::gate;
    wanted.options.max_waiting = by_option ? 5 : 0;
    const Report report = suspend(fleet, wanted);
    EXPECT_EQ(report.ending, Ending::refused) << GetParam().name;
    ASSERT_TRUE(report.switches[2].error);
    EXPECT_EQ(report.switches[2].error->code, GetParam().code);
    EXPECT_FALSE(report.switches[0].error);
    EXPECT_TRUE(fleet.all_open());
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, GateRefused,
    testing::Values(
        NoGate{"no Lua file", [](Host& host) { host.gates.clear(); }, Errc::gate_missing},
        NoGate{"no proof", [](Host& host) { host.gates["a"].proven = false; }, Errc::gate_unproven},
        NoGate{"a rule before the gate",
               [](Host& host) {
                 host.gates["a"].counted = 80;
                 host.gates["a"].unseen_before = 79;
               },
               Errc::gate_unproven},
        NoGate{"no room", [](Host& host) { host.has_room = false; }, Errc::variables_full},
        NoGate{"several processes", [](Host& host) { host.processes = 2; },
               Errc::several_processes},
        NoGate{"no table",
               [](Host& host) {
                 host.remembers = false;
                 host.has_table = false;
               },
               Errc::gate_missing}));

TEST(Method, OnlyMaxconnNeedsAGuard) {
  SimulatedFleet fleet = mixed();
  EXPECT_EQ(suspend(fleet).switches[2].lease, "guard");
  ASSERT_TRUE(fleet.guarded);
  ASSERT_EQ(fleet.guarded->switches.size(), 2U);
  EXPECT_EQ(fleet.guarded->switches[0].endpoint, fleet.hosts[1].url);
  SimulatedFleet all = gated();
  const Report report = suspend(all);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_FALSE(all.guarded);
  ASSERT_TRUE(report.holds[0].deadline);
  EXPECT_EQ(*report.holds[0].deadline - report.holds[0].started_at, milliseconds(15'000));
}

TEST(GatePlan, TheDeadlineIsOneOfTheGatesOwnClock) {
  SimulatedFleet fleet = gated();
  fleet.hosts[0].gate_clock_ms = 5'000'000;
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  // Asked for 2 ms after the call began, and told within 1 ms; the record, and with it 15 s, began
  // 1 to 2 ms after that. It never ends before that: both times are rounded down.
  const std::string token = fleet.hosts[0].gates["a"].token;
  EXPECT_NE(token.find("_5015001."), std::string::npos) << token;
  EXPECT_EQ(fleet.hosts[1].gates["a"].token.find('_'), std::string::npos);
}

TEST(GatePlan, TheSwitchSaysAllThatTheGateMustKnow) {
  SimulatedFleet fleet = gated();
  HoldRequest wanted;
  wanted.options.on_expiry = Expiry::reject;
  wanted.options.max_waiting = 500;
  ASSERT_EQ(suspend(fleet, wanted).ending, Ending::done);
  const std::string& token = fleet.hosts[1].gates["a"].token;
  // The hold began three batches before the commit: what is left of the time is told.
  EXPECT_TRUE(token.starts_with("1.0123456789abcdef.14997.reject.500.")) << token;
  const auto record = record_in(token, fleet.hosts[1].url, "a");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->owner, "test@here");
  ASSERT_EQ(record->switches.size(), 1U);
  EXPECT_TRUE(record->switches[0].counters) << "the last look's counters were not added";
  EXPECT_FALSE(record_in("1.x.5.release.0.!", "unix:///x", "a"));
}

TEST(GatePlan, AHoldThatHAProxyWouldCutIsRefused) {
  SimulatedFleet fleet = gated();
  for (Host& host : fleet.hosts) host.version = "2.2.9-2+deb11u6";
  auto wanted = suspend_request(fleet);
  const auto asked = std::chrono::ceil<std::chrono::seconds>(wanted.hold.options.max_hold);
  fleet.hosts[0].gates["a"].cut_s = static_cast<int>(asked.count());
  fleet.hosts[1].gates["b"].cut_s = static_cast<int>(asked.count()) - 1;
  const Report report = suspend_unchecked(fleet);
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_FALSE(report.switches[0].error);
  ASSERT_TRUE(report.switches[3].error);
  EXPECT_EQ(report.switches[3].error->code, Errc::client_timeout_short);
  EXPECT_TRUE(fleet.all_open());
  CheckPlan check({wanted.hold, {}, {}});
  EXPECT_TRUE(found(fleet.drive(check).switches[3], "client_timeout_short"));
  // Whoever looks too late knows nothing.
  for (Host& host : fleet.hosts) host.gates["a"].loses_probe = true;
  EXPECT_EQ(suspend_unchecked(fleet).switches[0].error->code, Errc::client_timeout_unknown);
  EXPECT_TRUE(fleet.all_open());
  // Later releases stop that timer, and are not asked.
  for (Host& host : fleet.hosts) host.version = "3.0.11-1+deb13u5";
  EXPECT_EQ(suspend(fleet).ending, Ending::done);
}

TEST(GatePlan, BelowVariablesATableSwitches) {
  SimulatedFleet fleet = gated();
  for (Host& host : fleet.hosts) host.remembers = false;
  ASSERT_EQ(suspend(fleet).ending, Ending::done);
  EXPECT_EQ(fleet.hosts[0].table.size(), 2U);
  fleet.journal.clear();  // as from another machine
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_TRUE(fleet.all_open());
  EXPECT_EQ(report.holds.at(0).owner, "test@here");
}

TEST(GatePlan, WhoHoldsIsToldAndNobodyHoldsTwice) {
  SimulatedFleet fleet = gated();
  ASSERT_EQ(suspend(fleet).ending, Ending::done);
  fleet.start_over();
  fleet.journal.clear();
  const Report report = suspend_unchecked(fleet);
  EXPECT_EQ(fleet.writes, 0U);
  EXPECT_EQ(report.ending, Ending::held_by_other);
  EXPECT_EQ(report.switches[0].error->code, Errc::already_held);
  EXPECT_EQ(report.holds.at(0).owner, "test@here");
}

TEST(GatePlan, AHoldOfNobodyKnownStandsInTheWayToo) {
  SimulatedFleet fleet = gated();
  fleet.hosts[0].gates["a"].token = "1.77.5.release.0.zzz";
  const Report report = suspend_unchecked(fleet);
  EXPECT_EQ(fleet.writes, 0U);
  EXPECT_EQ(report.ending, Ending::held_by_other);
  EXPECT_EQ(report.switches[0].error->code, Errc::already_held);
  const Report told = status(fleet);
  EXPECT_EQ(told.switches[0].hold_id, "77");
  EXPECT_TRUE(found(told.switches[0], "record_unreadable"));
  EXPECT_EQ(resume(fleet).ending, Ending::done);
  EXPECT_TRUE(fleet.all_open());
}

TEST(GatePlan, OneThatTakesNoSwitchIsTakenBackEverywhere) {
  SimulatedFleet fleet = mixed(3);
  fleet.hosts[0].gate_sticks = true;
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.switches[0].error->code, Errc::gate_failed);
  EXPECT_EQ(report.switches[2].error->code, Errc::rolled_back);
  EXPECT_TRUE(fleet.all_open());
  // Nobody's later sync may begin that hold.
  EXPECT_EQ(fleet.hosts[0].variables["stillgate_gate_a"], "open.0.0123456789abcdef");
}

TEST(GatePlan, OneOfAnOlderReleaseIsOpenedWithoutAName) {
  SimulatedFleet fleet = mixed(3);
  fleet.hosts[0].gate_sticks = true;
  fleet.hosts[0].gate_names = false;
  EXPECT_EQ(suspend(fleet).ending, Ending::endpoint_failed);
  EXPECT_EQ(fleet.hosts[0].variables["stillgate_gate_a"], "open");
}

TEST(GatePlan, AReloadIsSurvived) {
  SimulatedFleet fleet = gated();
  fleet.faults[{commit + 1, 0}] = Fault::restarts;
  EXPECT_EQ(suspend(fleet).ending, Ending::done);
  EXPECT_EQ(resume(fleet).ending, Ending::done);
  EXPECT_TRUE(fleet.all_open());
}

TEST(GatePlan, ADrainDoesNotWaitForTheHeld) {
  SimulatedFleet fleet = gated();
  for (Host& host : fleet.hosts) {
    host.sessions = 50;
    host.in_flight = {1, 1, 1, 0};
    host.leaks_per_look = 1;  // requests go on beginning: they are held
  }
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_EQ(report.drained, true);
}

TEST(GatePlan, ADrainDoesNotWaitForTheExempt) {
  const std::string let_in = "0x1: src=10.0.0.1:7 fe=a be=servers srv=s1 age=3s calls=1\n";
  for (const std::string& later :
       {std::string("0x2: src=10.0.0.1:8 fe=a be=servers srv=s1 age=0s calls=1\n"),
        std::string("0x1: src=10.0.0.1:7 fe=a be=servers srv=s1 age=0s calls=1\n")}) {
    SCOPED_TRACE(later);
    SimulatedFleet fleet = gated();
    fleet.hosts[0].in_flight = {1};
    fleet.hosts[0].streams = let_in;
    fleet.hosts[0].meddling[4] = [&later](Host& host) { host.streams = later; };
    const Report report = suspend(fleet);
    EXPECT_EQ(report.ending, Ending::done);
    EXPECT_EQ(report.drained, true);
  }
  // What was let in before the hold is waited for, however long it takes.
  SimulatedFleet fleet = gated();
  fleet.hosts[0].in_flight = {1};
  fleet.hosts[0].streams = let_in;
  fleet.hosts[0].meddling[4] = [](Host& host) {
    host.streams = "0x1: src=10.0.0.1:7 fe=a be=servers srv=s1 age=4s calls=1\n";
  };
  const Report report = suspend(fleet);
  EXPECT_EQ(report.drained, false);
  EXPECT_EQ(report.switches[0].error->code, Errc::drain_timeout);
}

TEST(GatePlan, WhatARejectOnAReloadNeedsIsAsked) {
  SimulatedFleet fleet = gated();
  auto request = suspend_request(fleet);
  request.hold.options.on_reload = OnReload::reject;
  SuspendPlan plan(request);
  EXPECT_EQ(fleet.drive(plan).ending, Ending::done);
  EXPECT_NE(fleet.hosts[0].gates["a"].token.find(".release_reject."), std::string::npos);
  SimulatedFleet older = gated();
  older.hosts[1].gate_reloads = false;
  SuspendPlan refused(request);
  const Report report = older.drive(refused);
  EXPECT_EQ(report.ending, Ending::refused);
  ASSERT_TRUE(report.switches[2].error);
  EXPECT_EQ(report.switches[2].error->code, Errc::gate_outdated);
  EXPECT_EQ(older.writes, 0U);
}

TEST(GatePlan, AResumeIsDoneWhenNobodyWaitsInAnOldWorkerEither) {
  SimulatedFleet fleet = gated();
  EXPECT_EQ(suspend(fleet).ending, Ending::done);
  fleet.start_over();
  fleet.hosts[0].gates["a"].old_waiting = 5;
  fleet.hosts[0].pid = 4711;
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  ASSERT_TRUE(report.switches[0].old_workers);
  EXPECT_EQ(report.switches[0].old_workers->waiting, 0);
  EXPECT_EQ(report.switches[0].old_workers->released, 5);
  const auto& found = report.switches[0].findings;
  EXPECT_EQ(std::count_if(found.begin(), found.end(),
                          [](const Finding& one) {
                            return one.is(FindingCode::reloaded) ||
                                   one.is(FindingCode::old_workers);
                          }),
            2);
  EXPECT_FALSE(report.switches[1].old_workers);
}

TEST(GatePlan, AHoldThatEndsWhileItDrainsIsNone) {
  SimulatedFleet fleet = gated();
  fleet.hosts[0].in_flight = {3};
  fleet.hosts[0].streams = "0x1: src=10.0.0.1:7 fe=a be=servers srv=s1 age=60s calls=1\n";
  fleet.hosts[0].meddling[3] = [](Host& host) { host.gates["a"].token.clear(); };
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.switches[0].error->code, Errc::gate_failed);
  EXPECT_TRUE(fleet.all_open());
}

TEST(GatePlan, ADeadlineInTheDrainIsTheReason) {
  for (const bool ends_by_itself : {true, false}) {
    SimulatedFleet fleet = gated();
    fleet.hosts[0].in_flight = {3};
    fleet.hosts[0].streams = "0x1: src=10.0.0.1:7 fe=a be=servers srv=s1 age=60s calls=1\n";
    if (ends_by_itself) {
      // A look each 20 ms: just before the end.
      fleet.hosts[0].meddling[13] = [](Host& host) { host.gates["a"].token.clear(); };
    }
    auto request = suspend_request(fleet);
    request.hold.options.max_hold = request.drain_timeout = milliseconds(300);
    SuspendPlan plan(request);
    const Report report = fleet.drive(plan);
    EXPECT_EQ(report.ending, Ending::endpoint_failed);
    ASSERT_TRUE(report.error);
    EXPECT_EQ(report.error->code, Errc::deadline_passed);
    EXPECT_EQ(report.switches[0].error->code, Errc::deadline_passed);
    EXPECT_TRUE(fleet.all_open());
  }
}

TEST(GatePlan, StatusTellsWhoWaits) {
  SimulatedFleet fleet = mixed();
  fleet.hosts[0].gates["a"].waiting = 7;
  ASSERT_EQ(suspend(fleet).ending, Ending::done);
  fleet.start_over();
  fleet.hosts[0].gates["b"].rejecting = true;
  const Report report = status(fleet);
  EXPECT_EQ(methods(report), (std::vector<std::string>{"gate", "gate", "maxconn", "maxconn"}));
  EXPECT_EQ(report.switches[0].waiting, 7);
  EXPECT_FALSE(report.switches[2].waiting);
  EXPECT_EQ(report.switches[0].leaked, 0);
  EXPECT_FALSE(found(report.switches[0], "rejecting"));
  EXPECT_TRUE(found(report.switches[1], "rejecting"));
  EXPECT_EQ(report.holds.size(), 1U);
}

TEST(GatePlan, AResumeLooksUntilNobodyWaits) {
  SimulatedFleet fleet = gated();
  fleet.hosts[0].gates["a"].waiting = 5;
  ASSERT_EQ(suspend(fleet).ending, Ending::done);
  const Report report = resume(fleet);
  EXPECT_EQ(report.switches[0].waiting, 0);
  EXPECT_EQ(report.switches[0].verdict, Verdict::resumed);
}

TEST(GatePlan, AResumeIsDoneWhenNobodyWaits) {
  SimulatedFleet fleet = gated();
  fleet.hosts[0].gates["a"].waiting = 150;
  ASSERT_EQ(suspend(fleet).ending, Ending::done);
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_EQ(report.switches[0].waiting, 0);
}

TEST(GatePlan, AResumeThatLeavesSomeWaitingSaysSo) {
  SimulatedFleet fleet = gated();
  fleet.hosts[0].gates["a"].waiting = 1000;
  ASSERT_EQ(suspend(fleet).ending, Ending::done);
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_GT(report.switches[0].waiting, 0);
  ASSERT_TRUE(report.switches[0].error);
  EXPECT_EQ(report.switches[0].error->code, Errc::gate_failed);
  EXPECT_FALSE(report.switches[1].error);
}

/// Drains for some looks, while the counts of that gate are as they are set here.
Report suspend_while(SimulatedFleet& fleet, const HoldRequest& wanted = {}) {
  fleet.hosts[0].in_flight = {1, 1, 1, 1, 1, 1, 0};
  fleet.hosts[0].streams = "0x1: src=10.0.0.1:7 fe=a be=servers srv=s1 age=60s calls=1\n";
  return suspend(fleet, wanted);
}

TEST(GatePlan, WhatPassesBesideItInTheDrainTakesTheHoldBack) {
  SimulatedFleet fleet = gated();
  fleet.hosts[0].meddling[3] = [](Host& host) { host.gates["a"].unseen = 4; };
  const Report report = suspend_while(fleet);
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  ASSERT_TRUE(report.switches[0].error);
  EXPECT_EQ(report.switches[0].error->code, Errc::gate_bypassed);
  EXPECT_TRUE(fleet.all_open());
}

TEST(GatePlan, WhatPassesBesideItIsToldWhereTheProofWasWaived) {
  SimulatedFleet fleet = gated();
  fleet.hosts[0].meddling[3] = [](Host& host) { host.gates["a"].unseen = 4; };
  HoldRequest wanted;
  wanted.options.accept_unproven = true;
  EXPECT_EQ(suspend_while(fleet, wanted).ending, Ending::done);
  EXPECT_TRUE(found(status(fleet).switches[0], "gate_bypassed"));
}

TEST(GatePlan, ADrainWaitsUntilTheCountIsKnown) {
  SimulatedFleet fleet = gated();
  for (const std::string& name : fleet.frontends) fleet.hosts[0].gates[name].unseen.reset();
  fleet.hosts[0].meddling[9] = [](Host& host) {
    for (auto& [name, gate] : host.gates) gate.unseen = 0;
  };
  const Report report = suspend(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_GE(fleet.hosts[0].looks, 10U);
}

TEST(GatePlan, ARampIsTheGatesOwn) {
  SimulatedFleet fleet = mixed();
  ASSERT_EQ(suspend(fleet).ending, Ending::done);
  EXPECT_EQ(resume(fleet, milliseconds(2000)).ending, Ending::done);
  EXPECT_EQ(fleet.hosts[0].variables["stillgate_gate_a"], "open.2000.0123456789abcdef");
  EXPECT_TRUE(fleet.all_open());
  SimulatedFleet all = gated();
  ASSERT_EQ(suspend(all).ending, Ending::done);
  EXPECT_EQ(resume(all, milliseconds(2000)).ending, Ending::done);
  EXPECT_LT(all.steps, 10U) << "no steps are needed where all is held by gates";
  EXPECT_TRUE(all.all_open());
}

TEST(GatePlan, HeldBothWaysItIsOpenedBothWays) {
  SimulatedFleet fleet = mixed(1);
  ASSERT_EQ(suspend(fleet).ending, Ending::done);
  fleet.hosts[0].limits["a"] = 0;  // somebody's hand, or an older hold
  const Report report = resume(fleet);
  EXPECT_EQ(report.ending, Ending::done);
  EXPECT_TRUE(fleet.all_open());
}

TEST(GatePlan, AnAnswerThatMakesNoSenseIsARefusal) {
  SimulatedFleet fleet = gated();
  fleet.hosts[0].gates["a"].token = "1.\"";
  const Report report = suspend_unchecked(fleet);
  EXPECT_EQ(report.switches[0].error->code, Errc::malformed_reply);
  EXPECT_EQ(report.ending, Ending::refused);
}

TEST(GateAdvice, TellsWhatAReleaseDoesNotNotice) {
  const std::pair<const char*, bool> releases[] = {
      {"2.2.9-2+deb11u7", true}, {"2.4.9", false},
      {"2.5.14", true},          {"2.6.12-1+deb12u4", false},
      {"2.6.23", true},          {"2.8.14", true},
      {"2.9.0", true},           {"3.0.11-1+deb13u5", true},
      {"3.1.0", true},           {"3.2.26-1", false},
      {"3.4.7-1", false}};
  for (const auto& [version, told] : releases) {
    SimulatedFleet fleet = gated();
    for (Host& host : fleet.hosts) host.version = version;
    EXPECT_EQ(found(suspend(fleet).switches[0], "given_up_unnoticed"), told) << version;
  }
}

TEST(GateAdvice, TellsOfConnectionsThatWouldNotFit) {
  SimulatedFleet fleet = gated();
  fleet.hosts[0].sessions = 90;
  // Three come per second, for 15 seconds, to a limit of 100.
  const Report report = suspend(fleet);
  EXPECT_TRUE(found(report.switches[0], "slots_run_out"));
  EXPECT_FALSE(found(report.switches[2], "slots_run_out"));
}

}  // namespace
}  // namespace stillgate::hold
