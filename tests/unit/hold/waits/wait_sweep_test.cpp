// A sweep of one HAProxy: the lines of certain holds are ended, and nothing else.
#include "hold/waits/wait_sweep.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/waits/wait_mark.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* ours = "0123456789abcdef";
constexpr const char* other = "fedcba9876543210";

/// As HAProxy prints a mark.
std::string printed(const char* id) {
  const auto mark = wait_mark(id).count();
  const auto rest = mark % 86'400;
  if (rest < 60) return fmt::format("{}d{}s", mark / 86'400, rest);
  if (rest < 3600) return fmt::format("{}d{}m", mark / 86'400, rest / 60);
  return fmt::format("{}d{}h", mark / 86'400, rest / 3600);
}

class Swept : public testing::Test {
 protected:
  Swept() : fleet_(1, {"a"}) {}

  Host& host() { return fleet_.hosts[0]; }
  void add(const char* pointer, const char* number, std::string timeout) {
    host().lines.push_back({pointer, number, std::move(timeout)});
  }
  /// `meanwhile`: runs between each question and what is made of its answer.
  void run(WaitSweep& sweep, std::optional<Fault> fault = {},
           const std::function<void(const std::string&)>& meanwhile = {}) {
    auto commands = sweep.next(nullptr, now_);
    for (int i = 0; i < 500 && !commands.empty(); ++i) {
      for (const auto& command : commands) sent_.emplace_back(command.text());
      const auto answer = fleet_.ask_one(0, commands, fault);
      now_ += look;
      if (meanwhile) meanwhile(std::string(commands.back().text()));
      commands = sweep.next(&answer, now_);
    }
    EXPECT_THAT(commands, IsEmpty());
  }
  /// The line ends, and the next client of HAProxy gets its place.
  void give_away(const char* number) { host().lines[0] = {"0x7f01", number, "1m"}; }
  std::vector<std::string> shut() {
    std::vector<std::string> shut;
    for (const std::string& text : sent_) {
      if (text.starts_with("shutdown")) shut.push_back(text);
    }
    return shut;
  }
  std::vector<std::string> standing() {
    std::vector<std::string> pointers;
    for (const WaitingLine& line : host().lines) pointers.push_back(line.pointer);
    return pointers;
  }

  static constexpr milliseconds look{11};

  SimulatedFleet fleet_;
  std::vector<std::string> sent_;
  milliseconds now_{1000};
};

TEST_F(Swept, WithoutAHoldNothingIsAsked) {
  WaitSweep sweep{std::vector<std::string>()};
  run(sweep);
  EXPECT_THAT(sent_, IsEmpty());
}

TEST_F(Swept, WhereNothingWaitsOneLookIsEnough) {
  WaitSweep sweep({ours});
  run(sweep);
  EXPECT_THAT(sent_, ElementsAre("show sess"));
  EXPECT_FALSE(sweep.error());
}

TEST_F(Swept, TheLinesOfItsHoldAreEndedAndNoOthers) {
  add("0x7f01", "1", printed(ours));
  add("0x7f02", "2", printed(other));
  add("0x7f03", "3", printed(ours));
  add("0x7f04", "4", "10s");  // whoever is connected just now
  add("0x7f05", "5", "2d");   // an operator's
  WaitSweep sweep({ours});
  run(sweep);
  EXPECT_THAT(standing(), ElementsAre("0x7f02", "0x7f04", "0x7f05"));
  EXPECT_THAT(sweep.left(), IsEmpty());
  EXPECT_THAT(sweep.numbers(), ElementsAre("1", "3"));
}

TEST_F(Swept, OfSeveralHoldsAllAreEnded) {
  add("0x7f01", "1", printed(ours));
  add("0x7f02", "2", printed(other));
  WaitSweep sweep({ours, other});
  run(sweep);
  EXPECT_THAT(standing(), IsEmpty());
}

TEST_F(Swept, ALookEndsNothing) {
  add("0x7f01", "1", printed(ours));
  WaitSweep sweep({ours}, WaitSweep::Until::found);
  run(sweep);
  EXPECT_THAT(standing(), ElementsAre("0x7f01"));
  EXPECT_THAT(sweep.numbers(), ElementsAre("1"));
  EXPECT_THAT(sweep.left(), IsEmpty());
}

TEST_F(Swept, WhatStaysIsNamed) {
  host().keeps_lines = true;
  add("0x7f01", "1", printed(ours));
  WaitSweep sweep({ours});
  run(sweep);
  EXPECT_THAT(sweep.left(), ElementsAre("0x7f01"));
}

TEST_F(Swept, AnAddressThatAnotherOneGotIsNotTheLine) {
  host().keeps_lines = true;
  add("0x7f01", "1", printed(ours));
  WaitSweep sweep({ours});
  auto commands = sweep.next(nullptr, now_);
  while (!commands.empty()) {
    const bool ends = commands[0].text().starts_with("shutdown");
    if (ends) host().lines[0].number = "2";
    const auto answer = fleet_.ask_one(0, commands, {});
    commands = sweep.next(&answer, now_);
  }
  EXPECT_THAT(sweep.left(), IsEmpty());
}

TEST_F(Swept, WhatItsOwnerEndsIsLeftToIt) {
  add("0x7f01", "1", printed(ours));
  WaitSweep sweep({ours}, WaitSweep::Until::gone);
  int looks = 0;
  run(sweep, {}, [&](const std::string&) {
    if (++looks == 5) give_away("2");
  });
  EXPECT_THAT(shut(), IsEmpty());
  EXPECT_THAT(sweep.left(), IsEmpty());
  EXPECT_THAT(standing(), ElementsAre("0x7f01"));
}

TEST_F(Swept, WhatItsOwnerLeavesIsEnded) {
  add("0x7f01", "1", printed(ours));
  WaitSweep sweep({ours}, WaitSweep::Until::gone);
  const milliseconds began = now_;
  run(sweep);
  EXPECT_THAT(shut(), ElementsAre("shutdown session 0x7f01"));
  EXPECT_GE(now_ - began, WaitSweep::owner_patience);
  EXPECT_THAT(standing(), IsEmpty());
}

TEST_F(Swept, WhereHAProxyAnswersLateItsOwnerHasMoreTime) {
  add("0x7f01", "1", printed(ours));
  WaitSweep sweep({ours}, WaitSweep::Until::gone);
  run(sweep, {}, [&](const std::string& text) {
    if (!text.starts_with("shutdown")) now_ += milliseconds(450);
  });
  const auto looks = std::count_if(
      sent_.begin(), sent_.end(), [](const std::string& text) { return text.starts_with("wait"); });
  EXPECT_GE(looks, WaitSweep::patient_looks);
  EXPECT_THAT(standing(), IsEmpty());
}

/// Stopped behind its question, for long enough that another one ended the line.
TEST_F(Swept, WhoeverWasFrozenAsksAgain) {
  for (const auto until : {WaitSweep::Until::ended, WaitSweep::Until::gone}) {
    host().lines.clear();
    sent_.clear();
    add("0x7f01", "1", printed(ours));
    WaitSweep sweep({ours}, until);
    int details = 0;
    run(sweep, {}, [&](const std::string& text) {
      if (text != "show sess 0x7f01" || ++details > 1) return;
      now_ += milliseconds(60'000);
      give_away("2");
    });
    EXPECT_THAT(shut(), IsEmpty());
    EXPECT_THAT(standing(), ElementsAre("0x7f01"));
  }
}

TEST_F(Swept, WhoeverDoesNotAnswerIsTold) {
  add("0x7f01", "1", printed(ours));
  WaitSweep sweep({ours});
  run(sweep, Fault::loses_answer);
  EXPECT_TRUE(sweep.error());
}

}  // namespace
}  // namespace stillgate::hold
