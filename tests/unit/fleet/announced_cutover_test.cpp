// Who watches a cutover: told of it before its first change, and once all of it is known.
#include "fleet/announced_cutover.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/suspend/suspend_plan.hpp"

namespace stillgate::fleet {
namespace {

using hold::CutoverPlan;
using hold::SimulatedFleet;
using std::chrono::milliseconds;

Cutover green() {
  Cutover cutover;
  cutover.name = "green";
  cutover.servers = {{"app/blue1", "maint"}, {"app/green1", "ready"}};
  return cutover;
}

/// Held, with the old code.
SimulatedFleet held() {
  SimulatedFleet fleet(2, {"a"});
  for (hold::Host& host : fleet.hosts) {
    host.serving.servers = {{"app/blue1", {"ready", "10", true}},
                            {"app/green1", {"drain", "1", true}}};
    host.configured_serving = host.serving;
  }
  hold::SuspendPlan plan(suspend_request(fleet));
  EXPECT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  return fleet;
}

struct Told {
  std::vector<CutoverBegun> begun{};
  std::vector<std::string> green_then{};  ///< the state of the new code at the first host
  int ended{0};
};

Told cut(SimulatedFleet& fleet, bool back = false) {
  hold::CutoverRequest request;
  request.name = "green";
  request.endpoints = fleet.urls();
  request.frontends = back ? std::vector<std::string>() : fleet.frontends;
  request.records = fleet.records();
  request.claim.owner = "test@here";
  request.keep = milliseconds(500);
  request.retry_for = milliseconds(1000);
  request.back = back;
  if (back) {
    request.changes = hold::changes_back(fleet.cutovers.at("green").rows, request.endpoints);
  } else {
    for (const std::string& url : request.endpoints) {
      for (auto& row : hold::changes_of(green(), url)) request.changes.push_back(row);
    }
  }
  CutoverPlan plan(std::move(request));
  Told told;
  const CutoverWatch watch{
      [&](const CutoverBegun& begun) {
        told.begun.push_back(begun);
        told.green_then.push_back(fleet.hosts[0].serving.servers.at("app/green1").state);
      },
      [&told] { ++told.ended; }};
  {
    AnnouncedCutover announced(plan, watch, {green(), back, fleet.frontends, {}, {}, {}});
    (void)fleet.drive(announced);
    EXPECT_EQ(told.ended, 0);
  }
  return told;
}

TEST(AnnouncedCutover, IsToldWithItsHoldBeforeTheFirstChange) {
  SimulatedFleet fleet = held();
  const auto deadline = *fleet.records()[0].deadline - fleet.records()[0].started_at;
  const Told told = cut(fleet);
  ASSERT_EQ(told.begun.size(), 1U);
  EXPECT_EQ(told.green_then, std::vector<std::string>{"drain"});
  EXPECT_EQ(told.begun[0].hold, fleet.records()[0].id);
  EXPECT_EQ(told.begun[0].frontends, fleet.frontends);
  // All of it: nobody is left who would need what is kept.
  ASSERT_TRUE(told.begun[0].left);
  EXPECT_GT(*told.begun[0].left, milliseconds(1500));
  EXPECT_LE(*told.begun[0].left, deadline);
  EXPECT_EQ(told.ended, 1);
  EXPECT_EQ(fleet.hosts[1].serving.servers.at("app/green1").state, "ready");
}

TEST(AnnouncedCutover, IsNotToldWhereNothingIsChanged) {
  SimulatedFleet fleet = held();
  (void)cut(fleet);
  fleet.start_over();
  const Told again = cut(fleet);
  EXPECT_TRUE(again.begun.empty());
  EXPECT_EQ(again.ended, 0);
  SimulatedFleet without = held();
  without.hosts[1].serving.servers.erase("app/green1");
  EXPECT_TRUE(cut(without).begun.empty());
}

TEST(AnnouncedCutover, IsToldOfOneThatGoesBackToo) {
  SimulatedFleet fleet = held();
  (void)cut(fleet);
  fleet.start_over();
  const Told told = cut(fleet, true);
  ASSERT_EQ(told.begun.size(), 1U);
  EXPECT_EQ(told.green_then, std::vector<std::string>{"ready"});
  EXPECT_TRUE(told.begun[0].back);
  // Behind no hold.
  EXPECT_EQ(told.begun[0].hold, "");
  EXPECT_FALSE(told.begun[0].left);
  EXPECT_EQ(fleet.hosts[0].serving.servers.at("app/green1").state, "drain");
}

}  // namespace
}  // namespace stillgate::fleet
