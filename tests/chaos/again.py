"""Which cells are run again: those that a machine with other things to do has spoilt."""

from __future__ import annotations

from chaos import table
from chaos.cell import Result
from chaos.expect import named_for
from chaos.matrix import Cell

# A machine with other things to do is given more time: a cell has the machine to itself, then all
# times are so many times as long.
PACES = (1.0, 1.0, 4.0, 16.0)
# Seconds that a cell's harness was kept from its work: what was broken then is asked at the next.
BUSY = 0.03
# A HAProxy among other cells may be late by so much, in seconds, without the harness being so.
AMONG_OTHERS = 1.0


def spoilt(cell: Cell, result: Result, among_others: bool) -> bool:
    """Nothing but lateness, and no more than that, is laid to the cells beside it."""
    if table.row_of(cell, result).mark != table.FAILED:
        return False
    named = {promise for one in named_for(cell) for promise in one.promises}
    broken = [one for one in result.broken if one.promise not in named]
    a_little_late = all(one.late is not None and one.late < AMONG_OTHERS for one in broken)
    return result.lag > BUSY or (among_others and a_little_late)
