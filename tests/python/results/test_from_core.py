"""Reports and events are read from the engine's JSON, which stays with them as it came."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jsonschema

import stillgate
from stillgate.results.from_core import to_event, to_report
from stillgate.results.outcome import Error
from stillgate.results.report import Finding, GateCounters, HoldEnd, OldWorkers
from support.reports import core_report, error_told, hold_told, switch_told

SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "docs" / "schema.json").read_text())
ERROR = error_told("early_eof", "it closed", partial="Name: HAP")
GATE: dict[str, Any] = {
    **{"most_waiting": 3, "held": 4, "released": 1, "given_up": 0, "rejected": 1},
    **{"longest_wait_ms": 12.5, "bound": 750, "bound_by": "maxconn"},
}
OLD: dict[str, Any] = {"waiting": 4, "released": 0, "rejected": 0, "silent": 1, "pids": "7 9"}
FINDING = {"code": "keep_alive_passes", "level": "warning", "message": "open connections pass"}
SWITCH = switch_told(
    hold_id="7d",
    verdict="held",
    waiting=2,
    gate=GATE,
    leaked=3,
    findings=[FINDING],
    error=ERROR,
    old_workers=OLD,
)
WHOLE: dict[str, Any] = {
    **{"holds": [hold_told()], "switches": [SWITCH], "commit_window_ms": 1.8, "skew_ms": 0.1},
    **{"drained": True, "drain_ms": 12.0, "error": ERROR},
}


def test_a_report_has_what_the_engine_told() -> None:
    core = core_report("suspend", 1, **WHOLE)
    report = to_report(core)
    jsonschema.validate(report.document, SCHEMA)
    assert report.document == json.loads(core.json)
    assert (report.action, report.ok, report.exit_status) == ("suspend", False, 1)
    assert (report.commit_window_ms, report.skew_ms) == (1.8, 0.1)
    assert (report.drained, report.drain_ms) == (True, 12.0)
    assert report.error == Error(**ERROR)
    (hold,) = report.holds
    assert (hold.started_at, hold.deadline) == (1_700_000_000.0, 1_700_000_003.0)
    (switch,) = report.switches
    assert asdict(switch) == SWITCH
    assert switch.gate == GateCounters(**GATE)
    assert switch.old_workers == OldWorkers(**OLD)
    assert switch.findings == [Finding(**FINDING)]
    assert switch.error == Error(**ERROR)


def test_what_is_not_known_is_none() -> None:
    hold = hold_told(deadline=None, max_hold_s=None)
    report = to_report(core_report("status", holds=[hold], switches=[switch_told()]))
    assert (report.error, report.drained, report.holds[0].deadline) == (None, None, None)
    assert (report.switches[0].gate, report.switches[0].error) == (None, None)


def test_what_became_of_a_cutover() -> None:
    change: dict[str, object] = {
        "endpoint": "unix:///run/a.sock",
        "what": "server app/s1 state",
        "before": "drain",
        "wanted": "ready",
        "now": None,
        "written": 2,
        "state": "unknown",
        "error": ERROR,
        "endpoint_name": "lb1",
    }
    told = {"name": "green", "state": "unknown", "changes": [change], "unshown": ["s1 has none"]}
    report = to_report(core_report("cutover", 1, cutover=told))
    jsonschema.validate(report.document, SCHEMA)
    assert report.cutover is not None
    found = asdict(report.cutover)
    assert found.pop("back") is False and found == told
    assert "server app/s1 state" in str(report) and "nor be undone everywhere" in str(report)
    assert "note: s1 has none" in str(report)


def test_how_a_hold_had_ended() -> None:
    told = {"how": "expired", "at": "2023-11-14T22:13:23.000Z", "by": "guard", "requests_since": 7}
    core = core_report("resume", 5, switches=[switch_told(ended=told)])
    report = to_report(core)
    jsonschema.validate(report.document, SCHEMA)
    assert report.switches[0].ended == HoldEnd("expired", 1_700_000_003.0, "guard", 7)


def test_the_engines_own_report_keeps_to_the_schema() -> None:
    report = stillgate.Fleet(["unix:///nowhere/a.sock"]).check("balanced")
    jsonschema.validate(report.document, SCHEMA)
    assert report.document["switches"][0]["error"]["code"] == "no_such_socket"
    assert asdict(report.switches[0]) == report.document["switches"][0]


def test_an_event_of_a_check_has_no_hold() -> None:
    told = {
        **{"schema": 1, "event": "checked", "at": "2023-11-14T22:13:20.100Z", "hold": None},
        **{"source": "check", "host": "here", "pid": 42, "seq": 1, "endpoint": None},
        **{"frontend": None, "endpoints": [], "message": "well", "figures": {"refused": 0}},
    }
    event = to_event(json.dumps(told))
    assert (event.event, event.at, event.hold) == ("checked", 1_700_000_000.1, None)
    assert (event.document, event.figures) == (told, {"refused": 0})
