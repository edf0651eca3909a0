"""The one serializer: all JSON of Stillgate is made here. docs/schema.json describes it."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

from stillgate.errors import StillgateError
from stillgate.results.hold import Event, Hold, PastHold
from stillgate.results.outcome import Error, Outcome
from stillgate.results.report import Report, Switch
from stillgate.run_until import CommandResult

SCHEMA = 1


def to_json(document: Dict[str, Any]) -> str:
    """In ASCII: it must come out whole under any locale, whatever a reply holds."""
    return json.dumps(document, indent=2)


def report_document(report: Report) -> Dict[str, Any]:
    """check, suspend, resume, status. What cannot be known is null."""
    return {
        "schema": SCHEMA,
        "action": report.action,
        "ok": report.ok,
        "holds": [_hold(hold) for hold in report.holds],
        "commit_window_ms": report.commit_window_ms,
        "skew_ms": report.skew_ms,
        "drained": report.drained,
        "drain_ms": report.drain_ms,
        "switches": [_switch(switch) for switch in report.switches],
        "error": _error(report.error),
    }


def hold_document(
    status: int,
    command: Optional[CommandResult],
    suspend: Optional[Report],
    resume: Optional[Report],
    error: Optional[StillgateError],
) -> Dict[str, Any]:
    """hold: `status` is the exit status; `command` is null where it was not run, `resume` where
    nothing was held.
    """
    ended = command is not None and command.ended_by_deadline
    return {
        "schema": SCHEMA,
        "action": "hold",
        "ok": status == 0,
        "status": status,
        "command": command and {"status": command.status, "ended_by_deadline": ended},
        "suspend": suspend and report_document(suspend),
        "resume": resume and report_document(resume),
        "error": error and _failure(error),
    }


def exec_document(command: str, outcomes: List[Outcome]) -> Dict[str, Any]:
    """exec: one outcome per endpoint, in input order."""
    return {
        "schema": SCHEMA,
        "action": "exec",
        "ok": all(outcome.ok for outcome in outcomes),
        "command": command,
        "outcomes": [
            {
                "endpoint": outcome.endpoint,
                "reply": outcome.reply,
                "error": _error(outcome.error),
                "timings": {
                    "connected_ms": outcome.timings.connected_ms,
                    "sent_ms": outcome.timings.sent_ms,
                    "answered_ms": outcome.timings.answered_ms,
                },
            }
            for outcome in outcomes
        ],
    }


def failure_document(action: str, error: StillgateError) -> Dict[str, Any]:
    """A call without a report: refused for its input, with nothing sent, or stopped."""
    return {
        "schema": SCHEMA,
        "action": action,
        "ok": False,
        "error": _failure(error),
    }


def history_document(holds: List[PastHold]) -> Dict[str, Any]:
    """history: holds of this machine, the newest first."""
    return {
        "schema": SCHEMA,
        "action": "history",
        "ok": True,
        "history": [_past_hold(hold) for hold in holds],
    }


def rfc3339(seconds: Optional[float]) -> Optional[str]:
    """Seconds since the epoch as UTC, with milliseconds."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _failure(error: StillgateError) -> Dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "haproxy": error.haproxy,
        "partial": None,
        "field": getattr(error, "field", None),
    }


def _error(error: Optional[Error]) -> Optional[Dict[str, Any]]:
    if error is None:
        return None
    return {
        "code": error.code,
        "message": error.message,
        "haproxy": error.haproxy,
        "partial": error.partial,
    }


def _hold(hold: Hold) -> Dict[str, Any]:
    return {
        "id": hold.id,
        "owner": hold.owner,
        "reason": hold.reason,
        "frontends": hold.frontends,
        "started_at": rfc3339(hold.started_at),
        "deadline": rfc3339(hold.deadline),
        "max_hold_s": hold.max_hold_s,
        "events": [_event(event) for event in hold.events],
    }


def _event(event: Event) -> Dict[str, Any]:
    return {
        "event": event.event,
        "at": rfc3339(event.at),
        "source": event.source,
        "host": event.host,
        "pid": event.pid,
        "seq": event.seq,
        "endpoint": event.endpoint,
        "frontend": event.frontend,
        "message": event.message,
        "figures": dict(event.figures),
    }


def _past_hold(hold: PastHold) -> Dict[str, Any]:
    return {
        "id": hold.id,
        "owner": hold.owner,
        "reason": hold.reason,
        "frontends": hold.frontends,
        "endpoints": hold.endpoints,
        "started_at": rfc3339(hold.started_at),
        "deadline": rfc3339(hold.deadline),
        "ended_at": rfc3339(hold.ended_at),
        "ended": hold.ended,
        "ended_by": hold.ended_by,
        "held_s": hold.held_s,
        "commit_window_ms": hold.commit_window_ms,
        "skew_ms": hold.skew_ms,
        "drain_ms": hold.drain_ms,
        "leaked": hold.leaked,
        "reapplied": hold.reapplied,
        "endpoints_lost": hold.endpoints_lost,
        "events": [_event(event) for event in hold.events],
    }


def _switch(switch: Switch) -> Dict[str, Any]:
    return {
        "endpoint": switch.endpoint,
        "frontend": switch.frontend,
        "hold_id": switch.hold_id,
        "verdict": switch.verdict,
        "method": switch.method,
        "lease": switch.lease,
        "limit_before": switch.limit_before,
        "limit_now": switch.limit_now,
        "waiting": switch.waiting,
        "gate": switch.gate and asdict(switch.gate),
        "in_flight": switch.in_flight,
        "leaked": switch.leaked,
        "version": switch.version,
        "rtt_ms": switch.rtt_ms,
        "findings": [
            {"code": one.code, "level": one.level, "message": one.message}
            for one in switch.findings
        ],
        "error": _error(switch.error),
    }
