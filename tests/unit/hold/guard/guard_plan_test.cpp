// The guard's plan at one endpoint, step by step against a simulated HAProxy.
#include "hold/guard/guard_plan.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/record/lock_variables.hpp"
#include "hold/waits/wait_mark.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;
using Mode = GuardMode;

constexpr milliseconds deadline{5000};
constexpr const char* id = "0123456789abcdef";

/// A guard of frontend `a` at one HAProxy, and its world.
class Guarded : public testing::Test {
 protected:
  Guarded() : fleet_(1, {"a"}) {
    record_.id = id;
    record_.owner = "test@here";
    record_.started_at = WallTime(milliseconds(1'000'000));
    record_.deadline = record_.started_at + deadline;
    record_.switches.push_back({fleet_.hosts[0].url, "a", fleet_.hosts[0].limits["a"], {}});
    input_.deadline = deadline;
    input_.mode = Mode::arming;
    plan_ = std::make_unique<GuardPlan>(fleet_.hosts[0].url, record_);
  }

  Host& host() { return fleet_.hosts[0]; }
  std::int64_t limit() { return host().limits["a"]; }

  /// As the suspend does it.
  void hold() {
    host().variables[variable_of("a")] = pack(record_);
    host().limits["a"] = 0;
    input_.mode = Mode::holding;
  }
  void restart() {
    host().pid += 1;
    host().uptime = 0;
    host().variables.clear();
    host().limits = host().configured;
  }

  /// One step, and the time that it takes.
  bool step() {
    input_.wall = record_.started_at + input_.now;
    const auto next = plan_->next(input_, answer_ ? &*answer_ : nullptr);
    for (GuardNotice& one : plan_->take_notices()) notices_.push_back(std::move(one));
    answer_.reset();
    input_.journal = nullptr;
    if (const auto* ask = std::get_if<guard_step::Ask>(&next)) {
      asks_.push_back(*ask);
      answer_ = fleet_.ask_one(0, ask->commands, fault_);
      input_.now += takes_;
    } else if (const auto* rest = std::get_if<guard_step::Wait>(&next)) {
      EXPECT_GE(rest->until, input_.now);
      input_.now = std::max(rest->until, input_.now);
    } else if (std::holds_alternative<guard_step::ReadJournal>(next)) {
      input_.journal = &journal_;
    } else if (const auto* arm = std::get_if<guard_step::Arm>(&next)) {
      answer_ = send(arm->line);
    } else if (std::holds_alternative<guard_step::Disarm>(next)) {
      // HAProxy was told before that: however this closes, nothing runs any more.
      EXPECT_FALSE(waits(host()));
      ++closed_;
    } else {
      left_ = true;
    }
    return !left_;
  }
  void run_until(milliseconds until) {
    for (int i = 0; i < 10'000 && !left_ && input_.now < until; ++i) step();
  }
  void run_to_the_end() {
    for (int i = 0; i < 200'000 && !left_; ++i) step();
    EXPECT_TRUE(left_);
  }
  std::vector<GuardNotice::Kind> kinds() const {
    std::vector<GuardNotice::Kind> found;
    for (const GuardNotice& one : notices_) found.push_back(one.kind);
    return found;
  }
  /// A guard whose release may wait in HAProxy.
  void back() {
    record_.switches[0].lease = Lease::backed;
    plan_ = std::make_unique<GuardPlan>(fleet_.hosts[0].url, record_);
  }
  runtime_api::Answer send(const std::string& line) {
    runtime_api::Answer answer;
    lines_.push_back(line);
    EXPECT_LE(host().lines.size(), may_stand_) << "two releases wait";
    if (line_fails_) {
      answer.error = Error{Errc::stats_maxconn, "simulated"};
    } else {
      add_line(host());
    }
    return answer;
  }
  static bool waits(const Host& host) { return !host.lines.empty(); }
  static void add_line(Host& host) {
    const auto mark = wait_mark(id).count();
    const auto rest = mark % 86'400;
    const std::string small = rest < 60     ? std::to_string(rest) + "s"
                              : rest < 3600 ? std::to_string(rest / 60) + "m"
                                            : std::to_string(rest / 3600) + "h";
    const std::string number = std::to_string(host.next_line++);
    host.lines.push_back({"0x7f0" + number, number, std::to_string(mark / 86'400) + "d" + small});
  }
  std::string ended() { return host().variables["stillgate_ended_a"]; }

  SimulatedFleet fleet_;
  Record record_;
  GuardInput input_;
  std::unique_ptr<GuardPlan> plan_;
  std::optional<runtime_api::Answer> answer_;
  std::optional<Fault> fault_;
  std::size_t may_stand_{0};  ///< lines, when the guard sends its own
  std::vector<guard_step::Ask> asks_;
  std::vector<GuardNotice> notices_;
  std::vector<Record> journal_;
  std::vector<std::string> lines_;  ///< that were to wait
  milliseconds takes_{1};           ///< an answer
  bool line_fails_{false};
  int closed_{0};
  bool left_{false};
};

using Kind = GuardNotice::Kind;
using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(Guarded, WhileArmingItLooksAndChangesNothing) {
  const auto writes = fleet_.writes;
  run_until(milliseconds(1000));
  EXPECT_TRUE(plan_->surveyed());
  EXPECT_FALSE(plan_->error());
  EXPECT_EQ(fleet_.writes, writes);
  EXPECT_FALSE(left_);
}

TEST_F(Guarded, WhatCannotBeAskedIsToldToTheSuspend) {
  fault_ = Fault::refuses_connection;
  run_until(milliseconds(10));
  EXPECT_TRUE(plan_->surveyed());
  ASSERT_TRUE(plan_->error());
  EXPECT_EQ(plan_->error()->code, Errc::connection_refused);
}

TEST_F(Guarded, AtTheDeadlineItReleasesAndLeavesNoTrace) {
  run_until(milliseconds(100));
  hold();
  run_until(deadline);
  EXPECT_EQ(limit(), 0);
  run_until(deadline + milliseconds(2));
  EXPECT_EQ(limit(), host().configured["a"]);
  run_to_the_end();
  EXPECT_LE(input_.now, deadline + milliseconds(600));
  EXPECT_EQ(host().variables[variable_of("a")], "");
  EXPECT_TRUE(ended().starts_with(std::string(id) + ".expired.")) << ended();
  EXPECT_THAT(kinds(), ElementsAre(Kind::released));
}

TEST_F(Guarded, ASuspendThatIsHeldUpElsewhereEndsInTimeHere) {
  run_until(milliseconds(100));
  hold();
  input_.mode = Mode::arming;
  run_until(deadline + milliseconds(2));
  EXPECT_EQ(limit(), host().configured["a"]);
}

TEST_F(Guarded, ASuspendThatDiesIsTakenBack) {
  run_until(milliseconds(100));
  hold();
  input_.mode = Mode::ending;
  run_to_the_end();
  EXPECT_EQ(limit(), host().configured["a"]);
  EXPECT_TRUE(ended().starts_with(std::string(id) + ".rolled_back.")) << ended();
}

TEST_F(Guarded, ACommitThatComesLateIsTakenBackToo) {
  run_until(milliseconds(100));
  input_.mode = Mode::ending;
  run_until(input_.now + milliseconds(150));
  ASSERT_FALSE(left_);
  host().limits["a"] = 0;
  run_to_the_end();
  EXPECT_EQ(limit(), host().configured["a"]);
}

TEST_F(Guarded, ACommitOfAFailedSuspendIsWaitedForUntilTheDeadline) {
  run_until(milliseconds(100));
  input_.mode = Mode::ending;
  run_until(deadline - milliseconds(500));
  ASSERT_FALSE(left_);
  host().limits["a"] = 0;
  run_until(deadline - milliseconds(200));
  EXPECT_EQ(limit(), host().configured["a"]);
  run_to_the_end();
  EXPECT_LE(input_.now, deadline + milliseconds(200));
}

TEST_F(Guarded, WhoDoesNotAnswerMeanwhileIsWaitedForToo) {
  run_until(milliseconds(100));
  input_.mode = Mode::ending;
  run_until(milliseconds(300));
  fault_ = Fault::hangs;
  run_until(milliseconds(2500));
  ASSERT_FALSE(left_);
  fault_.reset();
  host().limits["a"] = 0;
  run_until(milliseconds(3000));
  EXPECT_EQ(limit(), host().configured["a"]);
}

/// It would be told from the failed suspend's by nothing.
TEST_F(Guarded, WithoutVariablesNobodyWaitsForALateCommit) {
  host().remembers = false;
  run_until(milliseconds(100));
  input_.mode = Mode::ending;
  run_to_the_end();
  EXPECT_LT(input_.now, milliseconds(1000));
}

TEST_F(Guarded, AfterAReloadTheHoldIsPutBackWithTheNewNumber) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(500));
  host().configured["a"] = 77;
  restart();
  const auto restarted = input_.now;
  run_until(restarted + milliseconds(110));
  EXPECT_EQ(limit(), 0);
  EXPECT_EQ(plan_->record().switches[0].limit_before, 77);
  run_to_the_end();
  EXPECT_EQ(limit(), 77);
  EXPECT_THAT(kinds(), ElementsAre(Kind::reapplied, Kind::released));
}

TEST_F(Guarded, WhatIsPutBackHasItsLeaseOnRecord) {
  back();
  run_until(milliseconds(100));
  hold();
  restart();
  run_until(milliseconds(400));
  ASSERT_EQ(limit(), 0);
  const auto record = unpack(host().variables[variable_of("a")], host().url, "a");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->switches[0].lease, Lease::backed);
}

TEST_F(Guarded, AnOldWorkerIsLeftForANewConnection) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  EXPECT_FALSE(asks_.back().fresh);
  host().stopping = true;
  run_until(input_.now + milliseconds(105));
  EXPECT_TRUE(asks_.back().fresh);
  // The simulated one has one face: the new process answers from now on.
  host().stopping = false;
  restart();
  run_until(input_.now + milliseconds(110));
  EXPECT_EQ(limit(), 0);
  EXPECT_THAT(kinds(), ElementsAre(Kind::reapplied));
}

/// So a reload is open for one pause and some answers at most.
TEST_F(Guarded, BehindTheLookThatFindsAnOldWorkerNothingIsWaitedFor) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  host().stopping = true;
  const auto looked = asks_.size();
  for (int i = 0; i < 10 && asks_.size() == looked; ++i) step();
  ASSERT_GT(asks_.size(), looked);
  const auto found = asks_.size();
  const auto since = input_.now;
  host().stopping = false;
  restart();
  for (int i = 0; i < 10 && limit() != 0; ++i) step();
  ASSERT_EQ(limit(), 0);
  EXPECT_TRUE(asks_[found].fresh);
  EXPECT_EQ(input_.now - since, takes_ * static_cast<int>(asks_.size() - found));
}

TEST_F(Guarded, WhatSomebodyResumedIsNeverPutBack) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  host().limits = host().configured;
  host().variables[variable_of("a")] = "";
  run_to_the_end();
  EXPECT_LE(input_.now, milliseconds(600));
  EXPECT_TRUE(plan_->resumed());
  EXPECT_EQ(limit(), host().configured["a"]);
  EXPECT_EQ(ended(), "");
  EXPECT_THAT(kinds(), ElementsAre(Kind::resumed));
}

TEST_F(Guarded, AResumeThatDiedHasItsRecordTakenAway) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  host().limits = host().configured;
  run_to_the_end();
  EXPECT_LE(input_.now, milliseconds(2500));
  EXPECT_EQ(host().variables[variable_of("a")], "");
}

TEST_F(Guarded, ARampThatNobodyFinishesEndsAtTheDeadline) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  record_.ramping = true;
  host().variables[variable_of("a")] = pack(record_);
  host().limits["a"] = 3;
  run_until(deadline - milliseconds(100));
  EXPECT_EQ(limit(), 3);
  run_to_the_end();
  EXPECT_EQ(limit(), host().configured["a"]);
}

TEST_F(Guarded, AHoldOfSomebodyElseIsLeftAlone) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  Record other = record_;
  other.id = "fedcba9876543210";
  host().variables[variable_of("a")] = pack(other);
  run_to_the_end();
  EXPECT_EQ(limit(), 0);
  EXPECT_EQ(host().variables[variable_of("a")], pack(other));
}

TEST_F(Guarded, NothingIsPutBackOnceTheHoldIsOverElsewhere) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  restart();
  input_.over = true;
  run_to_the_end();
  EXPECT_EQ(limit(), host().configured["a"]);
  EXPECT_LE(input_.now, milliseconds(600));
}

TEST_F(Guarded, WhatWasPutBackIsReleasedOnceTheHoldIsOverElsewhere) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  restart();
  run_until(milliseconds(600));
  ASSERT_EQ(limit(), 0);
  input_.over = true;
  run_until(milliseconds(800));
  EXPECT_EQ(limit(), host().configured["a"]);
}

TEST_F(Guarded, AnExtensionIsSeenAndKept) {
  run_until(milliseconds(100));
  hold();
  Record longer = record_;
  *longer.deadline += milliseconds(2000);
  host().variables[variable_of("a")] = pack(longer);
  run_until(milliseconds(300));
  ASSERT_EQ(plan_->extended(), longer.deadline);
  input_.deadline += milliseconds(2000);
  run_until(deadline + milliseconds(1900));
  EXPECT_EQ(limit(), 0);
  run_until(deadline + milliseconds(2003));
  EXPECT_EQ(limit(), host().configured["a"]);
}

TEST_F(Guarded, AnExtensionInTheLastMomentIsNotMissed) {
  run_until(milliseconds(100));
  hold();
  run_until(deadline - milliseconds(50));
  Record longer = record_;
  *longer.deadline += milliseconds(2000);
  host().variables[variable_of("a")] = pack(longer);
  for (int i = 0; i < 100 && !plan_->extended(); ++i) step();
  ASSERT_TRUE(plan_->extended());
  input_.deadline += milliseconds(2000);
  run_until(deadline + milliseconds(100));
  EXPECT_EQ(limit(), 0);
}

TEST_F(Guarded, WhatIsLostIsToldAndTriedUntilItAnswers) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  fault_ = Fault::loses_commands;
  run_until(deadline + milliseconds(20'000));
  EXPECT_EQ(limit(), 0);
  EXPECT_THAT(kinds(), ElementsAre(Kind::lost));
  fault_.reset();
  run_until(input_.now + milliseconds(300));
  EXPECT_EQ(limit(), host().configured["a"]);
  run_to_the_end();
  EXPECT_THAT(kinds(), ElementsAre(Kind::lost, Kind::found, Kind::released));
}

TEST_F(Guarded, WhoeverIsNotThereAfterTheDeadlineIsGivenUp) {
  run_until(milliseconds(100));
  hold();
  fault_ = Fault::refuses_connection;
  run_to_the_end();
  EXPECT_GE(input_.now, deadline + GuardPlan::gone_after);
  EXPECT_LE(input_.now, deadline + GuardPlan::gone_after + milliseconds(500));
  EXPECT_THAT(kinds(), ElementsAre(Kind::lost, Kind::gone));
}

TEST_F(Guarded, WhoeverVanishesRightAfterAResumeElsewhereIsNotWaitedFor) {
  run_until(milliseconds(150));
  hold();
  run_until(milliseconds(450));
  input_.over = true;
  fault_ = Fault::refuses_connection;
  const auto vanished = input_.now;
  run_to_the_end();
  EXPECT_GE(input_.now, vanished + GuardPlan::gone_after);
  EXPECT_LE(input_.now, vanished + GuardPlan::gone_after + milliseconds(500));
  EXPECT_LT(input_.now, deadline);
  EXPECT_THAT(kinds(), ElementsAre(Kind::lost));
}

TEST_F(Guarded, AReleaseWhoseAnswerIsLostIsLookedAtForLonger) {
  run_until(milliseconds(100));
  hold();
  run_until(deadline);
  fault_ = Fault::loses_answer;
  step();
  fault_.reset();
  run_to_the_end();
  EXPECT_EQ(limit(), host().configured["a"]);
  EXPECT_GE(input_.now, deadline + GuardPlan::quiet_after_loss);
}

TEST_F(Guarded, WithoutVariablesTheProcessTellsWhoseTheHoldIs) {
  host().remembers = false;
  run_until(milliseconds(100));
  host().limits["a"] = 0;
  input_.mode = Mode::holding;
  run_until(milliseconds(500));
  restart();
  run_until(milliseconds(700));
  EXPECT_EQ(limit(), 0);
  run_to_the_end();
  EXPECT_EQ(limit(), host().configured["a"]);
  EXPECT_THAT(kinds(), ElementsAre(Kind::reapplied, Kind::released));
}

TEST_F(Guarded, WithoutVariablesAResumeIsSeenByTheLimit) {
  host().remembers = false;
  run_until(milliseconds(100));
  host().limits["a"] = 0;
  input_.mode = Mode::holding;
  run_until(milliseconds(500));
  host().limits = host().configured;
  run_to_the_end();
  EXPECT_LE(input_.now, milliseconds(700));
}

/// A hold by maxconn below 2.4, where the next one looks the same.
class GuardedByJournal : public Guarded {
 protected:
  GuardedByJournal() {
    host().remembers = false;
    journal_ = {record_};
    run_until(milliseconds(100));
    host().limits["a"] = 0;
    input_.mode = Mode::holding;
  }
  /// Somebody's of this machine, who has found it open.
  void hold_next() {
    Record next = record_;
    next.id = "fedcba9876543210";
    next.started_at = record_.started_at + input_.now;
    journal_.push_back(next);
    host().limits["a"] = 0;
  }
};

TEST_F(GuardedByJournal, WhatComesLateIsOpened) {
  run_until(deadline + milliseconds(100));
  ASSERT_EQ(limit(), host().configured["a"]);
  host().limits["a"] = 0;
  run_to_the_end();
  EXPECT_EQ(limit(), host().configured["a"]);
}

TEST_F(GuardedByJournal, TheHoldAfterItsDeadlineIsLeftAlone) {
  run_until(deadline + milliseconds(100));
  ASSERT_EQ(limit(), host().configured["a"]);
  hold_next();
  run_to_the_end();
  EXPECT_EQ(limit(), 0);
  EXPECT_FALSE(plan_->resumed());
}

TEST_F(GuardedByJournal, TheHoldAfterAResumeBetweenTwoLooksIsLeftAlone) {
  run_until(milliseconds(500));
  journal_.clear();
  hold_next();
  input_.over = true;
  run_to_the_end();
  EXPECT_EQ(limit(), 0);
  // Its own deadline is of no matter any more.
  EXPECT_LT(input_.now, milliseconds(1000));
}

TEST_F(GuardedByJournal, TheHoldAfterASuspendThatFailedIsLeftAlone) {
  input_.mode = Mode::ending;
  journal_.clear();
  hold_next();
  run_to_the_end();
  EXPECT_EQ(limit(), 0);
}

TEST_F(GuardedByJournal, WhoeverDiedWhileItWasHeldDoesNotKeepItFromItsEnd) {
  run_until(milliseconds(500));
  hold_next();
  fault_ = Fault::loses_commands;
  run_until(deadline + milliseconds(50));
  fault_.reset();
  run_until(deadline + milliseconds(1000));
  EXPECT_EQ(limit(), host().configured["a"]);
}

TEST_F(GuardedByJournal, AnEarlierHoldInTheJournalIsNobodys) {
  Record stale = record_;
  stale.id = "fedcba9876543210";
  stale.started_at -= milliseconds(1000);
  journal_ = {stale};
  run_until(deadline + milliseconds(100));
  host().limits["a"] = 0;
  run_to_the_end();
  EXPECT_EQ(limit(), host().configured["a"]);
}

TEST_F(Guarded, ACrashingReleaseIsNotHeldAgain) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  host().version = "2.6.12";
  restart();
  run_to_the_end();
  EXPECT_EQ(limit(), host().configured["a"]);
  EXPECT_THAT(kinds(), ElementsAre(Kind::gone));
}

TEST_F(Guarded, WhatWaitReleasedWhileAllWasFrozenIsTold) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  host().limits = host().configured;
  input_.now = deadline + milliseconds(10'000);
  run_to_the_end();
  EXPECT_THAT(kinds(), ElementsAre(Kind::released));
  EXPECT_EQ(host().variables[variable_of("a")], "");
}

TEST_F(Guarded, WhatWasAnsweredBeforeAFreezeReleasesNobodyElsesHold) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  while (!answer_) step();
  // The answer has come, and nobody reads it until the hold of somebody else stands there.
  Record other = record_;
  other.id = "fedcba9876543210";
  host().variables[variable_of("a")] = pack(other);
  input_.now = deadline + milliseconds(10'000);
  run_until(input_.now + milliseconds(3000));
  EXPECT_EQ(limit(), 0);
  EXPECT_EQ(host().variables[variable_of("a")], pack(other));
}

TEST_F(Guarded, AFreezeBeforeTheReleaseReleasesNobodyElsesHold) {
  run_until(milliseconds(100));
  hold();
  run_until(deadline - milliseconds(5));
  while (input_.now < deadline) step();
  Record other = record_;
  other.id = "fedcba9876543210";
  host().variables[variable_of("a")] = pack(other);
  input_.now = deadline + milliseconds(10'000);
  run_until(input_.now + milliseconds(3000));
  EXPECT_EQ(limit(), 0);
}

TEST_F(Guarded, AnHAProxyThatAlwaysAnswersLateIsReleasedAllTheSame) {
  takes_ = milliseconds(2000);
  hold();
  run_to_the_end();
  EXPECT_EQ(limit(), host().configured["a"]);
}

TEST_F(Guarded, WithoutAProofNoReleaseWaits) {
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(1000));
  EXPECT_THAT(lines_, IsEmpty());
  EXPECT_EQ(plan_->backed(), false);
}

TEST_F(Guarded, AReleaseWaitsBeforeAnythingIsHeld) {
  back();
  run_until(milliseconds(50));
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_EQ(plan_->backed(), true);
  EXPECT_THAT(lines_[0], testing::HasSubstr("set maxconn frontend a 100"));
}

TEST_F(Guarded, WhatCannotBeSentIsToldAndNotTriedAgainAndAgain) {
  back();
  line_fails_ = true;
  run_until(milliseconds(1000));
  EXPECT_EQ(lines_.size(), 1U);
  EXPECT_EQ(plan_->backed(), false);
}

TEST_F(Guarded, AnExtendedHoldHasTheOldReleaseEndedBeforeTheNextOneWaits) {
  back();
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(500));
  input_.deadline += milliseconds(1000);
  run_until(milliseconds(800));
  EXPECT_EQ(lines_.size(), 2U);
  EXPECT_EQ(closed_, 1);
  ASSERT_EQ(host().lines.size(), 1U);
  EXPECT_EQ(host().lines[0].number, "2");
}

TEST_F(Guarded, AResumedHoldLeavesNoReleaseThere) {
  back();
  run_until(milliseconds(100));
  hold();
  run_until(milliseconds(300));
  host().limits["a"] = 100;
  host().variables[variable_of("a")] = "";
  run_to_the_end();
  EXPECT_FALSE(waits(host()));
  EXPECT_EQ(closed_, 1);
}

/// It fires 30 ms later, and ends by itself: its address may be a client's at any moment then.
TEST_F(Guarded, AtItsDeadlineTheReleaseIsLeftToFire) {
  back();
  run_until(milliseconds(100));
  hold();
  run_to_the_end();
  EXPECT_EQ(limit(), 100);
  for (const guard_step::Ask& ask : asks_) {
    for (const auto& command : ask.commands) {
      EXPECT_FALSE(command.text().starts_with("shutdown")) << command.text();
    }
  }
}

/// Its connection ended with it: its address may be another client's at any moment.
TEST_F(Guarded, WhoeverTakesOverLeavesTheReleaseOfTheOneBeforeUntilItMustHaveEnded) {
  hold();
  add_line(host());
  may_stand_ = 1;
  back();
  input_.deadline = milliseconds(10'000);
  run_until(WaitSweep::owner_patience - milliseconds(10));
  EXPECT_EQ(lines_.size(), 1U);
  EXPECT_EQ(host().lines.size(), 2U);
  run_until(WaitSweep::owner_patience + milliseconds(500));
  ASSERT_EQ(host().lines.size(), 1U);
  EXPECT_EQ(host().lines[0].number, "3");
}

TEST_F(Guarded, TheFirstGuardOfAHoldLeavesItsReleaseWhereItIs) {
  back();
  input_.deadline = milliseconds(10'000);
  run_until(milliseconds(100));
  hold();
  run_until(2 * WaitSweep::owner_patience);
  EXPECT_EQ(lines_.size(), 1U);
  EXPECT_EQ(closed_, 0);
}

}  // namespace
}  // namespace stillgate::hold
