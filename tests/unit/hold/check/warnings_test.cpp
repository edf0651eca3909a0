// The check's warnings: each where it belongs, with its numbers, and nowhere else.
#include "hold/check/warnings.hpp"

#include "hold/check/method.hpp"
#include "hold/check/refusals.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;

/// One frontend with room for 100 and one backend, on a HAProxy that remembers.
Seen quiet() {
  Seen seen;
  seen.info = Info{};
  seen.info->version = "3.0.11";
  seen.frontends.push_back(FrontendSeen{100, true, false, 0, 5, 1000, 1000});
  seen.backends.push_back(BackendSeen{"app", 0, 0, 900, true, {}, {}, 500, 40});
  seen.remembered.push_back(Remembered{true, false, {}, {}});
  return seen;
}

HoldRequest request() {
  HoldRequest request;
  request.options.max_hold = milliseconds(10'000);
  return request;
}

Switch advised(const Seen& seen, const HoldRequest& asked = request()) {
  Switch one;
  one.frontend = "balanced";
  advise(one, asked, seen, 0);
  return one;
}

const Finding* find(const Switch& one, const std::string& code) {
  const auto at = std::find_if(one.findings.begin(), one.findings.end(),
                               [&code](const Finding& finding) { return finding.code == code; });
  return at == one.findings.end() ? nullptr : &*at;
}

bool has(const Finding* finding, Level level, const std::string& words) {
  return finding != nullptr && finding->level == level &&
         finding->message.find(words) != std::string::npos;
}

TEST(Advice, AQuietFrontendHasNoWarning) {
  for (const Finding& finding : advised(quiet()).findings) {
    EXPECT_EQ(finding.level, Level::info) << finding.code;
  }
}

TEST(Advice, WhatCouldKeepAHoldFromEndingIsTold) {
  Seen seen = quiet();
  EXPECT_TRUE(has(find(advised(seen), "guard_alone"), Level::info, "killed at once"));
  seen.info->version = "2.8.5";
  EXPECT_TRUE(has(find(advised(seen), "guard_alone"), Level::warning, "freezes or fails"));
  HoldRequest asked = request();
  asked.options.no_lease = true;
  EXPECT_EQ(find(advised(seen, asked), "guard_alone"), nullptr);
}

TEST(Advice, KeepAliveIsAWarningWhereItWasSeen) {
  Seen seen = quiet();
  EXPECT_EQ(find(advised(seen), "keep_alive_passes")->level, Level::info);
  seen.frontends[0]->begun = 2500;
  EXPECT_TRUE(has(find(advised(seen), "keep_alive_passes"), Level::warning, "2.5 requests"));
  seen.frontends[0]->http = false;
  EXPECT_EQ(find(advised(seen), "keep_alive_passes"), nullptr);
}

/// What the closer look says of `quiet()` with this rate; the answers are those to its commands.
Switch looked(const HoldRequest& asked, std::int64_t rate, const std::vector<std::string>& answers,
              std::optional<milliseconds> drain_timeout = {}) {
  Seen seen = quiet();
  seen.frontends[0]->rate = rate;
  std::vector<Switch> switches(1);
  switches[0].frontend = "balanced";
  switches[0].limit_now = 100;
  runtime_api::Answer answer;
  for (const std::string& text : answers) answer.replies.push_back({text, {}});
  advise_closer(switches, asked, 0, seen, answer, drain_timeout);
  return switches[0];
}

HoldRequest request_here() {
  HoldRequest asked = request();
  asked.endpoints = {"unix:///run/a.sock"};
  asked.local_endpoints = {"unix:///run/a.sock"};
  asked.frontends = {"balanced"};
  asked.listen_depths = {{80, 4097}, {81, 65}, {9999, 11}};
  return asked;
}

TEST(Advice, WithoutTheKernelTheLimitStandsForTheQueue) {
  HoldRequest asked = request_here();
  asked.listen_depths.clear();
  EXPECT_TRUE(closer_look(asked, 0, quiet(), false).empty());
  // 100 come in 10 s, and 101 fit.
  EXPECT_EQ(find(looked(asked, 10, {}), "queue_too_short"), nullptr);
  EXPECT_TRUE(has(find(looked(asked, 11, {}), "queue_too_short"), Level::warning,
                  "queue takes 101 (from 'maxconn'"));
}

TEST(Advice, TheKernelOfThisMachineKnowsTheBacklog) {
  const HoldRequest asked = request_here();
  const std::string wide = "  4 : st=0x1 l.st=RDY fe=balanced fam=ipv4 lport=80\n";
  const std::string narrow = "  5 : st=0x1 l.st=RDY fe=balanced fam=ipv6 lport=81\n";
  const std::string other =
      "  6 : st=0x1 l.st=RDY fe=GLOBAL fam=ipv4 lport=9999\n"
      "  7 : st=0x1 back=0 fam=ipv4 lport=81 fe=balanced mux=H1\n";
  EXPECT_EQ(closer_look(asked, 0, quiet(), false).size(), 1U);
  EXPECT_EQ(find(looked(asked, 400, {wide + other}), "queue_too_short"), nullptr);
  EXPECT_TRUE(has(find(looked(asked, 410, {wide + other}), "queue_too_short"), Level::warning,
                  "takes 4097 (the smaller"));
  EXPECT_TRUE(has(find(looked(asked, 7, {wide + narrow}), "queue_too_short"), Level::warning,
                  "takes 65 (the smaller"));
}

TEST(Advice, WhatRunsElsewhereIsNotLookedUpHere) {
  HoldRequest asked = request_here();
  asked.endpoints = {"tcp://lb:9999"};
  EXPECT_TRUE(closer_look(asked, 0, quiet(), false).empty());
  EXPECT_EQ(closer_look(asked, 0, quiet(), true).size(), 1U);
  Seen busy = quiet();
  busy.info->fields = {{"CurrConns", "2001"}};
  EXPECT_TRUE(closer_look(asked, 0, busy, true).empty());
}

TEST(Advice, TheHerdIsWeighedAgainstTheServers) {
  Seen seen = quiet();
  seen.frontends[0]->rate = 100;  // 1,000 in 10 s, against 500 slots of 40 ms
  EXPECT_TRUE(has(find(advised(seen), "servers_queue"), Level::warning, "take 500 at a time"));
  seen.backends[0].slots.reset();
  EXPECT_EQ(find(advised(seen), "servers_queue"), nullptr);
}

TEST(Advice, WhatHaproxyCannotRememberIsSaid) {
  Seen seen = quiet();
  seen.remembered[0].supported = false;
  EXPECT_TRUE(has(find(advised(seen), "journal_only"), Level::warning, "--limit"));
  seen.remembered[0] = {true, false, {}, Error{Errc::journal_failed, "broken"}};
  EXPECT_TRUE(has(find(advised(seen), "record_unreadable"), Level::warning, "broken"));
}

TEST(Advice, AHoldThatNobodyEnds) {
  HoldRequest asked = request();
  asked.options.no_lease = true;
  EXPECT_TRUE(has(find(advised(quiet(), asked), "no_lease"), Level::warning, "stillgate resume"));
}

TEST(Advice, AGuardThatEndsWithItsStarterRefusesTheHoldOrIsTold) {
  HoldRequest asked = request();
  asked.endpoints = {"unix:///a"};
  asked.frontends = {"balanced"};
  const auto weighed = [&asked](bool refuses) {
    asked.shared_fate = SharedFate{"it ends too", refuses};
    return weigh(asked, {quiet()}, {}, {}).front();
  };
  const Switch refused = weighed(true);
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, Errc::guard_shares_fate);
  EXPECT_TRUE(has(find(refused, "guard_shares_fate"), Level::refusal, "it ends too"));
  const Switch told = weighed(false);
  EXPECT_FALSE(told.error);
  EXPECT_TRUE(has(find(told, "guard_shares_fate"), Level::warning, "it ends too"));
  asked.options.no_lease = true;
  EXPECT_EQ(find(weighed(true), "guard_shares_fate"), nullptr);
}

TEST(Advice, HowManyMayWaitIsToldAndAWarningWhereMoreWouldCome) {
  Seen seen = quiet();
  seen.gate = GateSeen{};
  seen.gate->switches.emplace_back();
  seen.gate->proofs.push_back({{}, 30, "maxconn"});
  const auto told = [&seen](std::int64_t per_second, std::int64_t max_waiting) {
    HoldRequest asked = request();  // for 10 s
    asked.options.max_waiting = max_waiting;
    seen.frontends[0]->rate = seen.frontends[0]->busy = per_second;
    Switch one;
    one.method = by_gate;
    advise(one, asked, seen, 0);
    return one;
  };
  Switch one = told(3, 0);
  EXPECT_TRUE(has(find(one, "gate_bound"), Level::info, "at most 30 requests wait here at once"));
  one = told(4, 0);
  EXPECT_TRUE(has(find(one, "gate_bound"), Level::warning, "--max-waiting sets another number"));
  EXPECT_EQ(find(told(4, 40), "gate_bound"), nullptr);
  // HAProxy does not survive the end of that memory, whatever was asked.
  seen.gate->proofs[0].most_by = "tune.lua.maxmem";
  one = told(4, 40);
  EXPECT_TRUE(has(find(one, "gate_bound"), Level::warning, "no --max-waiting lets more wait"));
  EXPECT_EQ(find(told(4, 30), "gate_bound"), nullptr);
}

TEST(Advice, SlowRequestsAndOtherClientsOfTheSocket) {
  const auto line = [](const std::string& what) { return "0x1: " + what + " calls=1\n"; };
  const std::string cli = line("src=unix:1 fe=GLOBAL be=<NONE> srv=<none> age=0s");
  std::string text;
  for (int i = 0; i < 7; ++i) text += cli;
  text += line("src=10.0.0.1:5 fe=balanced be=app srv=s1 age=4s");
  text += line("src=10.0.0.2:5 fe=other be=app srv=s1 age=4m");
  text += line("src=10.0.0.3:5 fe=balanced be=<NONE> srv=<none> age=4m");
  const HoldRequest asked = request_here();
  EXPECT_TRUE(looked(asked, 0, {"", text}, milliseconds(5000)).findings.empty());
  text += cli + line("src=10.0.0.4:5 fe=balanced be=app srv=<none> age=60s");
  const Switch one = looked(asked, 0, {"", text}, milliseconds(5000));
  EXPECT_TRUE(has(find(one, "stats_connections"), Level::warning, "8 connections"));
  EXPECT_TRUE(
      has(find(one, "drain_may_fail"), Level::warning, "10.0.0.4:5 to app/(queued) for 60 s"));
}

TEST(Advice, WhatTheDrainLeavesOutCannotMakeItFail) {
  const auto line = [](const std::string& what) { return "0x1: " + what + " calls=1\n"; };
  const std::string text = line("src=10.0.0.1:5 fe=balanced be=sockets srv=s age=9m") +
                           line("src=10.0.0.2:5 fe=balanced be=app srv=s1 age=8m") +
                           line("src=10.0.0.3:5 fe=balanced be=app srv=s1 age=60s") +
                           line("src=10.0.0.4:5 fe=balanced be=app srv=s1 age=1s");
  HoldRequest asked = request();
  asked.endpoints = {"tcp://lb:9999"};
  asked.frontends = {"balanced"};
  asked.options.drain_except = "sockets,endless";
  ASSERT_EQ(closer_look(asked, 0, quiet(), true).size(), 3U);
  const auto told = [&](int tracked) {
    const std::string table = fmt::format(
        "# table: endless, type: string, size:1024, used:1\n"
        "0x9: key=balanced/app use=2 exp=0 conn_cur={}\n",
        tracked);
    return looked(asked, 0, {text, "", table}, milliseconds(5000));
  };
  EXPECT_TRUE(has(find(told(1), "drain_may_fail"), Level::warning, "1 request runs"));
  EXPECT_TRUE(has(find(told(1), "drain_may_fail"), Level::warning, "10.0.0.3:5 to app/s1"));
  EXPECT_EQ(find(told(2), "drain_may_fail"), nullptr);
  asked.options.drain_except = "sockets";
  const Switch without = looked(asked, 0, {text}, milliseconds(5000));
  EXPECT_TRUE(has(find(without, "drain_may_fail"), Level::warning, "2 requests run"));
}

}  // namespace
}  // namespace stillgate::hold
