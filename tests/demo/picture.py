"""Latency over time as a picture: for a terminal, and as an SVG file. Points in, text out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Sequence
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class Point:
    """One request: seconds since the picture's beginning when it was sent, and how long it took;
    `failed` ones are drawn apart.
    """

    at: float
    seconds: float
    failed: bool = False


@dataclass(frozen=True)
class Scene:
    """What is drawn. `marks` are moments with their names, in their order; `held` is the span in
    which requests were held.
    """

    points: Sequence[Point]
    held: tuple[float, float]
    marks: Sequence[tuple[float, str]]
    title: str = ""
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def end(self) -> float:
        """Seconds on the time axis: a whole number, 1 at least."""
        latest = max([self.held[1], *(at for at, _ in self.marks), *(p.at for p in self.points)])
        return max(1.0, math.ceil(latest))

    @property
    def decades(self) -> tuple[int, int]:
        """The powers of ten, in seconds, between which all latencies lie."""
        values = [max(p.seconds, 1e-4) for p in self.points] or [0.001, 1.0]
        low = math.floor(math.log10(min(values)))
        high = math.ceil(math.log10(max(values)))
        return low, max(high, low + 1)


def decade_name(power: int) -> str:
    return f"{10**power:g} s" if power >= 0 else f"{10 ** (power + 3):g} ms"


# --- the terminal ---------------------------------------------------------------------

ROWS = 14
FAILED = "x"
SHADES = "·•●"


def terminal(scene: Scene, width: int = 96) -> str:
    """Rows of a logarithmic latency, columns of time; x is a failed request."""
    low, high = scene.decades
    margin = max(len(decade_name(power)) for power in range(low, high + 1)) + 1
    columns = max(width - margin - 1, 20)
    counts: dict[tuple[int, int], int] = {}
    failed: set[tuple[int, int]] = set()
    for point in scene.points:
        column = min(int(point.at / scene.end * columns), columns - 1)
        height = (math.log10(max(point.seconds, 1e-4)) - low) / (high - low)
        cell = (min(max(int(height * ROWS), 0), ROWS - 1), column)
        counts[cell] = counts.get(cell, 0) + 1
        if point.failed:
            failed.add(cell)
    names = {
        min(round((power - low) / (high - low) * ROWS), ROWS - 1): decade_name(power)
        for power in range(low, high + 1)
    }
    marks = {min(int(at / scene.end * columns), columns - 1) for at, _ in scene.marks}
    lines = []
    for row in reversed(range(ROWS)):
        cells = "".join(_cell(counts, failed, marks, (row, column)) for column in range(columns))
        lines.append(f"{names.get(row, ''):>{margin - 1}} │{cells}")
    lines.append(" " * margin + "└" + "─" * columns)
    lines += _time_axis(scene, margin, columns)
    return "\n".join(line.rstrip() for line in lines)


def _cell(
    counts: dict[tuple[int, int], int],
    failed: set[tuple[int, int]],
    marks: set[int],
    cell: tuple[int, int],
) -> str:
    if cell in failed:
        return FAILED
    count = counts.get(cell, 0)
    if count == 0:
        return "┊" if cell[1] in marks else " "
    return SHADES[0 if count < 4 else 1 if count < 16 else 2]


def _time_axis(scene: Scene, margin: int, columns: int) -> list[str]:
    step = max(1, round(scene.end / 10))
    axis = [" "] * (columns + 8)
    for second in range(0, int(scene.end) + 1, step):
        begin = min(int(second / scene.end * columns), columns - 1)
        behind = begin + len(f"{second} s")
        axis[begin:behind] = f"{second} s"
    lines = [" " * (margin + 1) + "".join(axis)]
    for at, name in scene.marks:
        column = min(int(at / scene.end * columns), columns - 1)
        label = f"┊ {name} at {at:.2f} s"
        # One line each: marks may lie close together.
        column = min(column, columns - len(label))
        lines.append(" " * (margin + 1 + max(column, 0)) + label)
    return lines


# --- SVG ------------------------------------------------------------------------------

WIDTH, HEIGHT = 960, 460
LEFT, RIGHT, TOP, BOTTOM = 88, 24, 92, 56
STYLE = """
svg { background: #ffffff; color: #1c2733; font: 13px system-ui, sans-serif; }
text { fill: currentColor } .title { font-size: 17px; font-weight: 600 }
.note { fill: #5a6875 } .grid { stroke: #d8dee4; stroke-width: 1 }
.held { fill: #f2b84b; fill-opacity: .18 } .mark { stroke: #a15c00; stroke-dasharray: 4 3 }
.marked { fill: #a15c00; font-weight: 600 }
.marked { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
.ok { fill: #1f6fb2; fill-opacity: .55 }
.failed { fill: #c62828 } .axis { stroke: currentColor; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  svg { background: #14191f; color: #e3e9ef } .note { fill: #93a1ae } .grid { stroke: #2b343d }
  .held { fill-opacity: .14 } .mark { stroke: #f2b84b } .marked { fill: #f2b84b; stroke: #14191f }
  .ok { fill: #6cb6f5 } .failed { fill: #ff6b6b }
}
"""


def svg(scene: Scene) -> str:
    """A self-contained picture, for light and dark backgrounds."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{escape(scene.title, {chr(34): "&quot;"})}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="28">{escape(scene.title)}</text>',
    ]
    for number, note in enumerate(scene.notes):
        parts.append(f'<text class="note" x="{LEFT}" y="{48 + 17 * number}">{escape(note)}</text>')
    parts += _held_and_grid(scene)
    parts += _dots(scene)
    parts += _marks(scene)
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">'
        "seconds since the load began; each dot is one request, where it was sent</text>"
    )
    parts.append(
        f'<text transform="translate(20 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
        'text-anchor="middle">time until the answer</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def _x(scene: Scene, at: float) -> float:
    return LEFT + at / scene.end * (WIDTH - LEFT - RIGHT)


def _y(scene: Scene, seconds: float) -> float:
    low, high = scene.decades
    height = (math.log10(max(seconds, 1e-4)) - low) / (high - low)
    return HEIGHT - BOTTOM - height * (HEIGHT - TOP - BOTTOM)


def _held_and_grid(scene: Scene) -> list[str]:
    bottom = HEIGHT - BOTTOM
    start, end = (_x(scene, at) for at in scene.held)
    parts = [
        f'<rect class="held" x="{start:.1f}" y="{TOP}" width="{max(end - start, 0):.1f}" '
        f'height="{bottom - TOP}"/>'
    ]
    low, high = scene.decades
    for power in range(low, high + 1):
        y = _y(scene, 10.0**power)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{decade_name(power)}</text>'
        )
    for second in range(0, int(scene.end) + 1, max(1, round(scene.end / 12))):
        x = _x(scene, second)
        parts.append(
            f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="{bottom + 19}" text-anchor="middle">{second}</text>')
    parts.append(
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    )
    return parts


def _dots(scene: Scene) -> list[str]:
    """Where several fall on one place, one is drawn; failed ones on top."""
    places: dict[tuple[float, float], bool] = {}
    for point in scene.points:
        place = (round(_x(scene, point.at), 1), round(_y(scene, point.seconds), 1))
        places[place] = places.get(place, False) or point.failed
    ordered = sorted(places.items(), key=lambda one: one[1])
    return [
        f'<circle class="{"failed" if failed else "ok"}" cx="{x}" cy="{y}" '
        f'r="{3 if failed else 1.6}"/>'
        for (x, y), failed in ordered
    ]


def _marks(scene: Scene) -> list[str]:
    """Names stand beside their lines at heights of their own, so that none covers another."""
    parts = []
    for number, (at, name) in enumerate(scene.marks):
        x = _x(scene, at)
        parts.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        )
        left = x > WIDTH * 0.75
        anchor, offset = ("end", -5) if left else ("start", 5)
        parts.append(
            f'<text class="marked" x="{x + offset:.1f}" y="{TOP + 14 + 17 * number}" '
            f'text-anchor="{anchor}">{escape(name)}</text>'
        )
    return parts
