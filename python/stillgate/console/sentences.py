"""Sentences for people about a hold, made of its reports."""

from __future__ import annotations

import shlex
from typing import List, Optional, Sequence

from stillgate.results.report import GateCounters, Report, Switch


def resumed_words(resumed: Report, held_s: Optional[float]) -> str:
    """How it ended, for those who waited: `Resumed after 3.1 s: 600 requests waited, ...`."""
    after = "" if held_s is None else f" after {held_s:.1f} s"
    return f"Resumed{after}: {waited_words(resumed.switches)}; {leaked_words(resumed.switches)}."


def waited_words(switches: Sequence[Switch]) -> str:
    """By the gates' counters."""
    gates = [one.gate for one in switches if one.gate]
    if not gates:
        return "how many requests waited is unknown"
    waited = sum(gate.held for gate in gates)
    longest = max(gate.longest_wait_ms for gate in gates) / 1000
    least = "" if len(gates) == len(switches) else "at least "
    if waited == 0 and not least:
        told = ["no request waited"]
    else:
        told = [f"{least}{_requests(waited)} waited, the longest {longest:.1f} s"]
    return ", ".join([*told, *_others(gates)])


def leaked_words(switches: Sequence[Switch]) -> str:
    leaked = [one.leaked for one in switches if one.leaked is not None]
    if not leaked:
        return "how many leaked is unknown"
    return f"{sum(leaked):,} leaked" + (
        "" if len(leaked) == len(switches) else " where it is known"
    )


def rejecting_words(switches: Sequence[Switch], unsure: bool) -> Optional[str]:
    """Of those that were held with `--on-expiry reject`, and not resumed for certain. `unsure`: the
    cutover may be in effect there.
    """
    left = [one for one in switches if one.verdict in ("held", "unknown")]
    if not left:
        return None
    places = sorted({f"{one.frontend} at {one.endpoint_name or one.endpoint}" for one in left})
    command = ["stillgate", "resume", *sorted({one.frontend for one in left})]
    command += sorted({f"--hold={one.hold_id}" for one in left if one.hold_id})
    for url in dict.fromkeys(one.endpoint for one in left):
        command += ["-e", url]
    first = "restore the cutover first (stillgate cutover NAME --back); then: " if unsure else ""
    return (
        f"{', '.join(places)}: if still held at the deadline, 503 is answered there "
        f"(--on-expiry reject) until somebody resumes; {first}{shlex.join(command)}"
    )


def _others(gates: Sequence[GateCounters]) -> List[str]:
    given_up = sum(gate.given_up for gate in gates)
    rejected = sum(gate.rejected for gate in gates)
    told = []
    if given_up:
        told.append(f"{given_up:,} gave up")
    if rejected:
        told.append(f"{rejected:,} got 503")
    return told


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"
