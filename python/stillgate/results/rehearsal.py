"""What a rehearsal foresees of a hold that has not begun."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Optional

from stillgate.results.outcome import Error
from stillgate.results.printing import Printed
from stillgate.results.report import Report

__all__ = ["Cut", "Fills", "Herd", "RehearsedHaproxy", "Rehearsal", "WaitsAfter"]


@dataclass(frozen=True)
class WaitsAfter:
    """How many requests (under maxconn: connections) wait after so many seconds; None: unknown."""

    after_s: float
    waiting: Optional[int]


@dataclass(frozen=True)
class Fills:
    """Something that is full after `at_s` seconds of the hold. `what` is kernel, maxconn, global,
    gate or servers; `fails`: what comes later is refused, or finds nobody.
    """

    what: str
    at_s: float
    words: str
    fails: bool


@dataclass(frozen=True)
class Cut:
    """A timeout of HAProxy's that ends who has waited for so long."""

    after_s: float
    words: str


@dataclass(frozen=True)
class Herd:
    """What is released at once at the end, at the backend where it takes longest. `slots` is how
    many its servers take at a time, `servers_s` how long until its queue is empty again,
    `last_wait_s` how long the last one waits there. None: unknown, as where a server has no
    maxconn; `servers_s` also where more comes than they serve.
    """

    count: int
    backend: Optional[str]
    slots: Optional[int]
    last_wait_s: Optional[float]
    servers_s: Optional[float]


@dataclass(frozen=True)
class RehearsedHaproxy:
    """One HAProxy, over the frontends that were asked for. `fills` is in the order of time.
    `passing_per_s` are requests on open connections, which a hold by maxconn does not hold.
    `in_flight` counts those of all its backends, because HAProxy does not say which are a
    frontend's. What is unknown is None.
    """

    endpoint: str
    endpoint_name: str
    methods: List[str]
    arrivals_per_s: Optional[float]
    passing_per_s: Optional[float]
    waits: List[WaitsAfter]
    fills: List[Fills]
    cuts: List[Cut]
    in_flight: Optional[float]
    drain_s: Optional[float]
    herd: Optional[Herd]
    error: Optional[Error]


@dataclass(frozen=True)
class Rehearsal(Printed):
    """A forecast, from real traffic of `watched_s` seconds. `advised_s` is the longest hold that it
    advises, and `reason` why not longer; None: nothing that was seen limits it. `fits`: a hold of
    `max_hold_s` is not longer than that, and the check refuses nothing. `exit_status` is that
    of the check, whose report is `check`: 0, 1 an endpoint failed, 3 refused.

    It prints as a table of 80 columns.
    """

    frontends: List[str]
    max_hold_s: float
    watched_s: float
    haproxies: List[RehearsedHaproxy]
    arrivals_per_s: Optional[float]
    waits: List[WaitsAfter]
    herd: Optional[int]
    drain_s: Optional[float]
    advised_s: Optional[float]
    reason: str
    fits: bool
    notes: List[str]
    exit_status: int
    check: Report = field(repr=False)

    @property
    def ok(self) -> bool:
        """The check refuses nothing, and all answered."""
        return self.exit_status == 0
