"""The command `stillgate` as an operator types it, its JSON held against docs/schema.json."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import jsonschema

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs" / "schema.json").read_text())
# A sanitized one, see support/sanitized.py.
COMMAND = shlex.split(os.environ.get("STILLGATE_COMMAND", "")) or [
    sys.executable,
    "-m",
    "stillgate",
]
F = "balanced"


def run(
    *arguments: str,
    given: str = "",
    environment: Optional[Mapping[str, str]] = None,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env=environment,
    )


def run_json(
    *arguments: str, environment: Optional[Mapping[str, str]] = None, timeout: float = 60
) -> tuple[int, dict[str, Any]]:
    done = run(*arguments, "--json", environment=environment, timeout=timeout)
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert document["ok"] == (done.returncode == 0)
    return done.returncode, document


def to_fleet(*urls: str) -> list[str]:
    return [word for url in urls for word in ("-e", url)]


def ask(*urls: str, environment: Optional[Mapping[str, str]] = None) -> list[Optional[str]]:
    """What `show info` fails with at each of them, `code: message`; None where it answered."""
    _, document = run_json("exec", "show info", *to_fleet(*urls), environment=environment)
    found: list[Optional[str]] = []
    for one in document["outcomes"]:
        error = one["error"]
        assert error is not None or "\nPid: " in one["reply"]
        found.append(None if error is None else f"{error['code']}: {error['message']}")
    return found


def only(document: dict[str, Any]) -> dict[str, Any]:
    (switch,) = document["switches"]
    assert isinstance(switch, dict)
    return switch
