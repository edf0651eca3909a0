// The session over real sockets: barrier, waves, deadlines, cancellation, kept connections.
#include "engine/session.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_haproxy.hpp"

namespace stillgate::engine {
namespace {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Closing;
using runtime_api::Command;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds short_time{60};
constexpr milliseconds soon{100};

Batch batch_for(std::size_t endpoints, Closing closing = Closing::keep) {
  Batch batch;
  batch.closing = closing;
  for (std::size_t i = 0; i < endpoints; ++i) {
    batch.work.push_back({*Command::set_maxconn("f", static_cast<std::int64_t>(i))});
  }
  return batch;
}

std::string answer_to(std::size_t index) {
  return fmt::format("answer to set maxconn frontend f {}", index);
}

/// The number of answers that are not the ones that belong to their places.
std::size_t misplaced(const std::vector<Answer>& answers) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const bool right = !answers[i].error && answers[i].replies.size() == 1 &&
                       answers[i].replies[0].text == answer_to(i);
    count += right ? 0U : 1U;
  }
  return count;
}

std::optional<Errc> code_of(const Answer& answer) {
  return answer.error ? std::optional(answer.error->code) : std::nullopt;
}

class SessionTest : public testing::Test {
 protected:
  SessionTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "stillgate-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SessionTest() override { std::filesystem::remove_all(folder_); }
  SessionTest(const SessionTest&) = delete;
  SessionTest& operator=(const SessionTest&) = delete;

  [[nodiscard]] std::filesystem::path path(const std::string& name) const { return folder_ / name; }
  void add(const std::string& name) { endpoints_.push_back(*Endpoint::parse(path(name).string())); }
  /// Many endpoints of one server: other names of its socket.
  void add_names(const std::string& name, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string other = fmt::format("{}{}", name, i);
      std::filesystem::create_symlink(path(name), path(other));
      add(other);
    }
  }
  std::vector<Answer> run(const Batch& batch, std::stop_token stop = {}) {
    Session session(endpoints_, options_, progress_);
    return session.run(batch, std::move(stop));
  }
  /// One endpoint of this manner and one command.
  Answer ask(Manner manner, Closing closing = Closing::quit) {
    const FakeHaproxy server(path("a"), manner);
    add("a");
    return run(batch_for(1, closing))[0];
  }

  std::filesystem::path folder_;
  std::vector<Endpoint> endpoints_;
  FleetOptions options_;
  Progress progress_;
};

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

/// Nobody listens there, or nobody accepts there.
class Listener {
 public:
  Listener(int family, const sockaddr* address, socklen_t size)
      : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_EQ(::bind(fd_, address, size), 0);
    EXPECT_EQ(::listen(fd_, 0), 0);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() {
    for (const int fd : clients_) ::close(fd);
    ::close(fd_);
  }
  void fill(int family, const sockaddr* address, socklen_t size) {
    for (int i = 0; i < 4; ++i) {
      clients_.push_back(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)::connect(clients_.back(), address, size);
    }
  }
  [[nodiscard]] std::uint16_t port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }

 private:
  int fd_;
  std::vector<int> clients_;
};

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

// --- the caller stops

TEST_F(SessionTest, AStopEndsARunAtOnce) {
  FakeHaproxy server(path("a"), Manner::greets_only);
  add_names("a", 10);
  std::stop_source stop;
  auto running =
      std::async(std::launch::async, [&] { return run(batch_for(10), stop.get_token()); });
  EXPECT_TRUE(server.wait_until([](const auto& seen) { return seen.commands.size() == 10; }));
  const auto asked = steady_clock::now();
  stop.request_stop();
  const auto answers = running.get();
  EXPECT_LT(steady_clock::now() - asked, soon);
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
