"""Draws a hold over time as SVG. Pure: a Picture in, text out."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Iterable, List

from stillgate.console.picture import Picture, Point, Scales, in_order, lanes, scales
from stillgate.results.printing import tamed

WIDTH, LEFT, RIGHT = 960, 84, 24
TOP, HEIGHT, BOTTOM = 74, 330, 84  # TOP is without the labels' lanes
BARE = 56  # in place of BOTTOM, where there is no legend
MOST_TITLE, MOST_WORDS = 74, 115  # letters that have room
LANE, LETTER = 20, 6.9  # pixels: a lane's height; a letter's width, at most on the average
# All of it inside .hold: in a page it is not to reach what is around it.
LIGHT = """
  .hold text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: #24292f }
  .hold .title { font-size: 17px; font-weight: 600 }
  .hold .small { font-size: 12px; fill: #57606a }
  .hold .paper { fill: #ffffff } .hold .band { fill: #fff1c9 } .hold .grid { stroke: #d8dee4 }
  .hold .axis { stroke: #57606a } .hold .marker { stroke: #9a6700; stroke-dasharray: 4 3 }
  .hold .curve { stroke: #0969da; stroke-width: 2; fill: none }
  .hold .area { fill: #0969da; fill-opacity: 0.2 }
  .hold .answered { stroke: #0969da; stroke-width: 3; stroke-linecap: round; fill: none }
  .hold .answered.s1 { stroke: #bf3989 } .hold .answered.s2 { stroke: #1a7f37 }
  .hold .failed { stroke: #cf222e; stroke-width: 2; fill: none }
"""
DARK = """
    .hold text { fill: #e6edf3 } .hold .small { fill: #9da7b1 }
    .hold .paper { fill: #0d1117 } .hold .band { fill: #3a2f10 } .hold .grid { stroke: #2b323b }
    .hold .axis { stroke: #9da7b1 } .hold .marker { stroke: #e3b341 }
    .hold .curve { stroke: #58a6ff } .hold .area { fill: #58a6ff }
    .hold .answered { stroke: #58a6ff } .hold .answered.s1 { stroke: #f778ba }
    .hold .answered.s2 { stroke: #3fb950 } .hold .failed { stroke: #ff7b72 }
"""
STYLE = f"{LIGHT}  @media (prefers-color-scheme: dark) {{{DARK}  }}\n"


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


def _plain(text: str) -> str:
    return escape(tamed(text), quote=False)


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 3]}..."


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{_plain(text)}</text>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>'


def _svg_band(picture: Picture, frame: Frame) -> List[str]:
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


def _svg_axes(picture: Picture, frame: Frame) -> List[str]:
    parts, right, bottom = [], WIDTH - RIGHT, frame.bottom
    for value, label in frame.scale.grid():
        y = frame.y(value)
        parts.append(_line("grid", LEFT, y, right, y))
        parts.append(_text(LEFT - 8, y + 4, label, "small", "end"))
    for tick in frame.scale.ticks():
        x = frame.x(tick)
        parts.append(_line("axis", x, bottom, x, bottom + 5))
        parts.append(_text(x, bottom + 20, f"{tick:g}", "small", "middle"))
    parts.append(_line("axis", LEFT, bottom, right, bottom))
    parts.append(_line("axis", LEFT, frame.top, LEFT, bottom))
    parts.append(_text((LEFT + right) / 2, bottom + 42, picture.axis_x, "small", "middle"))
    turned = _text(0, 0, picture.axis_y, "small", "middle")
    place = f"translate(20 {frame.top + HEIGHT / 2:g}) rotate(-90)"
    return [*parts, f'<g transform="{place}">{turned}</g>']


def _svg_points(picture: Picture, frame: Frame) -> List[str]:
    def path(shape: str, points: Iterable[Point]) -> str:
        return "".join(f"M{frame.x(p.at):g} {frame.y(p.wait):g}{shape}" for p in points)

    parts = []
    for series in range(len(picture.series)):
        answered = (p for p in picture.points if p.ok and p.series == series)
        parts.append(f'<path class="{_kind(series)}" d="{path("h0", answered)}"/>')
    failed = (p for p in picture.points if not p.ok)
    return [*parts, f'<path class="failed" d="{path("m-4-4l8 8m-8 0l8-8", failed)}"/>']


def _svg_curve(picture: Picture, frame: Frame) -> List[str]:
    if not picture.curve:
        return [_text(LEFT + 12, frame.top + 20, "how many waited is unknown", "small")]
    points = " ".join(f"{frame.x(at):g},{frame.y(count):g}" for at, count in picture.curve)
    first, last = frame.x(picture.curve[0][0]), frame.x(picture.curve[-1][0])
    area = f"{first:g},{frame.bottom:g} {points} {last:g},{frame.bottom:g}"
    return [
        f'<polygon class="area" points="{area}"/>',
        f'<polyline class="curve" points="{points}"/>',
    ]


def _kind(series: int) -> str:
    return f"answered s{series}" if series else "answered"


def _svg_legend(picture: Picture, y: float) -> List[str]:
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
    """A document of its own, for light and for dark surroundings; also for a place in a page."""
    markers = in_order(picture.markers)
    widths = [len(marker.label) * LETTER + 10 for marker in markers]
    scale = scales(picture, WIDTH - LEFT - RIGHT, widths)
    heights = lanes([Frame(scale, 0).x(marker.at) for marker in markers], widths)
    frame = Frame(scale, TOP + LANE * (max(heights, default=-1) + 1))
    total = frame.bottom + (BARE if picture.counts else BOTTOM)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" '
        f'class="hold" viewBox="0 0 {WIDTH} {total:g}" role="img">',
        f"<title>{_plain(picture.title)}</title><style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{total:g}" rx="8"/>',
        _text(LEFT, 32, _cut(picture.title, MOST_TITLE), "title"),
        _text(LEFT, 54, _cut(picture.subtitle, MOST_WORDS), "small"),
        *_svg_band(picture, frame),
        *_svg_axes(picture, frame),
        *(_svg_curve(picture, frame) if picture.counts else _svg_points(picture, frame)),
    ]
    for marker, height in zip(markers, heights):
        x, y = frame.x(marker.at), frame.top - LANE * height - 6
        parts.append(_line("marker", x, y - 11, x, frame.bottom))
        parts.append(_text(x + 6, y, marker.label))
    if not picture.counts:
        parts += _svg_legend(picture, frame.bottom + 66)
    return "\n".join([*parts, "</svg>", ""])
