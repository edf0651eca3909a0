// `show info` and `show stat`, typed.
#include <string>

#include <gtest/gtest.h>

#include <stillgate/info.hpp>
#include <stillgate/stat.hpp>

namespace stillgate {
namespace {

TEST(Info, TypedAndWhole) {
  const auto info = parse_info(
      "Name: HAProxy\nVersion: 3.0.11-1+deb13u5\nPid: 42\nUptime_sec: 7\nnode: lb1\n"
      "description: a: b > c\nStopping: 1\nBuild info:\n");
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->version, "3.0.11-1+deb13u5");
  EXPECT_EQ(info->pid, 42);
  EXPECT_EQ(info->uptime_s, 7);
  EXPECT_EQ(info->node, "lb1");
  EXPECT_TRUE(info->stopping);
  EXPECT_EQ(info->find("description"), "a: b > c");
  EXPECT_EQ(info->find("Build info"), "");
  EXPECT_FALSE(info->find("none"));
  EXPECT_EQ(info->fields.size(), 8U);
}

TEST(Info, WhatIsNoInfo) {
  for (const char* text :
       {"", "x", ": x", "Version: 1\nPid: 1\n", "Version: 1\nUptime_sec: 1\n",
        "Pid: 1\nUptime_sec: 1\n", "Version: \nPid: 1\nUptime_sec: 1\n",
        "Version: 1\nPid: 1x\nUptime_sec: 1\n", "Version: 1\nPid: \nUptime_sec: 1\n"}) {
    const auto info = parse_info(text);
    ASSERT_FALSE(info) << text;
    EXPECT_EQ(info.error().code, Errc::malformed_reply);
  }
}

TEST(Stat, RowsByName) {
  const auto stat = Stat::parse(
      "# pxname,svname,slim,last_chk,\n"
      "balanced,FRONTEND,100,,\n"
      "balanced,s1,,\"L4OK, \"\"quoted\"\"\nline\",\n"
      "balanced,BACKEND,x,\n");
  ASSERT_TRUE(stat) << stat.error().message;
  EXPECT_EQ(stat->columns().size(), 4U);
  ASSERT_EQ(stat->rows().size(), 3U);
  const auto* frontend = stat->frontend("balanced");
  ASSERT_NE(frontend, nullptr);
  EXPECT_EQ(stat->number(*frontend, "slim"), 100);
  EXPECT_EQ(stat->text(*frontend, "last_chk"), "");
  EXPECT_FALSE(stat->number(*frontend, "nosuch"));
  EXPECT_EQ(stat->text(stat->rows()[1], "last_chk"), "L4OK, \"quoted\"\nline");
  EXPECT_FALSE(stat->number(stat->rows()[2], "slim"));
  EXPECT_EQ(stat->text(stat->rows()[2], "last_chk"), "");
  EXPECT_EQ(stat->frontend("s1"), nullptr);
}

TEST(Stat, WhatIsNoStat) {
  for (const char* text :
       {"", "pxname,svname,\n", "# svname,pxname,\n", "# pxname,\n", "# pxname,\"svname\n",
        "# pxname,svname,\na,\"b\n", "# pxname,svname,\na,\n", "# pxname,svname,\n,b,\n",
        "# pxname,svname,\na,b,c,d,\n"}) {
    const auto stat = Stat::parse(text);
    ASSERT_FALSE(stat) << text;
    EXPECT_EQ(stat.error().code, Errc::malformed_reply);
  }
  EXPECT_TRUE(Stat::parse("# pxname,svname,\n"));
}

}  // namespace
}  // namespace stillgate
