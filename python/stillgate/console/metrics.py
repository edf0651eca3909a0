"""A status as metrics: one text that is both OpenMetrics and Prometheus' older text format.

Node_exporter and promtool read the older one. The two differ in how a counter is named, so all of
these are gauges. That is true of them, too: the figures of a hold begin again with the next one.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

from stillgate.results.hold import Hold
from stillgate.results.report import Report, Switch

Labels = Tuple[Tuple[str, str], ...]


class _Family(NamedTuple):
    """`unit`, where there is one, is also the end of the name: OpenMetrics wants that."""

    name: str
    help: str
    unit: str = ""


_UP = _Family("stillgate_up", "1 where the HAProxy answered, 0 where it did not.")
_HELD = _Family("stillgate_held", "1 where the frontend is held, 0 where it is open.")
_OVERDUE = _Family(
    "stillgate_overdue", "1 where a hold is in effect beyond its deadline, also as answers 503."
)
_DEADLINE = _Family(
    "stillgate_hold_deadline_timestamp_seconds",
    "When the hold ends by itself, since the epoch.",
    "seconds",
)
_STARTED = _Family(
    "stillgate_hold_started_timestamp_seconds", "When the hold began, since the epoch.", "seconds"
)
_LEFT = _Family(
    "stillgate_hold_remaining_seconds",
    "Until the deadline of the hold; negative beyond it.",
    "seconds",
)
_LEASE = _Family("stillgate_hold_lease", "1, with what ends the hold at its deadline as a label.")
_GUARD_LOST = _Family(
    "stillgate_guard_lost", "1 where this machine's guard of the hold was lost, or its standby."
)
_GUARDS = _Family("stillgate_guards", "Guards of the hold alive on this machine, of two.")
_STOPPED = _Family(
    "stillgate_frontend_stopped", "1 where the frontend is disabled or shut down, else 0."
)
_IN_FLIGHT = _Family("stillgate_in_flight_requests", "Requests in flight.", "requests")
_LEAKED = _Family(
    "stillgate_leaked_requests", "The most that can have passed since the drain.", "requests"
)
_WAITING = _Family("stillgate_waiting_requests", "Requests that wait in the gate now.", "requests")
_OF_HOLD = "of the hold in effect, or of the last one, by the gate."
_MOST = _Family(
    "stillgate_hold_most_waiting_requests", f"The most that waited at once, {_OF_HOLD}", "requests"
)
_LONGEST = _Family(
    "stillgate_hold_longest_wait_seconds", f"The longest wait, {_OF_HOLD}", "seconds"
)
_COUNTED = {
    word: _Family(f"stillgate_hold_{word}_requests", f"{what}, {_OF_HOLD}", "requests")
    for word, what in (
        ("held", "Requests that had to wait"),
        ("released", "Requests that waited and were released"),
        ("given_up", "Requests whose clients left while they waited"),
        ("rejected", "Requests answered 503"),
    )
}
FAMILIES = (
    *(_UP, _HELD, _OVERDUE, _DEADLINE, _STARTED, _LEFT, _LEASE, _GUARD_LOST, _IN_FLIGHT, _LEAKED),
    *(_GUARDS, _STOPPED),
    *(_WAITING, _MOST, _LONGEST, *_COUNTED.values()),
)


def metrics_text(report: Report, fleet: Optional[str], now: float) -> str:
    """The report of a status; what it does not know is left out. `now`: seconds since the epoch."""
    # A key is there once, however often a frontend was named.
    samples: Dict[_Family, Dict[Labels, float]] = {family: {} for family in FAMILIES}
    of_fleet: Labels = (("fleet", fleet),) if fleet else ()
    holds = {hold.id: hold for hold in report.holds}
    for switch in report.switches:
        at: Labels = (*of_fleet, ("endpoint", switch.endpoint))
        samples[_UP][at] = float(switch.version is not None)
        if switch.error is not None:
            continue
        at = (*at, ("frontend", switch.frontend))
        hold = holds.get(switch.hold_id or "")
        for family, value in _figures(switch, hold, now):
            if value is not None:
                samples[family][at] = value
        if switch.lease is not None:
            samples[_LEASE][(*at, ("lease", switch.lease))] = 1
    lines: List[str] = []
    for family, found in samples.items():
        if found:
            lines += _head(family)
            lines += [f"{family.name}{_braces(at)} {_number(found[at])}" for at in found]
    return "\n".join([*lines, "# EOF"]) + "\n"


def is_overdue(switch: Switch, hold: Optional[Hold], now: float) -> Optional[bool]:
    """Whether it is still held, or answers 503, beyond its deadline; None where nobody knows."""
    if {one.code for one in switch.findings} & {"overdue", "rejecting"}:
        return True
    if switch.verdict == "open":
        return False
    if switch.verdict != "held" or hold is None:
        return None
    return hold.deadline is not None and hold.deadline < now


def is_stopped(switch: Switch) -> bool:
    """Somebody has disabled the frontend, or shut it down: it refuses its clients."""
    return any(one.code == "frontend_stopped" for one in switch.findings)


def _figures(
    switch: Switch, hold: Optional[Hold], now: float
) -> List[Tuple[_Family, Optional[float]]]:
    known = switch.verdict in ("held", "open")
    deadline = hold.deadline if hold else None
    gate = switch.gate
    found: List[Tuple[_Family, Optional[float]]] = [
        (_HELD, float(switch.verdict == "held") if known else None),
        (_OVERDUE, is_overdue(switch, hold, now)),
        (_DEADLINE, deadline),
        (_STARTED, hold.started_at if hold else None),
        (_LEFT, None if deadline is None else round(deadline - now, 3)),
        (_GUARD_LOST, _guard_lost(hold)),
        (_GUARDS, hold.guards if hold else None),
        (_STOPPED, float(is_stopped(switch)) if known else None),
        (_IN_FLIGHT, switch.in_flight),
        (_LEAKED, switch.leaked),
        (_WAITING, switch.waiting),
    ]
    if gate:
        found += [(_MOST, gate.most_waiting), (_LONGEST, gate.longest_wait_ms / 1000)]
        found += [(family, getattr(gate, word)) for word, family in _COUNTED.items()]
    return found


def _guard_lost(hold: Optional[Hold]) -> Optional[bool]:
    """A guard that has said nothing may be well, or on another machine."""
    if hold is None or (not hold.events and hold.guards is None):
        return None
    told = any(event.event in ("guard_lost", "guard_died") for event in hold.events)
    return told or hold.guards == 0


def _head(family: _Family) -> List[str]:
    unit = [f"# UNIT {family.name} {family.unit}"] if family.unit else []
    return [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} gauge", *unit]


def _braces(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
