// The plan of extend: what it moves, what it refuses, and what it makes of an endpoint that fails.
#include "hold/extend_plan.hpp"

#include <chrono>
#include <string>
#include <utility>

#include <gmock/gmock.h>

#include "fakes/simulated_fleet.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds more{10'000};

/// Held: by the gate at the first host, by maxconn at the second.
SimulatedFleet held(bool leased = true) {
  SimulatedFleet fleet(2, {"a"});
  fleet.hosts[0].gates["a"] = {};
  fleet.hosts[0].gate_clock_ms = 1'000'000;
  auto request = suspend_request(fleet);
  request.hold.options.no_lease = !leased;
  SuspendPlan plan(std::move(request));
  EXPECT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  return fleet;
}

ExtendPlan::Request request(const SimulatedFleet& fleet, std::string owner = "test@here") {
  ExtendPlan::Request request;
  request.hold.endpoints = fleet.urls();
  request.hold.frontends = fleet.frontends;
  request.records = fleet.records();
  request.claim.owner = std::move(owner);
  request.by = more;
  return request;
}

Report extend(SimulatedFleet& fleet, ExtendPlan::Request wanted) {
  ExtendPlan plan(std::move(wanted));
  return fleet.drive(plan);
}

WallTime deadline_at(const SimulatedFleet& fleet, std::size_t host) {
  const Host& one = fleet.hosts[host];
  const auto gate = one.gates.find("a");
  const auto record = gate != one.gates.end()
                          ? record_in(gate->second.token, one.url, "a")
                          : unpack(one.variables.at("stillgate_maxconn_a"), one.url, "a");
  return record && record->deadline ? *record->deadline : WallTime();
}

TEST(ExtendPlan, SaysOfAHoldWithoutALeaseThatNobodyEndsIt) {
  // The gate has its deadline all the same.
  SimulatedFleet fleet = held(false);
  const Report report = extend(fleet, request(fleet));
  EXPECT_EQ(report.switches[0].lease, "haproxy");
  EXPECT_EQ(report.switches[1].lease, "none");
}

TEST(ExtendPlan, MovesTheDeadlineEverywhere) {
  SimulatedFleet fleet = held();
  const auto before = *fleet.records()[0].deadline;
  const std::string token = fleet.hosts[0].gates["a"].token;
  const Report report = extend(fleet, request(fleet));
  EXPECT_EQ(report.ending, Ending::done);
  ASSERT_EQ(report.holds.size(), 1U);
  EXPECT_EQ(report.holds[0].deadline, before + more);
  EXPECT_EQ(report.switches[0].lease, "haproxy");
  EXPECT_EQ(report.switches[1].lease, "guard");
  EXPECT_EQ(deadline_at(fleet, 0), before + more);
  EXPECT_EQ(deadline_at(fleet, 1), before + more);
  EXPECT_EQ(fleet.records()[0].deadline, before + more);
  // The gate's own times too: how long, and until when of its own clock.
  EXPECT_NE(token, fleet.hosts[0].gates["a"].token);
  EXPECT_EQ(longer_token(token, milliseconds(0), *record_in(token, "x", "a")).substr(0, 24),
            token.substr(0, 24));
}

TEST(ExtendPlan, WhatIsNotHeldIsRefusedAndNothingIsWritten) {
  SimulatedFleet fleet = held();
  fleet.hosts[1].limits = fleet.hosts[1].configured;
  const std::string token = fleet.hosts[0].gates["a"].token;
  const Report report = extend(fleet, request(fleet));
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(report.switches[1].error->code, Errc::not_held);
  EXPECT_EQ(fleet.hosts[0].gates["a"].token, token);
}

TEST(ExtendPlan, AHoldWithoutADeadlineHasNoneToMove) {
  SimulatedFleet fleet(1, {"a"});
  auto wanted = suspend_request(fleet);
  wanted.hold.options.no_lease = true;
  SuspendPlan plan(std::move(wanted));
  ASSERT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  const Report report = extend(fleet, request(fleet));
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_NE(report.switches[0].error->message.find("no deadline"), std::string::npos);
}

TEST(ExtendPlan, SomebodyElseIsRefusedUnlessHeForcesIt) {
  SimulatedFleet fleet = held();
  const auto before = *fleet.records()[0].deadline;
  auto wanted = request(fleet, "somebody@else");
  wanted.records.clear();
  const Report refused = extend(fleet, wanted);
  EXPECT_EQ(refused.ending, Ending::held_by_other);
  EXPECT_EQ(refused.switches[0].error->code, Errc::not_the_holder);
  EXPECT_EQ(deadline_at(fleet, 1), before);
  fleet.start_over();
  wanted.claim.force = true;
  EXPECT_EQ(extend(fleet, wanted).ending, Ending::done);
  EXPECT_EQ(deadline_at(fleet, 1), before + more);
}

TEST(ExtendPlan, WhatHAProxyWouldCutIsNotExtended) {
  SimulatedFleet fleet = held();
  fleet.hosts[0].version = "2.2.9-2+deb11u6";
  const auto before = deadline_at(fleet, 0);
  const auto whole =
      std::chrono::ceil<std::chrono::seconds>(before + more - fleet.records().at(0).started_at);
  fleet.hosts[0].gates["a"].cut_s = static_cast<int>(whole.count()) - 1;
  const Report refused = extend(fleet, request(fleet));
  EXPECT_EQ(refused.ending, Ending::refused);
  EXPECT_EQ(refused.switches[0].error->code, Errc::client_timeout_short);
  EXPECT_FALSE(refused.switches[1].error);
  EXPECT_EQ(deadline_at(fleet, 0), before);
  fleet.hosts[0].gates["a"].cut_s = static_cast<int>(whole.count());
  EXPECT_EQ(extend(fleet, request(fleet)).ending, Ending::done);
}

TEST(ExtendPlan, AnEndpointThatCannotBeAskedIsToldAndTheOthersAreExtended) {
  SimulatedFleet fleet = held();
  const auto before = *fleet.records()[0].deadline;
  fleet.hosts[1].alive = false;
  const Report report = extend(fleet, request(fleet));
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.switches[1].verdict, Verdict::unknown);
  EXPECT_EQ(deadline_at(fleet, 0), before + more);
}

TEST(ExtendPlan, AWriteThatIsLostIsToldByWhatReadsBack) {
  for (const Fault fault : {Fault::loses_commands, Fault::ignores_writes, Fault::refuses_writes}) {
    SimulatedFleet fleet = held();
    fleet.faults[{1, 1}] = fault;
    const Report report = extend(fleet, request(fleet));
    EXPECT_EQ(report.ending, Ending::endpoint_failed);
    EXPECT_EQ(report.switches[0].verdict, Verdict::held);
    EXPECT_FALSE(report.switches[0].error);
    ASSERT_TRUE(report.switches[1].error);
    EXPECT_EQ(report.switches[1].error->code, Errc::not_held);
  }
}

TEST(ExtendPlan, AHoldThatEndedInTheMiddleIsTold) {
  SimulatedFleet fleet = held();
  const std::size_t looks = fleet.hosts[1].looks;
  fleet.hosts[1].meddling[looks + 1] = [](Host& host) { host.limits = host.configured; };
  const Report report = extend(fleet, request(fleet));
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.switches[1].verdict, Verdict::open);
}

TEST(ExtendPlan, WithoutVariablesTheJournalAloneKnows) {
  SimulatedFleet fleet(1, {"a"});
  fleet.hosts[0].remembers = false;
  SuspendPlan plan(suspend_request(fleet));
  ASSERT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  const auto before = *fleet.records()[0].deadline;
  EXPECT_EQ(extend(fleet, request(fleet)).ending, Ending::done);
  EXPECT_EQ(fleet.records()[0].deadline, before + more);
}

TEST(ExtendPlan, AJournalThatCannotBeWrittenIsARefusal) {
  SimulatedFleet fleet = held();
  const auto before = *fleet.records()[0].deadline;
  fleet.journal_failures = {0};
  const Report report = extend(fleet, request(fleet));
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(report.error->code, Errc::journal_failed);
  ASSERT_EQ(report.holds.size(), 1U);
  EXPECT_EQ(report.holds[0].deadline, before);
  EXPECT_EQ(deadline_at(fleet, 0), before);
  EXPECT_EQ(deadline_at(fleet, 1), before);
  EXPECT_EQ(fleet.records()[0].deadline, before);
}

TEST(ExtendPlan, AJournalThatFailsAtTheEndIsToldWithWhatIsTrue) {
  SimulatedFleet fleet = held();
  const auto before = *fleet.records()[0].deadline;
  fleet.journal_failures = {1};
  const Report report = extend(fleet, request(fleet));
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  EXPECT_EQ(report.error->code, Errc::journal_failed);
  EXPECT_THAT(report.error->message, testing::HasSubstr("the HAProxies have the new deadline"));
  EXPECT_EQ(report.holds[0].deadline, before + more);
  EXPECT_EQ(deadline_at(fleet, 1), before + more);
}

TEST(ExtendPlan, AStopBeforeAnythingIsWrittenChangesNothing) {
  SimulatedFleet fleet = held();
  const auto before = *fleet.records()[0].deadline;
  fleet.cancel_at = 1;
  EXPECT_EQ(extend(fleet, request(fleet)).ending, Ending::cancelled);
  EXPECT_EQ(deadline_at(fleet, 1), before);
}

/// The fleet's clock, so that the hold has this time left.
void leave(SimulatedFleet& fleet, milliseconds left) {
  const WallTime epoch(milliseconds(1'800'000'000'000));
  fleet.clock =
      std::chrono::duration_cast<milliseconds>(*fleet.records()[0].deadline - epoch) - left;
}

ExtendPlan::Request for_cutover(const SimulatedFleet& fleet, milliseconds keep) {
  auto wanted = request(fleet);
  wanted.claim.hold = fleet.records()[0].id;
  wanted.keep = keep;
  return wanted;
}

/// One that it comes to too late opens, with what must not serve yet.
TEST(ExtendPlan, ForACutoverItIsEverywhereOrNowhere) {
  SimulatedFleet fleet = held();
  fleet.round_trip = milliseconds(100);
  const auto before = *fleet.records()[0].deadline;
  // Six round trips of 0.1 s, 0.2 s, and what the guard needs: 1.2 s.
  leave(fleet, milliseconds(2200 + 200));
  const Report well = extend(fleet, for_cutover(fleet, milliseconds(300)));
  EXPECT_EQ(well.ending, Ending::done);
  EXPECT_EQ(deadline_at(fleet, 0), before + more);
  EXPECT_EQ(deadline_at(fleet, 1), before + more);

  for (const auto& [left, keep] : {std::pair{2000, 0}, {3000, 2200}, {-50, 0}}) {
    SimulatedFleet late = held();
    late.round_trip = milliseconds(100);
    leave(late, milliseconds(left));
    const Report report = extend(late, for_cutover(late, milliseconds(keep)));
    EXPECT_EQ(report.error->code, Errc::cutover_too_late) << left;
    EXPECT_EQ(report.ending, Ending::refused) << left;
    EXPECT_EQ(deadline_at(late, 0), before) << left;
    EXPECT_EQ(deadline_at(late, 1), before) << left;
  }

  SimulatedFleet silent = held();
  silent.faults[{0, 1}] = Fault::refuses_connection;
  const Report report = extend(silent, for_cutover(silent, milliseconds(0)));
  EXPECT_EQ(report.error->code, Errc::cutover_too_late);
  EXPECT_EQ(deadline_at(silent, 0), before);
}

TEST(ExtendPlan, ForACutoverItEndsBeforeWhatIsKept) {
  for (std::size_t first = 0; first < 6; ++first) {
    SimulatedFleet fleet = held();
    leave(fleet, milliseconds(3000));
    fleet.hang = milliseconds(5000);
    for (std::size_t batch = first; batch < 40; ++batch) fleet.faults[{batch, 1}] = Fault::hangs;
    ExtendPlan plan(for_cutover(fleet, milliseconds(1000)));
    Observation seen{observed::Begin{}, {}, {}, false};
    const auto before = *fleet.records()[0].deadline;
    std::optional<Report> report;
    while (!report) report = fleet.carry_out(plan, seen);
    // What an answer may take in any case.
    EXPECT_LE(seen.now, before - milliseconds(1000) + ExtendPlan::least_time) << first;
  }
}

TEST(LongerToken, AddsToBothTimesAndLeavesWhatItCannotRead) {
  Record record;
  record.id = "7d";
  record.switches.push_back({"unix:///x", "a", 100, {}});
  const auto longer = [&record](std::string_view token) {
    const std::string made = longer_token(token, milliseconds(500), record);
    return made.substr(0, made.rfind('.'));
  };
  EXPECT_EQ(longer("1.7d.1000.release.0.Zm"), "1.7d.1500.release.0");
  EXPECT_EQ(longer("1.7d.1000_90000.reject.7.Zm"), "1.7d.1500_90500.reject.7");
  for (const char* broken :
       {"1.7d.1000.release.0", "1.7d.x.release.0.Zm", "1.7d.1_x.release.0.Zm"}) {
    EXPECT_EQ(longer_token(broken, milliseconds(500), record), broken);
  }
}

}  // namespace
}  // namespace stillgate::hold
