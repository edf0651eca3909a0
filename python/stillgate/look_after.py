"""The look at a cutover when all is released: a reload that ended after it has lost what it set."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Protocol

from stillgate.clock import boot_time
from stillgate.errors import EndpointFailed, ReportError, StillgateError
from stillgate.results.cutover import Cutover, CutoverChange
from stillgate.results.haproxy import Info
from stillgate.results.lists import Answers
from stillgate.results.outcome import Error
from stillgate.results.report import Report

SETTLING = 1.0  # seconds; no stats socket announces a reload that is under way
PAUSE = 0.1


class CutoverFleet(Protocol):
    """A fleet, as far as it cuts over."""

    def cutover(
        self, cutover: Cutover, *, dry_run: bool = False, retry_for: float = 10.0
    ) -> Report:
        ...

    def info(self) -> Answers[Info]:
        ...


class Process(NamedTuple):
    """Of an HAProxy: in a container its successor may have the same pid."""

    pid: int
    uptime_s: int

    def is_still(self, now: Optional[Process]) -> bool:
        """Whether it is this one that answers now."""
        return now is not None and now.pid == self.pid and now.uptime_s >= self.uptime_s


def processes(fleet: CutoverFleet) -> Dict[str, Process]:
    """Which process answers at each endpoint that does."""
    known = {one.endpoint: one.value for one in fleet.info() if one.value is not None}
    return {url: Process(info.pid, info.uptime_s) for url, info in known.items()}


def look_after(
    fleet: CutoverFleet,
    released: Report,
    told: Mapping[str, Any],
    retry_for: float,
    before: Mapping[str, Process],
) -> Report:
    """The report of a release after the cutover `told`, as it is once that was looked at: for
    SETTLING, on new connections. If it is no longer in effect it is applied once more, and the
    report has the error `cutover_lost`. In a process that was there `before`, and so has lost
    nothing, somebody wants other values, as a block that has taken its cutover back.
    """
    cutover = Cutover(**told)
    give_up_at = boot_time() + SETTLING
    while True:
        last = boot_time() >= give_up_at
        lost = _lost(fleet, cutover)
        if lost and before:
            now = processes(fleet)
            lost = [one for one in lost if not _is_wanted(one, before, now)]
        if lost:
            words = f"{_words(lost)}; {_applied_again(fleet, cutover, retry_for)}"
            return _with_error(released, words)
        if last:
            return released
        time.sleep(PAUSE)


def _lost(fleet: CutoverFleet, cutover: Cutover) -> List[CutoverChange]:
    """What is known to be another value than was set."""
    try:
        report = fleet.cutover(cutover, dry_run=True, retry_for=0.0)
    except ReportError as error:
        report = error.report
    found = report.cutover.changes if report.cutover else []
    return [one for one in found if one.now is not None and one.now != one.wanted]


def _is_wanted(
    change: CutoverChange, before: Mapping[str, Process], now: Mapping[str, Process]
) -> bool:
    known = before.get(change.endpoint)
    return known is not None and known.is_still(now.get(change.endpoint))


def _applied_again(fleet: CutoverFleet, cutover: Cutover, retry_for: float) -> str:
    try:
        fleet.cutover(cutover, retry_for=retry_for)
        return "it was applied again and is in effect, but until then requests met the old values"
    except StillgateError as error:
        return f"it could not be applied again ({error}); run 'stillgate cutover {cutover.name}'"


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
