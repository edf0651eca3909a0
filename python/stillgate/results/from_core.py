"""From the compiled module's results to Python's. Reports and events come as JSON, which stays with
them as their `document`; outcomes come as they are, because a reply may be long.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Dict, Optional

import stillgate._core as _core
from stillgate.results.cutover import CutoverChange, CutoverResult
from stillgate.results.hold import Event, Hold
from stillgate.results.outcome import Error, Outcome, Timings
from stillgate.results.report import Finding, GateCounters, HoldEnd, OldWorkers, Report, Switch


def to_outcome(core: _core.Outcome) -> Outcome:
    error, timings = core.error, core.timings
    return Outcome(
        core.endpoint,
        core.reply,
        Error(error.code, error.message, error.haproxy, error.partial) if error else None,
        Timings(timings.connected_ms, timings.sent_ms, timings.answered_ms),
        core.endpoint_name,
    )


def to_report(core: _core.Report) -> Report:
    told = json.loads(core.json)
    return Report(
        action=told["action"],
        ok=told["ok"],
        exit_status=core.exit_status,
        holds=[_hold(one) for one in told["holds"]],
        switches=[_switch(one) for one in told["switches"]],
        commit_window_ms=told["commit_window_ms"],
        skew_ms=told["skew_ms"],
        drained=told["drained"],
        drain_ms=told["drain_ms"],
        error=_error(told["error"]),
        cutover=_cutover(told["cutover"]),
        document=told,
    )


def to_event(line: str) -> Event:
    """One line of the history that _core.event_lines() has found to be one."""
    told = json.loads(line)
    return Event(
        event=told["event"],
        at=_seconds(told["at"]),
        hold=told["hold"] and _hold(told["hold"]),
        source=told["source"],
        host=told["host"],
        pid=told["pid"],
        seq=told["seq"],
        endpoint=told["endpoint"],
        frontend=told["frontend"],
        endpoints=told["endpoints"],
        message=told["message"],
        figures=told["figures"],
        document=told,
        endpoint_name=told.get("endpoint_name"),
    )


def _hold(told: Dict[str, Any]) -> Hold:
    deadline = told["deadline"]
    return Hold(
        id=told["id"],
        owner=told["owner"],
        reason=told["reason"],
        frontends=told["frontends"],
        started_at=_seconds(told["started_at"]),
        deadline=None if deadline is None else _seconds(deadline),
        max_hold_s=told["max_hold_s"],
    )


def _switch(told: Dict[str, Any]) -> Switch:
    read: Dict[str, Any] = {
        **told,
        "gate": GateCounters(**told["gate"]) if told["gate"] else None,
        "findings": [Finding(**one) for one in told["findings"]],
        "error": _error(told["error"]),
        "ended": _end(told["ended"]),
        "old_workers": OldWorkers(**told["old_workers"]) if told["old_workers"] else None,
    }
    return Switch(**read)


def _cutover(told: Optional[Dict[str, Any]]) -> Optional[CutoverResult]:
    if told is None:
        return None
    changes = [_change(one) for one in told["changes"]]
    return CutoverResult(told["name"], told["state"], changes, told["unshown"])


def _change(told: Dict[str, Any]) -> CutoverChange:
    read: Dict[str, Any] = {**told, "error": _error(told["error"])}
    return CutoverChange(**read)


def _end(told: Optional[Dict[str, Any]]) -> Optional[HoldEnd]:
    if told is None:
        return None
    at = told["at"]
    read: Dict[str, Any] = {**told, "at": None if at is None else _seconds(at)}
    return HoldEnd(**read)


def _error(told: Optional[Dict[str, Any]]) -> Optional[Error]:
    return Error(**told) if told else None


def _seconds(text: str) -> float:
    # Python before 3.11 does not read a Z.
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
