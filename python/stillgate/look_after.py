"""The look at a cutover when all is released: a reload that ended after it has lost what it set."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Protocol, Set

from stillgate.clock import boot_time
from stillgate.errors import EndpointFailed, ReportError, StillgateError
from stillgate.results.cutover import Cutover, CutoverChange
from stillgate.results.haproxy import Info
from stillgate.results.lists import Answers
from stillgate.results.outcome import Error
from stillgate.results.report import Report

SETTLING = 1.0  # seconds; no stats socket announces a reload that is under way
PAUSE = 0.1
STOPPED = "cancelled"  # the code of an endpoint of a call that a stop() has ended


class CutoverFleet(Protocol):
    """A fleet, as far as it cuts over."""

    def cutover(
        self,
        cutover: Cutover,
        *,
        ready_first: float = 0.0,
        back: bool = False,
        dry_run: bool = False,
        retry_for: float = 10.0,
    ) -> Report:
        ...

    def info(self) -> Answers[Info]:
        ...


class Process(NamedTuple):
    """Of an HAProxy: in a container its successor may have the same pid."""

    pid: int
    uptime_s: int
    asked_at: float
    told_at: float

    def is_still(self, now: Optional[Process]) -> bool:
        """Whether it is this one that answers now. HAProxy tells whole seconds."""
        if now is None or now.pid != self.pid:
            return False
        return now.asked_at - now.uptime_s <= self.told_at - self.uptime_s + 1


def processes(fleet: CutoverFleet) -> Dict[str, Process]:
    """Which process answers at each endpoint that does. Errors: KeyboardInterrupt, at its stop."""
    asked_at = boot_time()
    answers = fleet.info()
    told_at = boot_time()
    if any(one.error is not None and one.error.code == STOPPED for one in answers):
        raise KeyboardInterrupt
    known = {one.endpoint: one.value for one in answers if one.value is not None}
    return {url: Process(info.pid, info.uptime_s, asked_at, told_at) for url, info in known.items()}


class Sought(NamedTuple):
    """What was to be in effect, and how it was come by."""

    cutover: Cutover
    retry_for: float
    ready_first: float
    """Seconds in which servers are checked that a reload has brought back to `maint`."""
    written: FrozenSet[str] = frozenset()
    """The endpoints at which it has changed something: for these its record says so."""


def written_at(*reports: Optional[Report]) -> FrozenSet[str]:
    """The endpoints at which the cutover of these reports has changed something."""
    cutovers = [one.cutover for one in reports if one is not None and one.cutover is not None]
    return frozenset(
        change.endpoint for one in cutovers for change in one.changes if change.written > 0
    )


def look_after(
    fleet: CutoverFleet, released: Report, sought: Sought, before: Mapping[str, Process]
) -> Report:
    """The report of a release after a cutover, as it is once that was looked at: for SETTLING, on
    new connections. If it is no longer in effect it is applied once more, and the report has the
    error `cutover_lost`. What somebody has restored on purpose is not lost: where the process is
    there that has had it (`before` the cutover, or in a look), or where its record has ended.
    """
    give_up_at = boot_time() + SETTLING
    had: Dict[str, Process] = dict(before)
    # Before the values: a process that is there afterwards, too, is the one that has them.
    answering = processes(fleet)
    while True:
        last = boot_time() >= give_up_at
        found = _found(fleet, sought.cutover)
        lost = [one for one in found if one.now is not None and one.now != one.wanted]
        others = {one.endpoint for one in found if one.now != one.wanted}
        had.update({url: answering[url] for url in _places(found) - others if url in answering})
        if lost:
            lost = _without_wanted(fleet, sought, lost, had)
        if lost:
            words = f"{_words(lost)}; {_applied_again(fleet, sought)}"
            return _with_error(released, words)
        if last:
            return released
        time.sleep(PAUSE)


def _found(fleet: CutoverFleet, cutover: Cutover) -> List[CutoverChange]:
    """What is there, as far as it can be known."""
    try:
        report = fleet.cutover(cutover, dry_run=True, retry_for=0.0)
    except ReportError as error:
        report = error.report
    return report.cutover.changes if report.cutover else []


def _places(changes: Iterable[CutoverChange]) -> Set[str]:
    return {one.endpoint for one in changes}


def _without_wanted(
    fleet: CutoverFleet, sought: Sought, lost: List[CutoverChange], had: Mapping[str, Process]
) -> List[CutoverChange]:
    """Without what somebody has changed on purpose."""
    now = processes(fleet)
    lost = [
        one
        for one in lost
        if one.endpoint not in had or not had[one.endpoint].is_still(now.get(one.endpoint))
    ]
    if not _places(lost) & sought.written:
        return lost
    taken_back = _taken_back(fleet, sought)
    return [one for one in lost if one.endpoint not in taken_back]


def _taken_back(fleet: CutoverFleet, sought: Sought) -> Set[str]:
    """Where its record has ended: with `cutover --back`, and with nothing else."""
    try:
        report = fleet.cutover(sought.cutover, back=True, dry_run=True, retry_for=0.0)
    except ReportError as error:
        return set(sought.written) if error.code == "cutover_no_record" else set()
    return set(sought.written) - _places(report.cutover.changes if report.cutover else [])


def _applied_again(fleet: CutoverFleet, sought: Sought) -> str:
    """A reload brings a server that is `disabled` in the configuration back to `maint`, where
    nothing checks it.
    """
    cutover, retry_for = sought.cutover, sought.retry_for
    ready_first = sought.ready_first or retry_for
    command = f"stillgate cutover {cutover.name}"
    try:
        try:
            fleet.cutover(cutover, retry_for=retry_for)
        except ReportError as error:
            if error.code != "cutover_none_up":
                raise
            command = f"{command} --ready-first {ready_first:g}"
            fleet.cutover(cutover, ready_first=ready_first, retry_for=retry_for)
        return "it was applied again and is in effect, but until then requests met the old values"
    except StillgateError as error:
        serve = ", with the same --serve if it is in no inventory"
        return f"it could not be applied again ({error}); run '{command}'{serve}"


def _words(lost: List[CutoverChange]) -> str:
    places: Dict[str, List[str]] = {}
    for one in lost:
        told = f"{one.what} is {one.now}, not {one.wanted}"
        places.setdefault(one.endpoint_name or one.endpoint, []).append(told)
    listed = "; ".join(f"{place}: {', '.join(told)}" for place, told in places.items())
    return (
        "the cutover was lost after the release: other values are there than were set, as after "
        f"a reload ({listed})"
    )


def _with_error(released: Report, words: str) -> Report:
    """Beside what else the release met."""
    met: Optional[Error] = released.error
    error = Error("cutover_lost", words if met is None else f"{words}; and: {met}")
    status = released.exit_status or EndpointFailed.exit_status
    document = {**released.document, "ok": False, "error": vars(error)}
    return replace(released, ok=False, exit_status=status, error=error, document=document)
