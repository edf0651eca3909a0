"""What calls give back: outcomes of a command, and reports of check, suspend and resume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Dict, Generic, List, Optional, TypeVar

import stillgate._core as _core
from stillgate.printing import Printed

if TYPE_CHECKING:
    from rich.console import Console

    from stillgate.events import Event

__all__ = [
    "Answer",
    "Error",
    "Finding",
    "GateCounters",
    "Hold",
    "Info",
    "Outcome",
    "Report",
    "StatRow",
    "Switch",
    "Timings",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Error:
    """`code` is one of docs/errors.md; `partial` is what of a reply had come when it broke off."""

    code: str
    message: str
    haproxy: Optional[str] = None
    partial: Optional[str] = None

    def __str__(self) -> str:
        words = f" (HAProxy: {self.haproxy})" if self.haproxy else ""
        return f"{self.code}: {self.message}{words}"


@dataclass(frozen=True)
class Timings:
    """Milliseconds since the call began; None for what was not reached."""

    connected_ms: Optional[float]
    sent_ms: Optional[float]
    answered_ms: Optional[float]


@dataclass(frozen=True)
class Outcome:
    """What came of one command at one endpoint: exactly one of `reply` and `error` is set."""

    endpoint: str
    reply: Optional[str]
    error: Optional[Error]
    timings: Timings

    @property
    def ok(self) -> bool:
        """HAProxy answered, whatever its words."""
        return self.error is None


@dataclass(frozen=True)
class Answer(Generic[T]):
    """A typed outcome: exactly one of `value` and `error` is set."""

    endpoint: str
    value: Optional[T]
    error: Optional[Error]


@dataclass(frozen=True)
class Info:
    """`show info`. `fields` holds all of it, as HAProxy wrote it; what a release does not say is
    None: 2.2 and older tell nothing of `stopping`.
    """

    version: str
    pid: int
    uptime_s: int
    node: str
    name: str
    stopping: Optional[bool]
    maxconn: Optional[int]
    curr_conns: Optional[int]
    fields: Dict[str, str] = field(repr=False)

    @staticmethod
    def parse(text: str) -> Info:
        """InputError (malformed_reply) where the text is not one."""
        fields = _core.parse_info(text)
        stopping = _number(fields.get("Stopping"))
        return Info(
            version=fields["Version"],
            pid=int(fields["Pid"]),
            uptime_s=int(fields["Uptime_sec"]),
            node=fields.get("node", ""),
            name=fields.get("Name", ""),
            stopping=None if stopping is None else stopping != 0,
            maxconn=_number(fields.get("Maxconn")),
            curr_conns=_number(fields.get("CurrConns")),
            fields=fields,
        )


@dataclass(frozen=True)
class StatRow:
    """One row of `show stat`. `fields` holds all columns; a number that is not there is None."""

    pxname: str
    svname: str
    status: str
    fields: Dict[str, str] = field(repr=False)

    @staticmethod
    def parse(text: str) -> List[StatRow]:
        """InputError (malformed_reply) where the text is not one."""
        return [
            StatRow(row["pxname"], row["svname"], row.get("status", ""), row)
            for row in _core.parse_stat(text)
        ]

    def number(self, column: str) -> Optional[int]:
        """None where the column is missing, empty or no number."""
        return _number(self.fields.get(column))

    @property
    def type(self) -> Optional[int]:
        """0 frontend, 1 backend, 2 server, 3 listener."""
        return self.number("type")

    @property
    def slim(self) -> Optional[int]:
        """The limit of connections, as it is now."""
        return self.number("slim")

    @property
    def scur(self) -> Optional[int]:
        """Sessions now."""
        return self.number("scur")

    @property
    def qcur(self) -> Optional[int]:
        """Requests queued now."""
        return self.number("qcur")

    @property
    def stot(self) -> Optional[int]:
        """Sessions so far."""
        return self.number("stot")


@dataclass(frozen=True)
class Finding:
    """Something that the check found; `level` is info, warning or refusal."""

    code: str
    level: str
    message: str


@dataclass(frozen=True)
class GateCounters:
    """What a gate counted of the hold that is in effect, or of the last one: requests that had to
    wait, and of those the ones let through and the ones whose clients left (where HAProxy noticed);
    requests answered 503, for the bound or past the deadline.
    """

    most_waiting: int
    held: int
    released: int
    given_up: int
    rejected: int
    longest_wait_ms: float


@dataclass(frozen=True)
class Switch:
    """One frontend at one endpoint, and what is true of it after the call.

    `verdict` is unchanged, held, reverted, resumed, open or unknown; `method` is gate or maxconn,
    how it is held, or in a check how it would be; `lease` is haproxy (HAProxy ends it by itself),
    guard (a process on the machine that suspended does), guard+wait (and HAProxy behind that), none
    (nobody does) or None (not held). `limit_before` is the one to restore. `waiting` and
    `gate` are None under maxconn, where clients wait in the kernel. `in_flight` counts requests
    that were let in and are still being served, `leaked` bounds those that reached a server after
    that; both are None where it cannot be known.
    """

    endpoint: str
    frontend: str
    hold_id: Optional[str]
    verdict: str
    method: Optional[str]
    lease: Optional[str]
    limit_before: Optional[int]
    limit_now: Optional[int]
    waiting: Optional[int]
    gate: Optional[GateCounters]
    in_flight: Optional[int]
    leaked: Optional[int]
    version: Optional[str]
    rtt_ms: Optional[float]
    findings: List[Finding]
    error: Optional[Error]


@dataclass(frozen=True)
class Hold:
    """A suspension; times are seconds since the epoch. Without a deadline it is yours to end.
    `events`, in a status, is what the guard of this machine did to it.
    """

    id: str
    owner: str
    reason: str
    frontends: List[str]
    started_at: float
    deadline: Optional[float]
    max_hold_s: Optional[float]
    events: List[Event] = field(default_factory=list)


@dataclass(frozen=True)
class Report(Printed):
    """How a call ended. `exit_status` is the command line's: 0 done, 1 an endpoint failed, 3
    refused by the check, 4 held by somebody else, 130 stopped. `commit_window_ms` runs from the
    first byte sent to the last answer, `skew_ms` is the estimated spread of the instants at which
    the HAProxies switched; `drained` says whether what was let in before had been served.

    It prints as a table.
    """

    action: str
    ok: bool
    exit_status: int
    holds: List[Hold]
    switches: List[Switch]
    commit_window_ms: Optional[float]
    skew_ms: Optional[float]
    drained: Optional[bool]
    drain_ms: Optional[float]
    error: Optional[Error]

    def first_error(self) -> Optional[Error]:
        """The one to tell first: the call's own, else a switch's that is not a consequence of
        another's.
        """
        if self.error:
            return self.error
        errors = [switch.error for switch in self.switches if switch.error]
        causes = [error for error in errors if error.code != "rolled_back"]
        return next(iter(causes or errors), None)

    def _draw(self, out: Console) -> None:
        from stillgate.tables import draw_report

        draw_report(out, self)


def _number(text: Optional[str]) -> Optional[int]:
    try:
        return int(text or "")
    except ValueError:
        return None


def to_error(core: Optional[_core.Error]) -> Optional[Error]:
    if core is None:
        return None
    return Error(core.code, core.message, core.haproxy, core.partial)


def to_outcome(core: _core.Outcome) -> Outcome:
    timings = core.timings
    return Outcome(
        core.endpoint,
        core.reply,
        to_error(core.error),
        Timings(timings.connected_ms, timings.sent_ms, timings.answered_ms),
    )


def _to_counters(core: Optional[_core.GateCounters]) -> Optional[GateCounters]:
    if core is None:
        return None
    return GateCounters(
        most_waiting=core.most_waiting,
        held=core.held,
        released=core.released,
        given_up=core.given_up,
        rejected=core.rejected,
        longest_wait_ms=core.longest_wait_ms,
    )


def _to_switch(core: _core.Switch) -> Switch:
    return Switch(
        endpoint=core.endpoint,
        frontend=core.frontend,
        hold_id=core.hold_id,
        verdict=core.verdict,
        method=core.method,
        lease=core.lease,
        limit_before=core.limit_before,
        limit_now=core.limit_now,
        waiting=core.waiting,
        gate=_to_counters(core.gate),
        in_flight=core.in_flight,
        leaked=core.leaked,
        version=core.version,
        rtt_ms=core.rtt_ms,
        findings=[Finding(one.code, one.level, one.message) for one in core.findings],
        error=to_error(core.error),
    )


def to_report(core: _core.Report) -> Report:
    return Report(
        action=core.action,
        ok=core.ok,
        exit_status=core.exit_status,
        holds=[
            Hold(
                id=one.id,
                owner=one.owner,
                reason=one.reason,
                frontends=list(one.frontends),
                started_at=one.started_at,
                deadline=one.deadline,
                max_hold_s=one.max_hold_s,
            )
            for one in core.holds
        ],
        switches=[_to_switch(one) for one in core.switches],
        commit_window_ms=core.commit_window_ms,
        skew_ms=core.skew_ms,
        drained=core.drained,
        drain_ms=core.drain_ms,
        error=to_error(core.error),
    )
