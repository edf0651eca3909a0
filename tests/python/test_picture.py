"""The demo's picture: what is drawn where, and texts that are well formed whatever happened."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from demo.picture import Point, Scene, svg, terminal

SVG = "{http://www.w3.org/2000/svg}"
MARKS = [(2.0, "held"), (3.0, "migrated <&>"), (3.1, "resume")]


def scene(*points: Point) -> Scene:
    return Scene(points, (2.0, 3.5), MARKS, 'a "title" <&>', ("one note",))


WELL = scene(Point(0.5, 0.002), Point(2.5, 1.2), Point(4.5, 0.02))
SCENES = {
    "well": WELL,
    "empty": scene(),
    "all failed": scene(Point(1.0, 30.0, True), Point(2.0, 30.0, True)),
    "no time at all": scene(Point(1.0, 0.0)),
    "one value": scene(Point(1.0, 0.1), Point(2.0, 0.1)),
    "many": scene(*(Point(i / 500, 0.001 * (1 + i % 90)) for i in range(3000))),
}


@pytest.mark.parametrize("name", SCENES)
def test_every_picture_is_well_formed_and_inside_its_frame(name: str) -> None:
    tree = ElementTree.fromstring(svg(SCENES[name]))
    width, height = [float(one) for one in tree.attrib["viewBox"].split()[2:]]
    dots = tree.findall(f"{SVG}circle")
    assert bool(dots) == bool(SCENES[name].points)
    for dot in dots:
        assert 0 < float(dot.attrib["cx"]) < width and 0 < float(dot.attrib["cy"]) < height
    for line in tree.findall(f"{SVG}line"):
        assert 0 <= float(line.attrib["x1"]) <= width
    lines = terminal(SCENES[name], 80).splitlines()
    assert len(lines) == 14 + 2 + len(MARKS)
    assert max(map(len, lines)) <= 90


def test_later_is_further_right_and_slower_is_higher() -> None:
    tree = ElementTree.fromstring(svg(WELL))
    places = [
        (float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in tree.findall(f"{SVG}circle")
    ]
    (fast_x, fast_y), (slow_x, slow_y), (last_x, last_y) = sorted(places)
    assert fast_x < slow_x < last_x
    assert slow_y < last_y < fast_y
    (held,) = tree.findall(f"{SVG}rect")
    left = float(held.attrib["x"])
    assert left < slow_x < left + float(held.attrib["width"])


def test_failed_requests_are_drawn_apart() -> None:
    failed = scene(Point(1.0, 0.1), Point(1.0, 0.1, True), Point(2.0, 0.5))
    classes = [
        dot.attrib["class"] for dot in ElementTree.fromstring(svg(failed)).iter(f"{SVG}circle")
    ]
    assert sorted(classes) == ["failed", "ok"]
    assert terminal(failed).count("x") == 1
    assert "x" not in terminal(WELL).split("└")[0]


def test_no_name_of_a_mark_covers_another() -> None:
    tree = ElementTree.fromstring(svg(WELL))
    names = [one for one in tree.findall(f"{SVG}text") if one.attrib.get("class") == "marked"]
    assert [one.text for one in names] == [name for _, name in MARKS]
    heights = [float(one.attrib["y"]) for one in names]
    assert all(b - a >= 14 for a, b in zip(heights, heights[1:]))


def test_the_axes_are_named_with_their_units() -> None:
    text = terminal(WELL)
    assert re.search(r"^ *1 ms │", text, re.MULTILINE) and "1 s │" in text
    assert "0 s" in text and "held at 2.00 s" in text
    assert "seconds since the load began" in svg(WELL)
