// One endpoint's session on a loop: what is kept, what is cut, and what an exception becomes.
#include "engine/endpoint_session.hpp"

#include <memory>

#include <sys/resource.h>

#include "fakes/session_fixture.hpp"

namespace stillgate::engine {
namespace {

class EndpointSessionTest : public SessionTest {
 protected:
  EndpointSessionTest() {
    add("a");
    options_.greeting_timeout = options_.reply_timeout = short_time;
    session_ =
        std::make_unique<EndpointSession>(endpoints_[0], loop_, options_, [this] { ++settled_; });
  }

  void ask(bool fresh = false) { session_->ask({*Command::set_maxconn("f", 0)}, fresh); }
  Answer answer() {
    for (;;) {
      session_->expire(Clock::now());
      if (auto answer = session_->take_answer()) return *std::move(answer);
      loop_.turn(milliseconds(5));
    }
  }

  Loop loop_{short_time};
  std::unique_ptr<EndpointSession> session_;
  int settled_{0};
};

TEST_F(EndpointSessionTest, AKeptConnectionServesOneAskAfterTheOther) {
  FakeHaproxy server(path("a"), Manner::answers);
  for (int i = 1; i <= 3; ++i) {
    ask();
    EXPECT_EQ(misplaced({answer()}), 0U);
    EXPECT_EQ(settled_, i);
  }
  EXPECT_EQ(server.state().accepted, 1U);
}

TEST_F(EndpointSessionTest, OneThatHangsEndsAtItsDeadline) {
  const FakeHaproxy server(path("a"), Manner::silent);
  ask();
  EXPECT_EQ(code_of(answer()), Errc::no_greeting);
}

TEST_F(EndpointSessionTest, WhatIsCutIsCancelledAndTheNextOneIsServed) {
  {
    const FakeHaproxy server(path("a"), Manner::silent);
    ask();
    session_->cancel();
    EXPECT_EQ(code_of(answer()), Errc::cancelled);
  }
  std::filesystem::remove(path("a"));
  FakeHaproxy server(path("a"), Manner::answers);
  ask(true);
  EXPECT_EQ(misplaced({answer()}), 0U);
}

TEST_F(EndpointSessionTest, ANewConnectionThatFailsLeavesTheKeptOne) {
  FakeHaproxy server(path("a"), Manner::answers);
  ask();
  EXPECT_EQ(misplaced({answer()}), 0U);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{3, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  ask(true);
  const auto failed = answer();
  ask();
  const auto kept = answer();
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(code_of(failed), Errc::file_limit);
  EXPECT_EQ(misplaced({kept}), 0U);
}

TEST_F(EndpointSessionTest, ADroppedAskHasNoAnswerAndTheNextOneHas) {
  FakeHaproxy server(path("a"), Manner::answers);
  ask();
  session_->drop();
  EXPECT_FALSE(session_->take_answer());
  ask();
  EXPECT_EQ(misplaced({answer()}), 0U);
}

}  // namespace
}  // namespace stillgate::engine
