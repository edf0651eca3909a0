"""The cells that cannot be met, each with its reason. What is not named here must be well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Optional

from chaos.matrix import CUTOVER_PHASES, PHASES, Cell


@dataclass(frozen=True)
class Named:
    """`variant` is a pattern of their names; `promises` are those not kept. Without `phases` it is
    all of them.
    """

    variant: str
    faults: tuple[str, ...]
    promises: tuple[str, ...]
    reason: str
    phases: tuple[str, ...] = (*PHASES, *CUTOVER_PHASES)

    def covers(self, cell: Cell) -> bool:
        same = cell.fault in self.faults and cell.phase in self.phases
        return same and fnmatchcase(cell.variant.name, self.variant)


NOBODY_LEFT = (
    "nobody of the controller's side is left to remove the journal's record: the next resume does"
)
NOT_READ_BACK = (
    "what a HAProxy that is down held cannot be read back: its record stays for the next resume"
)
SILENT_AT_THE_END = (
    "an HAProxy that gives no answer when its hold ends cannot say what it has open: the record "
    "stays for the next resume"
)
ALL_KILLED = (
    "every process that could end the hold was killed at once; HAProxy's own wait ends with its "
    "connection, so that no death lets it fire early: the next resume ends the hold"
)
LATE_COMMIT = (
    "a commit that a stalled path delivers behind the deadline is taken by HAProxy; the deploy or "
    "the guard undoes it within a few ms"
)
STATES_LOST = (
    "all was cut over, and it comes back with what is configured, as behind every later restart: "
    "have the same there, or a state file"
)
RELOAD_BEHIND = (
    "the reload ends behind the release: the cutover was applied and read back in the worker that "
    "is about to be replaced, and nothing on a stats socket announces the new one"
)
REOPENED = (
    "a hold by maxconn ends with its process: what is started in its place serves a few requests "
    "as configured, until it is held again"
)
ALL_FROZEN = (
    "nobody is awake to cut over or to undo the command before the deadline; a gate can answer 503 "
    "from there on (--on-expiry reject)"
)
OLD_WORKER = (
    "what waits in a worker that a reload replaces goes to that worker's servers: with "
    "--on-reload reject it is answered 503"
)
STAYS_AWAY = (
    "the change has come to it, and then it is away until behind its deadline: the others go back, "
    "with the command; a gate can answer 503 there (--on-expiry reject)"
)
BEHIND_THE_COMMAND = CUTOVER_PHASES[1:]
NAMED: tuple[Named, ...] = (
    Named(
        "gate-*", ("kill_deploy",), ("record_left",), NOBODY_LEFT, (*PHASES[2:], *CUTOVER_PHASES)
    ),
    Named(
        "gate-*",
        ("haproxy_kill",),
        ("record_left",),
        NOT_READ_BACK,
        ("committing", "verifying", "draining"),
    ),
    # Only where the answers last beyond the deadline, as on a busy machine.
    Named("gate-*", ("delay",), ("record_left",), SILENT_AT_THE_END, ("cutting", "resuming")),
    Named("gate-*-cutover", ("stall",), ("record_left",), SILENT_AT_THE_END, ("proving",)),
    Named(
        "maxconn-*",
        ("kill_both",),
        ("held_late", "record_left"),
        ALL_KILLED,
        (*PHASES[2:], *CUTOVER_PHASES),
    ),
    Named(
        "*-cutover",
        ("haproxy_kill", "haproxy_restart"),
        ("wrong_code_there",),
        STATES_LOST,
        ("resuming",),
    ),
    Named(
        "*-cutover", ("haproxy_reload",), ("wrong_code_there",), RELOAD_BEHIND, BEHIND_THE_COMMAND
    ),
    Named(
        "maxconn-*-cutover",
        ("haproxy_restart",),
        ("wrong_code_there",),
        REOPENED,
        CUTOVER_PHASES[:3],
    ),
    Named(
        "*-cutover",
        ("socket_removed", "cut", "stall", "haproxy_stop"),
        ("wrong_code_there",),
        STAYS_AWAY,
        ("cutting",),
    ),
    Named(
        "*-cutover",
        ("frozen",),
        ("wrong_code", "wrong_code_there"),
        ALL_FROZEN,
        ("holding", "proving"),
    ),
    Named("gate-*-cutover", ("haproxy_reload",), ("wrong_code_there",), OLD_WORKER, ("holding",)),
    Named("maxconn-*", ("stall",), ("held_late",), LATE_COMMIT, ("committing",)),
)


def named_for(cell: Cell, table: Iterable[Named] = NAMED) -> list[Named]:
    return [one for one in table if one.covers(cell)]


def reason_for(cell: Cell, broken: Iterable[str], table: Iterable[Named] = NAMED) -> Optional[str]:
    """The reasons where every promise that was broken is named for this cell; else None."""
    named = named_for(cell, table)
    reasons = []
    for promise in dict.fromkeys(broken):
        found = [one.reason for one in named if promise in one.promises]
        if not found:
            return None
        reasons += found
    return "; ".join(dict.fromkeys(reasons)) or None
