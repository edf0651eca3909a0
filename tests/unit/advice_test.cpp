// The check's warnings: each where it belongs, with its numbers, and nowhere else.
#include "hold/advice.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace stillgate::hold {
namespace {

using runtime_api::Stream;
using std::chrono::milliseconds;

/// One frontend with room for 100 and one backend, on a HAProxy that remembers.
Seen quiet() {
  Seen seen;
  seen.info = Info{};
  seen.frontends.push_back(FrontendSeen{100, true, false, 0, 5, 1000, 1000});
  seen.backends.push_back(BackendSeen{"app", 0, 0, 900, true, 500, 40});
  seen.remembered.push_back(Remembered{true, {}, {}});
  return seen;
}

Question question() {
  Question question;
  question.max_hold = milliseconds(10'000);
  return question;
}

Switch advised(const Seen& seen, const Question& asked = question(),
               const std::string& endpoint = "unix:///run/a.sock") {
  Switch one;
  one.endpoint = endpoint;
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

TEST(Advice, KeepAliveIsAWarningWhereItWasSeen) {
  Seen seen = quiet();
  EXPECT_EQ(find(advised(seen), "keep_alive_passes")->level, Level::info);
  seen.frontends[0]->begun = 2500;
  EXPECT_TRUE(has(find(advised(seen), "keep_alive_passes"), Level::warning, "2.5 requests"));
  seen.frontends[0]->http = false;
  EXPECT_EQ(find(advised(seen), "keep_alive_passes"), nullptr);
}

TEST(Advice, TheQueueIsWeighedAgainstTheArrivals) {
  Seen seen = quiet();
  seen.frontends[0]->rate = 10;  // 100 in 10 s, and 101 fit
  EXPECT_EQ(find(advised(seen), "queue_too_short"), nullptr);
  seen.frontends[0]->rate = 11;
  EXPECT_TRUE(has(find(advised(seen), "queue_too_short"), Level::warning, "101 can wait"));
  Question asked = question();
  asked.somaxconn = 64;
  EXPECT_TRUE(has(find(advised(seen, asked), "queue_too_short"), Level::warning, "somaxconn"));
  // Of another machine nobody knows it here.
  EXPECT_TRUE(has(find(advised(seen, asked, "tcp://lb:9"), "queue_too_short"), Level::warning,
                  "101 can wait"));
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
  seen.remembered[0] = {true, {}, Error{Errc::journal_failed, "broken", {}, {}, {}}};
  EXPECT_TRUE(has(find(advised(seen), "record_unreadable"), Level::warning, "broken"));
}

TEST(Advice, AHoldThatNobodyEnds) {
  Question asked = question();
  asked.no_lease = true;
  EXPECT_TRUE(has(find(advised(quiet(), asked), "no_lease"), Level::warning, "stillgate resume"));
}

TEST(Advice, SlowRequestsAndOtherClientsOfTheSocket) {
  Switch one;
  one.frontend = "balanced";
  std::vector<Stream> streams(7, Stream{"unix:1", "GLOBAL", {}, {}, 0});
  streams.push_back({"10.0.0.1:5", "balanced", "app", "s1", 4});
  streams.push_back({"10.0.0.2:5", "other", "app", "s1", 400});
  streams.push_back({"10.0.0.3:5", "balanced", {}, {}, 400});
  advise(one, streams, milliseconds(5000));
  EXPECT_TRUE(one.findings.empty());
  streams.push_back({"unix:1", "GLOBAL", {}, {}, 0});
  streams.push_back({"10.0.0.4:5", "balanced", "app", {}, 60});
  advise(one, streams, milliseconds(5000));
  EXPECT_TRUE(has(find(one, "stats_connections"), Level::warning, "8 connections"));
  EXPECT_TRUE(
      has(find(one, "drain_may_fail"), Level::warning, "10.0.0.4:5 to app/(queued) for 60 s"));
}

}  // namespace
}  // namespace stillgate::hold
