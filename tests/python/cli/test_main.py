"""The command line as far as no HAProxy is needed: usage, JSON, completion, the man page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from stillgate.cli import manpage
from stillgate.cli.outcome import VERBS

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "docs" / "schema.json").read_text())
NOBODY = "/nowhere/a.sock"


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stillgate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["exec"], "Missing argument"),
        (["exec", "show info"], "Name a fleet"),
        (["exec", "show info", "-e", "/a", "--fleet", "b"], "not both"),
        (["exec", "show info", "-e", "http://x"], "endpoint 'http://x'"),
        (["exec", "show info;quit", "-e", NOBODY], "';'"),
        (["exec", "show info", "-e", NOBODY, "--reply-timeout", "-1"], "range"),
        (["exec", "show info", "-e", NOBODY, "--reply-timeout", "x"], "valid float"),
        (["resume", "f", "-e", NOBODY, "--limit", "0"], "range"),
        (["resume", "f", "-e", NOBODY, "--limit", "12abc"], "valid integer"),
        (["suspend", "-e", NOBODY, "--no-lease"], "name at least one"),
        (["suspend", "f f", "-e", NOBODY, "--no-lease"], "frontend 'f?f'"),
        (["exec", "show info", "--fleet", "x", "--inventory", "/none.toml"], "/none.toml"),
        (["nonsense"], "No such command"),
    ],
)
def test_wrong_usage_is_2_and_says_what(arguments: list[str], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == ""


def test_wrong_input_as_json() -> None:
    done = run("exec", "quit", "--json", "-e", NOBODY)
    assert done.returncode == 2
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert (document["error"]["code"], document["error"]["field"]) == ("bad_command", "command")


NO_TEXT = os.fsdecode(b"bal\xffanced")


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize(
    "arguments",
    [
        [NO_TEXT],
        *(
            [verb, NO_TEXT, "-e", NOBODY]
            for verb in ("exec", "check", "suspend", "resume", "status")
        ),
        ["extend", NO_TEXT, "5", "-e", NOBODY],
        ["hold", NO_TEXT, "-e", NOBODY, "--", "true"],
        ["history", NO_TEXT],
        ["gate", "--config", NO_TEXT],
        ["completion", NO_TEXT],
        ["suspend", "f", "-e", NO_TEXT],
        ["suspend", "f", "-e", NOBODY, f"--reason={NO_TEXT}"],
        ["suspend", "f", "-e", NOBODY, "--owner", NO_TEXT],
        ["suspend", "f", "-e", NOBODY, f"--{NO_TEXT}"],
        ["suspend", "f", "--fleet", NO_TEXT],
        ["suspend", "f", "--fleet", "a", "--inventory", NO_TEXT],
        ["suspend", "f", "-e", NOBODY, "--max-hold", NO_TEXT],
        ["resume", "f", "-e", NOBODY, "--", NO_TEXT],
    ],
)
def test_what_is_no_text_is_wrong_usage(arguments: list[str], as_json: bool) -> None:
    verb = arguments[0] if as_json and arguments[0] in VERBS else None
    done = run(arguments[0], *(["--json"] if verb else []), *arguments[1:])
    assert done.returncode == 2
    assert "bal\\xffanced" in done.stderr and "is not valid UTF-8" in done.stderr
    assert "Traceback" not in done.stderr
    if verb:
        document = json.loads(done.stdout)
        jsonschema.validate(document, SCHEMA)
        assert document["error"]["code"] == "bad_option"


def test_a_command_may_have_arguments_that_are_no_text() -> None:
    done = run("hold", "f", "-e", NOBODY, "--json", "--", "true", NO_TEXT)
    assert "Traceback" not in done.stderr and "not valid UTF-8" not in done.stderr
    jsonschema.validate(json.loads(done.stdout), SCHEMA)


@pytest.mark.parametrize("number", ["inf", "-inf", "nan", "1e999"])
@pytest.mark.parametrize("option", ["--max-hold", "--drain-timeout", "--connect-timeout"])
def test_what_is_no_number_of_seconds_is_wrong_usage(option: str, number: str) -> None:
    done = run("suspend", "f", "-e", NOBODY, option, number)
    named = option in done.stderr or option[2:].replace("-", "_") in done.stderr
    assert done.returncode == 2 and named and "Traceback" not in done.stderr


def test_an_endpoint_that_is_not_there_is_1() -> None:
    done = run("exec", "show info", "--json", "-e", NOBODY)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert document["outcomes"][0]["error"]["code"] == "no_such_socket"
    table = run("exec", "show info", "-e", NOBODY)
    assert "FAILED a\n" in table.stdout
    assert "0 of 1 answered, 1 FAILED" in table.stdout


def test_the_schema_refuses_what_is_not_ours() -> None:
    for document in ({}, {"schema": 1, "action": "exec", "ok": True, "outcomes": []}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, SCHEMA)


def test_version_and_help() -> None:
    said = run("--version").stdout
    assert (ROOT / "VERSION").read_text().strip() in said.splitlines()[0]
    # Each of the files that it names is there.
    named = re.findall(r"^(module|guard|leash|gate\.lua): (/.+)$", said, re.MULTILINE)
    assert len(named) == 4 and all(Path(path).is_file() for _, path in named)
    for verb in ("exec", "check", "suspend", "resume", "completion"):
        assert verb in run("--help").stdout
        assert run(verb, "--help").returncode == 0


def test_the_help_cuts_no_summary() -> None:
    assert "..." not in run("--help").stdout.partition("Commands:")[2]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    done = run("completion", shell)
    assert done.returncode == 0
    assert "_STILLGATE_COMPLETE" in done.stdout


def test_completion_knows_the_fleets(tmp_path: Path) -> None:
    (tmp_path / "stillgate.toml").write_text('[fleet.production]\nendpoints = ["/a"]\n')
    command = ["env", "_STILLGATE_COMPLETE=bash_complete", "COMP_CWORD=3"]
    command += ["COMP_WORDS=stillgate exec --fleet pro", sys.executable, "-m", "stillgate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "production" in done.stdout


def test_the_man_page_is_up_to_date_and_renders() -> None:
    path = ROOT / "docs" / "stillgate.1"
    assert path.read_text() == manpage.page(), "python -m stillgate.cli.manpage > docs/stillgate.1"
    done = subprocess.run(
        ["man", "--warnings", "-l", str(path)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "suspend" in done.stdout
    headings = [line for line in done.stdout.splitlines() if line and line == line.upper().strip()]
    assert {"NAME", "DESCRIPTION", "EXAMPLES"} <= set(headings)
