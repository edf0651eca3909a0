// OpenSSH's patterns and lists of them.
#include "transport/ssh/config/pattern.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stillgate::transport::ssh {
namespace {

TEST(SshPattern, StarsAndQuestionMarks) {
  for (const char* pattern :
       {"lb1", "*", "lb*", "*1", "l?1", "???", "*b*", "**", "lb1*", "l*b*1"}) {
    EXPECT_TRUE(matches("lb1", pattern, Case::exact)) << pattern;
  }
  for (const char* pattern : {"", "lb", "lb11", "?", "????", "*2", "b*", "lb1?", "l*2*1"}) {
    EXPECT_FALSE(matches("lb1", pattern, Case::exact)) << pattern;
  }
  EXPECT_TRUE(matches("", "", Case::exact));
  EXPECT_TRUE(matches("", "*", Case::exact));
  EXPECT_FALSE(matches("", "?", Case::exact));
  EXPECT_TRUE(matches("aab", "a*ab", Case::exact));
}

TEST(SshPattern, CapitalsOnlyWhereTheyMean) {
  EXPECT_TRUE(matches("LB1", "lB*", Case::ignored));
  EXPECT_FALSE(matches("LB1", "lB*", Case::exact));
  EXPECT_EQ(lower("A-z\xC4"), "a-z\xC4");
}

TEST(SshPattern, AnExclusionIsFinalWhereverItStands) {
  EXPECT_TRUE(matches_list("a.b", "x,*.b", Case::ignored));
  EXPECT_FALSE(matches_list("a.b", "!a.*,*.b", Case::ignored));
  EXPECT_FALSE(matches_list("a.b", "*.b,!a.*", Case::ignored));
  EXPECT_FALSE(matches_list("a.b", "!x", Case::ignored));  // to exclude others includes nobody
  EXPECT_FALSE(matches_list("a.b", "", Case::ignored));
  EXPECT_TRUE(matches_list("a.b", ",a.b,", Case::ignored));
  EXPECT_TRUE(matches_any("a.b", {"x", "*.b"}, Case::ignored));
  EXPECT_FALSE(matches_any("a.b", {"*.b", "!a.*", "*"}, Case::ignored));
  EXPECT_FALSE(matches_any("a", {"a,b"}, Case::ignored));
}

TEST(SshPattern, ManyStarsTakeNoTime) {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "*a";
  EXPECT_FALSE(matches(std::string(10000, 'a'), pattern + "b", Case::exact));
}

}  // namespace
}  // namespace stillgate::transport::ssh
