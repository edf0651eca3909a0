// The survey: what is made of an HAProxy's answers, and of answers that make no sense.
#include "hold/survey.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stillgate::hold {
namespace {

using runtime_api::Answer;
using runtime_api::read_reply;

const char* const info = "Name: HAProxy\nVersion: 3.0.11\nPid: 7\nUptime_sec: 9\nnode: lb\n";
const char* const stat = "# pxname,svname,slim,\na,FRONTEND,100,\nb,FRONTEND,,\n";

Answer answers(const std::string& first, const std::string& second, const std::string& third) {
  Answer answer;
  for (const auto& raw : {first, second, third}) answer.replies.push_back(read_reply(raw));
  answer.timings = {1.0, 2.0, 4.5};
  return answer;
}

TEST(Survey, AsksThreeThings) {
  const auto commands = survey_commands();
  ASSERT_EQ(commands.size(), 3U);
  EXPECT_EQ(commands[0].text(), "show info");
  EXPECT_EQ(commands[1].text(), "show stat -1 1 -1");
  EXPECT_EQ(commands[2].text(), "show cli level");
}

TEST(Survey, ReadsLimitsLevelAndRoundTrip) {
  const Seen seen = read_survey(answers(info, stat, "[6]: admin\n"), {"nosuch", "a"});
  ASSERT_FALSE(seen.error);
  EXPECT_EQ(seen.info->pid, 7);
  EXPECT_FALSE(seen.limits[0]);
  EXPECT_EQ(seen.limits[1], 100);
  EXPECT_EQ(seen.level, "admin");
  EXPECT_EQ(seen.rtt_ms, 2.5);
}

TEST(Survey, ALevelThatIsNotToldIsNoError) {
  const Seen seen = read_survey(answers(info, stat, "[6]: Unknown command.\n"), {"a"});
  EXPECT_FALSE(seen.error);
  EXPECT_FALSE(seen.level);
}

TEST(Survey, WhatMakesNoSenseIsAnError) {
  const std::string denied = "[3]: Permission denied\n";
  EXPECT_EQ(read_survey(answers(denied, stat, ""), {"a"}).error->code, Errc::permission_denied);
  EXPECT_EQ(read_survey(answers(info, denied, ""), {"a"}).error->code, Errc::permission_denied);
  EXPECT_EQ(read_survey(answers("x", stat, ""), {"a"}).error->code, Errc::malformed_reply);
  EXPECT_EQ(read_survey(answers(info, "x", ""), {"a"}).error->code, Errc::malformed_reply);
  EXPECT_EQ(read_survey(answers(info, stat, ""), {"b"}).error->code, Errc::malformed_reply);
  Answer lost;
  lost.error = Error{Errc::early_eof, "", {}, {}, {}};
  EXPECT_EQ(read_survey(lost, {"a"}).error->code, Errc::early_eof);
}

TEST(Survey, AnotherProcessIsKnownByPidOrUptime) {
  const Seen before = read_survey(answers(info, stat, ""), {"a"});
  EXPECT_TRUE(before.same_process(before));
  Seen other = before;
  other.info->pid = 8;
  EXPECT_FALSE(other.same_process(before));
  other = before;
  other.info->uptime_s = 0;
  EXPECT_FALSE(other.same_process(before));
  EXPECT_FALSE(Seen{}.same_process(before));
}

}  // namespace
}  // namespace stillgate::hold
