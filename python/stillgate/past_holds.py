"""The audit journal of this controller: its events, folded into who held what, when, how long."""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import stillgate._core as _core
import stillgate.tables  # noqa: F401  (results print by it)
from stillgate.clock import wall
from stillgate.files import open_plain
from stillgate.results.from_core import to_event
from stillgate.results.hold import Event, PastHold, PastHolds
from stillgate.results.report import Finding, Report, Switch

FILES = ("history.jsonl.1", "history.jsonl")  # the older one first
RECENT = 86400.0  # seconds for which status tells of a hold that expired
MOST_BYTES = 64 * 1024 * 1024  # of a file that begins anew at 4 MB
RECENT_BYTES = 256 * 1024  # of the history; status is asked often, and all of it may be 8 MB
ENDS = ("resumed", "expired", "rolled_back")
OF_A_LINE = ("schema", "hold", "endpoints")


@dataclass(frozen=True)
class Events:
    """What the files hold, oldest first, and how many lines of them make no sense."""

    events: List[Event]
    skipped: int


def read_events(folder: Optional[str] = None, last_bytes: Optional[int] = None) -> Events:
    """The events in `folder` (else the journal's, $STILLGATE_STATE_DIR), or the last of them.
    Errors: OSError, where a file is there and cannot be read.
    """
    lines, skipped = _core.event_lines(_read(folder, last_bytes), [], "json")
    return Events([to_event(line) for line in lines], skipped)


def read_lines(frontends: Sequence[str], line_format: str) -> Tuple[List[str], int]:
    """The events of these frontends, or all, in a format of --event-format, and how many lines make
    no sense. In the format json the lines are those of the files.
    """
    return _core.event_lines(_read(), frontends, line_format)


def history(
    *frontends: str, limit: Optional[int] = None, folder: Optional[str] = None
) -> PastHolds:
    """Holds that this controller's history knows, the newest first: those of these frontends, or
    all; at most `limit`. `folder` is another one than the journal's ($STILLGATE_STATE_DIR).
    Errors: OSError, where a file of it is there and cannot be read.
    """
    return PastHolds(select(fold(read_events(folder).events), frontends, limit))


def select(holds: List[PastHold], frontends: Iterable[str], limit: Optional[int]) -> List[PastHold]:
    """Those of these frontends, or all; at most `limit`."""
    wanted = set(frontends)
    return [one for one in holds if not wanted or wanted & set(one.frontends)][:limit]


def fold(events: List[Event], now: Optional[float] = None) -> List[PastHold]:
    """Events to holds, the newest first; `now` is seconds since the epoch."""
    by_hold: Dict[str, List[Event]] = {}
    for event in events:
        if event.hold is not None:
            by_hold.setdefault(event.hold.id, []).append(event)
    moment = time.time() if now is None else now
    holds = [_fold_one(those, moment) for those in by_hold.values()]
    return sorted(holds, key=lambda one: one.started_at, reverse=True)


def with_history(report: Report) -> Report:
    """A status, to which the history adds what the guard did to holds in effect, and which open
    frontends a deadline has opened. A history that cannot be read adds nothing.
    """
    try:
        events = read_events(last_bytes=RECENT_BYTES).events
    except OSError:
        return report
    by_guard = [one for one in events if one.source == "guard" and one.hold]
    _count_guards(report, events)
    for hold, told in zip(report.holds, report.document["holds"]):
        hold.events.extend(one for one in by_guard if one.hold and one.hold.id == hold.id)
        told["events"] = [event_document(one) for one in hold.events]
    now = time.time()
    past = fold(events, now)
    for switch, told in zip(report.switches, report.document["switches"]):
        expiry = _expiry(switch, past, now)
        if expiry:
            # The HAProxy's own mark says the same, without the name.
            switch.findings[:] = [one for one in switch.findings if one.code != expiry.code]
            switch.findings.append(expiry)
            told["findings"] = [vars(one) for one in switch.findings]
    return report


def _count_guards(report: Report, events: Sequence[Event]) -> None:
    """Of holds that a guard ends: how many of the two are alive, for those that began here."""
    guarded = {one.hold_id for one in report.switches if "guard" in (one.lease or "")}
    began = {one.hold.id for one in events if one.event == "held" and one.hold}
    for number, hold in enumerate(report.holds):
        if hold.id not in guarded:
            continue
        alive = _core.live_guards(hold.id)
        if alive == 0 and hold.id not in began:
            alive = None
        report.holds[number] = replace(hold, guards=alive)
        report.document["holds"][number]["guards"] = alive


def ended_by_haproxy(report: Report) -> Dict[str, List[Switch]]:
    """The open switches of a status whose last hold, by this machine's history, HAProxy itself has
    ended: by the id of that hold.
    """
    if not any(one.verdict == "open" and one.gate and one.gate.held for one in report.switches):
        return {}
    try:
        past = fold(read_events(last_bytes=RECENT_BYTES).events)
    except OSError:
        return {}
    found: Dict[str, List[Switch]] = {}
    for one in report.switches:
        last = _last_of(one, past)
        if one.verdict == "open" and last is not None:
            if (last.ended, last.ended_by) == ("expired", "haproxy"):
                found.setdefault(last.id, []).append(one)
    return found


def arrivals_before(report: Report) -> Dict[Tuple[str, str], float]:
    """Requests per second before the holds that are in effect, by endpoint and frontend, from this
    machine's history: what came in all, spread evenly.
    """
    unknown = [one for one in report.switches if one.verdict == "held" and one.waiting is None]
    if not unknown:
        return {}
    try:
        events = read_events(last_bytes=RECENT_BYTES).events
    except OSError:
        return {}
    rates: Dict[Tuple[str, str], float] = {}
    for event in events:
        rate, count = event.figures.get("arrivals_per_s"), event.figures.get("switches")
        if event.hold is None or rate is None or not count:
            continue
        for one in unknown:
            if one.hold_id == event.hold.id:
                rates[(one.endpoint, one.frontend)] = rate / count
    return rates


def event_document(event: Event) -> Dict[str, Any]:
    """The event without the fields that name its hold."""
    return {name: value for name, value in event.document.items() if name not in OF_A_LINE}


def _expiry(switch: Switch, past: List[PastHold], now: float) -> Optional[Finding]:
    if switch.verdict != "open":
        return None
    hold = _last_of(switch, past)
    if hold is None or hold.ended != "expired" or hold.ended_at is None:
        return None
    if now - hold.ended_at > RECENT:
        return None
    words = f"the last hold, by {hold.owner}, expired at {wall(hold.ended_at)}"
    return Finding("expired", "info", words)


def _last_of(switch: Switch, past: List[PastHold]) -> Optional[PastHold]:
    for hold in past:
        places: List[str] = next((one.endpoints for one in hold.events if one.endpoints), [])
        if switch.frontend in hold.frontends and switch.endpoint in places:
            return hold
    return None


def _fold_one(events: List[Event], now: float) -> PastHold:
    # The latest knows the deadline as it was moved last.
    hold = events[-1].hold
    assert hold is not None
    ended, ended_by, ended_at = _end(events, hold.deadline, now)
    until = now if ended == "held" else ended_at
    leaked = _figure(events, "leaked")
    endpoints = _figure(events, "endpoints")
    frontends = dict.fromkeys(name for one in events if one.hold for name in one.hold.frontends)
    return PastHold(
        id=hold.id,
        owner=hold.owner,
        reason=hold.reason,
        frontends=list(frontends),
        endpoints=None if endpoints is None else int(endpoints),
        started_at=hold.started_at,
        deadline=hold.deadline,
        ended_at=ended_at,
        ended=ended,
        ended_by=ended_by,
        held_s=None if until is None else max(0.0, until - hold.started_at),
        commit_window_ms=_figure(events, "commit_window_ms"),
        skew_ms=_figure(events, "skew_ms"),
        drain_ms=_figure(events, "drain_ms"),
        leaked=None if leaked is None else int(leaked),
        reapplied=sum(one.event == "reapplied" for one in events),
        endpoints_lost=len({one.endpoint for one in events if one.event == "endpoint_lost"}),
        events=events,
    )


def _end(
    events: List[Event], deadline: Optional[float], now: float
) -> Tuple[str, Optional[str], Optional[float]]:
    """How it ended, who told so, and when."""
    for one in events:
        if one.event not in ENDS or (one.event == "resumed" and one.figures.get("still_held")):
            continue
        # Whoever finds a hold expired later on did not end it then.
        late = one.event == "expired" and deadline is not None
        return one.event, one.source, min(one.at, deadline) if late and deadline else one.at
    if deadline is None or now <= deadline:
        return "held", None, None
    by_gate = _figure(events, "gate_switches")
    if by_gate is not None and by_gate == _figure(events, "switches"):
        return "expired", "haproxy", deadline
    return "unknown", None, None


def _figure(events: List[Event], name: str) -> Any:
    """The last event."""
    return next((one.figures[name] for one in reversed(events) if name in one.figures), None)


def _read(folder: Optional[str] = None, last_bytes: Optional[int] = None) -> bytes:
    home = Path(folder or _core.state_directory())
    texts: List[bytes] = []
    left = last_bytes
    for name in reversed(FILES):
        text = _tail(home / name, left)
        texts.insert(0, text)
        if left is not None:
            left -= len(text)
            if left <= 0:
                break
    return b"".join(texts)


def _tail(path: Path, size: Optional[int]) -> bytes:
    """The file's last whole lines; nothing, where there is no such file."""
    try:
        with open_plain(path) as file:
            length = file.seek(0, 2)
            if size is None and length > MOST_BYTES:
                raise OSError(errno.EFBIG, f"larger than {MOST_BYTES} bytes", str(path))
            start = 0 if size is None else max(0, length - size)
            file.seek(start)
            text = file.read(length - start)
    except FileNotFoundError:
        return b""
    whole = text if start == 0 else text.partition(b"\n")[2]
    return whole if whole.endswith(b"\n") or not whole else whole + b"\n"
