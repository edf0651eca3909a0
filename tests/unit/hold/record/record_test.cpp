// The record's codec: what goes in comes out, and nothing broken is taken for whole.
#include <string>

#include <gtest/gtest.h>

#include "hold/record/record.hpp"

namespace stillgate::hold {
namespace {

Record sample() {
  Record record;
  record.id = "0123456789abcdef";
  record.owner = "deploy@lb 1";
  record.reason = "100 % sure\nsecond line \xc3\xa4";
  record.started_at = WallTime(std::chrono::milliseconds(1'800'000'000'123));
  record.accept_hazard = true;
  record.switches = {{"unix:///run/a.sock", "balanced", 100},
                     {"tcp://[::1]:9", "b:c", 2'147'483'647}};
  return record;
}

TEST(Record, RoundTrip) {
  const auto decoded = decode(encode(sample()));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(*decoded, sample());
}

TEST(Record, AHoldOfWhichNotAllIsExtendedEndsWithTheFirst) {
  Record first = sample();
  first.deadline = first.started_at + std::chrono::seconds(10);
  Record longer = first;
  longer.deadline = first.started_at + std::chrono::seconds(20);
  for (const auto& [one, other] : {std::pair(first, longer), std::pair(longer, first)}) {
    Report report;
    add_hold(report, one);
    add_hold(report, other);
    ASSERT_EQ(report.holds.size(), 1U);
    EXPECT_EQ(report.holds[0].deadline, first.deadline);
  }
}

TEST(Record, EachLeaseIsKept) {
  Record record = sample();
  for (const Lease lease : {Lease::none, Lease::guard, Lease::backed}) {
    record.switches[0].lease = lease;
    record.switches[0].counters.reset();
    EXPECT_EQ(*decode(encode(record)), record);
    record.switches[0].counters = Counters{1, 2, 3};
    EXPECT_EQ(*decode(encode(record)), record);
  }
}

TEST(Record, WhichBackendsWereDownIsKept) {
  Record record = sample();
  record.switches[0].down = NameList("blue,green:2");
  record.switches[1].counters = Counters{1, 2, 3};
  EXPECT_EQ(*decode(encode(record)), record);
  EXPECT_FALSE(decode("stillgate-hold 1\ndown blue\nid a\nend\n"));
}

TEST(NameList, HasWholeNamesOnly) {
  NameList names("blue,green");
  names.add("red");
  for (const char* name : {"blue", "green", "red"}) EXPECT_TRUE(names.has(name)) << name;
  for (const char* name : {"", "blu", "lue", "blue,green"}) EXPECT_FALSE(names.has(name)) << name;
  EXPECT_FALSE(NameList().has(""));
  EXPECT_EQ(names.text(), "blue,green,red");
}

TEST(Record, HowItEndedIsKept) {
  Record record = sample();
  for (const End how : {End::expired, End::resumed, End::guard_ended, End::opened}) {
    for (const std::string& by : {std::string("anna b@lb 1"), std::string()}) {
      record.end = RecordEnd{how, record.started_at, by, how == End::resumed};
      EXPECT_EQ(*decode(encode(record)), record);
    }
  }
  const std::string text = encode(record);
  for (const char* const broken :
       {"ended eaten 1  no", "ended opened x  no", "ended opened 1  so"}) {
    EXPECT_FALSE(decode(text.substr(0, text.find("ended")) + broken + "\nend\n"));
  }
}

TEST(Record, EveryTruncationIsAnError) {
  const std::string text = encode(sample());
  for (std::size_t kept = 0; kept < text.size(); ++kept) {
    const auto decoded = decode(text.substr(0, kept));
    ASSERT_FALSE(decoded) << kept;
    EXPECT_EQ(decoded.error().code, Errc::journal_failed);
  }
}

TEST(Record, NothingBrokenIsTaken) {
  const std::string text = encode(sample());
  const auto with = [&text](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return changed;
  };
  for (const std::string& broken :
       {with("stillgate-hold 1", "stillgate-hold 2"), with("id ", "xd "), with("id 0", "id ../0"),
        with("id 0", "id %2f"), with("id 0", "id " + std::string(64, 'a')), with("%20", "%2x"),
        with("%20", "%zz"), with(" 100\n", " 0\n"), with(" 100\n", " 100x\n"),
        with(" 100\n", " 2147483648\n"), with("balanced", "bal;anced"),
        with("started 1", "started x"), with("started 1", "started -1"),
        with("started 1", "started 99999"), with("id 0123456789abcdef\n", ""), text + "id x\n",
        text + "x"}) {
    EXPECT_FALSE(decode(broken)) << broken;
  }
}

TEST(Record, FindsAndSums) {
  const Record record = sample();
  ASSERT_NE(record.find("unix:///run/a.sock", "balanced"), nullptr);
  EXPECT_EQ(record.find("unix:///run/a.sock", "b:c"), nullptr);
  Record twice = record;
  twice.switches.push_back({"unix:///x", "balanced", 1});
  EXPECT_EQ(twice.summary().frontends, (std::vector<std::string>{"balanced", "b:c"}));
  EXPECT_FALSE(twice.summary().deadline);
}

}  // namespace
}  // namespace stillgate::hold
