// The record that an HAProxy keeps: what goes in comes out, and nothing else is taken for it.
#include "hold/record/record_variable.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stillgate::hold {
namespace {

using runtime_api::read_reply;

Record sample(std::size_t reason_bytes = 10) {
  Record record;
  record.id = "0123456789abcdef";
  record.owner = "deploy@lb 1";
  record.reason = std::string(reason_bytes, '\xe4');
  record.started_at = WallTime(std::chrono::milliseconds(1'800'000'000'123));
  record.switches = {{"unix:///run/a.sock", "balanced", 100, Counters{7, 8, 9}}};
  return record;
}

/// What `set var` was told, as `get var` gives it back.
runtime_api::Reply echo(const std::vector<runtime_api::Command>& commands) {
  std::string_view wire = commands.at(1).wire();
  wire = wire.substr(wire.find("str(") + 4);
  return read_reply("[6]: proc.x: type=str value=<" + std::string(wire.substr(0, wire.find(')'))) +
                    ">\n");
}

TEST(Variable, EachFrontendHasItsOwn) {
  EXPECT_EQ(variable_of("balanced"), "stillgate_maxconn_balanced");
  EXPECT_EQ(variable_of("a-b.c:d_e"), "stillgate_maxconn_a_2db_2ec_3ad_5fe");
  EXPECT_NE(variable_of("a_2db"), variable_of("a-b"));
}

TEST(Variable, RoundTripAtEachLength) {
  for (std::size_t bytes = 0; bytes < 9; ++bytes) {
    const auto commands = write_variable("balanced", sample(bytes));
    ASSERT_TRUE(commands);
    EXPECT_EQ(commands->at(0).text(), "experimental-mode on");
    const auto found = read_remembered(echo(*commands), "tcp://other:9", "balanced");
    ASSERT_TRUE(found.record) << bytes;
    Record expected = sample(bytes);
    expected.switches[0].endpoint = "tcp://other:9";  // as this call names it
    EXPECT_EQ(*found.record, expected);
  }
}

TEST(Variable, TheLongestReasonFitsIntoOneLine) {
  EXPECT_TRUE(write_variable("balanced", sample(1000)));
  EXPECT_FALSE(write_variable("balanced", sample(13'000)));
}

TEST(Variable, EmptyMissingAndUnsupported) {
  const auto empty = read_remembered(read_reply("[6]: proc.x: type=str value=<>\n"), "e", "f");
  EXPECT_TRUE(empty.supported);
  EXPECT_FALSE(empty.record || empty.error);
  const auto missing = read_remembered(read_reply("[3]: Variable not found.\n"), "e", "f");
  EXPECT_TRUE(missing.supported);
  EXPECT_FALSE(missing.record || missing.error);
  const auto unknown = read_remembered(read_reply("[6]: Unknown command.\n"), "e", "f");
  EXPECT_FALSE(unknown.supported || unknown.record || unknown.error);
}

TEST(Variable, WhatCannotBeReadIsTold) {
  const auto other = write_variable("balanced", sample());
  for (const char* text :
       {"[6]: proc.x: type=str value=<!!!>\n", "[6]: proc.x: type=str value=<QUJD>\n",
        "[6]: proc.x: type=sint value=12\n", "[6]: proc.x: type=str value=<A>\n",
        "[6]: proc.x: type=str value=<QUJD\n"}) {
    const auto found = read_remembered(read_reply(text), "e", "f");
    EXPECT_FALSE(found.record) << text;
    ASSERT_TRUE(found.error) << text;
    EXPECT_EQ(found.error->code, Errc::journal_failed);
    EXPECT_NE(found.error->message.find("--limit N"), std::string::npos);
  }
  // A whole record, of another frontend.
  EXPECT_TRUE(read_remembered(echo(*other), "e", "f").error);
}

}  // namespace
}  // namespace stillgate::hold
