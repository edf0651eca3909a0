// The exchange as scripts of expected actions and fed events, re-run failing at each step.
#include "runtime_api/exchange.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace stillgate::runtime_api {
namespace {

constexpr std::size_t cap = 100'000;
const std::string hello{greeting};
const std::string bye{farewell};

/// An action in one word and its bytes, so that scripts can be compared and read.
struct Done {
  std::string what;
  std::string bytes;
  bool operator==(const Done&) const = default;
};

Done describe(const Action& one) {
  if (const auto* write = std::get_if<action::Write>(&one)) return {"write", write->bytes};
  if (std::holds_alternative<action::Read>(one)) return {"read", ""};
  if (std::holds_alternative<action::Barrier>(one)) return {"barrier", ""};
  return {"finished", ""};
}

/// One event, with what the exchange must do on it.
struct Step {
  std::string event;  ///< "connected", "released", "eof", or the bytes that arrive
  Done expected;
};

struct Script {
  std::string name;
  std::vector<Command> commands;
  Closing closing;
  bool barrier;
  bool fresh;
  std::vector<Step> steps;
  std::vector<std::string> texts;  ///< of the replies at its end
};

Event event_of(const std::string& text) {
  if (text == "connected") return event::Connected{};
  if (text == "released") return event::Released{};
  if (text == "eof") return event::EndOfStream{};
  return event::Bytes{text};
}

std::vector<Command> limits() {
  return {*Command::set_maxconn("a", 0), *Command::set_maxconn("b", 5)};
}

std::vector<Command> payload() { return {*Command::parse("add map /m", "k v\nx y\n")}; }

std::vector<Script> scripts() {
  const Done read{"read", ""};
  const Done finished{"finished", ""};
  const Done barrier{"barrier", ""};
  const std::string set = "set maxconn frontend a 0\nset maxconn frontend b 5\n";
  const std::string map = "add map /m <<\nk v\nx y\n\n";
  return {
      {"one command and quit",
       {Command::show_info()},
       Closing::quit,
       false,
       true,
       {{"connected", {"write", hello + "show info\n" + bye}},
        {"\n> ", read},
        {"\n> ", read},
        {"Name: x\n", read},
        {"\n> ", read},
        {"eof", finished}},
       {"Name: x"}},
      {"two commands, kept",
       limits(),
       Closing::keep,
       false,
       true,
       {{"connected", {"write", hello + set}},
        {"\n> \n> ", read},
        {"\n> ", read},
        {"\n> ", finished}},
       {"", ""}},
      {"on a kept connection",
       limits(),
       Closing::keep,
       false,
       false,
       {{"connected", {"write", set}}, {"\n> ", read}, {"\n> ", finished}},
       {"", ""}},
      {"behind a barrier",
       limits(),
       Closing::keep,
       true,
       true,
       {{"connected", {"write", hello}},
        {"\n> \n", read},
        {"> ", barrier},
        {"released", {"write", set}},
        {"\n", read},
        {"> \n> ", finished}},
       {"", ""}},
      {"behind a barrier, kept before",
       limits(),
       Closing::keep,
       true,
       false,
       {{"connected", barrier}, {"released", {"write", set}}, {"\n> \n> ", finished}},
       {"", ""}},
      {"behind a barrier, with quit",
       {Command::show_info()},
       Closing::quit,
       true,
       true,
       {{"connected", {"write", hello}},
        {"\n> \n> ", barrier},
        {"released", {"write", "show info\n" + bye}},
        {"x\n\n> ", read},
        {"eof", finished}},
       {"x"}},
      {"a payload, prompted for line by line",
       payload(),
       Closing::quit,
       false,
       true,
       {{"connected", {"write", hello + map + bye}},
        {"\n> \n> ", read},
        {"+ + ", read},
        {"+ [6]: + fine\n", read},
        {"\n> ", read},
        {"eof", finished}},
       {"+ fine"}},
      {"a payload, not prompted for",
       payload(),
       Closing::quit,
       false,
       true,
       {{"connected", {"write", hello + map + bye}}, {"\n> \n> \n> ", read}, {"eof", finished}},
       {""}},
  };
}

Exchange start(const Script& script) {
  return {script.commands, script.closing, script.barrier, script.fresh, cap};
}

/// Plays the first `count` steps and says whether a byte of a command was handed out.
bool play(Exchange& exchange, const Script& script, std::size_t count) {
  bool handed_out = false;
  for (std::size_t i = 0; i < count; ++i) {
    const Done done = describe(exchange.resume(event_of(script.steps[i].event)));
    EXPECT_EQ(done.what, script.steps[i].expected.what) << script.name << ", step " << i;
    EXPECT_EQ(done.bytes, script.steps[i].expected.bytes) << script.name << ", step " << i;
    handed_out = handed_out || (done.what == "write" && done.bytes != hello);
  }
  return handed_out;
}

TEST(Exchange, RunsItsScripts) {
  for (const Script& script : scripts()) {
    Exchange exchange = start(script);
    EXPECT_EQ(exchange.waiting(), Waiting::connection);
    play(exchange, script, script.steps.size());
    const Answer& answer = exchange.answer();
    EXPECT_FALSE(answer.error) << script.name;
    EXPECT_TRUE(answer.sent);
    EXPECT_EQ(exchange.waiting(), Waiting::nothing);
    EXPECT_EQ(exchange.reusable(), script.closing == Closing::keep) << script.name;
    ASSERT_EQ(answer.replies.size(), script.texts.size()) << script.name;
    for (std::size_t i = 0; i < script.texts.size(); ++i) {
      EXPECT_EQ(answer.replies[i].text, script.texts[i]) << script.name;
    }
  }
}

void expect_failure(Exchange& exchange, const Script& script, std::size_t step, bool handed_out) {
  const Answer& answer = exchange.answer();
  EXPECT_TRUE(answer.error) << script.name << ", step " << step;
  EXPECT_TRUE(answer.replies.empty()) << script.name << ", step " << step;
  EXPECT_EQ(answer.sent, handed_out) << script.name << ", step " << step;
  EXPECT_FALSE(exchange.reusable()) << script.name << ", step " << step;
  EXPECT_EQ(exchange.waiting(), Waiting::nothing);
  if (!handed_out && answer.error) {
    EXPECT_FALSE(answer.error->partial);
  }
}

class FailedWith : public testing::TestWithParam<Errc> {};

TEST_P(FailedWith, AtEachStepIsNeverSuccess) {
  for (const Script& script : scripts()) {
    for (std::size_t step = 0; step < script.steps.size(); ++step) {
      Exchange exchange = start(script);
      const bool handed_out = play(exchange, script, step);
      const Error error{GetParam(), "as told"};
      EXPECT_EQ(describe(exchange.resume(event::Failed{error})).what, "finished");
      expect_failure(exchange, script, step, handed_out);
      EXPECT_EQ(exchange.answer().error->code, GetParam());
      EXPECT_EQ(exchange.answer().error->message, "as told");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, FailedWith,
                         testing::Values(Errc::connection_reset, Errc::reply_timeout,
                                         Errc::cancelled, Errc::connect_timeout,
                                         Errc::system_error),
                         [](const auto& one) { return std::string(name(one.param)); });

TEST(Exchange, AnEndOfTheStreamAtEachStepIsNeverSuccess) {
  for (const Script& script : scripts()) {
    for (std::size_t step = 1; step < script.steps.size(); ++step) {
      if (script.steps[step].event == "eof") continue;  // there it belongs
      Exchange exchange = start(script);
      const bool handed_out = play(exchange, script, step);
      EXPECT_EQ(describe(exchange.resume(event::EndOfStream{})).what, "finished");
      expect_failure(exchange, script, step, handed_out);
      EXPECT_EQ(exchange.answer().error->code, Errc::early_eof) << script.name << step;
    }
  }
}

TEST(Exchange, GarbageAtEachStepIsNeverSuccess) {
  for (const Script& script : scripts()) {
    for (std::size_t step = 1; step < script.steps.size(); ++step) {
      Exchange exchange = start(script);
      const bool handed_out = play(exchange, script, step);
      const std::string garbage(cap + 1, '#');
      EXPECT_EQ(describe(exchange.resume(event::Bytes{garbage})).what, "finished");
      expect_failure(exchange, script, step, handed_out);
    }
  }
}

TEST(Exchange, KeepsThePartialTextOfTheReplyThatIsOpen) {
  const Script script = scripts()[0];
  Exchange exchange = start(script);
  play(exchange, script, 4);
  exchange.resume(event::EndOfStream{});
  EXPECT_EQ(exchange.answer().error->partial, "Name: x\n");
}

TEST(Exchange, WhatTheTransportKeptIsNotOverwritten) {
  const Script script = scripts()[0];
  Exchange exchange = start(script);
  play(exchange, script, 4);
  exchange.resume(event::Failed{{Errc::connection_reset, "", {}, "theirs", {}}});
  EXPECT_EQ(exchange.answer().error->partial, "theirs");
}

TEST(Exchange, SaysWhatItWaitsFor) {
  const Script script = scripts()[3];
  const std::vector<Waiting> expected{Waiting::connection, Waiting::greeting, Waiting::greeting,
                                      Waiting::barrier,    Waiting::reply,    Waiting::reply,
                                      Waiting::nothing};
  for (std::size_t count = 0; count < expected.size(); ++count) {
    Exchange exchange = start(script);
    play(exchange, script, count);
    EXPECT_EQ(exchange.waiting(), expected[count]) << count;
  }
}

TEST(Exchange, ARefusalIsAReplyWithHAProxysWords) {
  Script script = scripts()[2];
  script.steps[1].event = "[3]: No such frontend.\n\n> ";
  Exchange exchange = start(script);
  play(exchange, script, 3);
  const Answer& answer = exchange.answer();
  ASSERT_EQ(answer.replies.size(), 2U);
  ASSERT_TRUE(answer.replies[0].refusal);
  EXPECT_EQ(answer.replies[0].refusal->code, Errc::no_such_frontend);
  EXPECT_FALSE(answer.replies[1].refusal);
}

TEST(Exchange, WordsOfTheReplyThatLookLikeAPromptForAPayloadStay) {
  const std::vector<Command> commands{Command::show_info()};
  Exchange exchange(commands, Closing::quit, false, false, cap);
  exchange.resume(event::Connected{});
  exchange.resume(event::Bytes{"+ + a\n\n> "});
  exchange.resume(event::EndOfStream{});
  ASSERT_EQ(exchange.answer().replies.size(), 1U);
  EXPECT_EQ(exchange.answer().replies[0].text, "+ + a");
}

}  // namespace
}  // namespace stillgate::runtime_api
