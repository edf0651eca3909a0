"""Every command that a message suggests is one that the command line takes."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from stillgate.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
SUGGESTED = re.compile(r"'(stillgate [^']+)'")
# A verb that is spoken of, and what says more about one.
SPOKEN_OF = re.compile(r"stillgate \w+( --help)?")
QUOTED = r'"(?:[^"\\\n]|\\.)*"'
PLACEHOLDER = re.compile(r"\{[^}]*\}")


def of_cpp(text: str) -> Iterator[str]:
    """Its literals; adjacent ones are one."""
    bare = re.sub(rf"({QUOTED})|//.*$", r"\1", text, flags=re.MULTILINE)
    for found in re.findall(rf"{QUOTED}(?:\s*{QUOTED})*", bare):
        yield re.sub(r'"\s*"', "", found)


def of_python(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            parts = (one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def suggestions() -> Iterator[tuple[str, str]]:
    for folder, reader in (("cpp", of_cpp), ("python/stillgate", of_python)):
        for path in sorted((ROOT / folder).rglob("*.*")):
            if path.suffix in (".cpp", ".hpp", ".def", ".py"):
                for text in reader(path.read_text()):
                    for command in SUGGESTED.findall(text):
                        if SPOKEN_OF.fullmatch(command):
                            continue
                        yield path.relative_to(ROOT).as_posix(), command


LINES = sorted(set(suggestions()))


def parse(command: str) -> None:
    """With a name for each blank, and a fleet where there is none. Nothing is run."""
    # Where the verb itself is a blank, it is one of those that take names.
    command = re.sub(r"^stillgate \{[^}]*\}", "stillgate resume", command)
    words = re.sub(r"\bN\b", "100", PLACEHOLDER.sub("name", command))
    name, *rest = shlex.split(words)[1:]
    verb = cli.commands[name]
    takes_fleet = any(one.name == "endpoints" for one in verb.params)
    if takes_fleet and not {"-f", "-e"} & set(rest):
        rest = [*rest, "-e", "/a.sock"]
    with verb.make_context(name, rest):
        pass


@pytest.mark.parametrize(("source", "command"), LINES)
def test_a_suggested_command_is_taken(source: str, command: str) -> None:
    try:
        parse(command)
    except (KeyError, click.ClickException) as error:
        pytest.fail(f"{source}: {command}\n{error}")


def test_both_languages_suggest_some() -> None:
    assert {source.partition("/")[0] for source, _ in LINES} == {"cpp", "python"}
    assert len(LINES) > 15


def test_a_wrong_suggestion_is_found() -> None:
    for wrong in ("stillgate resume {} --no-such", "stillgate no_such_verb {}"):
        with pytest.raises((KeyError, click.ClickException)):
            parse(wrong)
