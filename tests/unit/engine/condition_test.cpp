// A batch with conditions: each is asked right before its commands, and an old answer is none.
#include <chrono>

#include "fakes/session_fixture.hpp"

namespace stillgate::engine {
namespace {

/// Longer than an answer decides anything.
constexpr milliseconds old{400};

Batch conditional(std::size_t endpoints, bool holds) {
  Batch batch = batch_for(endpoints);
  for (std::size_t i = 0; i < endpoints; ++i) {
    batch.conditions.push_back({{Command::show_info()}, [holds](const auto& replies) {
                                  return holds && replies.at(0).text == "answer to show info";
                                }});
  }
  return batch;
}

TEST_F(SessionTest, WhatHoldsIsAskedBeforeTheCommands) {
  FakeHaproxy server(path("a"), Manner::answers);
  add("a");
  EXPECT_EQ(misplaced(run(conditional(1, true))), 0U);
  EXPECT_EQ(server.state().commands,
            (std::vector<std::string>{"show info", "set maxconn frontend f 0"}));
  EXPECT_EQ(server.state().accepted, 1U);
}

TEST_F(SessionTest, WithoutItsConditionNothingIsSent) {
  FakeHaproxy server(path("a"), Manner::answers);
  add("a");
  Session session(endpoints_, options_, progress_);
  const Answer answer = session.run(conditional(1, false), {})[0];
  EXPECT_EQ(code_of(answer), Errc::hold_changed);
  EXPECT_FALSE(answer.sent);
  EXPECT_EQ(server.state().commands, (std::vector<std::string>{"show info"}));
  EXPECT_EQ(misplaced(session.run(conditional(1, true), {})), 0U);
  EXPECT_EQ(server.state().accepted, 1U);
}

TEST_F(SessionTest, AQuestionThatFailsHasSentNothing) {
  const FakeHaproxy server(path("a"), Manner::breaks_off);
  add("a");
  const Answer answer = run(conditional(1, true))[0];
  EXPECT_EQ(code_of(answer), Errc::early_eof);
  EXPECT_FALSE(answer.sent);
}

TEST_F(SessionTest, AnOldAnswerIsAskedForAgainAndOneAsOldIsUsual) {
  FakeHaproxy server(path("a"), Manner::answers, old);
  add("a");
  EXPECT_EQ(misplaced(run(conditional(1, true))), 0U);
  EXPECT_EQ(server.state().commands,
            (std::vector<std::string>{"show info", "show info", "set maxconn frontend f 0"}));
}

TEST_F(SessionTest, NobodyPassesABarrierThatOneStoodAtForTooLong) {
  FakeHaproxy fast(path("a"), Manner::answers);
  FakeHaproxy slow(path("b"), Manner::answers, old);
  add("a");
  add("b");
  Session session(endpoints_, options_, progress_);
  Batch batch = conditional(2, true);
  batch.barrier = true;
  for (const Answer& answer : session.run(batch, {})) {
    EXPECT_EQ(code_of(answer), Errc::stalled);
    EXPECT_FALSE(answer.sent);
  }
  // The other one is always so slow.
  EXPECT_EQ(misplaced(session.run(batch, {})), 0U);
}

}  // namespace
}  // namespace stillgate::engine
