// A call that is frozen before any of its commands: whoever holds by then is left alone.
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/extend_plan.hpp"
#include "hold/record/lock_variables.hpp"
#include "hold/record/record_variable.hpp"
#include "hold/resume/resume_plan.hpp"
#include "hold/suspend/suspend_plan.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;

const std::string next_id = "fedcba9876543210";
const std::string failing_drain = "0x1: src=10.0.0.1:7 fe=a be=servers srv=s1 age=60s calls=1\n";

struct Method {
  const char* name;
  void (*prepare)(Host&);
};

void by_maxconn(Host& /*host*/) {}
void by_gate(Host& host) {
  host.gates["a"] = {};
  host.gate_clock_ms = 1'000'000;
}
void by_table(Host& host) {
  by_gate(host);
  host.version = "2.2.9-2+deb11u6";
  host.remembers = host.compares = false;
}

SimulatedFleet fleet_of(const Method& method) {
  SimulatedFleet fleet(2, {"a"});
  for (Host& host : fleet.hosts) method.prepare(host);
  return fleet;
}

SimulatedFleet held(const Method& method) {
  SimulatedFleet fleet = fleet_of(method);
  SuspendPlan plan(suspend_request(fleet));
  EXPECT_EQ(fleet.drive(plan).ending, Ending::done);
  fleet.start_over();
  return fleet;
}

/// From another machine: ends what is held there, and holds. Whether it does.
bool hold_next(SimulatedFleet& fleet) {
  const auto batches = std::exchange(fleet.batches, 10'000);
  const auto steps = fleet.steps;
  auto ending = resume_request(fleet);
  ending.records.clear();
  ending.claim = {"other@there", {}, true, "it must be"};
  ResumePlan resume(std::move(ending));
  (void)fleet.drive(resume);
  auto wanted = suspend_request(fleet);
  wanted.record.id = next_id;
  wanted.record.owner = "other@there";
  wanted.known.clear();
  wanted.drain_timeout = milliseconds(0);
  SuspendPlan suspend(std::move(wanted));
  const bool holds = fleet.drive(suspend).ending == Ending::done;
  fleet.batches = batches;
  fleet.steps = steps;
  return holds;
}

std::string holder_at(const Host& host) {
  const auto gate = host.gates.find("a");
  if (gate != host.gates.end()) {
    const auto record = record_in(gate->second.token, host.url, "a");
    return record ? record->id : "nobody";
  }
  const auto record = unpack(host.variables.at(variable_of("a")), host.url, "a");
  return record && host.limits.at("a") == 0 ? record->id : "nobody";
}

/// That hold's lock was not freed either.
bool is_locked(const Host& host) {
  const auto ended = host.variables.find("stillgate_ended_a");
  return ended == host.variables.end() || !ended->second.starts_with(next_id);
}

using Make = std::function<std::unique_ptr<Plan>(const SimulatedFleet&)>;

/// Frozen before each of its batches in turn. Returns how often the call then did not end well.
std::size_t freeze_everywhere(const std::function<SimulatedFleet()>& begin, const Make& make) {
  std::size_t told = 0;
  for (std::size_t at = 0;; ++at) {
    SimulatedFleet fleet = begin();
    bool holds = false;
    bool frozen = false;
    fleet.freezes[at] = [&](SimulatedFleet& world) {
      frozen = true;
      holds = hold_next(world);
    };
    const auto plan = make(fleet);
    const Report report = fleet.drive(*plan);
    EXPECT_FALSE(fleet.endless);
    if (!frozen) return told;
    if (!holds) continue;
    for (const Host& host : fleet.hosts) {
      EXPECT_EQ(holder_at(host), next_id) << "frozen before batch " << at;
      EXPECT_TRUE(is_locked(host)) << "frozen before batch " << at;
    }
    told += report.ending == Ending::done ? 0U : 1U;
  }
}

class Frozen : public testing::TestWithParam<Method> {};

std::unique_ptr<Plan> resume_of(const SimulatedFleet& fleet, milliseconds ramp) {
  auto request = resume_request(fleet);
  request.ramp = ramp;
  return std::make_unique<ResumePlan>(std::move(request));
}

TEST_P(Frozen, AResumeOpensNobodyElsesHold) {
  const auto told = freeze_everywhere(
      [] { return held(GetParam()); },
      [](const SimulatedFleet& fleet) { return resume_of(fleet, milliseconds(0)); });
  EXPECT_GE(told, 2U);
}

TEST_P(Frozen, ARampRaisesNobodyElsesLimit) {
  const auto told = freeze_everywhere(
      [] { return held(GetParam()); },
      [](const SimulatedFleet& fleet) { return resume_of(fleet, milliseconds(200)); });
  EXPECT_GE(told, 2U);
}

TEST_P(Frozen, AnExtendMovesNobodyElsesDeadline) {
  const auto told = freeze_everywhere([] { return held(GetParam()); },
                                      [](const SimulatedFleet& fleet) {
                                        ExtendPlan::Request request;
                                        request.hold.endpoints = fleet.urls();
                                        request.hold.frontends = fleet.frontends;
                                        request.records = fleet.records();
                                        request.claim.owner = "test@here";
                                        request.by = milliseconds(10'000);
                                        return std::make_unique<ExtendPlan>(std::move(request));
                                      });
  EXPECT_GE(told, 2U);
}

TEST_P(Frozen, ASuspendTakesNobodyElsesPlace) {
  const auto told =
      freeze_everywhere([] { return fleet_of(GetParam()); },
                        [](const SimulatedFleet& fleet) {
                          return std::make_unique<SuspendPlan>(suspend_request(fleet));
                        });
  EXPECT_GE(told, 2U);
}

TEST_P(Frozen, ATakeBackOpensNobodyElsesHold) {
  const auto told = freeze_everywhere(
      [] {
        SimulatedFleet fleet = fleet_of(GetParam());
        fleet.hosts[1].streams = failing_drain;
        fleet.hosts[1].in_flight = {1};
        return fleet;
      },
      [](const SimulatedFleet& fleet) {
        return std::make_unique<SuspendPlan>(suspend_request(fleet));
      });
  EXPECT_GE(told, 2U);
}

INSTANTIATE_TEST_SUITE_P(All, Frozen,
                         testing::Values(Method{"by_maxconn", by_maxconn},
                                         Method{"by_gate", by_gate}, Method{"by_table", by_table}),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace stillgate::hold
