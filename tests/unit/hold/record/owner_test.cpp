// Who may end a hold: the rule, and a resume that keeps to it.
#include "hold/record/owner.hpp"

#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;

constexpr const char* id = "0123456789abcdef";

/// Held by test@here, seen from a machine that has no journal of it.
SimulatedFleet held(bool leased = true) {
  SimulatedFleet fleet(2, {"a"});
  auto request = suspend_request(fleet);
  request.hold.options.no_lease = !leased;
  SuspendPlan plan(std::move(request));
  EXPECT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  return fleet;
}

Report resume(SimulatedFleet& fleet, Claim claim) {
  auto request = resume_request(fleet);
  request.records.clear();
  request.claim = std::move(claim);
  ResumePlan plan(std::move(request));
  return fleet.drive(plan);
}

TEST(Ownership, SomebodyElsesHoldIsLeftAlone) {
  for (const Claim& claim :
       {Claim{"eve@there", "", false, ""}, Claim{"test@here", "x", false, ""}}) {
    SimulatedFleet fleet = held();
    const auto before = fleet.hosts[0].variables;
    const Report report = resume(fleet, claim);
    EXPECT_EQ(report.ending, Ending::held_by_other);
    EXPECT_EQ(fleet.writes, 0U);
    EXPECT_EQ(fleet.hosts[0].variables, before);
    ASSERT_TRUE(report.switches[0].error);
    EXPECT_EQ(report.switches[0].error->code, Errc::not_the_holder);
    EXPECT_NE(report.switches[0].error->message.find("test@here"), std::string::npos);
    EXPECT_NE(report.switches[0].error->message.find("15 s left"), std::string::npos);
    EXPECT_NE(report.switches[0].error->message.find(id), std::string::npos);
    EXPECT_EQ(report.holds.at(0).id, id);
  }
}

TEST(Ownership, TheHolderAndHisIdEndItAndSoDoesForce) {
  for (const Claim& claim : {Claim{"test@here", "", false, ""}, Claim{"eve@there", id, false, ""},
                             Claim{"eve@there", "", true, "he is asleep"}}) {
    SimulatedFleet fleet = held(false);
    const Report report = resume(fleet, claim);
    EXPECT_EQ(report.ending, Ending::done);
    EXPECT_TRUE(fleet.all_open());
    EXPECT_TRUE(fleet.all_forgotten());
    EXPECT_TRUE(
        fleet.hosts[1].variables["stillgate_ended_a"].starts_with(std::string(id) + ".resumed."));
    ASSERT_EQ(report.switches[0].findings.size(), claim.force ? 1U : 0U);
    if (!claim.force) continue;
    EXPECT_EQ(report.switches[0].findings[0].code, "forced");
    EXPECT_NE(report.switches[0].findings[0].message.find("he is asleep"), std::string::npos);
  }
}

TEST(Ownership, ThePartThatIsOnesOwnIsNotReleasedEither) {
  SimulatedFleet fleet(2, {"a", "b"});
  const char* const owners[] = {"test@here", "eve@there"};
  for (const std::size_t i : {0U, 1U}) {
    auto request = suspend_request(fleet);
    request.hold.frontends = {fleet.frontends[i]};
    request.record.id = "id" + std::to_string(i);
    request.record.owner = owners[i];
    SuspendPlan plan(std::move(request));
    ASSERT_EQ(fleet.drive(plan).ending, Ending::done);
    fleet.start_over();
  }
  const Report report = resume(fleet, {"test@here", "", false, ""});
  EXPECT_EQ(report.ending, Ending::held_by_other);
  EXPECT_EQ(fleet.writes, 0U);
  EXPECT_FALSE(report.switches[0].error);
  EXPECT_EQ(report.switches[1].error->code, Errc::not_the_holder);
}

TEST(Ownership, AfterTheDeadlineAnybodyMay) {
  SimulatedFleet fleet = held();
  fleet.clock = milliseconds(15'001);
  EXPECT_EQ(resume(fleet, {"eve@there", "", false, ""}).ending, Ending::done);
  EXPECT_TRUE(fleet.all_open());
}

TEST(Ownership, TheJournalMakesAHolder) {
  Record hold;
  hold.id = id;
  hold.owner = "test@here";
  const Claim eve{"eve@there", "", false, ""};
  EXPECT_TRUE(not_the_holder(hold, eve, {}, WallTime()));
  EXPECT_FALSE(not_the_holder(hold, eve, {hold}, WallTime()));
}

TEST(Ownership, ARefusalSaysWhatIsTyped) {
  Record hold;
  hold.id = id;
  hold.owner = "test@here";
  hold.switches = {{"unix:///a", "a"}, {"unix:///a", "b"}, {"unix:///b", "a"}};
  Claim eve{"eve@there", "", false, ""};
  auto error = not_the_holder(hold, eve, {}, WallTime());
  EXPECT_NE(error->message.find(std::string("'stillgate resume a b --hold ") + id + "'"),
            std::string::npos);
  EXPECT_NE(error->message.find("'stillgate resume a b --force --reason TEXT'"), std::string::npos);
  eve.command = "stillgate extend a 10";
  error = not_the_holder(hold, eve, {}, WallTime());
  EXPECT_NE(error->message.find("'stillgate extend a 10 --hold"), std::string::npos);
}

/// He may be about to hold: what he wrote stays.
TEST(Ownership, WhatIsOpenAndOnSomebodysRecordStaysOnIt) {
  SimulatedFleet fleet = held();
  for (Host& host : fleet.hosts) host.limits = host.configured;
  const auto before = fleet.hosts[0].variables;
  EXPECT_EQ(resume(fleet, {"eve@there", "", false, ""}).ending, Ending::done);
  EXPECT_EQ(fleet.hosts[0].variables, before);
}

}  // namespace
}  // namespace stillgate::hold
