// A sweep of one HAProxy: the lines of certain holds are ended, and nothing else.
#include "hold/waits/wait_sweep.hpp"

#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/waits/wait_mark.hpp"

namespace stillgate::hold {
namespace {

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
  void run(WaitSweep& sweep, std::optional<Fault> fault = {}) {
    auto commands = sweep.next(nullptr);
    for (int i = 0; i < 200 && !commands.empty(); ++i) {
      for (const auto& command : commands) sent_.emplace_back(command.text());
      const auto answer = fleet_.ask_one(0, commands, fault);
      commands = sweep.next(&answer);
    }
    EXPECT_THAT(commands, IsEmpty());
  }
  std::vector<std::string> standing() {
    std::vector<std::string> pointers;
    for (const WaitingLine& line : host().lines) pointers.push_back(line.pointer);
    return pointers;
  }

  SimulatedFleet fleet_;
  std::vector<std::string> sent_;
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
  auto commands = sweep.next(nullptr);
  while (!commands.empty()) {
    const bool ends = commands[0].text().starts_with("shutdown");
    if (ends) host().lines[0].number = "2";
    const auto answer = fleet_.ask_one(0, commands, {});
    commands = sweep.next(&answer);
  }
  EXPECT_THAT(sweep.left(), IsEmpty());
}

TEST_F(Swept, WhoeverDoesNotAnswerIsTold) {
  add("0x7f01", "1", printed(ours));
  WaitSweep sweep({ours});
  run(sweep, Fault::loses_answer);
  EXPECT_TRUE(sweep.error());
}

}  // namespace
}  // namespace stillgate::hold
