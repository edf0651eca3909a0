// The survey: what is made of an HAProxy's answers, and of answers that make no sense.
#include "hold/survey/survey.hpp"

#include <array>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace stillgate::hold {
namespace {

using runtime_api::Answer;
using runtime_api::read_reply;

const char* const info = "Name: HAProxy\nVersion: 3.0.11\nPid: 7\nUptime_sec: 9\nnode: lb\n";
const char* const stat =
    "# pxname,svname,qcur,scur,slim,stot,status,rate,mode,req_tot,\n"
    "a,FRONTEND,,3,100,20,OPEN,1,http,25,\nb,FRONTEND,,0,,0,OPEN,1,http,0,\n"
    "c,FRONTEND,,0,50,30,OPEN,1,tcp,,\n"
    "s,s1,0,2,30,40,UP,1,http,,\ns,s2,0,2,10,40,UP,1,http,,\ns,BACKEND,1,4,10,80,UP,1,http,,\n"
    "t,t1,0,2,,5,DOWN,1,http,,\nt,BACKEND,0,2,10,5,DOWN,1,http,,\n";
const std::string endpoint = "unix:///run/x.sock";

Seen read(const Answer& answer, const std::vector<std::string>& frontends) {
  return read_survey(answer, endpoint, frontends, Scope::proxies);
}

Answer answers(const std::string& first, const std::string& second, const std::string& third) {
  Answer answer;
  for (const auto& raw : {first, second, third}) answer.replies.push_back(read_reply(raw));
  answer.timings = {1.0, 2.0, 4.5};
  return answer;
}

TEST(Survey, AsksNoMoreThanItsScope) {
  const auto proxies = survey_commands({"a", "b-c"}, Scope::proxies);
  ASSERT_EQ(proxies.size(), 3U);
  EXPECT_EQ(proxies[0].text(), "show info");
  EXPECT_EQ(proxies[1].text(), "show stat -1 3 -1");
  EXPECT_EQ(proxies[2].text(), "show cli level");
  const auto servers = survey_commands({"a", "b-c"}, Scope::servers);
  ASSERT_EQ(servers.size(), 11U);
  EXPECT_EQ(servers[1].text(), "show stat -1 7 -1");
  EXPECT_EQ(servers[3].text(), "stillgate prove a b-c");
  EXPECT_EQ(servers[4].text(), "stillgate status a b-c");
  EXPECT_EQ(servers[8].text(), "get var proc.stillgate_maxconn_b_2dc");
  EXPECT_EQ(servers[9].text(), "get var proc.stillgate_lock_b_2dc");
  EXPECT_EQ(servers[10].text(), "get var proc.stillgate_ended_b_2dc");
  const auto holds = survey_commands({"a"}, Scope::holds);
  ASSERT_EQ(holds.size(), 7U);
  EXPECT_EQ(holds[1].text(), "show stat -1 3 -1");
  EXPECT_EQ(holds[3].text(), "stillgate status a");
  EXPECT_EQ(survey_commands({"a"}, Scope::gates).size(), 4U);
  const auto up = survey_commands({"a"}, Scope::up);
  ASSERT_EQ(up.size(), 7U);
  EXPECT_EQ(up[1].text(), "show stat -1 7 -1");
  EXPECT_EQ(up[3].text(), "stillgate status a");
}

/// One column less would pass for 0, and a backend that is busy for one that is drained.
TEST(Survey, AColumnThatIsMissingIsAnError) {
  for (const std::string column : {"qcur", "scur", "slim", "stot", "status", "rate", "req_tot"}) {
    std::string without = stat;
    without.replace(without.find("," + column + ",") + 1, column.size(), "other");
    const Seen seen = read(answers(info, without, ""), {"a"});
    ASSERT_TRUE(seen.error) << column;
    EXPECT_EQ(seen.error->code, Errc::malformed_reply);
    EXPECT_EQ(seen.error->message, "show stat: there is no column " + column);
  }
}

TEST(Survey, ANumberThatIsNoneIsAnError) {
  std::string text = stat;
  text.replace(text.find("s,BACKEND,1,4"), 13, "s,BACKEND,1,x");
  const Seen seen = read(answers(info, text, ""), {"a"});
  ASSERT_TRUE(seen.error);
  EXPECT_EQ(seen.error->code, Errc::malformed_reply);
  EXPECT_EQ(seen.error->message, "show stat: scur of s,BACKEND is not a number");
}

TEST(Survey, ReadsBackendsAndCounters) {
  const Seen seen = read(answers(info, stat, ""), {"a", "c"});
  ASSERT_FALSE(seen.error);
  EXPECT_EQ(seen.names, (std::vector<std::string>{"a", "b", "c"}));
  ASSERT_EQ(seen.backends.size(), 2U);
  EXPECT_EQ(seen.backends[0].slots, 40);
  EXPECT_TRUE(seen.backends[0].up);
  EXPECT_FALSE(seen.backends[1].slots);
  EXPECT_FALSE(seen.backends[1].up);
  EXPECT_EQ(seen.in_flight(), 7);
  EXPECT_EQ(seen.counters(0), (Counters{7, 85, 25}));
  EXPECT_EQ(seen.counters(1), (Counters{7, 85, 30}));
}

/// It gets nothing after the release either, so it neither adds to what the others take nor, where
/// it has no limit, makes that unknown.
TEST(Survey, AServerInMaintenanceTakesNothing) {
  const std::string last = "s,s2,0,2,10,40,UP,1,http,,\n";
  for (const std::string limit : {"99", ""}) {
    std::string text = stat;
    text.replace(text.find(last), last.size(), last + "s,s3,0,0," + limit + ",0,MAINT,1,http,,\n");
    EXPECT_EQ(read(answers(info, text, ""), {"a"}).backends[0].slots, 40) << limit;
  }
  std::string open = stat;
  open.replace(open.find(last), last.size(), last + "s,s3,0,0,,0,UP,1,http,,\n");
  EXPECT_FALSE(read(answers(info, open, ""), {"a"}).backends[0].slots);
}

/// One backend with these servers: status, check_status and fall of each.
BackendSeen backend_of(const std::vector<std::array<std::string, 3>>& servers) {
  std::string text =
      "# pxname,svname,qcur,scur,slim,stot,rate,status,req_tot,check_status,check_fall,\n"
      "a,FRONTEND,,1,100,1,0,OPEN,1,,,\n";
  for (std::size_t i = 0; i < servers.size(); ++i) {
    text +=
        fmt::format("s,s{},0,0,,0,0,{},,{},{},\n", i, servers[i][0], servers[i][1], servers[i][2]);
  }
  text += "s,BACKEND,0,0,10,0,0,UP,,,,\n";
  Answer answer = answers(info, text, "");
  answer.replies.push_back(read_reply("[6]: Unknown command: 'stillgate'\n"));  // it has no gate
  const Seen seen = read_survey(answer, endpoint, {}, Scope::up);
  EXPECT_FALSE(seen.error);
  return seen.backends.at(0);
}

TEST(Survey, AServerIsUpByACheckSinceItsLastChangeOfState) {
  EXPECT_TRUE(backend_of({}).up);
  EXPECT_TRUE(backend_of({{"UP", "L7OK", "3"}}).up);
  EXPECT_TRUE(backend_of({{"UP", "", ""}}).up) << "it tracks another one";
  EXPECT_FALSE(backend_of({{"UP 1/3", "L7OK", "3"}}).up) << "that check was before";
  EXPECT_FALSE(backend_of({{"UP 1/3", "INI", "3"}}).up);
  EXPECT_FALSE(backend_of({{"UP", "L4CON", "1"}}).up);
  EXPECT_FALSE(backend_of({{"UP", "INI", "1"}}).up);
  for (const char* const status :
       {"DOWN", "DOWN 1/2", "DRAIN", "MAINT", "NOLB", "MAINT (via s/t)"}) {
    EXPECT_FALSE(backend_of({{status, "L7OK", "3"}}).up) << status;
  }
  EXPECT_TRUE(backend_of({{"DOWN", "L4CON", "3"}, {"UP", "* L6OK", "3"}}).up);
}

TEST(Survey, AServerThatNoCheckShowsCountsAndIsNamed) {
  const BackendSeen unchecked = backend_of({{"no check", "", ""}});
  EXPECT_TRUE(unchecked.up);
  EXPECT_EQ(unchecked.unshown, "server 's0' has no health check");
  EXPECT_TRUE(backend_of({{"UP", "L7OK", "1"}}).unshown.starts_with("server 's0' has 'fall 1'"));
  EXPECT_EQ(backend_of({{"no check", "", ""}, {"UP", "L7OK", "3"}}).unshown, "");
}

TEST(Survey, LeaksAreBoundedByBothCounters) {
  const Counters before{7, 100, 50};
  EXPECT_EQ(leaked(before, Counters{7, 100, 60}), 0);
  EXPECT_EQ(leaked(before, Counters{7, 190, 50}), 0);
  EXPECT_EQ(leaked(before, Counters{7, 190, 53}), 3);
  EXPECT_FALSE(leaked(before, Counters{8, 190, 53}));
  EXPECT_FALSE(leaked(before, Counters{7, 5, 60}));
  EXPECT_FALSE(leaked(std::nullopt, before));
}

TEST(Survey, ReadsLimitsLevelAndRoundTrip) {
  const Seen seen = read(answers(info, stat, "[6]: admin\n"), {"nosuch", "a"});
  ASSERT_FALSE(seen.error);
  EXPECT_EQ(seen.info->pid, 7);
  EXPECT_FALSE(seen.limit(0));
  EXPECT_EQ(seen.limit(1), 100);
  EXPECT_EQ(seen.level, "admin");
  EXPECT_EQ(seen.rtt_ms, 2.5);
}

TEST(Survey, ALevelThatIsNotToldIsNoError) {
  const Seen seen = read(answers(info, stat, "[6]: Unknown command.\n"), {"a"});
  EXPECT_FALSE(seen.error);
  EXPECT_FALSE(seen.level);
}

TEST(Survey, WhatMakesNoSenseIsAnError) {
  const std::string denied = "[3]: Permission denied\n";
  EXPECT_EQ(read(answers(denied, stat, ""), {"a"}).error->code, Errc::permission_denied);
  EXPECT_EQ(read(answers(info, denied, ""), {"a"}).error->code, Errc::permission_denied);
  EXPECT_EQ(read(answers("x", stat, ""), {"a"}).error->code, Errc::malformed_reply);
  EXPECT_EQ(read(answers(info, "x", ""), {"a"}).error->code, Errc::malformed_reply);
  EXPECT_EQ(read(answers(info, stat, ""), {"b"}).error->code, Errc::malformed_reply);
  Answer lost;
  lost.error = Error{Errc::early_eof, ""};
  EXPECT_EQ(read(lost, {"a"}).error->code, Errc::early_eof);
}

TEST(Survey, AnotherProcessIsKnownByPidOrUptime) {
  const Seen before = read(answers(info, stat, ""), {"a"});
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
