// `show table` as HAProxy 2.2.9 and 3.2.26 print it, and texts that are none.
#include "runtime_api/tracked.hpp"

#include <gtest/gtest.h>

namespace stillgate::runtime_api {
namespace {

TEST(Tracked, HowManyAreThereUnderEachKey) {
  const auto tracked = parse_tracked(
      "# table: websockets, type: string, size:1024, used:2\n"
      "0x56250d4616c8: key=balanced/b use=3 exp=0 conn_cur=3\n"
      "0x7f226cd3ecc8: key=balanced/c use=2 exp=0 shard=0 conn_cur=20\n\n");
  ASSERT_TRUE(tracked);
  EXPECT_EQ(*tracked, (Tracked{{"balanced/b", 3}, {"balanced/c", 20}}));
}

TEST(Tracked, NothingIsNoError) {
  EXPECT_TRUE(parse_tracked("")->empty());
  EXPECT_TRUE(parse_tracked("# table: t, type: string, size:1, used:0\n\n")->empty());
}

TEST(Tracked, AnythingElseIsMalformed) {
  for (const char* text : {"No such table\n", "0x1: key=a use=1\n", "0x1: key= conn_cur=1\n",
                           "0x1: key=a conn_cur=x\n", "0x1: key=a conn_cur=-1\n"}) {
    const auto tracked = parse_tracked(text);
    ASSERT_FALSE(tracked) << text;
    EXPECT_EQ(tracked.error().code, Errc::malformed_reply);
  }
}

}  // namespace
}  // namespace stillgate::runtime_api
