"""Codes and names stand in one table each: pages, schema and Python say what those say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from stillgate import _core, errors, options, past_holds, tables
from stillgate.results.hold import Event
from stillgate.results.report import Finding, Switch
from support.tables import HEADERS, rows

DOCS = Path(__file__).resolve().parents[2] / "docs"
DEFS: dict[str, Any] = json.loads((DOCS / "schema.json").read_text())["$defs"]
# The package's own, which no call of the engine ends with.
OF_PYTHON = {"bad_inventory", "cutover_lost", "hold_expired", "leash_failed"}
# In the order of syslog's severities.
SEVERITIES = {"error": "errors", "warning": "warnings", "notice": "notices"}


def enum(definition: str, field: str) -> list[Any]:
    found: list[Any] = DEFS[definition]["properties"][field]["enum"]
    return found


def section(page: str, heading: str) -> str:
    text = (DOCS / page).read_text()
    return text.split(f"\n## {heading}")[1].split("\n## ")[0]


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of a section's tables, without their headings."""
    lines = re.findall(r"^\| (`.*) \|$", section(page, heading), re.MULTILINE)
    return [line.split(" | ") for line in lines]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([a-z_]+)`", cell)


def test_every_table_has_all_its_rows() -> None:
    for path in HEADERS.glob("*.def"):
        macros = re.findall(r"^STILLGATE_(\w+)\(", path.read_text(), re.MULTILINE)
        for macro in set(macros):
            assert len(rows(macro.lower())) == macros.count(macro), f"{path.name}, {macro}"
    assert list(rows("error")) == _core.error_codes()


def test_every_error_is_explained() -> None:
    errors_page = (DOCS / "errors.md").read_text().split("\n## Findings")[0]
    explained = re.findall(r"^\| `([a-z_]+)` \|", errors_page, re.MULTILINE)
    assert len(explained) == len(set(explained))
    assert set(explained) == set(rows("error")) | OF_PYTHON


def test_at_every_code_stands_what_is_true_of_the_traffic() -> None:
    """What it is now, what to type next, and how long still: of the section, and where it differs
    from code to code, of each. What is to be typed is held by test_typed_commands.py.
    """
    page = (DOCS / "errors.md").read_text()
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        heading = part.splitlines()[0]
        for words in ("Your traffic", "Type next", "How long"):
            said = re.search(rf"^- \*\*{words}:\*\* (.+)$", part, re.MULTILINE)
            assert said and len(said[1]) > 20, f"{heading}: {words}"
        assert re.search(r"^- \*\*Type next:\*\* .*(`|same command)", part, re.MULTILINE), heading
    for cells in table("errors.md", "Holding"):
        assert len(cells) == 4 and all(cell.strip(" -") for cell in cells), cells[0]
        is_known = r"\b(flows?|waits?|as before|serves|wait|unknown|refused)\b"
        assert re.search(is_known, cells[2]), f"{cells[0]}: {cells[2]}"


def test_every_finding_is_explained_with_its_levels() -> None:
    explained = {
        code: set(re.findall(r"\b(?:info|warning)\b", level))
        for names, level, _ in table("errors.md", "Findings")
        for code in codes(names)
    }
    assert explained == {code: set(levels) for code, levels in rows("finding").items()}


def test_a_finding_with_an_errors_code_has_that_code() -> None:
    """What would be a refusal, and is overruled or told of by another verb."""
    both = rows("finding").keys() & rows("error").keys()
    assert both == {
        "crash_hazard",
        "frontend_stopped",
        "gate_bypassed",
        "gate_missing",
        "gate_unproven",
        "guard_shares_fate",
        "limit_is_zero",
        "wait_left",
    }


def test_no_source_writes_a_findings_code_or_level_by_hand() -> None:
    source = "".join(path.read_text() for path in (HEADERS.parents[1] / "src").rglob("*.cpp"))
    assert re.findall(r'"\w+", Level::\w+|[.>]code == "\w+"', source) == []
    assert len(set(re.findall(r"FindingCode::(\w+)", source))) > 20


def test_the_finding_that_python_adds_is_of_the_table() -> None:
    source = Path(past_holds.__file__).read_text()
    added = re.findall(r'Finding\("(\w+)", "(\w+)"', source)
    assert added == [("expired", rows("finding")["expired"][0])]


def test_every_event_is_explained_and_in_the_schema() -> None:
    kinds = rows("event")
    explained = [codes(cells[0])[0] for cells in table("operating.md", "Events")]
    assert sorted(explained) == sorted(kinds)
    assert enum("event", "event") == list(kinds)
    told = re.search(r"`event` is (.*?);", Event.__doc__ or "", re.DOTALL)
    assert told is not None
    assert re.findall(r"\w+", told[1].replace(" or ", " ")) == list(kinds)


def test_the_page_of_events_says_how_bad_each_is() -> None:
    sentence = re.search(
        r"facility daemon\. (.*?)\n- ", section("operating.md", "Events"), re.DOTALL
    )
    assert sentence is not None
    for severity, (kind_severity, plural) in enumerate(SEVERITIES.items()):
        kinds = {kind for kind, between in rows("event").items() if between == [kind_severity]}
        assert kinds, severity
        if plural != "notices":
            part = re.search(rf"([^;.]*) (?:are )?{plural}", sentence[1])
            assert part is not None and set(codes(part[1])) == kinds


def test_what_becomes_of_a_cutover_has_its_words() -> None:
    assert enum("cutover", "state") == list(rows("cutover")) == list(tables.CUTOVER_WORDS)
    assert enum("cutover_change", "state") == list(rows("change"))


@pytest.mark.parametrize("name", ["verdict", "level"])
def test_the_schema_has_each_word(name: str) -> None:
    definition = {"verdict": "switch", "level": "finding"}[name]
    assert enum(definition, name) == list(rows(name))


def test_python_has_each_word() -> None:
    assert set(tables.STYLES) <= set(rows("verdict"))
    told = re.search(r"`verdict` is (.*?);", Switch.__doc__ or "", re.DOTALL)
    assert told is not None
    assert re.findall(r"\w+", told[1].replace(" or ", " ")) == list(rows("verdict"))
    told = re.search(r"`level` is (.*?)\.", Finding.__doc__ or "", re.DOTALL)
    assert told is not None
    assert re.findall(r"\w+", told[1].replace(" or ", " ")) == list(rows("level"))


def test_choices_of_options_are_those_of_the_tables() -> None:
    words = (HEADERS / "words.def").read_text()
    methods = re.findall(r'^STILLGATE_METHOD\(\w+, "(\w+)"', words, re.MULTILINE)
    assert list(get_args(options.Method)) == methods
    assert enum("switch", "method") == [*methods[1:], None]
    assert list(get_args(options.Expiry)) == list(rows("expiry"))
    assert list(get_args(options.EventFormat)) == list(rows("event_format"))


def test_each_ending_has_its_exit_status() -> None:
    statuses = {int(status[0]) for status in rows("ending").values()}
    explained = re.findall(r"^\| (\d+) \|", section("operating.md", "When something fails"), re.M)
    # 2 is wrong input, of which there is no report.
    assert {int(one) for one in explained} == statuses | {2}
    raised = {one.exit_status for one in errors.ReportError.__subclasses__()}
    assert raised == statuses - {0, 130}
