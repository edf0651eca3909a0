"""Latency over time: what is drawn, its scales, and the terminal. Pure: a Picture in, text out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

SHORTEST = 1e-4  # seconds; what was faster is drawn here, for a log scale has no zero
AXIS_X = "seconds since the first request, at which a request was sent"
AXIS_Y = "time until its answer (log scale)"


@dataclass(frozen=True)
class Point:
    """One request: when it was sent, and how long it took. Seconds."""

    at: float
    wait: float
    ok: bool
    series: int = 0


@dataclass(frozen=True)
class Marker:
    """A moment with a name. Seconds."""

    at: float
    label: str


@dataclass(frozen=True)
class Picture:
    """All that is drawn; `held` is when the hold began and ended, `series` are the names of what is
    drawn in a colour of its own where there are colours.
    """

    title: str
    subtitle: str
    points: Sequence[Point]
    markers: Sequence[Marker]
    held: Optional[tuple[float, float]]
    series: Sequence[str] = ("answered",)


# --- scales ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Scales:
    """Where a point lies in the frame: 0 is left and bottom, 1 is right and top."""

    end: float
    lowest: int  # powers of ten
    highest: int

    def x(self, at: float) -> float:
        return min(max(at / self.end, 0.0), 1.0)

    def y(self, wait: float) -> float:
        place = math.log10(max(wait, SHORTEST)) - self.lowest
        return min(max(place / (self.highest - self.lowest), 0.0), 1.0)

    def ticks(self) -> list[float]:
        """At most twelve round steps."""
        steps = (base * 10.0**power for power in range(-3, 6) for base in (1, 2, 5))
        step = next(step for step in steps if self.end / step < 12)
        return [number * step for number in range(int(self.end / step + 1e-9) + 1)]


def scales(picture: Picture, width: float, widths: Sequence[float]) -> Scales:
    """Scales on which everything lies in the frame, and each marker's label (of these widths, in
    a frame of `width`) to the right of its marker too.
    """
    waits = [max(point.wait, SHORTEST) for point in picture.points] or [0.001, 1.0]
    lowest = math.floor(math.log10(min(waits)) + 1e-9)
    highest = max(math.ceil(math.log10(max(waits)) - 1e-9), lowest + 1)
    end = max([1.0, *(p.at for p in picture.points), *(picture.held or ())])
    for marker, taken in zip(picture.markers, widths):
        end = max(end, marker.at * width / max(width - taken, 1.0))
    return Scales(end, lowest, highest)


def decade(power: int) -> str:
    """The label of a power of ten of seconds."""
    return f"{10**power:g} s" if power >= 0 else f"{10 ** (power + 3):g} ms"


def lanes(starts: Sequence[float], widths: Sequence[float]) -> list[int]:
    """The height at which each label stands, 0 the lowest, so that no label crosses another, nor
    the line that leads from another down to the frame. The labels come from left to right.
    """
    found = [0] * len(starts)
    for index in reversed(range(len(starts))):
        end = starts[index] + widths[index]
        below = [found[j] for j in range(index + 1, len(starts)) if starts[j] <= end]
        found[index] = max(below, default=-1) + 1
    return found


def in_order(markers: Sequence[Marker]) -> list[Marker]:
    return sorted(markers, key=lambda marker: marker.at)


# --- the terminal ---------------------------------------------------------------------

COLUMNS, ROWS, GUTTER = 88, 16, 9
# The bits of a braille character's dots, by row and column.
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def _cells(picture: Picture, scale: Scales) -> list[list[str]]:
    bits = [[0] * COLUMNS for _ in range(ROWS)]
    failed = set()
    for point in picture.points:
        x = round(scale.x(point.at) * (COLUMNS * 2 - 1))
        y = round((1 - scale.y(point.wait)) * (ROWS * 4 - 1))
        bits[y // 4][x // 2] |= DOTS[y % 4][x % 2]
        if not point.ok:
            failed.add((y // 4, x // 2))
    cells = [[chr(0x2800 + one) if one else " " for one in row] for row in bits]
    for row, column in failed:
        cells[row][column] = "×"
    return cells


def _write(row: list[str], column: int, text: str) -> None:
    """As much of the text as the row has room for."""
    for place, letter in zip(range(column, len(row)), text):
        row[place] = letter


def terminal(picture: Picture) -> str:
    """About 100 columns of plain text."""
    markers = in_order(picture.markers)
    widths = [len(marker.label) + 2 for marker in markers]
    scale = scales(picture, COLUMNS, widths)
    columns = [round(scale.x(marker.at) * (COLUMNS - 1)) for marker in markers]
    heights = lanes(columns, widths)
    above = [[" "] * COLUMNS for _ in range(max(heights, default=-1) + 1)]
    cells = _cells(picture, scale)
    for marker, column, height in zip(markers, columns, heights):
        top = len(above) - 1 - height
        for row in [*above[top:], *cells]:
            row[column] = "│" if row[column] == " " else row[column]
        _write(above[top], column, f"┌ {marker.label}")
    powers = {
        round((1 - scale.y(10.0**power)) * (ROWS - 1)): decade(power)
        for power in range(scale.lowest, scale.highest + 1)
    }
    gutters = [f"{powers.get(row, ''):>{GUTTER - 2}} ┤" for row in range(ROWS)]
    lines = [AXIS_Y]
    lines += [" " * GUTTER + "".join(row).rstrip() for row in above]
    lines += [gutter + "".join(row).rstrip() for gutter, row in zip(gutters, cells)]
    return "\n".join([picture.title, picture.subtitle, "", *lines, *_floor(picture, scale)])


def _floor(picture: Picture, scale: Scales) -> list[str]:
    """The axis of time, strong where held, its ticks and the legend."""
    axis, numbers = ["─"] * COLUMNS, [" "] * (COLUMNS + 3)
    if picture.held:
        first, last = (round(scale.x(at) * (COLUMNS - 1)) for at in picture.held)
        _write(axis, first, "━" * (last + 1 - first))
    for tick in scale.ticks():
        column = round(scale.x(tick) * (COLUMNS - 1))
        _write(numbers, column, f"{tick:g}")
    legend = "⠿ answered   × failed" + ("   ━ held" if picture.held else "")
    return [
        " " * (GUTTER - 1) + "└" + "".join(axis),
        " " * GUTTER + "".join(numbers).rstrip(),
        " " * GUTTER + AXIS_X,
        " " * GUTTER + legend,
    ]
