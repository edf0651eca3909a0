// Refusals told from answers, in the bytes of real HAProxies.
#include <gtest/gtest.h>

#include "runtime_api/reply.hpp"

namespace stillgate::runtime_api {
namespace {

TEST(Reply, AnswersLoseTheirClosingLineFeeds) {
  const Reply reply = read_reply("Name: HAProxy\nPid: 1\n");
  EXPECT_EQ(reply.text, "Name: HAProxy\nPid: 1");
  EXPECT_FALSE(reply.refusal);
  EXPECT_EQ(read_reply("").text, "");
  EXPECT_FALSE(read_reply("").refusal);
}

TEST(Reply, InformationIsNoRefusal) {
  const Reply reply = read_reply("[6]: admin\n");
  EXPECT_EQ(reply.text, "admin");
  EXPECT_FALSE(reply.refusal);
}

struct Case {
  const char* raw;
  Errc code;
  const char* words;
};

class Refusal : public testing::TestWithParam<Case> {};

TEST_P(Refusal, KeepsHAProxysWords) {
  const Reply reply = read_reply(GetParam().raw);
  ASSERT_TRUE(reply.refusal);
  EXPECT_EQ(reply.refusal->code, GetParam().code);
  EXPECT_EQ(reply.refusal->haproxy, GetParam().words);
  EXPECT_FALSE(reply.refusal->message.empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, Refusal,
    testing::Values(Case{"[3]: No such frontend.\n", Errc::no_such_frontend, "No such frontend."},
                    Case{"[3]: Permission denied\n", Errc::permission_denied, "Permission denied"},
                    Case{"[3]: Variable not found.\n", Errc::command_failed, "Variable not found."},
                    Case{"[0]: x", Errc::command_failed, "x"},
                    Case{"[6]: Unknown command: 'foo', but maybe ...\n  show fd\n",
                         Errc::unknown_command, "Unknown command: 'foo', but maybe ..."}));

TEST(Reply, WhatOnlyLooksLikeASeverityIsText) {
  for (const char* raw : {"[3]", "[3]:x", "[8]: x", "[a]: x", "3: x", "[3] : x"}) {
    EXPECT_EQ(read_reply(raw).text, raw);
    EXPECT_FALSE(read_reply(raw).refusal) << raw;
  }
  // A warning is no refusal, and English words alone decide nothing.
  EXPECT_FALSE(read_reply("[4]: careful").refusal);
  EXPECT_FALSE(read_reply("Permission denied").refusal);
}

}  // namespace
}  // namespace stillgate::runtime_api
