// The session over real sockets: what each kind of bad luck gets.

#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include <sys/un.h>

#include "fakes/session_fixture.hpp"

namespace stillgate::engine {
namespace {

// --- what bad luck gets

TEST_F(SessionTest, NoGreeting) {
  options_.greeting_timeout = short_time;
  const Answer answer = ask(Manner::silent);
  EXPECT_EQ(answer.error->code, Errc::no_greeting);
  EXPECT_NE(answer.error->message.find("60 ms"), std::string::npos);
}

TEST_F(SessionTest, NoReply) {
  options_.reply_timeout = short_time;
  const Answer answer = ask(Manner::greets_only, Closing::keep);
  EXPECT_EQ(answer.error->code, Errc::reply_timeout);
  EXPECT_TRUE(answer.sent);
  EXPECT_FALSE(answer.timings.answered_ms);
}

/// A switch of 600 gates is 1,200 commands, and a busy HAProxy took more than 5 s for them.
TEST_F(SessionTest, ManyCommandsHaveMoreTime) {
  options_.reply_timeout = short_time;
  const FakeHaproxy hangs(path("a"), Manner::greets_only);
  add("a");
  Batch batch = batch_for(1);
  batch.work[0].resize(103, batch.work[0][0]);
  const auto answers = run(batch);
  ASSERT_EQ(code_of(answers[0]), Errc::reply_timeout);
  EXPECT_NE(answers[0].error->message.find("within 90 ms"), std::string::npos);
}

TEST_F(SessionTest, ManyCommandsHaveMoreTimeWhileOthersAreHeldToo) {
  const FakeHaproxy hangs(path("a"), Manner::greets_only);
  add("a");
  options_.connect_timeout = options_.greeting_timeout = short_time;
  options_.reply_timeout = std::chrono::hours(1);
  Batch batch = batch_for(1);
  batch.work[0].resize(150, batch.work[0][0]);
  batch.haste = Haste::from_the_beginning;
  const auto begun = steady_clock::now();
  ASSERT_EQ(code_of(run(batch)[0]), Errc::reply_timeout);
  EXPECT_GE(steady_clock::now() - begun, short_time + milliseconds(500));
}

TEST_F(SessionTest, HalfAReply) {
  const Answer answer = ask(Manner::breaks_off);
  EXPECT_EQ(answer.error->code, Errc::early_eof);
  EXPECT_EQ(answer.error->partial, "answer to");
  EXPECT_TRUE(answer.replies.empty());
}

TEST_F(SessionTest, AReset) {
  const Answer answer = ask(Manner::resets);
  EXPECT_EQ(answer.error->code, Errc::connection_reset);
}

TEST_F(SessionTest, TooMuch) {
  options_.max_reply_bytes = 50'000;
  const Answer answer = ask(Manner::floods);
  EXPECT_EQ(answer.error->code, Errc::reply_too_large);
  EXPECT_NE(answer.error->message.find("50000"), std::string::npos);
}

TEST_F(SessionTest, SomebodyElse) {
  EXPECT_EQ(ask(Manner::speaks_ssh).error->code, Errc::not_haproxy);
  endpoints_.clear();
  std::filesystem::remove(path("a"));
  EXPECT_EQ(ask(Manner::is_a_master).error->code, Errc::master_socket);
}

TEST_F(SessionTest, APeerThatTakesNothing) {
  const FakeHaproxy silent(path("a"), Manner::silent);
  add("a");
  options_.greeting_timeout = short_time;
  Batch batch;
  batch.work.emplace_back(400, *Command::parse(std::string(Command::max_bytes - 1, 'x')));
  EXPECT_EQ(run(batch)[0].error->code, Errc::write_timeout);
}

// --- who waits for whom

TEST_F(SessionTest, WhereOthersAreHeldTheLastOneIsNotWaitedForLong) {
  const FakeHaproxy good(path("a"), Manner::answers);
  const FakeHaproxy hangs(path("b"), Manner::greets_only);
  add("a");
  add("b");
  // The one that answers must have the time for it on a busy machine.
  options_.connect_timeout = options_.greeting_timeout = 10 * short_time;
  options_.reply_timeout = std::chrono::hours(1);
  Batch batch = batch_for(2);
  for (const Haste haste : {Haste::once_half_answered, Haste::from_the_beginning}) {
    batch.haste = haste;
    const auto answers = run(batch);
    EXPECT_EQ(code_of(answers[0]), std::nullopt);
    ASSERT_EQ(code_of(answers[1]), Errc::reply_timeout);
    EXPECT_NE(answers[1].error->message.find("other frontends are already held"),
              std::string::npos);
  }
}

TEST_F(SessionTest, WhoHasNotAnsweredWithinTheTimeOfAllHasFailed) {
  const FakeHaproxy good(path("a"), Manner::answers);
  const FakeHaproxy hangs(path("b"), Manner::greets_only);
  const FakeHaproxy silent(path("c"), Manner::silent);
  for (const char* name : {"a", "b", "c"}) add(name);
  options_.connect_timeout = options_.greeting_timeout = options_.reply_timeout =
      std::chrono::hours(1);
  Batch batch = batch_for(3);
  batch.within = 10 * short_time;
  for (const bool barrier : {false, true}) {
    batch.barrier = barrier;
    const auto answers = run(batch);
    EXPECT_EQ(code_of(answers[0]), barrier ? std::optional(Errc::rolled_back) : std::nullopt);
    EXPECT_TRUE(answers[1].error);
    EXPECT_TRUE(answers[2].error);
    EXPECT_EQ(answers[1].sent, !barrier);
  }
}

TEST_F(SessionTest, BeforeHalfHaveAnsweredEachHasItsTime) {
  const FakeHaproxy hangs(path("a"), Manner::greets_only);
  add("a");
  options_.connect_timeout = options_.greeting_timeout = short_time;
  options_.reply_timeout = 3 * short_time;
  Batch batch = batch_for(1);
  batch.haste = Haste::once_half_answered;
  const auto answers = run(batch);
  ASSERT_EQ(code_of(answers[0]), Errc::reply_timeout);
  EXPECT_NE(answers[0].error->message.find("within 180 ms"), std::string::npos);
}

TEST_F(SessionTest, WhoIsLateIsNotWaitedForWhenAllHaveEnded) {
  const FakeHaproxy hangs(path("a"), Manner::greets_only);
  add("a");
  options_.connect_timeout = std::chrono::seconds(600);
  options_.reply_timeout = short_time;
  Batch batch = batch_for(1);
  batch.haste = Haste::from_the_beginning;
  const auto begun = steady_clock::now();
  EXPECT_EQ(code_of(run(batch)[0]), Errc::reply_timeout);
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(60));
}

TEST_F(SessionTest, PathsThatAreNoSocketOfAnybody) {
  { const FakeHaproxy gone(path("dead"), Manner::answers); }
  std::ofstream(path("file")) << "x";
  for (const char* name : {"nosuch", "file", "dead"}) add(name);
  const auto answers = run(batch_for(3));
  EXPECT_EQ(answers[0].error->code, Errc::no_such_socket);
  EXPECT_EQ(answers[1].error->code, Errc::not_a_socket);
  EXPECT_EQ(answers[2].error->code, Errc::connection_refused);
  for (const Answer& answer : answers) EXPECT_FALSE(answer.sent);
}

TEST_F(SessionTest, AFullQueueOfAUnixSocket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path("a").native().copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  const auto* target = reinterpret_cast<const sockaddr*>(&address);
  Listener listener(AF_UNIX, target, sizeof address);
  listener.fill(AF_UNIX, target, sizeof address);
  add("a");
  options_.connect_timeout = short_time;
  const Answer answer = run(batch_for(1))[0];
  EXPECT_EQ(answer.error->code, Errc::backlog_full);
  EXPECT_FALSE(answer.sent);
}

TEST_F(SessionTest, AFullQueueOfATcpPortAndOneWithoutListener) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* target = reinterpret_cast<const sockaddr*>(&address);
  std::uint16_t closed = 0;
  { closed = Listener(AF_INET, target, sizeof address).port(); }
  Listener listener(AF_INET, target, sizeof address);
  address.sin_port = htons(listener.port());
  listener.fill(AF_INET, target, sizeof address);
  endpoints_ = {*Endpoint::parse(fmt::format("tcp://127.0.0.1:{}", listener.port())),
                *Endpoint::parse(fmt::format("tcp://127.0.0.1:{}", closed))};
  options_.connect_timeout = short_time;
  const auto answers = run(batch_for(2));
  EXPECT_EQ(answers[0].error->code, Errc::connect_timeout);
  EXPECT_EQ(answers[1].error->code, Errc::connection_refused);
}

TEST_F(SessionTest, OneProcessThatAnswersElsewhereDoesNotHang) {
  const FakeHaproxy server(path("a"), Manner::answers);
  const FakeHaproxy full(path("b"), Manner::silent);
  add("a");
  add("b");
  options_.greeting_timeout = short_time;
  const auto answers = run(batch_for(2));
  EXPECT_FALSE(answers[0].error);
  EXPECT_EQ(answers[1].error->code, Errc::stats_maxconn);
}

}  // namespace
}  // namespace stillgate::engine
