"""What the pages tell to type is what the command line takes: verbs, options and their values."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Iterator

import click
import pytest

from stillgate.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
# What stands for something else there, and where a line is cut short.
NOT_TYPED = re.compile(r"\.\.\.|\[|[A-Z]+\[|^stillgate VERB")
BLOCK = re.compile(r"^( *)```(?:sh|bash)?\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def typed() -> Iterator[tuple[str, str]]:
    """Every line of the pages' code blocks that calls `stillgate`, with its page."""
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]):
        text = page.read_text()
        blocks = [found.group(2) for found in BLOCK.finditer(text)]
        blocks += re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
        for block in blocks:
            for line in block.replace("\\\n", " ").splitlines():
                line = line.strip()
                is_whole = line.count("'") % 2 == 0  # a text of several lines goes on elsewhere
                if line.startswith("stillgate ") and is_whole and not NOT_TYPED.search(line):
                    yield page.name, line


def in_sentences() -> Iterator[tuple[str, str]]:
    """The same of what a table or a sentence tells in backticks, with the fleet it is for."""
    for page in ("errors.md", "night.md"):
        for line in re.findall(r"`(stillgate \w+ [^`]*)`", (ROOT / "docs" / page).read_text()):
            if not NOT_TYPED.search(line):
                yield page, re.sub(r"\bN$|\bN\b", "2000", line)


LINES = sorted({*typed(), *in_sentences()})


def parse(words: list[str]) -> None:
    """As the command line does it; nothing is run."""
    name, *rest = words
    command = cli.commands[name]
    with command.make_context(name, rest):
        pass


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_line_of_the_docs_is_taken(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    for sign in ("|", ">", "&&", ";"):
        words = words[: words.index(sign)] if sign in words else words
    words = [word for word in words if not word.startswith(">")]
    if words == ["--version"]:
        return
    try:
        parse(words)
    except click.ClickException as error:
        pytest.fail(f"{page}: {line}\n{error.format_message()}")


def test_there_are_lines_of_every_page_for_operators() -> None:
    pages = {page for page, _ in LINES}
    assert pages >= {"README.md", "start.md", "night.md", "operating.md", "gate.md"}
    assert len(LINES) > 30


def test_a_wrong_line_is_found() -> None:
    with pytest.raises(click.ClickException):
        parse(["resume", "balanced", "--no-such-option"])
