// The session over real sockets: the caller stops.

#include <future>

#include <sys/un.h>

#include "fakes/patience.hpp"
#include "fakes/session_fixture.hpp"

namespace stillgate::engine {
namespace {

constexpr milliseconds soon{100};

// --- the caller stops

TEST_F(SessionTest, AStopEndsARunAtOnce) {
  Patience patience;
  FakeHaproxy server(path("a"), Manner::greets_only);
  add_names("a", 10);
  std::stop_source stop;
  auto running =
      std::async(std::launch::async, [&] { return run(batch_for(10), stop.get_token()); });
  EXPECT_TRUE(server.wait_until([](const auto& seen) { return seen.commands.size() == 10; }));
  const auto asked = steady_clock::now();
  stop.request_stop();
  const auto answers = running.get();
  const auto took = steady_clock::now() - asked;
  EXPECT_LT(took, soon + patience.taken());
  for (const Answer& answer : answers) {
    EXPECT_EQ(answer.error->code, Errc::cancelled);
    EXPECT_TRUE(answer.sent);
  }
}

TEST_F(SessionTest, AStopAtTheBarrierSendsNothing) {
  FakeHaproxy server(path("a"), Manner::answers);
  server.delay_greeting_of(1);
  add_names("a", 5);
  Batch batch = batch_for(5);
  batch.barrier = true;
  std::stop_source stop;
  auto running = std::async(std::launch::async, [&] { return run(batch, stop.get_token()); });
  EXPECT_TRUE(server.wait_until([](const auto& seen) { return seen.greeted == 4; }));
  stop.request_stop();
  for (const Answer& answer : running.get()) {
    EXPECT_EQ(answer.error->code, Errc::cancelled);
    EXPECT_FALSE(answer.sent);
  }
  EXPECT_TRUE(server.state().commands.empty());
}

TEST_F(SessionTest, AStopBeforeTheRunSendsNothing) {
  FakeHaproxy server(path("a"), Manner::answers);
  add_names("a", 5);
  std::stop_source stop;
  stop.request_stop();
  Session session(endpoints_, options_, progress_);
  EXPECT_EQ(misplaced(session.run(batch_for(5), {})), 0U);
  for (const bool barrier : {false, true}) {
    // On kept connections nothing but the stop is in the way of the first write.
    Batch batch = batch_for(5);
    batch.barrier = barrier;
    for (const Answer& answer : session.run(batch, stop.get_token())) {
      EXPECT_EQ(answer.error->code, Errc::cancelled);
      EXPECT_FALSE(answer.sent);
    }
  }
  EXPECT_EQ(server.state().commands.size(), 5U);
  EXPECT_EQ(misplaced(session.run(batch_for(5), {})), 0U);
  EXPECT_EQ(server.state().accepted, 5U);
}

TEST_F(SessionTest, WhatMustNotBeStoppedIsNot) {
  FakeHaproxy server(path("a"), Manner::answers);
  add_names("a", 5);
  std::stop_source stop;
  stop.request_stop();
  Batch batch = batch_for(5);
  batch.uninterruptible = true;
  EXPECT_EQ(misplaced(run(batch, stop.get_token())), 0U);
}

TEST_F(SessionTest, AStopWhileAQueueIsFull) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path("a").native().copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  const auto* target = reinterpret_cast<const sockaddr*>(&address);
  Listener listener(AF_UNIX, target, sizeof address);
  listener.fill(AF_UNIX, target, sizeof address);
  FakeHaproxy server(path("b"), Manner::greets_only);
  add("a");
  add("b");
  std::stop_source stop;
  auto running =
      std::async(std::launch::async, [&] { return run(batch_for(2), stop.get_token()); });
  EXPECT_TRUE(server.wait_until([](const auto& seen) { return !seen.commands.empty(); }));
  stop.request_stop();
  const auto answers = running.get();
  EXPECT_EQ(answers[0].error->code, Errc::cancelled);
  EXPECT_FALSE(answers[0].sent);
  EXPECT_TRUE(answers[1].sent);
}

}  // namespace
}  // namespace stillgate::engine
