"""The matrix as a table for people and as a document for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from chaos.cell import Result
from chaos.expect import NAMED, Named, named_for, reason_for
from chaos.matrix import FAULTS, VARIANTS, Cell, means_nothing

OK, NAMED_MARK, BETTER, NOTHING, FAILED, NOT_RUN = "ok", "named", "better", "n/a", "FAIL", ""


@dataclass(frozen=True)
class Row:
    """What is told of one cell."""

    cell: Cell
    mark: str
    reason: Optional[str]
    result: Optional[Result]


def row_of(cell: Cell, result: Optional[Result], table: Iterable[Named] = NAMED) -> Row:
    nothing = means_nothing(cell)
    if nothing is not None:
        return Row(cell, NOTHING, nothing, None)
    if result is None:
        return Row(cell, NOT_RUN, None, None)
    table = list(table)
    if not result.broken:
        named = named_for(cell, table)
        reason = "; ".join(one.reason for one in named) or None
        return Row(cell, BETTER if named else OK, reason, result)
    reason = reason_for(cell, [one.promise for one in result.broken], table)
    return Row(cell, FAILED if reason is None else NAMED_MARK, reason, result)


def text(rows: Mapping[str, Row]) -> str:
    """One table per variant of which anything ran."""
    lines = []
    for variant in VARIANTS:
        found = {key: row for key, row in rows.items() if row.cell.variant == variant}
        if not any(row.mark not in (NOTHING, NOT_RUN) for row in found.values()):
            continue
        lines += ["", variant.name, _columns(variant.phases)]
        for fault in FAULTS:
            cells = [found.get(Cell(variant, phase, fault).name) for phase in variant.phases]
            marks = "".join(f"{row.mark if row else NOT_RUN:>11}" for row in cells)
            if marks.strip():
                lines.append(f"{fault:15}{marks}")
    return "\n".join(lines)


def _columns(phases: Iterable[str]) -> str:
    return f"{'':15}" + "".join(f"{phase:>11}" for phase in phases)


def notes(rows: Iterable[Row]) -> str:
    """The reasons of the cells that are named, once each, and what broke in those that failed."""
    rows = list(rows)
    lines = []
    for mark, title in ((NAMED_MARK, "Named"), (BETTER, "Named, and well all the same")):
        reasons: dict[str, list[str]] = {}
        for row in rows:
            if row.mark == mark:
                reasons.setdefault(row.reason or "", []).append(row.cell.name)
        for reason, names in reasons.items():
            lines += ["", f"{title}: {reason}", *(f"  {name}" for name in names)]
    for row in rows:
        if row.mark == FAILED and row.result is not None:
            lines += ["", f"FAIL {row.cell.name}"]
            lines += [f"  {one.promise}: {one.evidence}" for one in row.result.broken]
    return "\n".join(lines)


def counts(rows: Iterable[Row]) -> dict[str, int]:
    return dict(Counter(row.mark for row in rows if row.mark != NOT_RUN))


def document(rows: Iterable[Row], seconds: float) -> dict[str, Any]:
    rows = [row for row in rows if row.mark != NOT_RUN]
    return {
        "schema": 1,
        "seconds": round(seconds, 1),
        "counts": counts(rows),
        "cells": [
            {
                "variant": row.cell.variant.name,
                "phase": row.cell.phase,
                "fault": row.cell.fault,
                "mark": row.mark,
                "reason": row.reason,
                "result": None if row.result is None else row.result.as_dict(),
            }
            for row in rows
        ],
    }
