"""What is drawn of a hold over time, and on which scales: how many waited, or how long each request
took. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple, Union

SHORTEST = 1e-4  # seconds; what was faster is drawn here, for a log scale has no zero
STEPS = (1, 2, 5)  # of a scale, times a power of ten


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
    """All that is drawn; `held` is when the hold began and ended.

    Either requests are drawn, `points`, and `series` are the names of what has a colour of its own
    where there are colours; or `curve`, how many waited: seconds and numbers. None: nobody counted.
    """

    title: str
    subtitle: str
    points: Sequence[Point]
    markers: Sequence[Marker]
    held: Optional[Tuple[float, float]]
    series: Sequence[str] = ("answered",)
    curve: Optional[Sequence[Tuple[float, int]]] = None
    axis_x: str = "seconds since the first request, at which a request was sent"
    axis_y: str = "time until its answer (log scale)"
    counts: bool = False


# --- scales ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Waits:
    """Where a request lies in the frame, by its wait: 0 is left and bottom, 1 is right and top."""

    end: float
    lowest: int  # powers of ten
    highest: int

    def x(self, at: float) -> float:
        return _share(at, self.end)

    def y(self, wait: float) -> float:
        place = math.log10(max(wait, SHORTEST)) - self.lowest
        return min(max(place / (self.highest - self.lowest), 0.0), 1.0)

    def ticks(self) -> List[float]:
        return round_steps(self.end)

    def grid(self) -> List[Tuple[float, str]]:
        """Heights that have a line, and their labels."""
        return [(10.0**one, decade(one)) for one in range(self.lowest, self.highest + 1)]


@dataclass(frozen=True)
class Counts:
    """Where a number of those that wait lies in the frame; so likewise."""

    end: float
    most: float

    def x(self, at: float) -> float:
        return _share(at, self.end)

    def y(self, count: float) -> float:
        return _share(count, self.most)

    def ticks(self) -> List[float]:
        return round_steps(self.end)

    def grid(self) -> List[Tuple[float, str]]:
        steps = round_steps(self.most, 6)
        return [(one, f"{one:,.0f}") for one in steps if one == round(one)]


Scales = Union[Waits, Counts]


def _share(value: float, whole: float) -> float:
    return min(max(value / whole, 0.0), 1.0)


def round_steps(end: float, most: int = 12) -> List[float]:
    """From 0 on, and fewer than `most` besides that."""
    steps = (base * 10.0**power for power in range(-3, 10) for base in STEPS)
    step = next(step for step in steps if end / step < most)
    return [number * step for number in range(int(end / step + 1e-9) + 1)]


def scales(picture: Picture, width: float, widths: Sequence[float]) -> Scales:
    """Scales on which everything lies in the frame, and each marker's label (of these widths, in
    a frame of `width`) to the right of its marker too.
    """
    curve = picture.curve or ()
    seen = [*(p.at for p in picture.points), *(at for at, _ in curve), *(picture.held or ())]
    end = max([1.0, *seen])
    for marker, taken in zip(picture.markers, widths):
        end = max(end, marker.at * width / max(width - taken, 1.0))
    if picture.counts:
        return Counts(end, max([1, *(count for _, count in curve)]))
    waits = [max(point.wait, SHORTEST) for point in picture.points] or [0.001, 1.0]
    lowest = math.floor(math.log10(min(waits)) + 1e-9)
    highest = max(math.ceil(math.log10(max(waits)) - 1e-9), lowest + 1)
    return Waits(end, lowest, highest)


def decade(power: int) -> str:
    """The label of a power of ten of seconds."""
    return f"{10**power:g} s" if power >= 0 else f"{10 ** (power + 3):g} ms"


def lanes(starts: Sequence[float], widths: Sequence[float]) -> List[int]:
    """The height of each label, 0 the lowest, so that no label crosses another, nor
    the line that leads from another down to the frame. The labels come from left to right.
    """
    found = [0] * len(starts)
    for index in reversed(range(len(starts))):
        end = starts[index] + widths[index]
        below = [found[j] for j in range(index + 1, len(starts)) if starts[j] <= end]
        found[index] = max(below, default=-1) + 1
    return found


def in_order(markers: Sequence[Marker]) -> List[Marker]:
    return sorted(markers, key=lambda marker: marker.at)
