// The plan of --ready-first over simulated HAProxies: servers are in drain and up, or all is as
// before, whatever goes wrong.
#include "hold/cutover/ready_plan.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/cutover/cutover_plan.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

/// blue serves; the new code is on green, in maintenance.
Serving before() {
  Serving serving;
  serving.servers = {{"app/blue1", {"ready", "1", true}},
                     {"app/green1", {"maint", "1", true}},
                     {"app/green2", {"maint", "1", true}}};
  return serving;
}

Serving readied() {
  Serving serving = before();
  serving.servers["app/green1"].state = serving.servers["app/green2"].state = "drain";
  return serving;
}

Cutover green() {
  Cutover cutover;
  cutover.name = "green";
  cutover.servers = {{"app/blue1", "maint"}, {"app/green1", "ready"}, {"app/green2", "ready"}};
  return cutover;
}

SimulatedFleet fleet_of(std::size_t hosts) {
  SimulatedFleet fleet(hosts, {});
  for (Host& host : fleet.hosts) host.serving = host.configured_serving = before();
  return fleet;
}

SimulatedServer& server(SimulatedFleet& fleet, std::size_t host, const std::string& place) {
  return fleet.hosts[host].serving.servers[place];
}

CutoverRequest request(const SimulatedFleet& fleet) {
  CutoverRequest request;
  request.name = "green";
  request.endpoints = fleet.urls();
  request.retry_for = milliseconds(3000);
  const auto known = fleet.cutovers.find("green");
  if (known != fleet.cutovers.end()) request.known = known->second.rows;
  for (const std::string& url : request.endpoints) {
    for (auto& row : changes_of(green(), url)) request.changes.push_back(row);
  }
  return request;
}

Report ready(SimulatedFleet& fleet, std::vector<CutoverRow>* moved = nullptr) {
  ReadyPlan plan({request(fleet), milliseconds(2000)});
  Report report = fleet.drive(plan);
  if (moved != nullptr) *moved = plan.moved();
  return report;
}

bool stands(const SimulatedFleet& fleet, const Serving& serving) {
  return std::ranges::all_of(fleet.hosts,
                             [&](const Host& host) { return host.serving == serving; });
}

TEST(ReadyPlan, BringsTheNewServersToDrainAndWaitsForACheckThere) {
  SimulatedFleet fleet = fleet_of(3);
  std::vector<CutoverRow> moved;
  const Report report = ready(fleet, &moved);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.cutover->state, CutoverState::possible);
  EXPECT_TRUE(stands(fleet, readied()));
  EXPECT_EQ(moved.size(), 6U);
  EXPECT_EQ(fleet.unrecorded_cuts, 0U);
  // What HAProxy says at the first look is its own word.
  EXPECT_GT(fleet.batches, 3U);

  // What stood before it is what --back of the cutover restores.
  fleet.start_over();
  CutoverPlan cut(request(fleet));
  ASSERT_TRUE(fleet.drive(cut).ok());
  fleet.start_over();
  CutoverRequest back = request(fleet);
  back.back = true;
  back.changes = changes_back(back.known, back.endpoints);
  CutoverPlan undo(std::move(back));
  ASSERT_TRUE(fleet.drive(undo).ok());
  EXPECT_TRUE(stands(fleet, before()));
}

TEST(ReadyPlan, NamesWhatIsNotUpInTimeAndPutsAllBack) {
  SimulatedFleet fleet = fleet_of(2);
  server(fleet, 1, "app/green2").running = false;
  Serving wanted = before();
  const Report report = ready(fleet);
  EXPECT_EQ(report.ending, Ending::refused);
  EXPECT_EQ(report.error->code, Errc::cutover_not_ready);
  EXPECT_EQ(report.error->message,
            "not up within 2 s: app/green2 at unix:///run/1.sock is DOWN (L4CON); all are as "
            "before, and nothing was held");
  EXPECT_EQ(fleet.hosts[0].serving, wanted);
  wanted.servers["app/green2"].running = false;
  EXPECT_EQ(fleet.hosts[1].serving, wanted);
  EXPECT_TRUE(fleet.cutovers.empty());
}

TEST(ReadyPlan, WhatIsInDrainAlreadyIsNotMovedAndStaysThere) {
  SimulatedFleet fleet = fleet_of(1);
  fleet.hosts[0].serving = readied();
  server(fleet, 0, "app/green1").running = false;
  std::vector<CutoverRow> moved;
  EXPECT_EQ(ready(fleet, &moved).error->code, Errc::cutover_not_ready);
  EXPECT_TRUE(moved.empty());
  EXPECT_EQ(server(fleet, 0, "app/green1").state, "drain");
}

/// There the word of HAProxy looks like a check's, so its health is taken first.
TEST(ReadyPlan, WithFallOneItIsUpByChecksToo) {
  for (const bool running : {true, false}) {
    SimulatedFleet fleet = fleet_of(1);
    server(fleet, 0, "app/green1").fall = 1;
    server(fleet, 0, "app/green1").running = running;
    const std::size_t least = fleet.batches + 4;
    const Report report = ready(fleet);
    EXPECT_EQ(report.ok(), running);
    EXPECT_GT(fleet.batches, least);
  }
}

TEST(ReadyPlan, AServerWithoutACheckCounts) {
  SimulatedFleet fleet = fleet_of(1);
  server(fleet, 0, "app/green1").checked = false;
  EXPECT_TRUE(ready(fleet).ok());
}

TEST(ReadyPlan, NamesAllThatIsUnknownAndMovesNothing) {
  SimulatedFleet fleet = fleet_of(2);
  fleet.hosts[1].serving.servers.erase("app/green1");
  const auto was = fleet.hosts[0].serving;
  const Report report = ready(fleet);
  EXPECT_EQ(report.error->code, Errc::cutover_unknown);
  EXPECT_EQ(fleet.hosts[0].serving, was);
  EXPECT_EQ(fleet.batches, 1U);
}

/// Whatever goes wrong once, at whichever batch and host.
TEST(ReadyPlan, OneFaultAnywhereLeavesNothingServingThatDidNot) {
  for (const Fault fault : all_faults) {
    for (std::size_t batch = 0; batch < 8; ++batch) {
      SCOPED_TRACE(fmt::format("fault {} in batch {}", static_cast<int>(fault), batch));
      SimulatedFleet fleet = fleet_of(2);
      fleet.faults[{batch, 1}] = fault;
      std::vector<CutoverRow> moved;
      const Report report = ready(fleet, &moved);
      ASSERT_FALSE(fleet.endless);
      EXPECT_EQ(fleet.unrecorded_cuts, 0U);
      if (!fleet.hosts[1].alive) {
        EXPECT_FALSE(report.ok());
        EXPECT_EQ(fleet.hosts[0].serving, before());
        continue;
      }
      EXPECT_TRUE(stands(fleet, report.ok() ? readied() : before()));
      EXPECT_EQ(report.ok(), !moved.empty());
    }
  }
}

TEST(ReadyPlan, AStopAtAnyStepPutsAllBack) {
  for (const Stop how :
       {Stop::after_the_batch, Stop::before_it_is_sent, Stop::before_its_answers}) {
    for (std::size_t at = 0; at < 8; ++at) {
      SCOPED_TRACE(fmt::format("stop {} at {}", static_cast<int>(how), at));
      SimulatedFleet fleet = fleet_of(2);
      fleet.stop = how;
      fleet.cancel_at = at;
      const Report report = ready(fleet);
      EXPECT_TRUE(stands(fleet, report.ok() ? readied() : before()));
      if (!report.ok()) {
        EXPECT_EQ(report.ending, Ending::cancelled);
      }
    }
  }
}

/// A hold that could not be had behind it.
TEST(ReadyPlan, PutsBackWhatAnEarlierOneHasMoved) {
  SimulatedFleet fleet = fleet_of(2);
  std::vector<CutoverRow> moved;
  ASSERT_TRUE(ready(fleet, &moved).ok());
  // One of them serves by now, by somebody's hand.
  server(fleet, 0, "app/green2").state = "ready";
  fleet.start_over();
  CutoverRequest wanted = request(fleet);
  wanted.known.clear();
  ReadyPlan plan({std::move(wanted), {}, moved});
  (void)fleet.drive(plan);
  EXPECT_EQ(server(fleet, 0, "app/green1").state, "maint");
  EXPECT_EQ(server(fleet, 0, "app/green2").state, "ready");
  EXPECT_EQ(fleet.hosts[1].serving, before());
}

}  // namespace
}  // namespace stillgate::hold
