"""The tables of docs/json.md, "Events": each field and figure that is written, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support.tables import rows

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SCHEMA = json.loads((DOCS / "schema.json").read_text())["$defs"]
JSON_TYPES = {
    "text": {"string"},
    "time": {"string"},
    "integer": {"integer"},
    "number": {"number"},
    "object": {"object"},
    "list of texts": {"array"},
    "null": {"null"},
}


def table(heading: str) -> dict[str, list[str]]:
    """The cells behind each name of the table with this heading; a row may have several names."""
    section = (DOCS / "json.md").read_text().split("\n## Events\n")[1]
    found = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", section, re.M)
    assert found is not None, heading
    cells = [line.strip("| ").split(" | ") for line in found[1].splitlines()]
    names = [name for one in cells for name in re.findall(r"`(\w+)`", one[0])]
    assert len(names) == len(set(names))
    return {name: one[1:] for one in cells for name in re.findall(r"`(\w+)`", one[0])}


def function(path: str, name: str) -> str:
    """Its text in the source, from its name to the end of its block."""
    source = (ROOT / path).read_text()
    found = re.search(rf"^\S[^\n]*\b{name} {{\n.*?^}}", source, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[0]


def types_of(told: dict[str, object]) -> set[str]:
    """Of a property of the schema."""
    if "$ref" in told:
        return types_of(SCHEMA[str(told["$ref"]).rpartition("/")[2]])
    if "oneOf" in told:
        alternatives = told["oneOf"]
        assert isinstance(alternatives, list)
        return {name for one in alternatives for name in types_of(one)}
    if "enum" in told or "const" in told:
        values = told.get("enum", [told.get("const")])
        assert isinstance(values, list)
        return {"integer" if isinstance(one, int) else "string" for one in values}
    kind = told["type"]
    return set(kind) if isinstance(kind, list) else {str(kind)}


def same_types(cells: list[str], told: dict[str, object]) -> bool:
    wanted = {one for word in cells[0].split(" or ") for one in JSON_TYPES[word]}
    return wanted == types_of(told)


def test_each_field_of_an_event_is_on_the_page_with_its_type() -> None:
    told = table("field")
    properties = {**SCHEMA["event"]["properties"], **SCHEMA["event_line"]["properties"]}
    written = function("cpp/src/model/json.cpp", r"to_object\(const Event& event\)")
    assert set(told) == set(properties) == set(re.findall(r'\{"(\w+)", ', written))
    for name, cells in told.items():
        assert same_types(cells, properties[name]), name


def test_each_field_of_its_hold_is_on_the_page_with_its_type() -> None:
    told = table("field of `hold`")
    written = function("cpp/src/model/json.cpp", r"to_object\(const Hold& hold\)")
    assert set(told) == set(re.findall(r'\{"(\w+)", ', written))
    for name, cells in told.items():
        assert same_types(cells, SCHEMA["hold"]["properties"][name]), name


def test_each_figure_is_on_the_page_and_at_its_event() -> None:
    """The guard's events have none; who writes one there has to look here."""
    source = (ROOT / "cpp/src/hold/events.cpp").read_text()
    written = set(re.findall(r'figures\.emplace_back\("(\w+)"|sized\("(\w+)"|\{"(\w+)", ', source))
    names = {name for one in written for name in one if name}
    assert set(table("figure")) == names
    page = (DOCS / "operating.md").read_text().split("\n## Events")[1].split("\n## ")[0]
    lines = re.findall(r"^\| `(\w+)` \| .* \| (.*) ?\|$", page, re.MULTILINE)
    assert {kind for kind, _ in lines} == set(rows("event"))
    assert {name for _, cell in lines for name in re.findall(r"`(\w+)`", cell)} - {
        "resumed"
    } == names
    guard = "".join(path.read_text() for path in (ROOT / "cpp/src/guard").glob("*.cpp"))
    assert "figures" not in guard
