"""The last line of a call for whoever was woken up: what is true of the traffic, how long still,
and what to type next.
"""

from __future__ import annotations

import math
from typing import Callable, List, Optional, Sequence, Set

from stillgate.clock import wall
from stillgate.results.hold import Hold
from stillgate.results.report import Report, Switch

MOST_NAMES = 5
SOMEBODY_ELSES = 4


def next_step(
    report: Report, now: float, is_mine: Callable[[Hold], bool] = lambda hold: True
) -> Optional[str]:
    """None where the tables say all. `now` is the time of the day. Its commands lack the fleet.
    `is_mine` says whether a bare resume from here ends that hold before its deadline.
    """
    if report.action in ("check", "cutover") or not report.switches or _is_still_held(report):
        return None
    held = [one for one in report.switches if one.verdict == "held"]
    if held:
        return _waits(report, held, now, is_mine)
    unknown = [one for one in report.switches if one.verdict == "unknown"]
    if unknown:
        return _unknown(report, unknown)
    if report.action == "suspend" and report.exit_status == SOMEBODY_ELSES:
        return None  # the message has whose hold it is, until when and what ends it
    return _flows(report)


def after_hold(
    status: int, suspended: Optional[Report], resumed: Optional[Report], now: float
) -> Optional[str]:
    """The same for a `hold` that ended with `status`. Where all went well, the sentence with which
    it ends says that it was resumed.
    """
    if status == 0:
        return None
    report = resumed or suspended
    if report is None:
        return "now: nothing was held; traffic is as before"
    return next_step(report, now)


def _is_still_held(report: Report) -> bool:
    """The message has where, until when and the command."""
    errors = [report.error, *(one.error for one in report.switches)]
    return any(one is not None and one.code == "still_held" for one in errors)


def _flows(report: Report) -> str:
    """But for what it is that nobody here holds."""
    zero = [one for one in report.switches if "limit_is_zero" in _codes(one)]
    if zero:
        names = _frontends(zero)
        return (
            f"now: nothing is held by this call; new connections wait at {names} for a limit of "
            f"0, and only 'stillgate resume {names} --limit N' ends that"
        )
    stopped = _frontends([one for one in report.switches if "frontend_stopped" in _codes(one)])
    if stopped:
        others = ", and elsewhere traffic flows" if stopped != _frontends(report.switches) else ""
        return f"now: nothing is held; {stopped} refuses its clients{others}"
    unseen = [one for one in report.switches if one.version is None]
    flows = "now: nothing is held; traffic flows"
    return f"{flows}, and is at {_places(unseen)} as before" if unseen else flows


def _codes(one: Switch) -> Set[str]:
    """Of its error and its findings."""
    return {found.code for found in one.findings} | ({one.error.code} if one.error else set())


def _waits(report: Report, held: List[Switch], now: float, is_mine: Callable[[Hold], bool]) -> str:
    frontends = _frontends(held)
    ids = {one.hold_id for one in held}
    deadlines = [one.deadline for one in report.holds if one.id in ids]
    if ids == {None}:
        # By hand, or by nobody known: there is no old limit to restore.
        is_zero = all(one.limit_now == 0 for one in held)
        number = " --limit N" if is_zero else ""
        return f"now: traffic waits, and only 'stillgate resume {frontends}{number}' ends that"
    known = [one for one in deadlines if one is not None]
    rejects = any(found.code == "rejecting" for one in held for found in one.findings)
    what = "requests get 503" if rejects else "traffic waits"
    resume = f"'stillgate resume {frontends}'"
    others = [one.owner for one in report.holds if one.id in ids and not is_mine(one)]
    sooner = (
        f"{', '.join(dict.fromkeys(others))} can release it sooner, "
        f"'stillgate resume {frontends} --force --reason TEXT' overrules"
    )
    if not known or len(known) < len(deadlines):
        if others:
            return f"now: {what}, without a deadline; {sooner}"
        return f"now: {what}, and only a resume ends that: {resume}"
    left = math.ceil(max(known) - now)
    if left <= 0:
        return f"now: {what}, {-left} s beyond the deadline; {resume} releases it"
    until = f"now: {what} until {wall(max(known))}, {left} s left"
    if report.exit_status == SOMEBODY_ELSES:
        return until
    if others:
        return f"{until}; {sooner}"
    more = f"'stillgate extend {frontends} 10' gives more time"
    return f"{until}; {resume} releases it, {more}"


def _unknown(report: Report, unknown: List[Switch]) -> str:
    where = _places(unknown)
    others = "flows elsewhere, and " if len(unknown) < len(report.switches) else ""
    # Without a name it is asked for all.
    named = "" if any(one.frontend == "*" for one in unknown) else _frontends(report.switches)
    verb = "status" if report.action == "status" else "resume"
    again = f"'stillgate {verb} {named}'" if named else "this again"
    return f"now: traffic {others}may wait at {where}; repair what the error names, then {again}"


def _places(switches: Sequence[Switch]) -> str:
    names = list(dict.fromkeys(one.endpoint_name or one.endpoint for one in switches))
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more}"


def _frontends(switches: Sequence[Switch]) -> str:
    return " ".join(dict.fromkeys(one.frontend for one in switches if one.frontend != "*"))
