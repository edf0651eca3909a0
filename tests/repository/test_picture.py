"""The demo's picture: everything lies in the frame, no label crosses another, and nothing breaks
where there is little to draw.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import pytest

from demo.picture import COLUMNS, GUTTER, terminal
from stillgate.console.picture import Marker, Picture, Point, Waits, decade, lanes, scales
from stillgate.console.picture_svg import HEIGHT, LEFT, RIGHT, WIDTH, svg

SVG = "{http://www.w3.org/2000/svg}"
QUICK = [Point(number / 100, 0.002, True) for number in range(300)]
SLOW = [Point(3 + number / 100, 3.0 - number / 100, True) for number in range(250)]
MARKERS = [
    Marker(3.0, "suspend (commit window 0.4 ms)"),
    Marker(4.9, "migrated"),
    Marker(5.0, "new code"),
    Marker(5.5, "resume"),
]
WHOLE = Picture("title", "subtitle", [*QUICK, *SLOW], MARKERS, (3.0, 5.5))


# As `stillgate report` draws it: most of its steps are within a tenth of a second.
STEPS = [
    Marker(at, f"{what} {at:.2f} s")
    for at, what in [(0, "checked"), (0.07, "committed"), (0.09, "drained"), (0.11, "command")]
]
COUNTED = Picture(
    "title",
    "subtitle",
    [],
    [*STEPS, Marker(4.4, "command ended 4.40 s"), Marker(4.5, "released 4.50 s")],
    (0, 4.5),
    curve=[(0.1, 0), (1.0, 600), (2.0, 1204), (4.5, 0)],
    counts=True,
)


def picture(*points: Point, markers: tuple[Marker, ...] = ()) -> Picture:
    return Picture("title", "subtitle", points, markers, None)


def dots(text: str) -> int:
    """How many dots the terminal shows; the legend's do not count."""
    return sum(
        bin(ord(letter) - 0x2800).count("1")
        for line in text.splitlines()
        if "answered" not in line
        for letter in line
        if 0x2800 < ord(letter) <= 0x28FF
    )


def drawn(text: str, kind: str) -> list[tuple[float, float]]:
    """Where the SVG has its points of this kind, the legend left out."""
    first = next(path for path in paths(text) if path.get("class") == kind)
    found = re.findall(r"M([\d.-]+) ([\d.-]+)", first.get("d", ""))
    return [(float(x), float(y)) for x, y in found]


def paths(text: str) -> Iterator[ElementTree.Element]:
    return ElementTree.fromstring(text).iter(f"{SVG}path")


# --- scales ---------------------------------------------------------------------------


def test_the_scales_reach_from_corner_to_corner() -> None:
    scale = scales(picture(Point(0, 0.001, True), Point(8, 10.0, True)), 100, [])
    assert isinstance(scale, Waits)
    assert (scale.lowest, scale.highest, scale.end) == (-3, 1, 8)
    assert (scale.x(0), scale.y(0.001)) == (0, 0)
    assert (scale.x(8), scale.y(10.0)) == (1, 1)
    assert (scale.x(4), scale.y(0.1)) == (0.5, 0.5)


def test_the_latency_is_on_a_log_scale_of_whole_decades() -> None:
    scale = scales(picture(Point(0, 0.004, True), Point(1, 2.5, True)), 100, [])
    assert isinstance(scale, Waits)
    assert (scale.lowest, scale.highest) == (-3, 1)
    assert scale.y(0.01) - scale.y(0.001) == pytest.approx(scale.y(10) - scale.y(1))
    assert [decade(power) for power in range(-4, 3)] == [
        *["0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"]
    ]


def test_what_took_no_time_at_all_is_in_the_frame() -> None:
    scale = scales(picture(Point(0, 0.0, True)), 100, [])
    assert 0 <= scale.y(0.0) <= 1


@pytest.mark.parametrize("end", [0.001, 0.7, 1.0, 9.3, 60.0, 4000.0])
def test_ticks_are_round_few_and_within(end: float) -> None:
    ticks = Waits(end, -3, 0).ticks()
    assert 2 <= len(ticks) <= 13 and ticks[0] == 0 and ticks[-1] <= end * 1.000001
    assert len({f"{tick:g}" for tick in ticks}) == len(ticks)


def test_time_goes_on_where_a_label_needs_the_room() -> None:
    late = picture(Point(10, 1.0, True), markers=(Marker(10.0, "late"),))
    scale = scales(late, 100, [20])
    assert scale.x(10) * 100 + 20 <= 100.001


def test_labels_stand_in_lanes() -> None:
    assert lanes([], []) == []
    assert lanes([0, 50], [10, 10]) == [0, 0]
    # The first reaches over both others, so it stands above them.
    assert lanes([0, 5, 8], [20, 10, 10]) == [2, 1, 0]
    # And above the one whose line it would cross, though their labels do not touch.
    assert lanes([0, 5, 8, 30], [6, 10, 10, 5]) == [2, 1, 0, 0]


# --- the terminal ---------------------------------------------------------------------


def test_the_terminal_shows_everything_in_a_hundred_columns() -> None:
    text = terminal(WHOLE)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert all(marker.label in text for marker in MARKERS)
    assert {"1 ms", "10 ms", "100 ms", "1 s", "10 s"} <= set(re.findall(r"\d+ m?s", text))
    assert dots(text) > 100 and "title" in text and "━" * 10 in text
    assert "×" not in text.replace("× failed", "")


def test_the_terminal_marks_the_moments_where_they_are() -> None:
    lines = terminal(WHOLE).splitlines()
    for marker in MARKERS:
        (line,) = [line for line in lines if f"┌ {marker.label}" in line]
        column = line.index(f"┌ {marker.label}")
        # Its line goes down to the frame, unless a point lies on it.
        below = lines[lines.index(line) + 1][column]
        assert below == "│" or 0x2800 < ord(below) <= 0x28FF
        assert GUTTER <= column <= GUTTER + COLUMNS


def test_a_failed_request_is_a_cross_in_the_terminal() -> None:
    text = terminal(picture(Point(0, 0.01, True), Point(1, 0.1, False)))
    assert text.replace("× failed", "").count("×") == 1
    assert dots(text) == 1


# --- SVG ------------------------------------------------------------------------------


def test_the_svg_has_every_point_in_its_frame() -> None:
    text = svg(WHOLE)
    points = drawn(text, "answered")
    assert len(points) == len(WHOLE.points) and drawn(text, "failed") == []
    top = min(y for _, y in points)
    assert all(LEFT <= x <= WIDTH - RIGHT and y - top <= HEIGHT for x, y in points)


@pytest.mark.parametrize("drawn_one", [WHOLE, COUNTED], ids=["requests", "a report"])
def test_the_svg_has_its_labels_apart_and_in_the_frame(drawn_one: Picture) -> None:
    root = ElementTree.fromstring(svg(drawn_one))
    labels = {marker.label for marker in drawn_one.markers}
    texts = {one.text: one for one in root.iter(f"{SVG}text") if one.text in labels}
    assert set(texts) == labels
    at = [(float(one.get("x", "")), float(one.get("y", "")), text) for text, one in texts.items()]
    for x, y, text in at:
        assert LEFT <= x and x + 6.5 * len(text or "") <= WIDTH and y > 54
        assert [other for other in at if other[1] == y and x < other[0] < x + 6 * len(text)] == []


def test_a_curve_is_drawn_on_its_own_scale_and_in_its_frame() -> None:
    root = ElementTree.fromstring(svg(COUNTED))
    (curve,) = root.iter(f"{SVG}polyline")
    points = [tuple(map(float, point.split(","))) for point in curve.get("points", "").split()]
    assert len(points) == 4 and min(y for _, y in points) == points[2][1]
    assert points[0][1] - points[2][1] == HEIGHT
    told = {one.text for one in root.iter(f"{SVG}text")}
    assert {"0", "500", "1,000"} <= told
    assert "failed" not in told
    unknown = Picture("title", "subtitle", [], [], None, curve=[], counts=True)
    assert "how many waited is unknown" in svg(unknown)


def test_words_that_have_no_room_are_cut() -> None:
    long = svg(Picture("x" * 300, "y" * 300, [], [], None))
    (title,) = [
        one
        for one in ElementTree.fromstring(long).iter(f"{SVG}text")
        if one.get("class") == "title"
    ]
    assert (title.text or "").endswith("xxx...") and "y" * 130 not in long


def test_the_svg_needs_nothing_from_elsewhere_and_knows_the_dark() -> None:
    text = svg(WHOLE)
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"(?:href|src|url|@import)", text) == []
    assert "held for 2.50 s" in text


def test_each_series_is_drawn_for_itself_and_named() -> None:
    points = [Point(1, 0.1, True), Point(2, 0.1, True, 1), Point(3, 0.1, True, 1)]
    points.append(Point(4, 0.1, False, 1))
    text = svg(Picture("title", "subtitle", points, [], None, ["some", "others"]))
    kinds = [len(drawn(text, kind)) for kind in ("answered", "answered s1", "failed")]
    assert kinds == [1, 2, 1]
    assert {"some", "others", "failed"} <= {
        one.text for one in ElementTree.fromstring(text).iter(f"{SVG}text")
    }


def test_words_are_escaped() -> None:
    text = svg(Picture("a < b & c", "<s>", [], [Marker(1, "<m>")], None))
    assert ElementTree.fromstring(text).findtext(f"{SVG}title") == "a < b & c"


# --- little to draw -------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        picture(),
        picture(Point(0, 0, True)),
        picture(markers=(Marker(0, "a"), Marker(0, "b"))),
        picture(*[Point(n / 10, 30.0, False) for n in range(50)]),
        picture(Point(5, 1.0, True), markers=(Marker(5, "x" * 200),)),
    ],
    ids=["empty", "one", "markers alone", "all failed", "a label wider than the frame"],
)
def test_odd_input_is_drawn_all_the_same(odd: Picture) -> None:
    text = svg(odd)
    failed = [point for point in odd.points if not point.ok]
    assert len(drawn(text, "failed")) == len(failed)
    assert len(drawn(text, "answered")) == len(odd.points) - len(failed)
    shown = terminal(odd)
    assert max(len(line) for line in shown.splitlines()) <= 100
    assert ("×" in shown.replace("× failed", "")) == bool(failed)
