// `show sess` as HAProxy 2.6.12 and 3.0.11 print it, and texts that are none.
#include "runtime_api/streams.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stillgate::runtime_api {
namespace {

const std::string served =
    "0x7f893c281000: proto=tcpv4 src=127.0.0.1:60496 fe=balanced be=app srv=s1 ts=00 epoch=0 "
    "age=1m5s calls=2 rate=0 cpu=0 lat=0 rq[f=1840000h,i=0,an=8000h,ax=] scf=[8,482h,fd=9]\n";
const std::string cli =
    "0x5638dc064980: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 age=0s "
    "calls=1 exp= rc=0 c_exp=\n";

TEST(Streams, ReadsWhoseTheyAreAndHowOld) {
  const auto streams = parse_streams(served + cli);
  ASSERT_TRUE(streams);
  ASSERT_EQ(streams->size(), 2U);
  EXPECT_EQ((*streams)[0].source, "127.0.0.1:60496");
  EXPECT_EQ((*streams)[0].frontend, "balanced");
  EXPECT_EQ((*streams)[0].backend, "app");
  EXPECT_EQ((*streams)[0].server, "s1");
  EXPECT_EQ((*streams)[0].age_s, 65);
  EXPECT_EQ((*streams)[1].frontend, "GLOBAL");
  EXPECT_FALSE((*streams)[1].backend || (*streams)[1].server);
  EXPECT_EQ((*streams)[1].age_s, 0);
}

TEST(Streams, Ages) {
  const auto age = [](const std::string& text) {
    return (*parse_streams("0x1: fe=f be=b srv=s age=" + text + " calls=1\n"))[0].age_s;
  };
  EXPECT_EQ(age("2d3h"), 183'600);
  EXPECT_EQ(age("1h2m"), 3720);
  EXPECT_FALSE(age("?"));
  EXPECT_FALSE(age("12"));
  EXPECT_FALSE(age("3w"));
}

TEST(Streams, NoneIsNoError) {
  EXPECT_TRUE(parse_streams("")->empty());
  EXPECT_TRUE(parse_streams("\n")->empty());
}

/// A socket of Lua's, as 2.2.9 to 3.2.26 print it.
TEST(Streams, WhatHAProxyBeganItselfIsLeftOut) {
  const auto streams = parse_streams(
      "0x55a884d37fd0: proto=? ts=00 age=0s calls=1 rate=1 cpu=0 lat=0 rq[f=848202h,i=0,an=00h,rx=,"
      "wx=,ax=] rp[f=80008000h,i=0,an=00h,rx=1s,wx=,ax=] s0=[8,204048h,fd=-1,ex=] exp=1s\n" +
      served);
  ASSERT_TRUE(streams);
  EXPECT_EQ(streams->size(), 1U);
}

TEST(Streams, AnythingElseIsMalformed) {
  for (const char* text : {"x", "0x1: src=a be=b\n", "Unknown command.\n"}) {
    const auto streams = parse_streams(text);
    ASSERT_FALSE(streams) << text;
    EXPECT_EQ(streams.error().code, Errc::malformed_reply);
  }
}

/// As 3.0.11 and 3.2.26 print it.
TEST(Streams, TellOfAConnectionToAStatsSocketHowLongItMayStay) {
  const auto streams = parse_streams(
      "0x7fa092281400: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 "
      "epoch=0x1 age=1s calls=2 rate=0 cpu=0 lat=0 rq[f=848000h,i=0,an=00h,ax=] "
      "rp[f=80048101h,i=0,an=00h,ax=] scf=[8,0h,fd=11,rex=2d59s,wex=] scb=[8,1h,fd=-1,rex=,wex=] "
      "exp=9s rc=0 c_exp=\n");
  ASSERT_TRUE(streams);
  EXPECT_EQ((*streams)[0].pointer, "0x7fa092281400");
  EXPECT_EQ((*streams)[0].left_s, 172'859);
}

/// As 2.2.9 and 2.6.12 print them, and 3.0.11: a request that waits in the gate, another one whose
/// body is not complete, and a connection that has asked for nothing yet.
TEST(Streams, TellWhichTimerRunsOnARequestThatWaits) {
  const std::string rest = ",wx=,ax=0s] rp[f=80000000h,i=0,an=00h,rx=,wx=,ax=] s0=[8,200008h]\n";
  const std::string head =
      "0x1: proto=unix_stream src=unix:3 fe=f be=<NONE> srv=<none> ts=00 age=0s ";
  const std::string side = "] rp[f=80000000h,i=0,an=00h,ax=] scf=[8,402h,fd=14,rex=";
  const auto streams = parse_streams(
      head + "rq[f=40480000h,i=16384,an=30h,rx=1m36s" + rest +  //
      head + "rq[f=40480000h,i=16384,an=30h,rx=" + rest +       //
      head + "rq[f=400000h,i=0,an=34h,rx=36s" + rest +          //
      head + "rq[f=000000h,i=16384,an=30h,ax=" + side + ",wex=] scb=[0,1h,fd=-1,rex=9s]\n" + head +
      "rq[f=000000h,i=16384,an=30h,ax=" + side + "36s,wex=] scb=[0,1h,fd=-1,rex=]\n");
  ASSERT_TRUE(streams);
  std::vector<std::pair<bool, std::optional<std::int64_t>>> told;
  for (const Stream& one : *streams) told.emplace_back(one.in_rules, one.left_s);
  using Told = decltype(told)::value_type;
  EXPECT_EQ(told, (std::vector<Told>{{true, 96}, {true, {}}, {false, 36}, {true, {}}, {true, 36}}));
}

TEST(Streams, DetailsTellWhichOneItIs) {
  const auto details = parse_stream_details(
      "0x7fa092281400: [28/Nov/2026:12:15:19.984505] id=3 proto=unix_stream source=unix:1\n"
      "  flags=0x8, conn_retries=0, conn_exp=<NEVER> conn_et=0x000 srv_conn=(nil)\n"
      "  frontend=GLOBAL (id=0 mode=tcp), listener=? (id=1) addr=unix:1\n"
      "  scf=0x7fa093223a60 flags=0x00000000 ioto=2d1m state=EST endp=CONN rex=2d59s\n"
      "  scb=0x7fa093223ac0 flags=0x00000001 ioto=0s state=EST endp=APPCTX\n");
  ASSERT_TRUE(details);
  EXPECT_EQ(details->frontend, "GLOBAL");
  EXPECT_EQ(details->number, "3");
  EXPECT_EQ(details->timeout_s, 172'860);
  EXPECT_FALSE(parse_stream_details(""));
  EXPECT_FALSE(parse_stream_details("0x1: id=3\n  frontend=GLOBAL (id=0)\n"));
}

}  // namespace
}  // namespace stillgate::runtime_api
