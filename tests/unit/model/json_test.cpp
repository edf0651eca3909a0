// Reports as JSON: every field in the schema's order, null for what is not known, any bytes.
#include <limits>
#include <string>

#include <gtest/gtest.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <stillgate/report.hpp>

namespace stillgate {
namespace {

Report held() {
  Switch one;
  one.endpoint = "unix:///run/a.sock";
  one.frontend = "balanced";
  one.hold_id = "7d";
  one.verdict = Verdict::held;
  one.method = "gate";
  one.lease = "haproxy";
  one.limit_before = 2000;
  one.limit_now = 2000;
  one.waiting = 2;
  one.gate = GateCounters{3, 4, 1, 0, 1, 12.5, 750, "maxconn"};
  one.old_workers = OldWorkers{4, 1, 2, 3, "7 9"};
  one.endpoint_name = "lb1";
  one.rate = 12;
  one.in_flight = 0;
  one.leaked = 0;
  one.version = "3.0.11";
  one.rtt_ms = 0.125;
  one.findings = {Finding::of(FindingCode::tcp_gate, "in tcp mode")};
  one.error = Error{Errc::early_eof, "it closed", "Permission denied", "Name: HAP"};
  one.ended =
      HoldEnd{End::resumed, WallTime{std::chrono::milliseconds(1'700'000'000'007)}, "bob", 7};
  Report report;
  report.action = "suspend";
  report.ending = Ending::endpoint_failed;
  const WallTime start{std::chrono::milliseconds(1'700'000'000'007)};
  report.holds = {
      Hold{"7d", "deploy@host", "why", {"balanced"}, start, start + std::chrono::seconds(3), 3.0}};
  report.switches = {one};
  report.commit_window_ms = 1.0625;
  report.skew_ms = 0.25;
  report.drained = true;
  report.drain_ms = 12.0;
  report.error = Error{Errc::cancelled, "stopped"};
  return report;
}

TEST(ReportJson, HasAllFieldsInTheirOrder) {
  const auto expected = boost::json::parse(R"({
    "schema": 1, "action": "suspend", "ok": false,
    "holds": [{"id": "7d", "owner": "deploy@host", "reason": "why", "frontends": ["balanced"],
      "started_at": "2023-11-14T22:13:20.007Z", "deadline": "2023-11-14T22:13:23.007Z",
      "max_hold_s": 3.0, "events": []}],
    "commit_window_ms": 1.0625, "skew_ms": 0.25, "drained": true, "drain_ms": 12.0,
    "switches": [{"endpoint": "unix:///run/a.sock", "frontend": "balanced", "hold_id": "7d",
      "verdict": "held", "method": "gate", "lease": "haproxy", "limit_before": 2000,
      "limit_now": 2000, "waiting": 2,
      "gate": {"most_waiting": 3, "held": 4, "released": 1, "given_up": 0, "rejected": 1,
        "longest_wait_ms": 12.5, "bound": 750, "bound_by": "maxconn"},
      "in_flight": 0, "leaked": 0, "version": "3.0.11", "rtt_ms": 0.125,
      "findings": [{"code": "tcp_gate", "level": "info", "message": "in tcp mode"}],
      "error": {"code": "early_eof", "message": "it closed", "haproxy": "Permission denied",
        "partial": "Name: HAP"},
      "ended": {"how": "resumed", "at": "2023-11-14T22:13:20.007Z", "by": "bob",
        "requests_since": 7},
      "old_workers": {"waiting": 4, "released": 1, "rejected": 2, "silent": 3, "pids": "7 9"},
      "endpoint_name": "lb1", "rate": 12}],
    "error": {"code": "cancelled", "message": "stopped", "haproxy": null, "partial": null},
    "cutover": null})");
  EXPECT_EQ(to_json(held()), boost::json::serialize(expected));
}

TEST(ReportJson, WhatIsNotKnownIsNull) {
  Report report;
  report.switches.resize(1);
  report.holds.resize(1);
  const auto told = boost::json::parse(to_json(report));
  for (const char* key : {"commit_window_ms", "skew_ms", "drained", "drain_ms", "error"}) {
    EXPECT_TRUE(told.at(key).is_null()) << key;
  }
  for (const char* key : {"hold_id", "method", "lease", "limit_before", "limit_now", "waiting",
                          "gate", "in_flight", "leaked", "version", "rtt_ms", "error", "ended"}) {
    EXPECT_TRUE(told.at("switches").at(0).at(key).is_null()) << key;
  }
  EXPECT_TRUE(told.at("holds").at(0).at("deadline").is_null());
  EXPECT_TRUE(told.at("holds").at(0).at("max_hold_s").is_null());
}

TEST(ReportJson, AnyNumberAndAnyBytesAreParsable) {
  Report report = held();
  report.skew_ms = std::numeric_limits<double>::quiet_NaN();
  report.drain_ms = std::numeric_limits<double>::infinity();
  report.switches[0].error->haproxy = "caf\xe9 \"\\\n\x01\xff";
  report.holds[0].owner = "\xc3";
  const auto told = boost::json::parse(to_json(report));
  EXPECT_TRUE(told.at("skew_ms").is_null());
  EXPECT_TRUE(told.at("drain_ms").is_null());
  EXPECT_EQ(told.at("switches").at(0).at("error").at("haproxy").as_string(),
            "caf\xef\xbf\xbd \"\\\n\x01\xef\xbf\xbd");
  EXPECT_EQ(told.at("holds").at(0).at("owner").as_string(), "\xef\xbf\xbd");
}

}  // namespace
}  // namespace stillgate
