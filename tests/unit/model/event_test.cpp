// Events as lines: any bytes come out as JSON, syslog and journald that a reader accepts.
#include <limits>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <stillgate/event.hpp>

namespace stillgate {
namespace {

Event full() {
  Event event;
  event.kind = EventKind::held;
  event.at = WallTime(std::chrono::milliseconds(1'700'000'000'007));
  Hold hold;
  hold.id = "0123456789abcdef";
  hold.owner = "deploy@host";
  hold.reason = "move \"payments\" ]\\";
  hold.frontends = {"balanced", "api"};
  hold.started_at = WallTime(std::chrono::milliseconds(1'700'000'000'000));
  hold.deadline = hold.started_at + std::chrono::seconds(3);
  hold.max_hold_s = 3.0;
  event.hold = hold;
  event.source = "suspend";
  event.endpoint = "unix:///run/a.sock";
  event.endpoints = {"unix:///run/a.sock"};
  event.message = "held\nat 2 endpoints";
  event.figures = {{"switches", std::int64_t{2}}, {"commit_window_ms", 1.5}};
  event.host = "lb 1";
  event.pid = 42;
  event.seq = 7;
  return event;
}

TEST(EventFormatTest, TheWholeOfAJsonLine) {
  EXPECT_EQ(
      format(full(), EventFormat::json),
      R"({"schema":1,"event":"held","at":"2023-11-14T22:13:20.007Z","hold":{"id":"0123456789abcdef",)"
      R"("owner":"deploy@host","reason":"move \"payments\" ]\\","frontends":["balanced","api"],)"
      R"("started_at":"2023-11-14T22:13:20.000Z","deadline":"2023-11-14T22:13:23.000Z",)"
      R"("max_hold_s":3.000},"source":"suspend","host":"lb 1","pid":42,"seq":7,)"
      R"("endpoint":"unix:///run/a.sock","frontend":null,"endpoints":["unix:///run/a.sock"],"message":"held\nat 2 endpoints",)"
      R"("figures":{"switches":2,"commit_window_ms":1.500},"endpoint_name":null})");
}

TEST(EventFormatTest, WhatIsNotThereIsNull) {
  Event event;
  event.kind = EventKind::checked;
  const auto parsed = boost::json::parse(format(event, EventFormat::json));
  EXPECT_TRUE(parsed.at("hold").is_null());
  EXPECT_TRUE(parsed.at("endpoint").is_null());
  EXPECT_EQ(parsed.at("at").as_string(), "1970-01-01T00:00:00.000Z");
  event.hold = Hold{};
  const auto hold = boost::json::parse(format(event, EventFormat::json)).at("hold");
  EXPECT_TRUE(hold.at("deadline").is_null());
  EXPECT_TRUE(hold.at("max_hold_s").is_null());
}

TEST(EventFormatTest, AnyTwoBytesAreParsableJsonOnOneLine) {
  // Boost's parser refuses what is no UTF-8.
  for (int first = 0; first < 256; ++first) {
    for (const int second : {0x00, 0x0a, 0x22, 0x41, 0x5c, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xff}) {
      Event event;
      event.message = {'a', static_cast<char>(first), static_cast<char>(second)};
      const std::string line = format(event, EventFormat::json);
      boost::system::error_code code;
      (void)boost::json::parse(line, code);
      EXPECT_FALSE(code) << line;
      EXPECT_EQ(line.find('\n'), std::string::npos);
    }
  }
}

std::string told(const std::string& message) {
  Event event;
  event.message = message;
  const auto parsed = boost::json::parse(format(event, EventFormat::json));
  return std::string(parsed.at("message").as_string());
}

TEST(EventFormatTest, Utf8StaysAndTheRestIsReplaced) {
  const std::string replaced = "\xef\xbf\xbd";
  for (const std::string good : {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x9a\xa6", "\xed\x9f\xbf"}) {
    EXPECT_EQ(told(good + "!"), good + "!");
  }
  // Cut short, overlong, a surrogate, beyond Unicode, a byte that begins nothing.
  EXPECT_EQ(told("\xe2\x82"), replaced + replaced);
  EXPECT_EQ(told("\xc0\xaf"), replaced + replaced);
  EXPECT_EQ(told("\xe0\x80\xaf"), replaced + replaced + replaced);
  EXPECT_EQ(told("\xf0\x80\x80\xaf"), replaced + replaced + replaced + replaced);
  EXPECT_EQ(told("\xed\xa0\x80"), replaced + replaced + replaced);
  EXPECT_EQ(told("\xf4\x90\x80\x80"), replaced + replaced + replaced + replaced);
  EXPECT_EQ(told("\xf5z"), replaced + "z");
}

TEST(EventFormatTest, SyslogIsOneLineOfRfc5424) {
  EXPECT_EQ(format(full(), EventFormat::syslog),
            R"(<29>1 2023-11-14T22:13:20.007Z lb1 stillgate 42 held [stillgate@0 )"
            R"(hold_id="0123456789abcdef" owner="deploy@host" reason="move \"payments\" \]\\" )"
            R"(frontends="balanced,api" started_at="2023-11-14T22:13:20.000Z" )"
            R"(deadline="2023-11-14T22:13:23.000Z" source="suspend" endpoint="unix:///run/a.sock" )"
            R"(seq="7" switches="2" commit_window_ms="1.500"] held at 2 endpoints)");
}

TEST(EventFormatTest, SyslogSaysHowBadItIs) {
  Event event;
  event.kind = EventKind::rolled_back;
  EXPECT_EQ(format(event, EventFormat::syslog).substr(0, 4), "<27>");
  event.kind = EventKind::endpoint_lost;
  EXPECT_EQ(format(event, EventFormat::syslog).substr(0, 4), "<28>");
  event.kind = EventKind::resumed;
  const std::string line = format(event, EventFormat::syslog);
  EXPECT_EQ(line.substr(0, 4), "<29>");
  EXPECT_NE(line.find("Z - stillgate 0 resumed ["), std::string::npos) << line;
}

TEST(EventFormatTest, JournaldHasOneFieldPerLine) {
  EXPECT_EQ(format(full(), EventFormat::journald),
            "MESSAGE=held at 2 endpoints\nPRIORITY=5\nSYSLOG_IDENTIFIER=stillgate\n"
            "STILLGATE_EVENT=held\nSTILLGATE_HOLD_ID=0123456789abcdef\n"
            "STILLGATE_OWNER=deploy@host\nSTILLGATE_REASON=move \"payments\" ]\\\n"
            "STILLGATE_FRONTENDS=balanced,api\nSTILLGATE_STARTED_AT=2023-11-14T22:13:20.000Z\n"
            "STILLGATE_DEADLINE=2023-11-14T22:13:23.000Z\nSTILLGATE_SOURCE=suspend\n"
            "STILLGATE_ENDPOINT=unix:///run/a.sock\nSTILLGATE_SEQ=7\nSTILLGATE_SWITCHES=2\n"
            "STILLGATE_COMMIT_WINDOW_MS=1.500");
}

TEST(ParseEvent, ALineOfOursComesBackAsItWas) {
  Event bare;
  bare.kind = EventKind::checked;
  bare.at = full().at;
  Event unbounded = full();
  unbounded.hold->deadline.reset();
  unbounded.hold->max_hold_s.reset();
  for (const Event& event : {full(), bare, unbounded}) {
    const auto read = parse_event(format(event, EventFormat::json));
    ASSERT_TRUE(read);
    for (const auto as : {EventFormat::json, EventFormat::syslog, EventFormat::journald}) {
      EXPECT_EQ(format(*read, as), format(event, as));
    }
  }
}

TEST(ParseEvent, AFigureThatIsNotKnownIsLeftOut) {
  Event event = full();
  event.figures = {{"skew_ms", std::numeric_limits<double>::quiet_NaN()},
                   {"leaked", std::int64_t{0}}};
  const std::string line = format(event, EventFormat::json);
  EXPECT_NE(line.find(R"("skew_ms":null)"), std::string::npos);
  const auto read = parse_event(line);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->figures.size(), 1U);
  EXPECT_EQ(read->figures[0].first, "leaked");
}

/// The whole line with one part of it replaced.
std::string with(const std::string& part, const std::string& other) {
  std::string line = format(full(), EventFormat::json);
  const std::size_t at = line.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  return line.replace(at, part.size(), other);
}

TEST(ParseEvent, WhatALaterReleaseAddsIsNoHindrance) {
  EXPECT_TRUE(parse_event(with(R"("pid":42)", R"("pid":42,"new":[{}])")));
}

TEST(ParseEvent, WhatIsNoEventIsRefused) {
  const std::string line = format(full(), EventFormat::json);
  for (std::size_t size = 0; size < line.size(); ++size) {
    EXPECT_FALSE(parse_event(line.substr(0, size))) << size;
  }
  const std::pair<const char*, const char*> changes[] = {
      {R"("schema":1)", R"("schema":2)"},
      {R"("event":"held")", R"("event":"lost")"},
      {R"("event":"held")", R"("event":7)"},
      {R"("at":"2023-11)", R"("at":"2023-13)"},
      {R"("at":"2023-11)", R"("at":"9999-11)"},
      {R"("at":"2023-11-14T)", R"("at":"2023-11-14 )"},
      {R"("at":"2023-11-14T22:13:20.007Z")", R"("at":1700000000)"},
      {R"("pid":42)", R"("pid":"42")"},
      {R"("pid":42)", R"("pid":4.5)"},
      {R"("pid":42)", R"("pid":1e400)"},
      {R"("pid":42)", R"("pid":99999999999999999999)"},
      {R"("pid":42,)", ""},
      {R"("seq":7)", R"("seq":-7)"},
      {R"("seq":7)", R"("seq":7.0)"},
      {R"("frontends":["balanced","api"])", R"("frontends":"balanced")"},
      {R"("frontends":["balanced","api"])", R"("frontends":["balanced",7])"},
      {R"("max_hold_s":3.000)", R"("max_hold_s":"3")"},
      {R"("endpoint":"unix:///run/a.sock")", R"("endpoint":["unix:///run/a.sock"])"},
      {R"("message":"held)", "\"message\":\"held\xff"},
      {R"("message":"held)", R"("message":"held\ud800)"},
      {R"("switches":2)", R"("switches":Infinity)"},
      {R"("switches":2)", R"("switches":NaN)"},
      {R"("switches":2)", R"("switches":1e400)"},
      {R"("switches":2)", R"("switches":true)"},
      {R"("switches":2)", R"("switches":"2")"},
      {R"("switches":2)", R"("a\nMESSAGE=b":2)"},
      {R"("figures":{)", R"("figures":7,"f":{)"},
  };
  for (const auto& [part, other] : changes) EXPECT_FALSE(parse_event(with(part, other))) << other;
  for (const std::string text : {"7", "[]", "{}", "null", R"("held")"}) {
    EXPECT_FALSE(parse_event(text)) << text;
  }
  EXPECT_FALSE(parse_event(std::string(100'000, '[')));
  EXPECT_FALSE(parse_event(line + line));
}

TEST(EventFormatTest, KindsHaveNamesThatLeadBack) {
  for (int i = 0; i <= static_cast<int>(EventKind::guard_died); ++i) {
    const auto kind = static_cast<EventKind>(i);
    EXPECT_EQ(event_kind(name(kind)), kind);
  }
  EXPECT_EQ(name(EventKind::guard_lost), "guard_lost");
  EXPECT_FALSE(event_kind("nothing"));
}

}  // namespace
}  // namespace stillgate
