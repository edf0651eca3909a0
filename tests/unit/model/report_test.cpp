// The names of findings, verdicts, levels and methods are part of the JSON interface.
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

TEST(Names, OfMethodsAndExpiriesLeadBack) {
  EXPECT_EQ(name(Method::automatic), "auto");
  for (const Method one : {Method::automatic, Method::gate, Method::maxconn}) {
    EXPECT_EQ(method(name(one)), one);
  }
  for (const Expiry one : {Expiry::release, Expiry::reject}) EXPECT_EQ(expiry(name(one)), one);
  EXPECT_FALSE(method("automatic"));
  EXPECT_FALSE(expiry(""));
}

TEST(Findings, HaveTheLevelOfTheirCode) {
  const Finding usual = Finding::of(FindingCode::guard_alone, "it does");
  EXPECT_EQ(usual.code, "guard_alone");
  EXPECT_EQ(usual.level, Level::info);
  EXPECT_EQ(usual.message, "it does");
  EXPECT_EQ(Finding::of(FindingCode::guard_alone, "it does", true).level, Level::warning);
  EXPECT_TRUE(usual.is(FindingCode::guard_alone));
  EXPECT_FALSE(usual.is(FindingCode::forced));
}

}  // namespace
}  // namespace stillgate
