"""How a call ended: its report, down to each switch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional

from stillgate.results.cutover import CutoverResult
from stillgate.results.hold import Hold
from stillgate.results.outcome import Error
from stillgate.results.printing import Printed

__all__ = ["Finding", "GateCounters", "HoldEnd", "OldWorkers", "Report", "Switch"]


@dataclass(frozen=True)
class Finding:
    """Something that the check found; `level` is info, warning or refusal."""

    code: str
    level: str
    message: str


@dataclass(frozen=True)
class GateCounters:
    """The gate's counters for the hold in effect, or for the last one: requests that had to wait;
    of those the released ones and the ones whose clients left (where HAProxy noticed); requests
    answered 503, above the limit or past the deadline. While it holds, the last two say how many
    may wait, and why not more: max_waiting, maxconn or tune.lua.maxmem.
    """

    most_waiting: int
    held: int
    released: int
    given_up: int
    rejected: int
    longest_wait_ms: float
    bound: Optional[int] = None
    bound_by: Optional[str] = None


@dataclass(frozen=True)
class OldWorkers:
    """Requests that waited in workers that a reload replaced, of the same hold: that wait now; went
    to the servers of that worker's configuration; were answered 503; waited in a worker that says
    nothing any more. `pids` are the processes in which some wait.
    """

    waiting: int
    released: int
    rejected: int
    silent: int
    pids: str


@dataclass(frozen=True)
class HoldEnd:
    """How a hold had ended before its resume. `how` is expired (its deadline), resumed (by somebody
    else), guard_ended (its guard got SIGTERM) or opened (by hand, by a reload); `at` is seconds
    since the epoch; `by` is haproxy, guard or who resumed; `requests_since` is the most that can
    have reached a server since the hold was drained. What is unknown is None.
    """

    how: str
    at: Optional[float]
    by: Optional[str]
    requests_since: Optional[int]


@dataclass(frozen=True)
class Switch:
    """One frontend at one endpoint, and what is true of it after the call.

    `endpoint` is its URL, `endpoint_name` the short name that tables, errors and events use.
    `verdict` is unchanged, held, reverted, resumed, open or unknown; `method` is gate or maxconn,
    how it is held, or in a check how it would be; `lease` is haproxy (HAProxy ends it by itself),
    guard (a process on the machine that suspended does), guard+wait (HAProxy too, as a backup),
    none (nothing does) or None (not held). `limit_before` is the one to restore. `waiting` and
    `gate` are None under maxconn, where clients wait in the kernel. `in_flight` counts requests
    in flight, `leaked` is the most that can have reached a server since the drain; both are None
    where that is unknown. `rate` counts requests (in tcp mode connections) in the last second, in a
    suspend of before the hold. `ended`, of a resume that came too late, is how the hold had ended.
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
    ended: Optional[HoldEnd] = None
    old_workers: Optional[OldWorkers] = None
    endpoint_name: str = ""
    rate: Optional[int] = None


@dataclass(frozen=True)
class Report(Printed):
    """How a call ended. `exit_status` is the command line's: 0 done, 1 an endpoint failed, 3
    refused by the check, 4 held by somebody else, 5 a resume that came too late, 130 stopped.
    `commit_window_ms` runs from the first byte sent to the last answer, `skew_ms` is the estimated
    spread of the instants at which the HAProxies switched; `drained` says whether the requests
    already in flight had been served. `cutover` is what became of one that was asked for, else
    None. `document` is what --json prints.

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
    cutover: Optional[CutoverResult] = None
    document: Dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def first_error(self) -> Optional[Error]:
        """The one to tell first: the call's own, else a switch's that is not a consequence of
        another's.
        """
        if self.error:
            return self.error
        errors = [switch.error for switch in self.switches if switch.error]
        causes = [error for error in errors if error.code != "rolled_back"]
        return next(iter(causes or errors), None)


def undone_after_all(cut: Report, back: Report) -> Report:
    """The report of a cutover whose state was unknown, once `back` has restored the old values
    on every HAProxy.
    """
    assert cut.cutover is not None and back.cutover is not None
    words = "the cutover could not be had everywhere, and was undone in the end; see its changes"
    now = {(one.endpoint, one.what): one.now for one in back.cutover.changes}

    def state(one: Mapping[str, Any]) -> Dict[str, Any]:
        place = (one["endpoint"], one["what"])
        return {"state": "undone", "now": now[place]} if one["written"] and place in now else {}

    changes = [replace(one, **state(asdict(one))) for one in cut.cutover.changes]
    told = cut.document["cutover"]
    document = {
        **cut.document,
        "error": {**cut.document["error"], "code": "cutover_undone", "message": words},
        "cutover": {
            **told,
            "state": "undone",
            "changes": [{**one, **state(one)} for one in told["changes"]],
        },
    }
    error = replace(cut.error, code="cutover_undone", message=words) if cut.error else None
    cutover = replace(cut.cutover, state="undone", changes=changes)
    return replace(cut, error=error, cutover=cutover, document=document)
