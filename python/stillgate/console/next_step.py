"""The last line of a call for whoever was woken up: what is true of the traffic, how long still,
and what to type next.
"""

from __future__ import annotations

import math
from typing import List, Optional

from stillgate.clock import wall
from stillgate.results.report import Report, Switch

MOST_NAMES = 5
SOMEBODY_ELSES = 4


def next_step(report: Report, now: float) -> Optional[str]:
    """None where the tables say all. `now` is the time of the day. Its commands lack the fleet."""
    if report.action in ("check", "cutover") or not report.switches or _is_still_held(report):
        return None
    held = [one for one in report.switches if one.verdict == "held"]
    if held:
        return _waits(report, held, now)
    unknown = [one for one in report.switches if one.verdict == "unknown"]
    if unknown:
        return _unknown(report, unknown)
    if report.action == "suspend" and report.exit_status == SOMEBODY_ELSES:
        return None  # the message has whose hold it is, until when and what ends it
    return "now: nothing is held; traffic flows"


def _is_still_held(report: Report) -> bool:
    """The message has where, until when and the command."""
    errors = [report.error, *(one.error for one in report.switches)]
    return any(one is not None and one.code == "still_held" for one in errors)


def _waits(report: Report, held: List[Switch], now: float) -> str:
    frontends = _frontends(held)
    ids = {one.hold_id for one in held}
    deadlines = [one.deadline for one in report.holds if one.id in ids]
    known = [one for one in deadlines if one is not None]
    rejects = any(found.code == "rejecting" for one in held for found in one.findings)
    what = "requests get 503" if rejects else "traffic waits"
    resume = f"'stillgate resume {frontends}'"
    if not known or len(known) < len(deadlines):
        return f"now: {what}, and only a resume ends that: {resume}"
    left = math.ceil(max(known) - now)
    if left <= 0:
        return f"now: {what}, {-left} s beyond the deadline; {resume} releases it"
    until = f"now: {what} until {wall(max(known))}, {left} s left"
    if report.exit_status == SOMEBODY_ELSES:
        return until
    more = f"'stillgate extend {frontends} 10' gives more time"
    return f"{until}; {resume} releases it, {more}"


def _unknown(report: Report, unknown: List[Switch]) -> str:
    names = list(dict.fromkeys(one.endpoint_name or one.endpoint for one in unknown))
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    where = f"{', '.join(names[:MOST_NAMES])}{more}"
    others = "flows elsewhere, and " if len(unknown) < len(report.switches) else ""
    named = _frontends(report.switches)
    verb = "status" if report.action == "status" else "resume"
    again = f"'stillgate {verb} {named}'" if named else "this again"
    return f"now: traffic {others}may wait at {where}; repair what the error names, then {again}"


def _frontends(switches: List[Switch]) -> str:
    return " ".join(dict.fromkeys(one.frontend for one in switches if one.frontend != "*"))
