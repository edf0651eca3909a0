// What a guard is told and answers, as text and back.
#include "fleet/guard/order.hpp"

#include <chrono>
#include <string>

#include <gtest/gtest.h>

namespace stillgate::fleet {
namespace {

using hold::GuardMode;
using std::chrono::milliseconds;

GuardOrder order() {
  GuardOrder order;
  order.mode = GuardMode::holding;
  order.record.id = "7d";
  order.record.owner = "anna and bob\n";
  order.record.deadline = WallTime(milliseconds(5'000));
  order.record.switches.push_back({"unix:///a b", "x", 100, {}});
  order.deadline = milliseconds(1234);
  order.state_folder = "/var/lib/still gate";
  order.on_event = "echo '%' | mail\n";
  order.event_format = "syslog";
  return order;
}

TEST(GuardOrder, ComesBackAsItWas) {
  for (const GuardMode mode : {GuardMode::arming, GuardMode::holding, GuardMode::ending}) {
    GuardOrder wanted = order();
    wanted.mode = mode;
    const auto back = decode_order(encode(wanted));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(back->mode, mode);
    EXPECT_EQ(back->record, wanted.record);
    EXPECT_EQ(back->deadline, wanted.deadline);
    EXPECT_EQ(back->state_folder, wanted.state_folder);
    EXPECT_EQ(back->on_event, wanted.on_event);
    EXPECT_EQ(back->event_format, wanted.event_format);
  }
}

TEST(GuardOrder, NothingThatIsCutOrUnknownIsTaken) {
  const std::string whole = encode(order());
  for (std::size_t kept = 0; kept + 3 < whole.size(); ++kept) {
    EXPECT_FALSE(decode_order(whole.substr(0, kept))) << kept;
  }
  const auto with = [&whole](std::string_view line) {
    std::string text = whole;
    return decode_order(text.insert(text.find("go\n"), line));
  };
  EXPECT_TRUE(with(""));
  for (const char* line : {"mode resting\n", "unknown 1\n", "record x\n", "deadline soon\n",
                           "on-event %zz\n", "record %\n"}) {
    const auto taken = with(line);
    ASSERT_FALSE(taken) << line;
    EXPECT_EQ(taken.error().code, Errc::guard_failed);
  }
}

TEST(GuardOrder, ARefusalSaysWhatAndWhere) {
  const Error error{Errc::permission_denied, "not allowed here", "Permission denied\n"};
  std::string line = encode_refusal("unix:///a b", error);
  ASSERT_TRUE(line.ends_with('\n'));
  line.pop_back();
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const Error back = decode_refusal(line);
  EXPECT_EQ(back.code, error.code);
  EXPECT_EQ(back.message, error.message);
  EXPECT_EQ(back.haproxy, error.haproxy);
  EXPECT_EQ(back.field, "unix:///a b");
  EXPECT_EQ(decode_refusal("refused").code, Errc::guard_failed);
}

}  // namespace
}  // namespace stillgate::fleet
