"""The pages and the cookbook against the table of options, stillgate.options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

import pytest

from stillgate.fabric.settings import KEYS
from stillgate.options import BY_NAME, ON_HOLDS, Choice, Flag, Seconds, Whole

ROOT = Path(__file__).resolve().parents[2]
COOKBOOK = ROOT / "recipes" / "stillgate"
RUBY_NAMES = {"hold_method": "method"}


# --- docs/fabric.md -------------------------------------------------------------------


def settings_rows() -> dict[str, set[str]]:
    """The keys of the table, and the verbs that its last column names."""
    text = (ROOT / "docs" / "fabric.md").read_text()
    (table,) = re.findall(r"^\| key \| value \| used by \|\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M)
    rows: dict[str, set[str]] = {}
    for line in table.splitlines():
        keys, *_, used = line.strip().strip("|").split("|")
        for key in re.findall(r"`(\w+)`", keys):
            rows[key] = verbs_in(used)
    return rows


def verbs_in(words: str) -> set[str]:
    named = {verb for verb in ON_HOLDS if re.search(rf"\b{verb}\b", words)}
    return set(ON_HOLDS) - named if re.search(r"\ball\b", words) else named


def test_fabrics_page_has_each_setting_with_its_verbs() -> None:
    rows = settings_rows()
    assert set(rows) == set(KEYS)
    for key, verbs in rows.items():
        if key in BY_NAME:
            assert verbs == set(BY_NAME[key].verbs) & set(ON_HOLDS), key


# --- the cookbook ---------------------------------------------------------------------


def properties() -> dict[str, str]:
    """Those of both resources that hold, by the option's name, with the text of each."""
    text = "".join(
        (COOKBOOK / "resources" / f"{name}.rb").read_text() for name in ("_fleet", "hold")
    )
    found = re.findall(r"^property :(\w+),((?:.*\n)(?:[ ]+.*\n)*)", text, re.MULTILINE)
    return {RUBY_NAMES.get(name, name): rest for name, rest in found}


OPTIONS = [name for name in properties() if name in BY_NAME and BY_NAME[name].of != "fleet"]


@pytest.mark.parametrize("name", OPTIONS)
def test_a_property_is_what_its_option_is(name: str) -> None:
    text, option = properties()[name], BY_NAME[name]
    kind = option.kind
    if isinstance(kind, Seconds):
        assert f"checks.seconds({kind.least:g})" in text.lower() and kind.most == 3600
    elif isinstance(kind, Whole):
        assert f"must be from {kind.least} to {kind.most}" in text
        ends = re.findall(r"between\?\(([\d_]+), ([\d_]+)\)", text)
        assert [(int(least), int(most)) for least, most in ends] == [(kind.least, kind.most)]
    elif isinstance(kind, Choice):
        assert f"equal_to: %w({' '.join(kind.words)})" in text
    elif isinstance(kind, Flag):
        assert text.startswith(" [true, false]")
    default = default_of(text)
    if default is not None and default != "lazy":
        assert default == str(option.default).lower().removesuffix(".0")


def default_of(text: str) -> Optional[str]:
    found = re.search(r"default: '?(\w+)", text)
    return found[1] if found else None


def test_the_cookbook_says_each_option_behind_its_flag() -> None:
    """libraries/arguments.rb names no flag for another property's value."""
    text = (COOKBOOK / "libraries" / "arguments.rb").read_text()
    wait = r"(?:resource\.wait_for_drain \? )?"
    said = re.findall(rf"'([a-z-]+)' => {wait}resource\.(?!respond_to)(\w+)", text)
    assert len(said) > 12
    for flag, name in said:
        assert BY_NAME[RUBY_NAMES.get(name, name)].word == flag
    assert {RUBY_NAMES.get(name, name) for _, name in said} <= set(properties())
