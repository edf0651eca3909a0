// Aligned sends: over paths of unequal length the far endpoints are written to first.
#include <cmath>
#include <future>

#include "fakes/patience.hpp"
#include "fakes/session_fixture.hpp"

namespace stillgate::engine {
namespace {

constexpr milliseconds far{200};
constexpr double tolerance_ms = 40;  // far from half of `far`

class AlignmentTest : public SessionTest {
 protected:
  AlignmentTest()
      : near_server_(path("near"), Manner::answers),
        far_server_(path("far"), Manner::answers, far) {
    add("near");
    add("far");
    batch_.barrier = true;
  }

  Patience patience_;
  FakeHaproxy near_server_;
  FakeHaproxy far_server_;
  Batch batch_{batch_for(2)};
};

TEST_F(AlignmentTest, TheNearOneWaitsForHalfOfTheDifference) {
  Session session(endpoints_, options_, progress_);
  const auto answers = session.run(batch_, {});
  EXPECT_EQ(misplaced(answers), 0U);
  const double apart = *answers[0].timings.sent_ms - *answers[1].timings.sent_ms;
  EXPECT_NEAR(apart, static_cast<double>(far.count()) / 2, tolerance_ms + patience_.taken_ms());
  // And the window is no longer than the longest round trip alone would make it.
  EXPECT_LT(*answers[0].timings.answered_ms,
            *answers[1].timings.answered_ms + patience_.taken_ms());
}

TEST_F(AlignmentTest, WithoutABarrierNobodyWaits) {
  Session session(endpoints_, options_, progress_);
  EXPECT_EQ(misplaced(session.run(batch_, {})), 0U);
  batch_.barrier = false;
  const auto answers = session.run(batch_, {});
  EXPECT_LT(std::abs(*answers[0].timings.sent_ms - *answers[1].timings.sent_ms),
            tolerance_ms + patience_.taken_ms());
}

TEST_F(AlignmentTest, AFailureBeforeTheLastSendKeepsTheOthersFromIt) {
  Session session(endpoints_, options_, progress_);
  EXPECT_EQ(misplaced(session.run(batch_, {})), 0U);
  far_server_.break_off_next();
  const auto answers = session.run(batch_, {});
  EXPECT_EQ(answers[1].error->code, Errc::early_eof);
  EXPECT_TRUE(answers[1].sent);
  EXPECT_EQ(answers[0].error->code, Errc::rolled_back);
  EXPECT_FALSE(answers[0].sent);
  EXPECT_EQ(near_server_.state().commands.size(), 1U);
}

TEST_F(AlignmentTest, AStopBetweenTheSendsKeepsTheOthersFromThem) {
  Session session(endpoints_, options_, progress_);
  EXPECT_EQ(misplaced(session.run(batch_, {})), 0U);
  std::stop_source stop;
  auto running =
      std::async(std::launch::async, [&] { return session.run(batch_, stop.get_token()); });
  EXPECT_TRUE(far_server_.wait_until([](const auto& seen) { return seen.taken == 3; }));
  stop.request_stop();
  const auto answers = running.get();
  EXPECT_EQ(answers[0].error->code, Errc::cancelled);
  EXPECT_FALSE(answers[0].sent);
  EXPECT_EQ(answers[1].error->code, Errc::cancelled);
  EXPECT_TRUE(answers[1].sent);
}

}  // namespace
}  // namespace stillgate::engine
