"""The documents of --json: all keys, null for what is not known, any locale."""

from __future__ import annotations

import json

from stillgate.console.documents import (
    What,
    exec_document,
    failure_document,
    hold_document,
    rfc3339,
    to_json,
)
from stillgate.errors import CheckRefused, InputError
from stillgate.results.from_core import to_report
from stillgate.results.outcome import Error, Outcome, Timings
from stillgate.run_until import CommandResult
from support.reports import URL, core_report


def test_an_outcome_has_all_its_keys() -> None:
    error = Error("early_eof", "it closed", None, "Name: HAP")
    reached = Timings(0.1, 0.2, None)
    document = exec_document("show info", [Outcome(URL, None, error, reached, "a")])
    assert document == {
        "schema": 1,
        "action": "exec",
        "ok": False,
        "command": "show info",
        "outcomes": [
            {
                "endpoint": URL,
                "endpoint_name": "a",
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


def test_a_hold_has_both_reports_and_the_command() -> None:
    report = to_report(core_report("suspend", 3))
    nothing = What("none", "none", "none", "none")
    refused = hold_document(125, None, None, nothing, report, None, None, CheckRefused(report))
    assert (refused["ok"], refused["status"]) == (False, 125)
    assert (refused["command"], refused["resume"]) == (None, None)
    assert refused["error"]["code"] == "endpoint_failed"
    resumed = to_report(core_report("resume"))
    what = What("done", "none", "none", "released")
    done = hold_document(0, CommandResult(0, False), None, what, report, None, resumed, None)
    assert (done["migration"], done["traffic"], done["on_failure"]) == ("done", "released", None)
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
