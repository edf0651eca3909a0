// The gate's answers: what is read from them, and what makes no sense.
#include "runtime_api/gate.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stillgate::runtime_api {
namespace {

using Mode = GateSwitch::Mode;

const char* const status =
    R"({"error":"boom","folder":"/x","format":1,"frontends":{"a":{"given_up":1,"held":7,"id":"7d",)"
    R"("longest_wait_ms":12.5,"malformed":"?","mode":"held","most_waiting":5,"rejected":2,)"
    R"("released":3,"remaining_ms":90,"token":"1.7d.100.release.0.Zm","waiting":4},)"
    R"("b":{"mode":"open","waiting":0},"c":{"mode":"rejecting","id":"8e"}},)"
    R"("state_error":"no such folder","stopping":false,"table":true})";

TEST(GateStatus, ReadsEveryField) {
  const auto read = parse_gate_status(status);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->table);
  EXPECT_EQ(read->state_error, "no such folder");
  EXPECT_EQ(read->error, "boom");
  ASSERT_EQ(read->frontends.size(), 3U);
  const GateSwitch& a = read->frontends.at("a");
  EXPECT_EQ(a.mode, Mode::held);
  EXPECT_EQ(a.id, "7d");
  EXPECT_EQ(a.token, "1.7d.100.release.0.Zm");
  EXPECT_EQ(a.waiting, 4);
  EXPECT_EQ(a.counters.most_waiting, 5);
  EXPECT_EQ(a.counters.held, 7);
  EXPECT_EQ(a.counters.released, 3);
  EXPECT_EQ(a.counters.given_up, 1);
  EXPECT_EQ(a.counters.rejected, 2);
  EXPECT_EQ(a.counters.longest_wait_ms, 12.5);
  EXPECT_EQ(a.malformed, "?");
  EXPECT_EQ(read->frontends.at("b").mode, Mode::open);
  EXPECT_FALSE(read->frontends.at("b").malformed);
  EXPECT_EQ(read->frontends.at("c").mode, Mode::rejecting);
}

TEST(GateStatus, WithoutTroubleThereIsNone) {
  const auto read = parse_gate_status(R"({"format":1,"frontends":{}})");
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->table);
  EXPECT_FALSE(read->state_error);
  EXPECT_FALSE(read->error);
  EXPECT_TRUE(read->frontends.empty());
}

TEST(GateStatus, CountsThatAreNoneAreZero) {
  const auto read = parse_gate_status(
      R"({"format":1,"frontends":{"a":{"mode":"open","waiting":-3,"held":1e300,"released":"x"}}})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->frontends.at("a").waiting, 0);
  EXPECT_EQ(read->frontends.at("a").counters.held, 0);
  EXPECT_EQ(read->frontends.at("a").counters.released, 0);
}

class NotAStatus : public testing::TestWithParam<const char*> {};

TEST_P(NotAStatus, IsAnError) {
  const auto read = parse_gate_status(GetParam());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::malformed_reply);
}

INSTANTIATE_TEST_SUITE_P(
    All, NotAStatus,
    testing::Values("", "x", "[]", "{}", R"({"format":1})", R"({"format":2,"frontends":{}})",
                    R"({"format":1,"frontends":[]})", R"({"format":1,"frontends":{"a":5}})",
                    R"({"format":1,"frontends":{"a":{"mode":"shut"}}})",
                    R"({"format":1,"frontends":{"a":{}}})", R"({"format":1,"frontends":{}} x)"));

TEST(GateProofs, TellsWhyOneIsNotProven) {
  const auto read = parse_gate_proofs(
      R"({"format":1,"frontends":{"a":{"proven":true},"b":{"proven":false,"why":"403"},"c":{}}})");
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->frontends.at("a").doubt);
  EXPECT_EQ(read->frontends.at("b").doubt, "403");
  EXPECT_TRUE(read->frontends.at("c").doubt);
}

TEST(GateProofs, WhatMakesNoSenseIsAnError) {
  EXPECT_FALSE(parse_gate_proofs("Unknown command"));
  EXPECT_FALSE(parse_gate_proofs(R"({"format":1,"frontends":{"a":true}})"));
}

TEST(GateProofs, ReadWhatHaproxyCfgHasBesideTheGate) {
  const auto read = parse_gate_proofs(
      R"({"format":1,"frontends":{"a":{"proven":true,"longest_ms":5000,"longest_by":"h.cfg:7",)"
      R"("notes":"h.cfg:9: counts"},"b":{"proven":true}}})");
  ASSERT_TRUE(read);
  const GateProof& a = read->frontends.at("a");
  EXPECT_EQ(a.longest_ms, 5000);
  EXPECT_EQ(a.longest_by, "h.cfg:7");
  EXPECT_EQ(a.notes, "h.cfg:9: counts");
  EXPECT_FALSE(read->frontends.at("b").longest_ms);
  EXPECT_FALSE(read->frontends.at("b").notes);
}

}  // namespace
}  // namespace stillgate::runtime_api
