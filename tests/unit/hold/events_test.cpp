// The events of a hold's course: which there are, when, and their figures.
#include "hold/events.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t arming =
    3;  // the survey, and the lock at one host and then at the other, come before
constexpr std::size_t commit = arming + 1;
const std::string whoever = "deploy@host";

std::vector<EventKind> kinds(const std::vector<Event>& events) {
  std::vector<EventKind> all;
  for (const Event& event : events) all.push_back(event.kind);
  return all;
}

double figure(const Event& event, const std::string& name) {
  for (const auto& [key, value] : event.figures) {
    if (key == name) return std::visit([](auto one) { return static_cast<double>(one); }, value);
  }
  ADD_FAILURE() << name << " is not told by " << event.message;
  return 0;
}

SimulatedFleet gated() {
  SimulatedFleet fleet(2, {"a", "b"});
  for (Host& host : fleet.hosts) host.gates = {{"a", {}}, {"b", {}}};
  return fleet;
}

Report suspend(SimulatedFleet& fleet) {
  SuspendPlan plan(suspend_request(fleet));
  return fleet.drive(plan);
}

Report resume(SimulatedFleet& fleet) {
  fleet.start_over();
  ResumePlan plan(resume_request(fleet));
  return fleet.drive(plan);
}

WallTime after(const Hold& hold, milliseconds time) { return hold.started_at + time; }

TEST(HoldEvents, HeldIsToldBeforeTheDrainAndDrainedBehindIt) {
  SimulatedFleet fleet = gated();
  fleet.hosts[0].in_flight = {2, 2, 2, 0};
  const Report report = suspend(fleet);
  ASSERT_TRUE(report.ok());
  ASSERT_EQ(kinds(fleet.events), (std::vector{EventKind::held, EventKind::drained}));
  const Event& held = fleet.events[0];
  const Event& drained = fleet.events[1];
  EXPECT_LT(held.at, drained.at);
  ASSERT_TRUE(held.hold);
  EXPECT_EQ(held.hold->id, report.holds[0].id);
  EXPECT_EQ(held.hold->deadline, report.holds[0].deadline);
  EXPECT_EQ(figure(held, "switches"), 4);
  EXPECT_EQ(figure(held, "endpoints"), 2);
  EXPECT_EQ(figure(held, "gate_switches"), 4);
  EXPECT_EQ(held.endpoints, fleet.urls());
  EXPECT_EQ(figure(held, "commit_window_ms"), *report.commit_window_ms);
  EXPECT_EQ(figure(drained, "drain_ms"), *report.drain_ms);
}

TEST(HoldEvents, ADrainThatNobodyWantedIsNotTold) {
  SimulatedFleet fleet = gated();
  auto request = suspend_request(fleet);
  request.drain_timeout = milliseconds(0);
  SuspendPlan plan(std::move(request));
  EXPECT_TRUE(fleet.drive(plan).ok());
  EXPECT_EQ(kinds(fleet.events), std::vector{EventKind::held});
}

TEST(HoldEvents, ARefusalTellsNothing) {
  SimulatedFleet fleet = gated();
  fleet.hosts[1].level = "operator";
  EXPECT_EQ(suspend(fleet).ending, Ending::refused);
  EXPECT_TRUE(fleet.events.empty());
}

TEST(HoldEvents, ARollbackSaysWhy) {
  SimulatedFleet fleet = gated();
  fleet.faults[{commit, 1}] = Fault::refuses_writes;
  EXPECT_FALSE(suspend(fleet).ok());
  ASSERT_EQ(kinds(fleet.events), std::vector{EventKind::rolled_back});
  const Event& told = fleet.events[0];
  EXPECT_NE(told.message.find("permission_denied"), std::string::npos) << told.message;
  EXPECT_EQ(figure(told, "reverted"), 4);
  EXPECT_EQ(figure(told, "still_held"), 0);
  EXPECT_EQ(told.hold->frontends, (std::vector<std::string>{"a", "b"}));
}

TEST(HoldEvents, AStopIsARollbackToo) {
  SimulatedFleet fleet = gated();
  fleet.cancel_at = 5;
  EXPECT_EQ(suspend(fleet).ending, Ending::cancelled);
  ASSERT_FALSE(fleet.events.empty());
  EXPECT_EQ(fleet.events.back().kind, EventKind::rolled_back);
  EXPECT_NE(fleet.events.back().message.find("stopped by the caller"), std::string::npos);
}

TEST(HoldEvents, AnEndpointThatDiedInTheCommitIsLost) {
  SimulatedFleet fleet = gated();
  fleet.faults[{commit, 1}] = Fault::dies;
  EXPECT_FALSE(suspend(fleet).ok());
  ASSERT_EQ(kinds(fleet.events), (std::vector{EventKind::endpoint_lost, EventKind::rolled_back}));
  EXPECT_EQ(fleet.events[0].endpoint, fleet.hosts[1].url);
  EXPECT_EQ(figure(fleet.events[1], "still_held"), 2);
}

TEST(HoldEvents, AFailureBeforeTheCommitIsToldAsWell) {
  SimulatedFleet fleet(2, {"a"});
  fleet.faults[{arming, 1}] = Fault::refuses_writes;
  EXPECT_FALSE(suspend(fleet).ok());
  EXPECT_EQ(kinds(fleet.events), std::vector{EventKind::rolled_back});
}

TEST(HoldEvents, AResumeHasItsFigures) {
  SimulatedFleet fleet = gated();
  const Hold hold = suspend(fleet).holds.at(0);
  const Report report = resume(fleet);
  const auto events =
      resumed_events(report, {"other@host", false}, after(hold, milliseconds(2500)));
  ASSERT_EQ(kinds(events), std::vector{EventKind::resumed});
  EXPECT_EQ(events[0].hold->id, hold.id);
  EXPECT_EQ(figure(events[0], "released"), 4);
  EXPECT_EQ(figure(events[0], "still_held"), 0);
  EXPECT_EQ(figure(events[0], "held_s"), 2.5);
  EXPECT_EQ(figure(events[0], "leaked"), 0);
  EXPECT_NE(events[0].message.find("resumed by other@host, held by"), std::string::npos);
}

TEST(HoldEvents, TheDeadlinesOwnResumeIsAnExpiry) {
  SimulatedFleet fleet = gated();
  const Hold hold = suspend(fleet).holds.at(0);
  const Report report = resume(fleet);
  const auto events = resumed_events(report, {whoever, true}, *hold.deadline + milliseconds(20));
  ASSERT_EQ(kinds(events), std::vector{EventKind::expired});
  EXPECT_NEAR(figure(events[0], "late_s"), 0.02, 0.001);
}

TEST(HoldEvents, AResumeOfWhatHadExpiredSaysSo) {
  SimulatedFleet fleet = gated();
  const Hold hold = suspend(fleet).holds.at(0);
  Report report = resume(fleet);
  for (Switch& one : report.switches) {
    one.findings.push_back({"already_open", Level::info, "was open already"});
  }
  const auto late = resumed_events(report, {whoever, false}, *hold.deadline + seconds(60));
  ASSERT_EQ(kinds(late), std::vector{EventKind::expired});
  EXPECT_NE(late[0].message.find("already open when resumed by"), std::string::npos)
      << late[0].message;
  // Before the deadline it was somebody's hand, or a reload.
  const auto early = resumed_events(report, {whoever, false}, *hold.deadline - seconds(1));
  EXPECT_EQ(kinds(early), std::vector{EventKind::resumed});
}

TEST(HoldEvents, WhatCannotBeResumedIsLostAndNotResumed) {
  SimulatedFleet fleet = gated();
  const Hold hold = suspend(fleet).holds.at(0);
  for (Host& host : fleet.hosts) host.alive = false;
  const Report report = resume(fleet);
  const auto events = resumed_events(report, {whoever, false}, after(hold, seconds(1)));
  for (const Event& event : events) EXPECT_EQ(event.kind, EventKind::endpoint_lost);
}

TEST(HoldEvents, ALimitWithoutARecordIsToldWithoutAHold) {
  Report report;
  Switch one;
  one.endpoint = "unix:///a";
  one.frontend = "a";
  one.verdict = Verdict::resumed;
  report.switches = {one};
  const auto events = resumed_events(report, {whoever, false}, WallTime());
  ASSERT_EQ(kinds(events), std::vector{EventKind::resumed});
  EXPECT_FALSE(events[0].hold);
}

TEST(HoldEvents, ACheckCountsWhatItFound) {
  Report report;
  Switch one;
  one.endpoint = "unix:///a";
  one.frontend = "a";
  one.findings = {{"keep_alive_passes", Level::warning, "they pass"}};
  report.switches = {one};
  Event told = checked_event(report, {"a", "b"}, WallTime());
  EXPECT_EQ(told.message, "a, b: ready to hold");
  EXPECT_EQ(figure(told, "warnings"), 1);
  EXPECT_EQ(figure(told, "refused"), 0);
  report.ending = Ending::refused;
  report.switches[0].error = Error{Errc::no_such_frontend, "none there", "No such."};
  told = checked_event(report, {"a"}, WallTime());
  EXPECT_EQ(told.message, "a: refused: no_such_frontend: none there (HAProxy: No such.)");
  EXPECT_EQ(figure(told, "refused"), 1);
}

}  // namespace
}  // namespace stillgate::hold
