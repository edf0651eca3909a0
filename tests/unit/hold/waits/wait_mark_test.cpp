// The mark of a hold's lines: one that HAProxy takes, prints as it is, and does not die of.
#include "hold/waits/wait_mark.hpp"

#include <chrono>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace stillgate::hold {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

TEST(WaitMark, IsTheSameForTheSameHoldOnEveryMachine) {
  EXPECT_EQ(wait_mark("0123456789abcdef"), wait_mark("0123456789abcdef"));
  EXPECT_NE(wait_mark("0123456789abcdef"), wait_mark("0123456789abcdee"));
}

TEST(WaitMark, HasTwoUnitsOutlivesEachLineAndStaysBelowHaproxysClock) {
  std::set<seconds> seen;
  for (int i = 0; i < 20'000; ++i) {
    const seconds mark = wait_mark("hold" + std::to_string(i));
    EXPECT_GT(mark, longest_wait_line + hours(1));
    EXPECT_LT(mark, hours(24 * 24));
    const auto rest = mark.count() % 86'400;
    EXPECT_GT(rest, 0);
    EXPECT_TRUE(rest < 60 || (rest < 3600 && rest % 60 == 0) || rest % 3600 == 0) << rest;
    seen.insert(mark);
  }
  EXPECT_GT(seen.size(), 3000U);
}

}  // namespace
}  // namespace stillgate::hold
