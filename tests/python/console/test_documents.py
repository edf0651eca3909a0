"""The one serializer: all keys, null for what is not known, any locale."""

from __future__ import annotations

import json
from dataclasses import replace

from stillgate.console.documents import (
    exec_document,
    failure_document,
    hold_document,
    report_document,
    rfc3339,
    to_json,
)
from stillgate.errors import CheckRefused, InputError
from stillgate.results.hold import Hold
from stillgate.results.outcome import Error, Outcome, Timings
from stillgate.results.report import Finding, GateCounters, Report, Switch
from stillgate.run_until import CommandResult

URL = "unix:///run/a.sock"


def test_an_outcome_has_all_its_keys() -> None:
    error = Error("early_eof", "it closed", None, "Name: HAP")
    reached = Timings(0.1, 0.2, None)
    document = exec_document("show info", [Outcome(URL, None, error, reached)])
    assert document == {
        "schema": 1,
        "action": "exec",
        "ok": False,
        "command": "show info",
        "outcomes": [
            {
                "endpoint": URL,
                "reply": None,
                "error": {
                    "code": "early_eof",
                    "message": "it closed",
                    "haproxy": None,
                    "partial": "Name: HAP",
                },
                "timings": {"connected_ms": 0.1, "sent_ms": 0.2, "answered_ms": None},
            }
        ],
    }


def test_a_report_has_all_its_keys() -> None:
    finding = Finding("keep_alive_passes", "warning", "open connections pass")
    switch = Switch(
        endpoint=URL,
        frontend="balanced",
        hold_id="7d",
        verdict="held",
        method="maxconn",
        lease="none",
        limit_before=2000,
        limit_now=0,
        waiting=None,
        gate=None,
        in_flight=None,
        leaked=3,
        version="3.0.11",
        rtt_ms=0.1,
        findings=[finding],
        error=None,
    )
    hold = Hold("7d", "deploy@host", "why", ["balanced"], 0.5, None, None)
    report = Report("suspend", True, 0, [hold], [switch], 1.8, None, True, 12.0, None)
    document = report_document(report)
    assert set(document) == {
        *("schema", "action", "ok", "holds", "commit_window_ms", "skew_ms"),
        *("drained", "drain_ms", "switches", "error"),
    }
    assert (document["drained"], document["drain_ms"], document["skew_ms"]) == (True, 12.0, None)
    one = document["switches"][0]
    assert (one["waiting"], one["in_flight"], one["leaked"]) == (None, None, 3)
    assert (one["limit_before"], one["limit_now"]) == (2000, 0)
    assert one["findings"][0]["code"] == "keep_alive_passes"
    assert document["holds"][0]["started_at"] == "1970-01-01T00:00:00.500Z"
    assert document["holds"][0]["deadline"] is None
    assert one["gate"] is None
    held = replace(switch, method="gate", waiting=2, gate=GateCounters(3, 4, 1, 0, 1, 12.5))
    told = report_document(replace(report, switches=[held]))["switches"][0]
    assert (told["waiting"], told["gate"]["held"]) == (2, 4)
    assert set(told["gate"]) == {
        *("most_waiting", "held", "released", "given_up", "rejected", "longest_wait_ms")
    }


def test_a_hold_has_both_reports_and_the_command() -> None:
    report = Report("suspend", False, 3, [], [], None, None, None, None, None)
    refused = hold_document(125, None, report, None, CheckRefused(report))
    assert (refused["ok"], refused["status"]) == (False, 125)
    assert (refused["command"], refused["resume"]) == (None, None)
    assert refused["error"]["code"] == "endpoint_failed"
    resumed = Report("resume", True, 0, [], [], None, None, None, None, None)
    done = hold_document(0, CommandResult(0, False), report, resumed, None)
    assert done["command"] == {"status": 0, "ended_by_deadline": False}
    assert (done["suspend"]["action"], done["resume"]["action"]) == ("suspend", "resume")
    assert (done["ok"], done["error"]) == (True, None)


def test_wrong_input_names_its_field() -> None:
    document = failure_document("suspend", InputError("bad_name", "no name", "frontend"))
    assert (document["action"], document["ok"]) == ("suspend", False)
    assert document["error"]["field"] == "frontend"


def test_times_are_utc() -> None:
    assert rfc3339(None) is None
    assert rfc3339(1_000_000_000.25) == "2001-09-09T01:46:40.250Z"


def test_json_is_ascii_and_keeps_what_a_reply_holds() -> None:
    reply = "caf\u00e9 \ufffd \U0001f600 \x1b[31m \x00"
    document = exec_document("x", [Outcome(URL, reply, None, Timings(1.0, 1.0, 1.0))])
    text = to_json(document)
    assert text.isascii()
    assert json.loads(text)["outcomes"][0]["reply"] == reply
