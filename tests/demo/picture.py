"""Draws latency over time, for the terminal and as SVG. Pure: a Picture in, text out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional
from xml.sax.saxutils import escape

SHORTEST = 1e-4  # seconds; what was faster is drawn here, for a log scale has no zero
AXIS_X = "seconds since the first request, at which a request was sent"
AXIS_Y = "time until its answer (log scale)"


@dataclass(frozen=True)
class Point:
    """One request: when it was sent, and how long it took. Seconds."""

    at: float
    wait: float
    ok: bool


@dataclass(frozen=True)
class Marker:
    """A moment with a name. Seconds."""

    at: float
    label: str


@dataclass(frozen=True)
class Picture:
    """All that is drawn; `held` is when the hold began and ended."""

    title: str
    subtitle: str
    points: Sequence[Point]
    markers: Sequence[Marker]
    held: Optional[tuple[float, float]]


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


def _in_order(markers: Sequence[Marker]) -> list[Marker]:
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
    markers = _in_order(picture.markers)
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


# --- SVG ------------------------------------------------------------------------------

WIDTH, LEFT, RIGHT = 960, 84, 24
TOP, HEIGHT, BOTTOM = 74, 330, 84  # TOP is without the labels' lanes
LANE, LETTER = 20, 6.9  # pixels: a lane's height; a letter's width, at most on the average
STYLE = """
  text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: #24292f }
  .title { font-size: 17px; font-weight: 600 }
  .small { font-size: 12px; fill: #57606a }
  .paper { fill: #ffffff } .band { fill: #fff1c9 } .grid { stroke: #d8dee4 }
  .axis { stroke: #57606a } .marker { stroke: #9a6700; stroke-dasharray: 4 3 }
  .answered { stroke: #0969da; stroke-width: 3; stroke-linecap: round; fill: none }
  .failed { stroke: #cf222e; stroke-width: 2; fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9da7b1 }
    .paper { fill: #0d1117 } .band { fill: #3a2f10 } .grid { stroke: #2b323b }
    .axis { stroke: #9da7b1 } .marker { stroke: #e3b341 }
    .answered { stroke: #58a6ff } .failed { stroke: #ff7b72 }
  }
"""


@dataclass(frozen=True)
class Frame:
    """Where the scales' unit square lies on the paper. Pixels."""

    scale: Scales
    top: float

    @property
    def bottom(self) -> float:
        return self.top + HEIGHT

    def x(self, at: float) -> float:
        return round(LEFT + self.scale.x(at) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, wait: float) -> float:
        return round(self.bottom - self.scale.y(wait) * HEIGHT, 1)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>'


def _svg_band(picture: Picture, frame: Frame) -> list[str]:
    if picture.held is None:
        return []
    left, right = map(frame.x, picture.held)
    place = f'x="{left:g}" y="{frame.top:g}" width="{right - left:g}" height="{HEIGHT}"'
    text = f"held for {picture.held[1] - picture.held[0]:.2f} s"
    # Before the first marker's line, where held requests leave the band empty.
    lines = [frame.x(marker.at) for marker in picture.markers if frame.x(marker.at) > left]
    fits = 16 + len(text) * LETTER * 12 / 13 < min([right, *lines]) - left
    words = _text(left + 8, frame.bottom - 10, text, "small")
    return [f'<rect class="band" {place}/>'] + ([words] if fits else [])


def _svg_axes(frame: Frame) -> list[str]:
    parts, right, bottom = [], WIDTH - RIGHT, frame.bottom
    for power in range(frame.scale.lowest, frame.scale.highest + 1):
        y = frame.y(10.0**power)
        parts.append(_line("grid", LEFT, y, right, y))
        parts.append(_text(LEFT - 8, y + 4, decade(power), "small", "end"))
    for tick in frame.scale.ticks():
        x = frame.x(tick)
        parts.append(_line("axis", x, bottom, x, bottom + 5))
        parts.append(_text(x, bottom + 20, f"{tick:g}", "small", "middle"))
    parts.append(_line("axis", LEFT, bottom, right, bottom))
    parts.append(_line("axis", LEFT, frame.top, LEFT, bottom))
    parts.append(_text((LEFT + right) / 2, bottom + 42, AXIS_X, "small", "middle"))
    turned = _text(0, 0, AXIS_Y, "small", "middle")
    place = f"translate(20 {frame.top + HEIGHT / 2:g}) rotate(-90)"
    return [*parts, f'<g transform="{place}">{turned}</g>']


def _svg_points(picture: Picture, frame: Frame) -> list[str]:
    def path(ok: bool, shape: str) -> str:
        at = [f"M{frame.x(p.at):g} {frame.y(p.wait):g}" for p in picture.points if p.ok == ok]
        return "".join(one + shape for one in at)

    return [
        f'<path class="answered" d="{path(True, "h0")}"/>',
        f'<path class="failed" d="{path(False, "m-4-4l8 8m-8 0l8-8")}"/>',
    ]


def svg(picture: Picture) -> str:
    """A document of its own, for light and for dark surroundings."""
    markers = _in_order(picture.markers)
    widths = [len(marker.label) * LETTER + 10 for marker in markers]
    scale = scales(picture, WIDTH - LEFT - RIGHT, widths)
    heights = lanes([Frame(scale, 0).x(marker.at) for marker in markers], widths)
    frame = Frame(scale, TOP + LANE * (max(heights, default=-1) + 1))
    total = frame.bottom + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total:g}" role="img">',
        f"<title>{escape(picture.title)}</title><style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{total:g}" rx="8"/>',
        _text(LEFT, 32, picture.title, "title"),
        _text(LEFT, 54, picture.subtitle, "small"),
        *_svg_band(picture, frame),
        *_svg_axes(frame),
        *_svg_points(picture, frame),
    ]
    for marker, height in zip(markers, heights):
        x, y = frame.x(marker.at), frame.top - LANE * height - 6
        parts.append(_line("marker", x, y - 11, x, frame.bottom))
        parts.append(_text(x + 6, y, marker.label))
    y, middle = frame.bottom + 66, (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<path class="answered" d="M{middle - 90:g} {y - 4:g}h0"/>')
    parts.append(_text(middle - 80, y, "answered", "small"))
    parts.append(f'<path class="failed" d="M{middle + 30:g} {y - 8:g}l8 8m-8 0l8-8"/>')
    parts.append(_text(middle + 46, y, "failed", "small"))
    return "\n".join([*parts, "</svg>", ""])
