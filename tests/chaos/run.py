"""Runs the fault matrix: `make chaos`, or its tenth with --short, or what is asked for by name.

    .venv/bin/python tests/chaos/run.py --variant gate-3.0 --phase committing --fault kill_deploy
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT / "tests")
sys.path.insert(1, str(ROOT / "python"))

from chaos import table  # noqa: E402
from chaos.again import PACES, spoilt  # noqa: E402
from chaos.cell import Result, play  # noqa: E402
from chaos.matrix import (  # noqa: E402
    CUTOVER_PHASES,
    FAULTS,
    PHASES,
    VARIANTS,
    Cell,
    all_cells,
    means_nothing,
    short_cells,
)
from support.clock import library  # noqa: E402
from support.haproxy.fetch import ensure  # noqa: E402

AT_ONCE = 4


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs the fault matrix.")
    for name, known in (
        ("variant", [one.name for one in VARIANTS]),
        ("phase", [*PHASES[:-1], *CUTOVER_PHASES[1:]]),
        ("fault", [*FAULTS, "none"]),
    ):
        parser.add_argument(f"--{name}", action="append", choices=known, help="again and again")
    parser.add_argument("--short", action="store_true", help="CI's tenth")
    parser.add_argument("--jobs", type=int, default=AT_ONCE, help="cells at once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the document goes there")
    return parser.parse_args()


def chosen(asked: argparse.Namespace) -> list[Cell]:
    cells = short_cells() if asked.short else list(all_cells())
    if asked.fault and "none" in asked.fault:
        cells += [Cell(one, phase, "none") for one in VARIANTS for phase in one.phases]
    return [
        cell
        for cell in cells
        if (not asked.variant or cell.variant.name in asked.variant)
        and (not asked.phase or cell.phase in asked.phase)
        and (not asked.fault or cell.fault in asked.fault)
    ]


def run_all(cells: list[Cell], jobs: int, library_file: Path) -> dict[str, Result]:
    """What a machine too busy to measure has spoilt is run again, by itself."""
    results = {}
    again = cells
    for pace in PACES:
        for cell, result in _run(again, jobs, library_file, pace):
            results[cell.name] = result
        again = [cell for cell in again if spoilt(cell, results[cell.name], jobs > 1)]
        jobs = 1
    return results


def _run(
    cells: list[Cell], jobs: int, library_file: Path, pace: float
) -> Iterable[tuple[Cell, Result]]:
    if not cells:
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(jobs, context, initializer=_take_signals) as pool:
        running: dict[Future[Result], Cell] = {
            pool.submit(play, cell, library_file, pace): cell for cell in cells
        }
        try:
            for done in as_completed(running):
                cell, result = running[done], done.result()
                mark = table.row_of(cell, result).mark
                if mark == table.FAILED:
                    _tell_failure(cell, result)
                elif sys.stderr.isatty():
                    print(f"\r{mark:6} {cell.name:60}", end="", file=sys.stderr, flush=True)
                yield cell, result
        finally:
            for future in running:
                future.cancel()


def _take_signals() -> None:
    """As Ctrl-C; a cell under way has handlers of its own."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def _tell_failure(cell: Cell, result: Result) -> None:
    print(f"\n==== FAIL {cell.name} ({result.seconds:.1f} s, lag {result.lag * 1000:.0f} ms)")
    for one in result.broken:
        print(f"  {one.promise}: {one.evidence}")
    print(result.evidence, flush=True)


def main() -> int:
    asked = options()
    _take_signals()
    cells = chosen(asked)
    meaningful = [cell for cell in cells if means_nothing(cell) is None]
    ensure(sorted({cell.variant.label for cell in meaningful}))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sgc-", dir="/tmp") as folder:
        results = run_all(meaningful, asked.jobs, library(Path(folder)))
    seconds = time.monotonic() - began
    rows = {cell.name: table.row_of(cell, results.get(cell.name)) for cell in cells}
    print(table.text(rows))
    print(table.notes(rows.values()))
    counted = table.counts(rows.values())
    told = ", ".join(f"{number} {mark}" for mark, number in sorted(counted.items()))
    print(f"\n{len(rows)} cells: {told}; {seconds / 60:.1f} min")
    if asked.json is not None:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(table.document(rows.values(), seconds), indent=1) + "\n")
    return 1 if counted.get(table.FAILED) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
