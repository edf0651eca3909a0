"""Events of holds: reads a line, and passes it to a caller's function."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any, Callable, Dict, Optional

from stillgate.results.hold import Event, Hold

Listener = Callable[[Dict[str, Any]], object]
log = logging.getLogger("stillgate")


def parse_event(line: str) -> Event:
    """One line of the history. Errors: ValueError, for a line that was cut short."""
    told = json.loads(line)
    try:
        return Event(
            event=str(told["event"]),
            at=_seconds(told["at"]),
            hold=_hold(told.get("hold")),
            source=str(told.get("source", "")),
            host=str(told.get("host", "")),
            pid=int(told.get("pid", 0)),
            seq=int(told.get("seq", 0)),
            endpoint=told.get("endpoint"),
            frontend=told.get("frontend"),
            endpoints=list(told.get("endpoints") or ()),
            message=str(told.get("message", "")),
            figures=dict(told.get("figures") or {}),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an event: {error!r}") from error


def to_listener(listener: Optional[Listener]) -> Optional[Callable[[str], None]]:
    """What the engine calls with each line. An exception of the listener is logged; it ends no
    hold.
    """
    if listener is None:
        return None
    given = listener

    def told(line: str) -> None:
        try:
            given(json.loads(line))
        except Exception:
            log.exception("on_event raised; the hold continues")

    return told


def _seconds(text: str) -> float:
    # Python before 3.11 does not read a Z.
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _hold(told: Optional[Dict[str, Any]]) -> Optional[Hold]:
    if told is None:
        return None
    deadline = told.get("deadline")
    return Hold(
        id=str(told["id"]),
        owner=str(told["owner"]),
        reason=str(told["reason"]),
        frontends=[str(name) for name in told["frontends"]],
        started_at=_seconds(told["started_at"]),
        deadline=None if deadline is None else _seconds(deadline),
        max_hold_s=told.get("max_hold_s"),
    )
