"""What a program reads where nothing was sent, and what cannot be printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "docs" / "schema.json").read_text())
NOBODY = "/nowhere/a.sock"


def run(*arguments: str, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stillgate", *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(
    "arguments, field",
    [
        (["exec", "show info", "--json", "-e", NOBODY, "--reply-timeout", "x"], "reply_timeout"),
        (["exec", "show info", "--json"], ""),
        (["exec", "--json"], "command"),
        (["resume", "f", "--json", "-e", NOBODY, "--limit", "0"], "limit"),
        (["suspend", "f", "--json", "--bogus"], "bogus"),
    ],
)
def test_wrong_usage_is_a_document_too(arguments: list[str], field: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert document["action"] == arguments[0]
    assert (document["error"]["code"], document["error"]["field"]) == ("bad_option", field)
    assert "Error: " in done.stderr


def test_without_a_verb_there_is_no_document() -> None:
    for arguments in (["nonsense", "--json"], ["--json"], ["exec", "--", "--json"]):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (2, "")


def test_a_payload_that_is_not_there() -> None:
    done = run("exec", "set ssl cert x", "-e", NOBODY, "--payload", "/nowhere")
    assert done.returncode == 2
    assert done.stderr == "stillgate: payload: /nowhere: No such file or directory\n"


def test_a_payload_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "payload").write_bytes(b"\xff\xfe")
    done = run("exec", "set ssl cert x", "-e", NOBODY, "--payload", str(tmp_path / "payload"))
    assert done.returncode == 2
    assert done.stderr == "stillgate: payload: is not UTF-8 text\n"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_path_that_the_terminal_cannot_print(options: list[str]) -> None:
    done = run("exec", "show info", "-e", "/nowhere/\u00e9.sock", *options, encoding="ascii")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "no_such_socket" in done.stdout
    if options:
        assert json.loads(done.stdout)["outcomes"][0]["endpoint"] == "unix:///nowhere/\u00e9.sock"
