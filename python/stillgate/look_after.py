"""The look at a cutover when all is released: a reload that ended after it has lost what it set."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional

from stillgate.clock import boot_time
from stillgate.errors import ReportError, StillgateError
from stillgate.fleet import Fleet
from stillgate.results.cutover import CutoverChange

SETTLING = 1.0  # seconds; no stats socket announces a reload that is under way
PAUSE = 0.1


def apply_again_if_lost(fleet: Fleet, cutover: Any, retry_for: float) -> Optional[StillgateError]:
    """Looks for SETTLING, on new connections, whether the cutover that was applied is in effect
    still. Where it is not, it is applied once more. None: it was in effect all the time.
    """
    give_up_at = boot_time() + SETTLING
    while True:
        last = boot_time() >= give_up_at
        lost = _lost(fleet, cutover)
        if lost:
            return _applied_again(fleet, cutover, retry_for, lost)
        if last:
            return None
        time.sleep(PAUSE)


def _lost(fleet: Fleet, cutover: Any) -> List[CutoverChange]:
    """What is known to be another value than was set."""
    try:
        report = fleet.cutover(cutover, dry_run=True, retry_for=0.0)
    except ReportError as error:
        report = error.report
    found = report.cutover.changes if report.cutover else []
    return [one for one in found if one.now is not None and one.now != one.wanted]


def _applied_again(
    fleet: Fleet, cutover: Any, retry_for: float, lost: List[CutoverChange]
) -> StillgateError:
    name = cutover if isinstance(cutover, str) else cutover.name
    try:
        fleet.cutover(cutover, retry_for=retry_for)
        then = "it was applied again and is in effect, but until then requests met the old values"
    except StillgateError as error:
        then = f"it could not be applied again ({error}); run 'stillgate cutover {name}'"
    return StillgateError("cutover_lost", f"{_words(lost)}; {then}")


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
