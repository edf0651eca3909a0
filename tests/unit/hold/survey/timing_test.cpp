// The window and the skew of a commit.
#include "hold/survey/timing.hpp"

#include <gtest/gtest.h>

namespace stillgate::hold {
namespace {

using runtime_api::Answer;

Answer timed(double sent, double answered) {
  Answer answer;
  answer.timings = {0.0, sent, answered};
  return answer;
}

TEST(Timing, TheWindowIsFromTheFirstByteToTheLastAnswer) {
  EXPECT_EQ(commit_window_ms({timed(2, 5), timed(1, 4), timed(3, 7)}), 6);
}

TEST(Timing, TheSkewIsThatOfTheMiddles) {
  // Far first: all three switch at the same instant.
  EXPECT_EQ(skew_ms({timed(0, 150), timed(55, 95), timed(74, 76)}), 0);
  EXPECT_EQ(skew_ms({timed(0, 150), timed(0, 40), timed(0, 2)}), 74);
}

TEST(Timing, WithoutAnAnswerNeitherIsKnown) {
  Answer lost;
  lost.timings = {0.0, 1.0, {}};
  EXPECT_FALSE(commit_window_ms({timed(1, 2), lost}));
  EXPECT_FALSE(skew_ms({timed(1, 2), lost}));
  EXPECT_FALSE(commit_window_ms({}));
  EXPECT_FALSE(skew_ms({}));
}

}  // namespace
}  // namespace stillgate::hold
