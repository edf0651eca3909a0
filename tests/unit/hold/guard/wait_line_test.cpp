// The line of HAProxy's own `wait`: what it waits for, in which pieces, and what stands behind.
#include "hold/guard/wait_line.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "hold/waits/wait_mark.hpp"

namespace stillgate::hold {
namespace {

using std::chrono::milliseconds;

Record record_of(int frontends) {
  Record record;
  for (int i = 0; i < frontends; ++i) {
    record.switches.push_back({"unix:///a.sock", "frontend" + std::to_string(i), 100 + i, {}});
  }
  return record;
}

std::vector<milliseconds> pieces_of(const std::string& line) {
  // No std::regex: with sanitizers GCC 12 warns of its insides.
  static const std::string piece = ";wait ";
  std::vector<milliseconds> found;
  for (std::size_t at = 0; (at = line.find(piece, at)) != std::string::npos;) {
    at += piece.size();
    found.emplace_back(std::stoll(line.substr(at)));
  }
  return found;
}

TEST(WaitLine, IsAnsweredFirstThenWaitsThenReleasesAll) {
  EXPECT_EQ(wait_line(record_of(2), milliseconds(250)),
            "set timeout cli " + std::to_string(wait_mark("").count()) +
                "s;wait 100ms;wait 100ms;wait 50ms;set maxconn frontend frontend0 "
                "100;set maxconn frontend frontend1 101;quit\n");
}

class Lasting : public testing::TestWithParam<milliseconds> {};

TEST_P(Lasting, WaitsForExactlySoLongAndNoPieceIsLostForLong) {
  const auto line = wait_line(record_of(1), GetParam());
  ASSERT_TRUE(line);
  EXPECT_LT(line->size(), 3000U);
  milliseconds waited{0};
  for (const milliseconds piece : pieces_of(*line)) {
    EXPECT_GT(piece, milliseconds(0));
    EXPECT_LE(piece, std::max(milliseconds(100), waited / 10));
    waited += piece;
  }
  EXPECT_EQ(waited, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Holds, Lasting,
                         testing::Values(milliseconds(1), milliseconds(100), milliseconds(1530),
                                         milliseconds(15'030), milliseconds(3'600'030),
                                         milliseconds(23 * 3'600'000)));

TEST(WaitLine, IsNoneForATimeThatItsMarkWouldEnd) {
  EXPECT_FALSE(wait_line(record_of(1), longest_wait_line + milliseconds(1)));
}

TEST(WaitLine, IsNoneWhereHaproxyCouldNotTakeIt) {
  EXPECT_TRUE(wait_line(record_of(200), milliseconds(15'000)));
  EXPECT_FALSE(wait_line(record_of(400), milliseconds(15'000)));
}

}  // namespace
}  // namespace stillgate::hold
