"""What the matrix is made of: variants, phases, faults, the cells that mean nothing, CI's tenth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

PHASES = (
    "connecting",
    "checking",
    "arming",
    "committing",
    "verifying",
    "draining",
    "holding",
    "resuming",
)
# With a cutover behind the command: what is before is as without one.
CUTOVER_PHASES = ("holding", "proving", "cutting", "resuming")
FAULTS = {
    "kill_deploy": "SIGKILL of the deploy process",
    "kill_guard": "SIGKILL of the guard, its standby included",
    "kill_one_guard": "SIGKILL of one of the guard's two processes",
    "kill_both": "SIGKILL of the deploy process and the guard",
    "int_deploy": "SIGINT of the deploy process",
    "term_deploy": "SIGTERM of the deploy process",
    "hup_deploy": "SIGHUP of the deploy process",
    "stop_deploy": "SIGSTOP of the deploy process",
    "haproxy_kill": "SIGKILL of one HAProxy",
    "haproxy_restart": "restart of one HAProxy",
    "haproxy_reload": "reload of one HAProxy",
    "haproxy_pause": "SIGSTOP of one HAProxy for 1 s",
    "haproxy_stop": "SIGSTOP of one HAProxy for good",
    "socket_removed": "the stats socket's file removed",
    "reset": "all connections to one HAProxy reset",
    "cut": "the path to one HAProxy cut without a word",
    "stall": "the path to one HAProxy stalled, and going on behind the deadline",
    "delay": "the answers of one HAProxy delayed by 500 ms",
    "disk_full": "the disk full for the journal",
    "files_full": "no more file or connection to be had by the guard",
    "memory_full": "no more memory to be had by the guard",
    "clock_forward": "the controller's clock stepped by an hour forward",
    "clock_back": "the controller's clock stepped by an hour back",
    "frozen": "everything on the controller frozen, the guard included",
}
OF_THE_GUARD = ("kill_guard", "kill_one_guard", "kill_both", "files_full", "memory_full")
AGAIN_LATER = 3  # phases between the two of a fault


@dataclass(frozen=True)
class Variant:
    """A method on an HAProxy version, by its label, without a cutover or with one."""

    method: str
    label: str
    cutover: bool = False

    @property
    def name(self) -> str:
        return f"{self.method}-{self.label}{'-cutover' if self.cutover else ''}"

    @property
    def phases(self) -> tuple[str, ...]:
        return CUTOVER_PHASES if self.cutover else PHASES


VARIANTS = tuple(
    Variant(method, label, cutover)
    for method, label, cutover in (
        ("gate", "3.0", False),
        ("gate", "sid", False),
        ("gate", "2.6", False),
        ("maxconn", "3.0", False),
        ("maxconn", "sid", False),
        ("gate", "3.0", True),
        ("maxconn", "3.0", True),
        ("gate", "2.6", True),
        ("gate", "sid", True),
        ("maxconn", "sid", True),
    )
)
# Of the cutover's cells, those of the short tenth: its holder and one of its HAProxies die where
# that hurts most.
SHORT_CUTOVER = (
    ("gate", "cutting", "kill_deploy"),
    ("gate", "cutting", "haproxy_kill"),
    ("gate", "proving", "haproxy_reload"),
    ("maxconn", "cutting", "kill_deploy"),
    ("maxconn", "cutting", "reset"),
    ("maxconn", "resuming", "kill_deploy"),
)


@dataclass(frozen=True)
class Cell:
    """One fault in one phase of one variant."""

    variant: Variant
    phase: str
    fault: str

    @property
    def name(self) -> str:
        return f"{self.variant.name}/{self.phase}/{self.fault}"


def means_nothing(cell: Cell) -> Optional[str]:
    """Why such a cell is not run; None where it is."""
    if cell.fault not in OF_THE_GUARD:
        return None
    if cell.variant.method == "gate":
        return "a hold by the gate has no guard: HAProxy ends it itself"
    if cell.phase in ("connecting", "checking") and cell.fault != "kill_both":
        return "there is no guard yet"
    return None


def all_cells() -> Iterator[Cell]:
    for variant in VARIANTS:
        for fault in FAULTS:
            for phase in variant.phases:
                yield Cell(variant, phase, fault)


def short_cells() -> list[Cell]:
    """A tenth, always the same: each fault twice with each method, on versions and in phases that
    take turns, so that every phase of every variant is there.
    """
    chosen = []
    for method in ("gate", "maxconn"):
        variants = [one for one in VARIANTS if one.method == method and not one.cutover]
        turn = 0
        for number, fault in enumerate(FAULTS):
            for again in range(2):
                cell = _next_meaningful(variants, fault, number + again * AGAIN_LATER, turn)
                turn += 1
                if cell is not None:
                    chosen.append(cell)
    for method, phase, fault in SHORT_CUTOVER:
        chosen.append(Cell(Variant(method, "3.0", True), phase, fault))
    return list(dict.fromkeys(chosen))


def _next_meaningful(
    variants: list[Variant], fault: str, first_phase: int, turn: int
) -> Optional[Cell]:
    for step in range(len(PHASES)):
        phase = PHASES[(first_phase + step) % len(PHASES)]
        cell = Cell(variants[turn % len(variants)], phase, fault)
        if means_nothing(cell) is None:
            return cell
    return None
