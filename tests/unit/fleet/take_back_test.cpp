// A suspend that leaves with an exception: its hold is ended, or it is said where it is left.
#include "fleet/take_back.hpp"

#include <new>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stillgate::fleet {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

const std::string here = "unix:///run/a b.sock";
constexpr WallTime began{std::chrono::seconds(1000)};

Report report_of(Verdict verdict) {
  Report report;
  report.action = "resume";
  Switch& one = report.switches.emplace_back();
  one.endpoint = here;
  one.frontend = "balanced";
  one.verdict = verdict;
  return report;
}

class TakeBack : public testing::Test {
 protected:
  Report run() {
    Hold hold{"the-id", "me@here", "deploy", {}, {}, {}, 15.0};
    return suspend_or_take_back({suspend,
                                 [this] {
                                   ++taken_back;
                                   return take_back();
                                 },
                                 [this](Hold& one) {
                                   one.started_at = began;
                                   one.deadline = began + std::chrono::seconds(15);
                                   return may_hold;
                                 }},
                                unended({here}, {"balanced"}, hold));
  }

  std::function<Report()> suspend = []() -> Report { throw std::runtime_error("no thread"); };
  std::function<Report()> take_back = [] { return report_of(Verdict::resumed); };
  bool may_hold{true};
  int taken_back{0};
};

TEST_F(TakeBack, AReportIsLeftAlone) {
  suspend = [] { return report_of(Verdict::held); };
  EXPECT_EQ(run().action, "resume");
  EXPECT_EQ(taken_back, 0);
}

TEST_F(TakeBack, TheExceptionGoesOnItsWayBehindTheEndOfTheHold) {
  EXPECT_THROW(run(), std::runtime_error);
  EXPECT_EQ(taken_back, 1);
}

TEST_F(TakeBack, WhatCouldNotBeEndedIsAReport) {
  take_back = [] {
    Report report = report_of(Verdict::held);
    report.ending = Ending::endpoint_failed;
    report.switches[0].error = Error{Errc::connection_refused, "connection refused"};
    return report;
  };
  const Report report = run();
  EXPECT_EQ(report.action, "suspend");
  EXPECT_EQ(report.ending, Ending::endpoint_failed);
  ASSERT_EQ(report.switches.size(), 1U);
  EXPECT_EQ(report.switches[0].verdict, Verdict::held);
  ASSERT_EQ(report.holds.size(), 1U);
  EXPECT_EQ(report.holds[0].started_at, began);
  EXPECT_EQ(report.holds[0].deadline, began + std::chrono::seconds(15));
  EXPECT_EQ(report.holds[0].frontends, std::vector<std::string>{"balanced"});
  ASSERT_TRUE(report.error);
  EXPECT_EQ(report.error->code, Errc::still_held);
  EXPECT_THAT(report.error->message, HasSubstr("no thread"));
  EXPECT_THAT(report.error->message, HasSubstr("connection refused"));
  EXPECT_THAT(report.error->message, HasSubstr("still held at unix:///run/a b.sock until its"));
  EXPECT_THAT(report.error->message,
              testing::EndsWith("; to end it: stillgate resume balanced --hold the-id -e "
                                "'unix:///run/a b.sock'"));
}

TEST_F(TakeBack, AnEndThatThrowsTooIsAReport) {
  take_back = []() -> Report { throw std::bad_alloc(); };
  const Report report = run();
  ASSERT_TRUE(report.error);
  EXPECT_EQ(report.error->code, Errc::still_held);
  EXPECT_THAT(report.error->message, HasSubstr("no thread"));
  EXPECT_THAT(report.error->message, HasSubstr(std::bad_alloc().what()));
  ASSERT_EQ(report.switches.size(), 1U);
  EXPECT_EQ(report.switches[0].verdict, Verdict::unknown);
  EXPECT_EQ(report.switches[0].hold_id, "the-id");
}

TEST_F(TakeBack, NothingIsSaidToBeHeldBeforeACommit) {
  may_hold = false;
  take_back = []() -> Report { throw std::bad_alloc(); };
  EXPECT_THROW(run(), std::runtime_error);
  EXPECT_EQ(taken_back, 1);
}

TEST_F(TakeBack, WhatIsNoExceptionOfTheLibraryIsToldToo) {
  suspend = []() -> Report { throw 7; };
  take_back = []() -> Report { throw 8; };
  EXPECT_EQ(run().error->code, Errc::still_held);
}

}  // namespace
}  // namespace stillgate::fleet
