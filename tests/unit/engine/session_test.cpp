// The session over real sockets: order, barrier, waves, kept connections.
#include "engine/session.hpp"

#include <future>
#include <string>

#include <sys/resource.h>
#include <sys/wait.h>

#include "fakes/session_fixture.hpp"

namespace stillgate::engine {
namespace {

TEST_F(SessionTest, AnswersStandInTheOrderOfTheEndpoints) {
  FakeHaproxy server(path("a"), Manner::answers);
  add_names("a", 50);
  for (const Closing closing : {Closing::keep, Closing::quit}) {
    const auto answers = run(batch_for(50, closing));
    EXPECT_EQ(misplaced(answers), 0U);
    EXPECT_LE(*answers[0].timings.connected_ms, *answers[0].timings.sent_ms);
    EXPECT_LE(*answers[0].timings.sent_ms, *answers[0].timings.answered_ms);
  }
  EXPECT_EQ(progress_.connected, 50U);
  EXPECT_EQ(progress_.answered, 50U);
}

TEST_F(SessionTest, TwoThousandEndpoints) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  FakeHaproxy server(path("a"), Manner::answers);
  add_names("a", 2000);
  options_.connect_timeout = options_.greeting_timeout = options_.reply_timeout =
      milliseconds(30'000);
  Batch batch = batch_for(2000);
  batch.barrier = true;
  EXPECT_EQ(misplaced(run(batch)), 0U);
  EXPECT_EQ(server.state().greeted_at.front(), 2000U);
  EXPECT_EQ(misplaced(run(batch_for(2000, Closing::quit))), 0U);
}

TEST_F(SessionTest, EndpointsWithoutWorkAreLeftAlone) {
  FakeHaproxy server(path("a"), Manner::answers);
  add_names("a", 3);
  Batch batch = batch_for(3);
  batch.work[1].clear();
  const auto answers = run(batch);
  EXPECT_FALSE(answers[1].error);
  EXPECT_TRUE(answers[1].replies.empty());
  EXPECT_EQ(answers[2].replies[0].text, answer_to(2));
  EXPECT_EQ(server.state().accepted, 2U);
}

// --- the barrier

TEST_F(SessionTest, NoCommandLeavesBeforeAllAreGreeted) {
  FakeHaproxy server(path("a"), Manner::answers);
  server.delay_greeting_of(7);
  add_names("a", 20);
  options_.greeting_timeout = milliseconds(10'000);
  Batch batch = batch_for(20);
  batch.barrier = true;
  auto running = std::async(std::launch::async, [&] { return run(batch); });
  EXPECT_TRUE(server.wait_until([](const auto& seen) { return seen.greeted == 19; }));
  EXPECT_TRUE(server.state().commands.empty());
  server.greet_all();
  EXPECT_EQ(misplaced(running.get()), 0U);
  for (const std::size_t greeted : server.state().greeted_at) EXPECT_EQ(greeted, 20U);
}

TEST_F(SessionTest, OneThatIsMissingKeepsAllFromBeingWritten) {
  FakeHaproxy server(path("a"), Manner::answers);
  FakeHaproxy silent(path("s"), Manner::silent);
  options_.greeting_timeout = short_time;
  for (const char* missing : {"nosuch", "s"}) {
    endpoints_.clear();
    add("a");
    add(missing);
    Batch batch = batch_for(2);
    batch.barrier = true;
    const auto answers = run(batch);
    EXPECT_EQ(answers[0].error->code, Errc::rolled_back);
    EXPECT_EQ(answers[1].error->code,
              missing == std::string("s") ? Errc::no_greeting : Errc::no_such_socket);
    for (const Answer& answer : answers) {
      EXPECT_FALSE(answer.sent);
      EXPECT_TRUE(answer.replies.empty());
    }
  }
  EXPECT_TRUE(server.state().commands.empty());
}

// --- waves

/// In a child of its own: a hard limit once lowered cannot be raised again.
TEST_F(SessionTest, WavesUnderALowFileLimit) {
  constexpr std::size_t count = 300;
  constexpr rlim_t files = 80;
  std::vector<std::filesystem::path> names;
  int ready[2]{};
  ASSERT_EQ(::pipe(static_cast<int*>(ready)), 0);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = fmt::format("a{}", i);
    std::filesystem::create_symlink(path("a"), path(name));
    add(name);
  }
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    char go = 0;
    int failures = ::read(ready[0], &go, 1) == 1 ? 0 : 1;
    const rlimit limit{files, files};
    failures += ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : 2;
    Session session(endpoints_, options_, progress_);
    failures += session.capacity() < count ? 0 : 4;
    failures += misplaced(session.run(batch_for(count, Closing::quit), {})) == 0 ? 0 : 8;
    // A barrier has all connections open at once: those beyond the limit are told, and none waits.
    for (const Closing closing : {Closing::keep, Closing::quit}) {
      Batch batch = batch_for(count, closing);
      batch.barrier = true;
      const auto answers = session.run(batch, {});
      failures += code_of(answers.back()) == Errc::file_limit ? 0 : 16;
      failures += code_of(answers.front()) == Errc::rolled_back ? 0 : 32;
    }
    ::_exit(failures);
  }
  FakeHaproxy server(path("a"), Manner::answers);
  ASSERT_EQ(::write(ready[1], "g", 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ::close(ready[0]);
  ::close(ready[1]);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_LE(server.state().most_open, files);
  EXPECT_EQ(server.state().commands.size(), count);
}

// --- kept connections

TEST_F(SessionTest, ConnectionsAreKeptAndReplaced) {
  FakeHaproxy server(path("a"), Manner::answers);
  add_names("a", 5);
  Session session(endpoints_, options_, progress_);
  Batch barrier = batch_for(5);
  barrier.barrier = true;
  EXPECT_EQ(misplaced(session.run(batch_for(5), {})), 0U);
  EXPECT_EQ(misplaced(session.run(barrier, {})), 0U);
  EXPECT_EQ(server.state().accepted, 5U);
  server.close_all();  // as HAProxy does after its stats timeout
  EXPECT_EQ(misplaced(session.run(barrier, {})), 0U);
  EXPECT_EQ(server.state().accepted, 10U);
  server.close_all();
  EXPECT_EQ(misplaced(session.run(batch_for(5), {})), 0U);
  EXPECT_EQ(server.state().accepted, 15U);
}

TEST_F(SessionTest, AfterAFailureTheConnectionIsAnother) {
  FakeHaproxy server(path("a"), Manner::greets_only);
  add("a");
  options_.reply_timeout = short_time;
  Session session(endpoints_, options_, progress_);
  EXPECT_EQ(session.run(batch_for(1), {})[0].error->code, Errc::reply_timeout);
  EXPECT_EQ(session.run(batch_for(1), {})[0].error->code, Errc::reply_timeout);
  EXPECT_EQ(server.state().accepted, 2U);
}

}  // namespace
}  // namespace stillgate::engine
