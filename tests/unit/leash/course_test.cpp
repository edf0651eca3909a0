// What happens to a command, and when: each way in which a hold may end.
#include "leash/course.hpp"

#include <gtest/gtest.h>

namespace stillgate::leash {
namespace {

using namespace std::chrono_literals;

constexpr Instant start = 1000s;
constexpr Instant deadline = start + 10s;
constexpr Nanoseconds grace = 2s;

bool sends(const Step& step, Order order) { return step.order && *step.order == order; }

TEST(Course, LetsTheCommandRunUntilTheGraceBegins) {
  Course course(deadline, grace);
  const Step step = course.next(start, false);
  EXPECT_FALSE(step.order);
  EXPECT_FALSE(step.over);
  EXPECT_EQ(step.wake, deadline - grace);
}

TEST(Course, SendsSigtermOnceAndThenSigkillBeforeTheDeadline) {
  Course course(deadline, grace);
  EXPECT_TRUE(sends(course.next(deadline - grace, false), Order::terminate));
  const Step again = course.next(deadline - grace, false);
  EXPECT_FALSE(again.order);
  EXPECT_EQ(again.wake, deadline - margin);
  EXPECT_TRUE(sends(course.next(again.wake, false), Order::kill));
  EXPECT_TRUE(course.ended_by_deadline());
}

TEST(Course, SendsSigintFirstWhereThatIsWantedThenSigtermHalfWay) {
  Course course(deadline, grace, Order::interrupt);
  const Step first = course.next(deadline - grace, false);
  EXPECT_TRUE(sends(first, Order::interrupt));
  EXPECT_EQ(first.wake, deadline - grace + (grace - margin) / 2);
  EXPECT_FALSE(course.next(first.wake - 1ms, false).order);
  const Step second = course.next(first.wake, false);
  EXPECT_TRUE(sends(second, Order::terminate));
  EXPECT_EQ(second.wake, deadline - margin);
  EXPECT_FALSE(course.next(second.wake - 1ms, false).order) << "it is told once";
  EXPECT_TRUE(sends(course.next(second.wake, false), Order::kill));
}

TEST(Course, AnInterruptByHandIsNotFollowedBySigterm) {
  Course course(deadline, grace, Order::interrupt);
  EXPECT_TRUE(sends(course.next(deadline - grace, false), Order::interrupt));
  course.interrupt(deadline - grace);
  const Step again = course.next(deadline - grace, false);
  EXPECT_TRUE(sends(again, Order::interrupt));
  EXPECT_EQ(again.wake, deadline - margin);
}

TEST(Course, KillsUntilNothingIsLeftAndGivesUpInTime) {
  Course course(deadline, grace);
  course.kill(start);
  EXPECT_TRUE(sends(course.next(start, false), Order::kill));
  EXPECT_TRUE(sends(course.next(start + 10ms, false), Order::kill));
  EXPECT_TRUE(course.next(start + 10ms, true).over);
  EXPECT_TRUE(course.next(start + reaping, false).over);
}

TEST(Course, KillsWhatAnEndedCommandHasLeftBehind) {
  Course course(deadline, grace);
  course.ended(start);
  EXPECT_TRUE(sends(course.next(start, false), Order::kill));
  EXPECT_TRUE(course.next(start, true).over);
  EXPECT_FALSE(course.ended_by_deadline());
}

TEST(Course, ALaterDeadlineCountsFromThenOn) {
  Course course(deadline, grace);
  course.move(deadline + 5s);
  EXPECT_EQ(course.next(start, false).wake, deadline + 5s - grace);
  EXPECT_FALSE(course.next(deadline, false).order);
}

TEST(Course, ALaterDeadlineIsTooLateAfterSigterm) {
  Course course(deadline, grace);
  EXPECT_TRUE(sends(course.next(deadline - grace, false), Order::terminate));
  course.move(deadline + 5s);
  EXPECT_EQ(course.next(deadline - grace, false).wake, deadline - margin);
}

TEST(Course, AnEndThatComesEarlyLeavesTheGraceAndNoMore) {
  Course course(deadline, grace);
  course.end(start);
  EXPECT_TRUE(course.ended_by_deadline());
  const Step step = course.next(start, false);
  EXPECT_TRUE(sends(step, Order::terminate));
  EXPECT_EQ(step.wake, start + grace);
  Course late(deadline, grace);
  late.end(deadline - 1s);
  EXPECT_EQ(late.next(deadline - 1s, false).wake, deadline - margin);
}

TEST(Course, ALossIsNoDeadline) {
  Course course(deadline, grace);
  course.lose(start);
  EXPECT_TRUE(sends(course.next(start, false), Order::terminate));
  course.lose(start + 1s);
  EXPECT_FALSE(course.next(start + 1s, false).order) << "it is told once";
  EXPECT_FALSE(course.ended_by_deadline());
}

TEST(Course, AnInterruptLeavesTheGraceAndAKillNothing) {
  Course course(deadline, grace);
  course.interrupt(start);
  const Step step = course.next(start, false);
  EXPECT_TRUE(sends(step, Order::interrupt));
  EXPECT_EQ(step.wake, start + grace);
  course.kill(start + 1ms);
  EXPECT_TRUE(sends(course.next(start + 1ms, false), Order::kill));
}

TEST(Course, AfterASleepOfTheMachineItKillsAtOnce) {
  Course course(deadline, grace);
  EXPECT_TRUE(sends(course.next(deadline + 60s, false), Order::kill));
  EXPECT_TRUE(course.ended_by_deadline());
}

TEST(Course, AGraceLongerThanTheTimeEndsItAtOnce) {
  Course course(deadline, 20s);
  const Step step = course.next(start, false);
  EXPECT_TRUE(sends(step, Order::terminate));
  EXPECT_EQ(step.wake, deadline - margin);
}

}  // namespace
}  // namespace stillgate::leash
