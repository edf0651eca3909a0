"""The cookbook's words against what they speak of: its own pages, the command line, the version."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from stillgate.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
COOKBOOK = ROOT / "recipes" / "stillgate"
RESOURCES = ["gate", "hold", "package", "traffic"]
# What only one of the two that share the properties of _fleet.rb has a use for.
UNUSED = {"hold": {"force"}}


def properties(text: str) -> set[str]:
    """Those that are for recipes; a property's own lines are indented."""
    found = re.findall(r"^property :(\w+),((?:.*\n)(?:[ ]+.*\n)*)", text, re.MULTILINE)
    return {name for name, rest in found if "skip_docs" not in rest}


@pytest.mark.parametrize("name", RESOURCES)
def test_each_property_stands_on_the_resources_page(name: str) -> None:
    text = (COOKBOOK / "resources" / f"{name}.rb").read_text()
    wanted = properties(text)
    if "_fleet.rb" in text:
        wanted |= properties((COOKBOOK / "resources" / "_fleet.rb").read_text())
    assert len(wanted) > 5
    page = (COOKBOOK / "documentation" / f"stillgate_{name}.md").read_text()
    told = set(re.findall(r"`(\w+)`", page))
    assert wanted - UNUSED.get(name, set()) - told == set()


@pytest.mark.parametrize(
    "verb, source", [("suspend", "hold"), ("hold", "hold"), ("resume", "resume")]
)
def test_the_command_line_knows_what_the_cookbook_says(verb: str, source: str) -> None:
    text = (COOKBOOK / "libraries" / "arguments.rb").read_text()
    (body,) = re.findall(rf"def {source}\b.*?\n    end\n", text, re.DOTALL)
    said = set(re.findall(r"'([a-z-]+)' =>", body)) | {"fleet", "endpoint", "inventory", "json"}
    command = cli.commands[verb]
    known = {word for one in command.params if isinstance(one, click.Option) for word in one.opts}
    assert len(said) > 8
    assert {f"--{word}" for word in said} - known == set()


# Options of the command line that no recipe has. A new one is given to a resource, or named here.
NOT_IN_RECIPES = {
    # Of the call and not of the hold: the inventory has these times, and Chef reads the document.
    *("connect-timeout", "greeting-timeout", "reply-timeout", "event-format", "on-event"),
    # Without a guard a run that dies would leave traffic held.
    "no-lease",
}


@pytest.mark.parametrize("verb", ["suspend", "resume"])
def test_the_cookbook_has_what_the_command_line_can(verb: str) -> None:
    text = (COOKBOOK / "libraries" / "arguments.rb").read_text()
    said = set(re.findall(r"'([a-z-]+)' =>", text)) | {"fleet", "endpoint", "inventory", "json"}
    said |= set(re.findall(r'"--([a-z-]+)=', text))
    options = [one for one in cli.commands[verb].params if isinstance(one, click.Option)]
    known = {one.opts[0][2:] for one in options}
    assert known - said - NOT_IN_RECIPES == set()


def test_the_cookbook_has_the_version_of_the_project() -> None:
    metadata = (COOKBOOK / "metadata.rb").read_text()
    assert re.findall(r"^version +'(.*)'", metadata, re.MULTILINE) == [
        (ROOT / "VERSION").read_text().strip()
    ]


def test_the_cookbook_knows_the_command_line_alone() -> None:
    """The table of docs/design.md: it calls programs, and speaks to no HAProxy by itself."""
    files = [*COOKBOOK.rglob("*.rb")]
    assert len(files) > 10
    for path in files:
        text = path.read_text()
        assert set(re.findall(r"^require(?:_relative)? '(.*)'", text, re.MULTILINE)) <= {"json"}
        assert not re.search(r"Socket|Net::HTTP|Open3|`|system\(|spawn\(", _code(text)), path
        if path.name != "metadata.rb":
            assert text.startswith("# "), f"{path} does not say what it is for"


def _code(text: str) -> str:
    """Without comments and texts."""
    return re.sub(r"#.*|'[^'\n]*'|\"[^\"\n]*\"", "", text)
