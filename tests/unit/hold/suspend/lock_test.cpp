// The lock over simulated HAProxies: of two suspends in any interleaving one holds at most, and
// whoever is refused leaves nothing behind.
#include "hold/suspend/lock.hpp"

#include <algorithm>
#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/check/check_plan.hpp"
#include "hold/status_plan.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;

/// One caller on a machine of his own, who names some of the hosts in an order of his own. His view
/// of the fleet has those hosts alone; their state goes back and forth.
struct Caller {
  Caller(const SimulatedFleet& all, std::vector<std::size_t> hosts,
         std::vector<std::string> frontends, std::string id)
      : own(0, all.frontends), order(std::move(hosts)) {
    for (const std::size_t i : order) own.hosts.push_back(all.hosts[i]);
    auto request = suspend_request(own);
    request.hold.frontends = std::move(frontends);
    request.record.id = std::move(id);
    request.record.owner = request.record.id + "@there";
    request.record.reason = "a race";
    plan.emplace(std::move(request));
  }

  void step(SimulatedFleet& all) {
    for (std::size_t i = 0; i < order.size(); ++i) own.hosts[i] = all.hosts[order[i]];
    report = own.carry_out(*plan, seen);
    for (std::size_t i = 0; i < order.size(); ++i) all.hosts[order[i]] = own.hosts[i];
  }
  [[nodiscard]] bool holds() const { return report && report->ending == Ending::done; }

  SimulatedFleet own;
  std::vector<std::size_t> order;
  std::optional<SuspendPlan> plan;
  Observation seen{observed::Begin{}, {}, {}, false};
  std::optional<Report> report{};
};

/// `turn()` says whose step is next: true for a's.
template <class Turn>
void race(SimulatedFleet& all, Caller& a, Caller& b, const Turn& turn) {
  while (!a.report || !b.report) {
    Caller& next = b.report || (!a.report && turn()) ? a : b;
    next.step(all);
  }
}

std::size_t held_by(const SimulatedFleet& all, const Caller& caller) {
  std::size_t count = 0;
  for (const Switch& one : caller.report->switches) {
    count += all.held(one.endpoint, one.frontend) && one.verdict == Verdict::held ? 1U : 0U;
  }
  return count;
}

void expect_refused(const Caller& loser, const Caller& winner) {
  EXPECT_EQ(loser.report->ending, Ending::held_by_other);
  EXPECT_TRUE(loser.own.journal.empty());
  ASSERT_FALSE(loser.report->holds.empty());
  EXPECT_EQ(loser.report->holds[0].id, winner.report->holds[0].id);
  EXPECT_EQ(loser.report->holds[0].reason, "a race");
  EXPECT_TRUE(loser.report->holds[0].deadline);
  EXPECT_TRUE(std::any_of(loser.report->switches.begin(), loser.report->switches.end(),
                          [](const Switch& one) {
                            return one.error && one.error->code == Errc::already_held &&
                                   one.error->message.find("@there") != std::string::npos;
                          }));
}

void expect_one_holds(const SimulatedFleet& all, const Caller& a, const Caller& b) {
  ASSERT_NE(a.holds(), b.holds());
  const Caller& winner = a.holds() ? a : b;
  const Caller& loser = a.holds() ? b : a;
  EXPECT_EQ(held_by(all, winner), winner.report->switches.size());
  EXPECT_EQ(held_by(all, loser), 0U);
  expect_refused(loser, winner);
}

/// How the fleet can be held, and what it has of a lock.
enum class Kind { maxconn, gate, gate_of_2_2, gate_of_2_4 };
constexpr Kind kinds[] = {Kind::maxconn, Kind::gate, Kind::gate_of_2_2, Kind::gate_of_2_4};

SimulatedFleet fleet_of(std::size_t hosts, Kind kind) {
  SimulatedFleet fleet(hosts, {"a", "b"});
  for (Host& host : fleet.hosts) {
    if (kind != Kind::maxconn) host.gates = {{"a", {}}, {"b", {}}};
    if (kind == Kind::gate_of_2_2) host.version = "2.2.9-2+deb11u7";
    if (kind == Kind::gate_of_2_4) host.version = "2.4.22";
    host.compares = kind == Kind::maxconn || kind == Kind::gate;
    host.remembers = kind != Kind::gate_of_2_2;
  }
  return fleet;
}

/// Each interleaving of the first steps as bits; from then on they take turns.
TEST(Lock, OfTwoInAnyInterleavingOneHolds) {
  for (const Kind kind : kinds) {
    for (unsigned bits = 0; bits < 1U << 12U; ++bits) {
      SimulatedFleet all = fleet_of(2, kind);
      Caller a(all, {0, 1}, {"a"}, "alice");
      Caller b(all, {1, 0}, {"a"}, "bob");
      unsigned left = bits;
      race(all, a, b, [&left] {
        const bool mine = (left & 1U) != 0;
        left >>= 1U;
        return mine;
      });
      expect_one_holds(all, a, b);
      ASSERT_FALSE(testing::Test::HasFailure())
          << "kind " << static_cast<int>(kind) << ", turns " << bits;
    }
  }
}

TEST(Lock, TheNumberOfFrontendsMakesNoDifference) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::minstd_rand dice(seed + 1);
    SimulatedFleet all = fleet_of(3, kinds[seed % 4]);
    Caller a(all, {0, 1, 2}, {"a", "b"}, "alice");
    Caller b(all, {2, 1, 0},
             seed % 3 == 0 ? std::vector<std::string>{"b"} : std::vector<std::string>{"b", "a"},
             "bob");
    race(all, a, b, [&dice] { return dice() % 2 == 0; });
    expect_one_holds(all, a, b);
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
  }
}

/// A caller at one HAProxy that runs a command of his at a time, and others' in between.
class Sender {
 public:
  Sender(SimulatedFleet& all, std::vector<std::string> frontends, std::string id) : all_(all) {
    auto request = suspend_request(all);
    request.hold.frontends = std::move(frontends);
    request.record.id = std::move(id);
    plan_.emplace(std::move(request));
  }

  void step() {
    if (done_ < work_.size()) {
      answer_.replies.push_back(all_.ask_one(0, {work_[done_++]}, std::nullopt).replies.front());
      return;
    }
    if (asked_) seen_.what = observed::Answers{{answer_}};
    asked_ = false;
    seen_.elapsed += milliseconds(1);
    seen_.now = WallTime(milliseconds(1'800'000'000'000)) + seen_.elapsed;
    take(plan_->next(seen_));
    (void)plan_->take_events();
  }
  [[nodiscard]] bool holds() const { return report && report->ending == Ending::done; }

  std::optional<Report> report{};
  std::size_t rounds{0};
  std::size_t commands{0};
  std::size_t bytes{0};

 private:
  void take(Step step) {
    if (auto* done = std::get_if<step::Done>(&step)) {
      report = std::move(done->report);
    } else if (auto* batch = std::get_if<runtime_api::Batch>(&step)) {
      asked_ = true;
      done_ = 0;
      work_ = batch->work[0];
      answer_ = {};
      ++rounds;
      commands += work_.size();
      for (const auto& command : work_) bytes += command.wire().size();
      answer_.sent = all_.fulfils(0, batch->condition_of(0));
      if (answer_.sent) return;
      work_.clear();
      answer_.error = Error{Errc::hold_changed, "simulated"};
    } else if (auto* prove = std::get_if<step::ProveWaits>(&step)) {
      seen_.what = observed::Proving{all_.start_proof(*prove)};
    } else if (std::holds_alternative<step::EndProof>(step)) {
      all_.end_proof();
      seen_.what = observed::Tick{};
    } else if (std::holds_alternative<step::WriteJournal>(step)) {
      seen_.what = observed::Journaled{std::nullopt};
    } else if (auto* wait = std::get_if<step::Wait>(&step)) {
      seen_.elapsed += wait->time;
      seen_.what = observed::Tick{};
    } else {
      seen_.what = observed::Guarded{std::nullopt, {}};
    }
  }

  SimulatedFleet& all_;
  std::optional<SuspendPlan> plan_;
  Observation seen_{observed::Begin{}, {}, {}, false};
  std::vector<runtime_api::Command> work_;
  std::size_t done_{0};
  bool asked_{false};
  runtime_api::Answer answer_;
};

/// All locks of one HAProxy are asked for at once: without a condition between them each of two
/// gets a part.
TEST(Lock, OfTwoWhoseCommandsInterleaveOneHolds) {
  for (const Kind kind : {Kind::maxconn, Kind::gate, Kind::gate_of_2_2}) {
    for (unsigned seed = 0; seed < 500; ++seed) {
      std::minstd_rand dice(seed + 1);
      SimulatedFleet all = fleet_of(1, kind);
      Sender a(all, {"a", "b"}, "alice");
      Sender b(all,
               seed % 3 == 0 ? std::vector<std::string>{"b"} : std::vector<std::string>{"b", "a"},
               "bob");
      // Now and then one is far ahead.
      bool mine = true;
      while (!a.report || !b.report) {
        if (dice() % 3 == 0) mine = !mine;
        (b.report || (!a.report && mine) ? a : b).step();
      }
      ASSERT_NE(a.holds(), b.holds()) << "kind " << static_cast<int>(kind) << ", seed " << seed;
    }
  }
}

/// Two fleets that share a part may both be refused, but a switch has one holder at most, and
/// whoever holds, holds all of his.
TEST(Lock, FleetsThatOverlapNeverHoldHalf) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::minstd_rand dice(seed + 1);
    SimulatedFleet all = fleet_of(3, kinds[seed % 4]);
    Caller a(all, {0, 1}, {"a", "b"}, "alice");
    Caller b(all, {2, 1}, {"b"}, "bob");
    race(all, a, b, [&dice] { return dice() % 2 == 0; });
    EXPECT_FALSE(a.holds() && b.holds());
    for (const Caller* one : {&a, &b}) {
      EXPECT_EQ(held_by(all, *one), one->holds() ? one->report->switches.size() : 0U);
    }
    if (!a.holds() && !b.holds()) {
      EXPECT_TRUE(all.all_open());
    }
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
  }
}

/// Steps until the lock is taken everywhere: the survey, the journal, and one batch each for the
/// first host and the other one.
constexpr int locked_after = 7;

TEST(Lock, OneThatDiedWithItEndsWithItsLease) {
  SimulatedFleet all = fleet_of(2, Kind::maxconn);
  Caller dead(all, {0, 1}, {"a"}, "alice");
  for (int i = 0; i < locked_after; ++i) dead.step(all);
  Caller early(all, {1, 0}, {"a"}, "bob");
  while (!early.report) early.step(all);
  EXPECT_EQ(early.report->ending, Ending::held_by_other);
  Caller late(all, {1, 0}, {"a"}, "carol");
  late.seen.elapsed = milliseconds(15'001);
  while (!late.report) late.step(all);
  EXPECT_TRUE(late.holds());
}

TEST(Lock, AHintThatIsStaleIsFollowed) {
  SimulatedFleet all = fleet_of(2, Kind::maxconn);
  std::vector<std::string> hints;
  for (const char* id : {"one", "two", "three"}) {
    Caller caller(all, {0, 1}, {"a"}, id);
    while (!caller.report) caller.step(all);
    ASSERT_TRUE(caller.holds());
    hints.push_back(all.hosts[0].variables["stillgate_lock_a"]);
    ResumePlan::Request request = resume_request(caller.own);
    request.hold.frontends = {"a"};
    ResumePlan resume(std::move(request));
    ASSERT_EQ(caller.own.drive(resume).ending, Ending::done);
    for (std::size_t i = 0; i < 2; ++i) all.hosts[i] = caller.own.hosts[i];
  }
  for (Host& host : all.hosts) host.variables["stillgate_lock_a"] = hints[0];
  Caller next(all, {1, 0}, {"a"}, "four");
  while (!next.report) next.step(all);
  EXPECT_TRUE(next.holds());
  EXPECT_TRUE(all.hosts[0].variables.contains("stillgate_next_a_three"));
}

TEST(Lock, WithoutCompareAndSetItIsNotTaken) {
  for (const bool told : {false, true}) {
    SimulatedFleet all = fleet_of(2, Kind::maxconn);
    for (Host& host : all.hosts) {
      host.compares = false;
      if (told) host.version = "2.4.22";
    }
    Caller one(all, {0, 1}, {"a"}, "alice");
    while (!one.report) one.step(all);
    // 2.4 also crashes on a resume by maxconn.
    EXPECT_EQ(one.report->ending, told ? Ending::refused : Ending::done);
    EXPECT_FALSE(all.hosts[0].variables.contains("stillgate_lock_a"));
    const auto& findings = one.report->switches[0].findings;
    EXPECT_EQ(told, std::any_of(findings.begin(), findings.end(),
                                [](const Finding& found) { return found.code == "lock_weak"; }));
  }
}

TEST(Lock, AnOlderGateBelow26IsHeldWithoutOneAndThatIsSaid) {
  for (const bool old : {false, true}) {
    SimulatedFleet all = fleet_of(2, Kind::gate_of_2_2);
    for (Host& host : all.hosts) host.gate_locks = !old;
    Caller one(all, {0, 1}, {"a"}, "alice");
    while (!one.report) one.step(all);
    EXPECT_TRUE(one.holds());
    EXPECT_EQ(all.hosts[0].gates["a"].lock_id, old ? "" : "alice");
    const auto& findings = one.report->switches[0].findings;
    EXPECT_EQ(old, std::any_of(findings.begin(), findings.end(),
                               [](const Finding& found) { return found.code == "lock_weak"; }));
  }
}

/// With a look at all frontends after each of them the cost was quadratic; with a round for each
/// frontend it was bound by the round trips.
TEST(Lock, ItsCostIsLinearInTheFrontends) {
  for (const Kind kind : kinds) {
    if (kind == Kind::gate_of_2_4) continue;
    std::vector<std::size_t> cost;
    std::vector<std::size_t> bytes;
    std::vector<std::size_t> rounds;
    for (const std::size_t count : {30U, 300U}) {
      std::vector<std::string> names;
      for (std::size_t i = 0; i < count; ++i) names.push_back(fmt::format("f{:03}", i));
      SimulatedFleet all(1, names);
      if (kind != Kind::maxconn) {
        for (const auto& name : names) all.hosts[0].gates[name] = {};
      }
      if (kind == Kind::gate_of_2_2) {
        all.hosts[0].version = "2.2.9-2+deb11u7";
        all.hosts[0].compares = all.hosts[0].remembers = false;
      }
      Sender one(all, names, "alice");
      while (!one.report) one.step();
      EXPECT_TRUE(one.holds());
      cost.push_back(one.commands);
      bytes.push_back(one.bytes);
      rounds.push_back(one.rounds);
    }
    EXPECT_LE(bytes[1], 10 * bytes[0] + 1000) << "kind " << static_cast<int>(kind);
    EXPECT_EQ(rounds[1], rounds[0]) << "kind " << static_cast<int>(kind);
    EXPECT_LE(cost[1], 10 * cost[0]) << "kind " << static_cast<int>(kind);
  }
}

TEST(Lock, ALimitThatChangesMeanwhileIsNotTakenForTheOneBefore) {
  SimulatedFleet all = fleet_of(2, Kind::maxconn);
  Caller one(all, {0, 1}, {"a"}, "alice");
  for (int i = 0; i < 2; ++i) one.step(all);
  all.hosts[1].limits["a"] = 5;  // the step of somebody's ramp
  while (!one.report) one.step(all);
  EXPECT_EQ(one.report->ending, Ending::refused);
  EXPECT_EQ(one.report->switches[1].error->code, Errc::limit_mismatch);
  Caller next(all, {0, 1}, {"a"}, "bob");
  while (!next.report) next.step(all);
  EXPECT_TRUE(next.holds()) << "the lock was not freed";
}

TEST(Lock, StatusTellsOfALockWithoutAHoldAndOfADeadline) {
  SimulatedFleet all = fleet_of(1, Kind::maxconn);
  Caller dead(all, {0}, {"a"}, "alice");
  for (int i = 0; i < locked_after; ++i) dead.step(all);
  all.hosts[0].variables["stillgate_maxconn_a"].clear();
  StatusPlan locked({all.urls(), {"a"}, {}});
  const Report before = all.drive(locked);
  ASSERT_EQ(before.switches[0].findings.size(), 1U);
  EXPECT_EQ(before.switches[0].findings[0].code, "locked");
  all.hosts[0].variables["stillgate_ended_a"] = "alice.expired.1800000000000";
  StatusPlan over({all.urls(), {"a"}, {}});
  const Report after = all.drive(over);
  ASSERT_EQ(after.switches[0].findings.size(), 1U);
  EXPECT_EQ(after.switches[0].findings[0].code, "expired");
  EXPECT_NE(after.switches[0].findings[0].message.find("08:00:00 UTC"), std::string::npos);
}

}  // namespace
}  // namespace stillgate::hold
