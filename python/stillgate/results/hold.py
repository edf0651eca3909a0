"""Holds, in effect and past, and their events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Mapping, Optional, Union

from stillgate.results.printing import Printed

__all__ = ["Event", "Hold", "PastHold", "PastHolds"]


@dataclass(frozen=True)
class Hold:
    """A suspension; times are seconds since the epoch. Without a deadline only a resume ends it.
    In a status, `events` is what the guard of this machine did to it, and `guards` how many of its
    two guards are alive; None: it has none, or nobody here knows.
    """

    id: str
    owner: str
    reason: str
    frontends: List[str]
    started_at: float
    deadline: Optional[float]
    max_hold_s: Optional[float]
    events: List[Event] = field(default_factory=list)
    guards: Optional[int] = None


@dataclass(frozen=True)
class Event:
    """One line of the history. `event` is checked, held, drained, reapplied, extended, resumed,
    expired, rolled_back, endpoint_lost, guard_lost or guard_died; `at` is seconds since the epoch;
    `source` is check, suspend, extend, resume or guard; `seq` counts what that process told.
    `endpoint` and `frontend` are None where the hold as a whole is meant. Figures have their unit
    in their name. `document` is the line itself, parsed.
    """

    event: str
    at: float
    hold: Optional[Hold]
    source: str
    host: str
    pid: int
    seq: int
    endpoint: Optional[str]
    frontend: Optional[str]
    endpoints: List[str]
    message: str
    figures: Mapping[str, Union[int, float, None]] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    endpoint_name: Optional[str] = None


@dataclass(frozen=True)
class PastHold:
    """One hold, over or still in effect. Times are seconds since the epoch.

    `ended` is resumed, expired, rolled_back (a suspend that failed), held (still in effect) or
    unknown (its deadline has passed, and no event has its end); `ended_by` is the source of that:
    suspend, resume, guard, or haproxy, where only the deadline of a gate shows it. `endpoints`
    counts HAProxies, `leaked` is the most requests that can have reached a server while held,
    `reapplied` and `endpoints_lost` count events. What is unknown is None.
    """

    id: str
    owner: str
    reason: str
    frontends: List[str]
    endpoints: Optional[int]
    started_at: float
    deadline: Optional[float]
    ended_at: Optional[float]
    ended: str
    ended_by: Optional[str]
    held_s: Optional[float]
    commit_window_ms: Optional[float]
    skew_ms: Optional[float]
    drain_ms: Optional[float]
    leaked: Optional[int]
    reapplied: int
    endpoints_lost: int
    events: List[Event]


class PastHolds(Printed, List[PastHold]):
    """A list of `PastHold`, the newest first. It prints as a table."""
