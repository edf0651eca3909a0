"""Whether what was seen of a cell keeps the promises: a list of those broken, with the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from chaos.faults import Effects
from chaos.traffic import Request
from chaos.witness import Look

# On a machine with nothing else to do; a cell with a slower pace has that many times as much.
LATE = 0.25  # seconds behind the deadline at which nothing may be held any more
AT_ONCE = 0.02
RELOADING = 2.0
WAKING = 0.25  # and behind the end of a stop of HAProxy itself, for all that it missed


@dataclass(frozen=True)
class Broken:
    """One promise that was not kept: held_late, request_failed, leak, limit, wrong_code (at the
    HAProxy that the fault struck: wrong_code_there), process_left, record_left (a resume takes it
    away), file_left (nothing does), crashed. Or the harness failed: not_reached, harness. `late` is
    by how many seconds, where that alone was broken.
    """

    promise: str
    evidence: str
    late: Optional[float] = None


@dataclass
class Seen:
    """All that a cell saw of one of its HAProxies. `deadline` None: nothing was ever committed.
    `effects` are those of the fault on the victim, and empty for the other.
    """

    name: str
    looks: Sequence[Look]
    requests: Sequence[Request]
    deadline: Optional[float]
    began: Optional[float]
    effects: Effects
    limit_at_end: Optional[int]
    held_at_end: Optional[bool]
    limit: int
    by_gate: bool
    pace: float = 1.0


def promises_broken(seen: Seen) -> list[Broken]:
    found = [_held_late(seen), _waited_too_long(seen), _failed(seen), _leaked(seen), _limit(seen)]
    found.append(_wrong_code(seen))
    return [one for one in found if one is not None]


def _may_hold_until(seen: Seen) -> float:
    assert seen.deadline is not None
    until = seen.deadline + seen.pace * LATE
    # A process that is stopped can open nothing.
    down_to = seen.effects.down_to
    return until if down_to is None else max(until, down_to + seen.pace * (LATE + WAKING))


def _held_late(seen: Seen) -> Optional[Broken]:
    """A look that was asked behind the end and found it held still."""
    if seen.deadline is None:
        held = [look for look in seen.looks if look.held]
        return Broken("held_late", f"{seen.name}: held, and no commit seen") if held else None
    until = _may_hold_until(seen)
    late = [look for look in seen.looks if look.held and look.asked > until]
    if not late:
        return None
    by = late[-1].asked - seen.deadline
    words = f"{seen.name}: still held {by * 1000:.0f} ms behind the deadline"
    return Broken("held_late", words, by)


def _waited_too_long(seen: Seen) -> Optional[Broken]:
    """What its clients saw of it: they reach the application no later than that."""
    if seen.deadline is None:
        return None
    until = _may_hold_until(seen)
    late = [
        one
        for one in seen.requests
        if one.arrived is not None and not _while_down(seen, one) and one.sent <= seen.deadline
        if one.arrived > until
    ]
    if not late:
        return None
    by = max(one.arrived or 0.0 for one in late) - seen.deadline
    words = (
        f"{seen.name}: {len(late)} requests went on up to {by * 1000:.0f} ms behind the deadline"
    )
    return Broken("held_late", words, by)


def _while_down(seen: Seen, request: Request) -> bool:
    """Whether its HAProxy did not run for some of the request's time."""
    down_from, down_to = seen.effects.down_from, seen.effects.down_to
    if down_from is None:
        return False
    ended = float("inf") if request.finished is None else request.finished
    return ended >= down_from and (down_to is None or request.sent <= down_to)


def _lost_with_haproxy(seen: Seen, request: Request) -> bool:
    """Whether it was there when its HAProxy ended. One that was only stopped loses nothing."""
    return seen.effects.replaced and _while_down(seen, request)


def _met_a_close(seen: Seen, request: Request) -> bool:
    """Whether it was sent on an idle connection in the instant in which a worker that is replaced
    closed that: every reload does so, held or not, and clients send such a request again.
    """
    at, finished = seen.effects.at, request.finished
    if not seen.effects.replaced or at is None or finished is None:
        return False
    at_once = finished - request.sent < seen.pace * AT_ONCE
    return (
        request.kind.startswith("keep") and at_once and at <= finished <= at + seen.pace * RELOADING
    )


def _failed(seen: Seen) -> Optional[Broken]:
    failed = [
        one
        for one in seen.requests
        if not one.ok and not _lost_with_haproxy(seen, one) and not _met_a_close(seen, one)
    ]
    if not failed:
        return None
    first = failed[0]
    why = first.error or f"status {first.status}"
    began = min(one.sent for one in seen.requests)
    ended = first.sent if first.finished is None else first.finished
    reached = "never" if first.arrived is None else f"{first.arrived - began:.3f} s"
    words = (
        f"{seen.name}: {len(failed)} of {len(seen.requests)} failed, first a {first.kind}: {why}; "
        f"sent {first.sent - began:.3f} s behind the first one, ended {ended - began:.3f} s, "
        f"at the application {reached}"
    )
    return Broken("request_failed", words)


def _leaked(seen: Seen) -> Optional[Broken]:
    """What reached the application between two looks that both found it held. A hold by maxconn
    ends with the process that held, and what takes its place may have served at once.
    """
    if seen.began is None or (seen.effects.replaced and not seen.by_gate):
        return None
    arrived = sorted(one.arrived for one in seen.requests if one.arrived is not None)
    leaked = 0
    for first, second in zip(seen.looks, seen.looks[1:]):
        if first.held and second.held:
            after = max(first.told, seen.began)
            leaked += sum(after < at < second.asked for at in arrived)
    if not leaked:
        return None
    return Broken("leak", f"{seen.name}: {leaked} requests reached the application while held")


def _wrong_code(seen: Seen) -> Optional[Broken]:
    """Requests that the old code had on the new schema, or the new code on the old one."""
    wrong = [one for one in seen.requests if one.wrong and one.arrived is not None]
    if not wrong:
        return None
    first = min(one.arrived or 0.0 for one in wrong)
    behind = "" if seen.deadline is None else f", {first - seen.deadline:+.3f} s to the deadline"
    promise = "wrong_code" if seen.effects.at is None else "wrong_code_there"
    return Broken(promise, f"{seen.name}: {len(wrong)} requests met the wrong schema{behind}")


def _limit(seen: Seen) -> Optional[Broken]:
    if seen.limit_at_end == seen.limit and not seen.held_at_end:
        return None
    held = ", held" if seen.held_at_end else ""
    return Broken("limit", f"{seen.name}: limit {seen.limit_at_end} at the end{held}")
