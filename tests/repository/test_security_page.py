"""The threat model of SECURITY.md: each statement has its tests, and they exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text()
MODEL = PAGE.partition("## Who is trusted with what")[2]
STATEMENTS = [" ".join(one.split()) for one in re.split(r"^- ", MODEL, flags=re.MULTILINE)[1:]]
# What cannot be tested: advice.
UNTESTED = ("**TCP stats sockets** are neither encrypted nor authenticated.",)


def names() -> set[str]:
    """Of all tests, in the languages that they are written in."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("*"):
        if path.suffix == ".py":
            found |= set(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
        elif path.suffix == ".cpp":
            pairs = re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", path.read_text(), re.MULTILINE)
            found |= {f"{suite}.{name}" for suite, name in pairs}
        elif path.name.endswith("_spec.rb"):
            found |= set(re.findall(r"^\s*it '(.*)' do", path.read_text(), re.MULTILINE))
    return found


NAMES = names()


@pytest.mark.parametrize("statement", STATEMENTS, ids=[one[:40] for one in STATEMENTS])
def test_each_statement_has_tests_that_exist(statement: str) -> None:
    _, _, behind = statement.partition("Tests: ")
    # The heading of the next part comes after the last one.
    told = re.findall(r"`([^`]+)`", behind.partition(" ###")[0])
    if not told:
        assert statement.startswith(UNTESTED)
    assert [name for name in told if name not in NAMES] == []


def test_each_exception_is_still_there() -> None:
    for beginning in UNTESTED:
        assert sum(one.startswith(beginning) for one in STATEMENTS) == 1
