// The reader of SSH's encoding: after the first failure it reads nothing more.
#include "transport/ssh/base/wire.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stillgate::transport::ssh {
namespace {

TEST(WireReader, ReadsWhatTheWriterWrote) {
  const std::string bytes = WireWriter().number(7).string("text").string("").bytes() + 'x';
  WireReader reader(bytes);
  EXPECT_EQ(reader.number(), 7U);
  EXPECT_EQ(reader.string(), "text");
  EXPECT_EQ(reader.string(), "");
  EXPECT_FALSE(reader.empty());
  EXPECT_EQ(reader.byte(), 'x');
  EXPECT_TRUE(reader.empty());
}

/// A string that is said to be longer than what is left, and what looks well behind it.
TEST(WireReader, StopsAtTheFirstFailure) {
  const std::string bytes = WireWriter().number(99).bytes() + WireWriter().string("x").bytes();
  WireReader reader(bytes);
  EXPECT_FALSE(reader.string());
  EXPECT_FALSE(reader.string());
  EXPECT_FALSE(reader.number());
  EXPECT_FALSE(reader.bytes(0));
  EXPECT_FALSE(reader.byte());
  EXPECT_FALSE(reader.empty()) << "what failed was not read to its end";
}

TEST(WireReader, AnEndThatIsTooEarlyStopsItToo) {
  WireReader reader("abc");
  EXPECT_FALSE(reader.number());
  EXPECT_FALSE(reader.byte());
}

}  // namespace
}  // namespace stillgate::transport::ssh
