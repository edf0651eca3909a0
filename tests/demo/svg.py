"""Draws latency over time as SVG. Pure: a Picture in, text out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from demo.picture import AXIS_X, AXIS_Y, Picture, Point, Scales, decade, in_order, lanes, scales

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
  .answered.s1 { stroke: #bf3989 } .answered.s2 { stroke: #1a7f37 }
  .failed { stroke: #cf222e; stroke-width: 2; fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9da7b1 }
    .paper { fill: #0d1117 } .band { fill: #3a2f10 } .grid { stroke: #2b323b }
    .axis { stroke: #9da7b1 } .marker { stroke: #e3b341 }
    .answered { stroke: #58a6ff } .answered.s1 { stroke: #f778ba }
    .answered.s2 { stroke: #3fb950 } .failed { stroke: #ff7b72 }
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
    def path(shape: str, points: Iterable[Point]) -> str:
        return "".join(f"M{frame.x(p.at):g} {frame.y(p.wait):g}{shape}" for p in points)

    parts = []
    for series in range(len(picture.series)):
        answered = (p for p in picture.points if p.ok and p.series == series)
        parts.append(f'<path class="{_kind(series)}" d="{path("h0", answered)}"/>')
    failed = (p for p in picture.points if not p.ok)
    return [*parts, f'<path class="failed" d="{path("m-4-4l8 8m-8 0l8-8", failed)}"/>']


def _kind(series: int) -> str:
    return f"answered s{series}" if series else "answered"


def _svg_legend(picture: Picture, y: float) -> list[str]:
    """In the middle, the failed last."""
    names = [*picture.series, "failed"]
    taken = [len(name) * LETTER + 34 for name in names]
    parts, x = [], (LEFT + WIDTH - RIGHT - sum(taken)) / 2
    for series, (name, width) in enumerate(zip(names, taken)):
        failed = series == len(picture.series)
        kind = "failed" if failed else _kind(series)
        drawn = f"M{x:g} {y - 8:g}l8 8m-8 0l8-8" if failed else f"M{x + 4:g} {y - 4:g}h0"
        parts.append(f'<path class="{kind}" d="{drawn}"/>')
        parts.append(_text(x + 14, y, name, "small"))
        x += width
    return parts


def svg(picture: Picture) -> str:
    """A document of its own, for light and for dark surroundings."""
    markers = in_order(picture.markers)
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
    parts += _svg_legend(picture, frame.bottom + 66)
    return "\n".join([*parts, "</svg>", ""])
