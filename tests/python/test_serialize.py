"""The one serializer: all keys, null for what is not known, any locale."""

from __future__ import annotations

import json

from stillgate.errors import InputError
from stillgate.report import Error, Finding, Hold, Outcome, Report, Switch, Timings
from stillgate.serialize import exec_document, failure_document, report_document, rfc3339, to_json

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
        URL, "balanced", "7d", "held", "maxconn", "none", 2000, 0, "3.0.11", 0.1, [finding], None
    )
    hold = Hold("7d", "deploy@host", "why", ["balanced"], 0.5, None, None)
    document = report_document(Report("suspend", True, 0, [hold], [switch], 1.8, None, None))
    assert set(document) == {
        *("schema", "action", "ok", "holds", "commit_window_ms", "skew_ms"),
        *("drained", "drain_ms", "switches", "error"),
    }
    assert (document["drained"], document["drain_ms"], document["skew_ms"]) == (None, None, None)
    one = document["switches"][0]
    assert (one["waiting"], one["leaked"]) == (None, None)
    assert (one["limit_before"], one["limit_now"]) == (2000, 0)
    assert one["findings"][0]["code"] == "keep_alive_passes"
    assert document["holds"][0]["started_at"] == "1970-01-01T00:00:00.500Z"
    assert document["holds"][0]["deadline"] is None


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
