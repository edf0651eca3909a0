"""Reports as the compiled module gives them, for tests that make no call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

URL = "unix:///run/a.sock"


@dataclass(frozen=True)
class CoreReport:
    """Stands for _core.Report."""

    exit_status: int
    json: str


def core_report(
    action: str,
    exit_status: int = 0,
    *,
    holds: Sequence[dict[str, Any]] = (),
    switches: Sequence[dict[str, Any]] = (),
    **told: Any,
) -> Any:
    """What is not told is not known."""
    document = {
        "schema": 1,
        "action": action,
        "ok": exit_status == 0,
        "holds": list(holds),
        "commit_window_ms": None,
        "skew_ms": None,
        "drained": None,
        "drain_ms": None,
        "switches": list(switches),
        "error": None,
        "cutover": None,
    }
    assert told.keys() <= document.keys()
    return CoreReport(exit_status, json.dumps({**document, **told}))


def hold_told(**told: Any) -> dict[str, Any]:
    return {
        "id": "7d",
        "owner": "deploy@host",
        "reason": "why",
        "frontends": ["balanced"],
        "started_at": "2023-11-14T22:13:20.000Z",
        "deadline": "2023-11-14T22:13:23.000Z",
        "max_hold_s": 3.0,
        "events": [],
        **told,
    }


def switch_told(**told: Any) -> dict[str, Any]:
    return {
        "endpoint": URL,
        "frontend": "balanced",
        "hold_id": None,
        "verdict": "open",
        "method": None,
        "lease": None,
        "limit_before": None,
        "limit_now": 100,
        "waiting": None,
        "gate": None,
        "in_flight": None,
        "leaked": None,
        "version": "3.0.11",
        "rtt_ms": 0.1,
        "findings": [],
        "error": None,
        "ended": None,
        "old_workers": None,
        "endpoint_name": "",
        "rate": None,
        **told,
    }


def error_told(code: str, message: str, **told: Any) -> dict[str, Any]:
    return {"code": code, "message": message, "haproxy": None, "partial": None, **told}
