// A line that waits in HAProxy: it is sent once an answer of HAProxy's lies unread.
#include "engine/held_line.hpp"

#include "fakes/patience.hpp"
#include "fakes/session_fixture.hpp"

namespace stillgate::engine {
namespace {

class HeldLineTest : public SessionTest {
 protected:
  HeldLineTest() { add("a"); }

  std::unique_ptr<HeldLine> line() {
    return std::make_unique<HeldLine>(endpoints_[0], loop_, "wait 1h;quit\n");
  }
  /// Until it is sent or never will be, or `server` has something to show.
  void turn_until(const std::function<bool()>& done) {
    const auto until = steady_clock::now() + std::chrono::seconds(10);
    while (!done() && steady_clock::now() < until) loop_.turn(milliseconds(5));
    EXPECT_TRUE(done());
  }

  Loop loop_{short_time};
};

TEST_F(HeldLineTest, ItIsNotSentBeforeHaproxyHasAnswered) {
  // Else a death in between closes the connection in order, and 3.2 runs the rest of the line.
  FakeHaproxy server(path("a"), Manner::answers);
  server.delay_greeting_of(1);
  const auto held = line();
  turn_until([&] { return server.state().taken > 0; });
  loop_.turn(milliseconds(20));
  EXPECT_FALSE(held->is_sent());
  EXPECT_TRUE(server.state().commands.empty());
  server.greet_all();
  turn_until([&] { return held->is_sent(); });
  EXPECT_TRUE(server.wait_until([](const auto& state) { return state.commands.size() == 1; }));
  EXPECT_TRUE(server.state().commands.front().ends_with(";wait 1h;quit"));
}

TEST_F(HeldLineTest, ACloseBeforeTheAnswerIsAnError) {
  const FakeHaproxy server(path("a"), Manner::resets);
  const auto held = line();
  turn_until([&] { return held->error().has_value(); });
  EXPECT_FALSE(held->is_sent());
}

}  // namespace
}  // namespace stillgate::engine
