"""The documents of --json (docs/schema.json). Reports and events have theirs from the engine; here
they get their place in a document of several, and what the engine does not know gets its own.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

from stillgate.errors import StillgateError, StillHeld
from stillgate.hold_report import HoldReport, report_document
from stillgate.past_holds import event_document
from stillgate.results.hold import PastHold
from stillgate.results.outcome import Outcome
from stillgate.results.rehearsal import Rehearsal
from stillgate.results.report import Report
from stillgate.run_until import CommandResult

SCHEMA = 1


@dataclass(frozen=True)
class What:
    """What happened in a hold around a command, in four words (docs/operating.md)."""

    migration: str
    undo: str
    cutover: str
    traffic: str

    def words(self) -> str:
        return ", ".join(f"{name} {word}" for name, word in vars(self).items())


UNKNOWN = What("unknown", "unknown", "none", "unknown")


def to_json(document: Dict[str, Any]) -> str:
    """In ASCII: it must come out whole under any locale, whatever a reply holds, and steers no
    terminal.
    """
    return json.dumps(document, indent=2).replace("\x7f", "\\u007f")


def to_line(document: Dict[str, Any]) -> str:
    """The same on one line."""
    return json.dumps(document).replace("\x7f", "\\u007f")


def hold_document(
    status: int,
    command: Optional[CommandResult],
    undo: Optional[CommandResult],
    what: What,
    suspend: Optional[Report],
    cutover: Optional[Report],
    resume: Optional[Report],
    error: Optional[StillgateError],
) -> Dict[str, Any]:
    """hold: `status` is the exit status; `command` and `on_failure` are null where they were not
    run, `changes` where no cutover was begun, `resume` where nothing was held.
    """
    return {
        "schema": SCHEMA,
        "action": "hold",
        "ok": status == 0,
        "status": status,
        "command": command and vars(command),
        "on_failure": undo and vars(undo),
        **vars(what),
        "suspend": suspend and suspend.document,
        "changes": cutover and cutover.document,
        "resume": resume and resume.document,
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
                "endpoint_name": outcome.endpoint_name,
                "reply": outcome.reply,
                "error": outcome.error and vars(outcome.error),
                "timings": vars(outcome.timings),
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


def still_held_document(action: str, status: int, held: StillHeld) -> Dict[str, Any]:
    """A call that was stopped, and whose hold could not be ended again: as if it had come to its
    end so.
    """
    if action == "hold":
        return hold_document(status, None, None, UNKNOWN, held.report, None, None, held)
    return held.report.document


def history_document(holds: List[PastHold]) -> Dict[str, Any]:
    """history: holds of this machine, the newest first."""
    return {
        "schema": SCHEMA,
        "action": "history",
        "ok": True,
        "history": [_past_hold(hold) for hold in holds],
    }


def report_of_hold_document(report: HoldReport) -> Dict[str, Any]:
    """report: a hold of this machine, and how it went."""
    return {
        "schema": SCHEMA,
        "action": "report",
        "ok": True,
        "hold": _past_hold(report.hold),
        **report_document(report),
    }


def rehearsal_document(rehearsal: Rehearsal) -> Dict[str, Any]:
    """rehearse: the forecast, with the report of its check."""
    told = {name: value for name, value in vars(rehearsal).items() if name != "check"}
    told["waits"] = [asdict(one) for one in rehearsal.waits]
    told["haproxies"] = [asdict(one) for one in rehearsal.haproxies]
    return {
        "schema": SCHEMA,
        "action": "rehearse",
        "ok": rehearsal.ok,
        **told,
        "check": rehearsal.check.document,
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


def _past_hold(hold: PastHold) -> Dict[str, Any]:
    return {
        **vars(hold),
        "started_at": rfc3339(hold.started_at),
        "deadline": rfc3339(hold.deadline),
        "ended_at": rfc3339(hold.ended_at),
        "events": [event_document(event) for event in hold.events],
    }
