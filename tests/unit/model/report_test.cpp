// The names of verdicts and levels are part of the JSON interface.
#include <string>

#include <gtest/gtest.h>

#include <stillgate/report.hpp>

namespace stillgate {
namespace {

TEST(Names, OfVerdicts) {
  const std::pair<Verdict, std::string_view> all[] = {
      {Verdict::unchanged, "unchanged"}, {Verdict::held, "held"}, {Verdict::reverted, "reverted"},
      {Verdict::resumed, "resumed"},     {Verdict::open, "open"}, {Verdict::unknown, "unknown"},
  };
  for (const auto& [verdict, expected] : all) EXPECT_EQ(name(verdict), expected);
}

TEST(Names, OfLevels) {
  EXPECT_EQ(name(Level::info), "info");
  EXPECT_EQ(name(Level::warning), "warning");
  EXPECT_EQ(name(Level::refusal), "refusal");
}

}  // namespace
}  // namespace stillgate
