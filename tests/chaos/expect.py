"""The cells that cannot be met, each with its reason. What is not named here must be well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Optional

from chaos.matrix import Cell


@dataclass(frozen=True)
class Named:
    """`where` is a pattern of cells' names, variant/phase/fault; `promises` are those not kept."""

    where: str
    promises: tuple[str, ...]
    reason: str

    def covers(self, cell: Cell) -> bool:
        return fnmatchcase(cell.name, self.where)


NOBODY_LEFT = (
    "nobody of the controller's side is left to remove the journal's record: the next resume does"
)
NOT_READ_BACK = (
    "what a HAProxy that is down held cannot be read back: its record stays for the next resume"
)
NAMED: tuple[Named, ...] = (
    Named("gate-*/kill_deploy", ("record_left",), NOBODY_LEFT),
    Named("*/kill_both", ("record_left",), NOBODY_LEFT),
    Named("*/haproxy_kill", ("record_left",), NOT_READ_BACK),
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
