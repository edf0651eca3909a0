"""Each verb, and in each place of a file something that is none: refused in time, and named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.odd_files import make

VERBS: dict[str, list[str]] = {
    "exec": ["show info"],
    "check": ["f"],
    "suspend": ["f"],
    "resume": ["f", "--retry-for", "0"],
    "extend": ["f", "5"],
    "status": [],
    "hold": ["f"],
    "cutover": ["new", "--serve", "b/new=ready", "--serve", "b/old=maint"],
    "rehearse": ["f"],
}
KINDS = ("FIFO", "device", "huge")
HANG_S = 60.0


def call(verb: str, *arguments: str, state: Path) -> tuple[int, str]:
    """Its exit status, and all that its JSON document says."""
    command = ["--", "true"] if verb == "hold" else []
    done = subprocess.run(
        [sys.executable, "-m", "stillgate", verb, *VERBS[verb], "--json", *arguments, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
        env={**os.environ, "STILLGATE_STATE_DIR": str(state)},
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.dumps(json.loads(done.stdout))


def words_of(kind: str) -> str:
    return "larger than " if kind == "huge" else f"a {kind}, not a plain file"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", VERBS)
def test_an_inventory(verb: str, kind: str, tmp_path: Path) -> None:
    path = make(tmp_path / "file", kind)
    status, told = call(verb, "--fleet", "a", "--inventory", str(path), state=tmp_path / "state")
    assert status == 2
    assert f"{path}: cannot be read: {words_of(kind)}" in told and "bad_inventory" in told


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", VERBS)
def test_an_ssh_config(verb: str, kind: str, tmp_path: Path) -> None:
    path = make(tmp_path / "file", kind)
    url = f"ssh://lb/run/a.sock?config={path}"
    status, told = call(verb, "-e", url, state=tmp_path / "state")
    assert status in (1, 3, 125)
    assert f"{path}: {words_of(kind)}" in told and "ssh_config" in told


@pytest.mark.parametrize("kind", KINDS)
def test_a_key(kind: str, tmp_path: Path) -> None:
    path = make(tmp_path / "file", kind)
    url = f"ssh://lb/run/a.sock?config=none&identity={path}"
    _, told = call("status", "-e", url, state=tmp_path / "state")
    assert f"the key {path} cannot be read: {words_of(kind)}" in told
    assert "ssh_key_unusable" in told


@pytest.mark.parametrize("kind", KINDS)
def test_a_payload(kind: str, tmp_path: Path) -> None:
    path = make(tmp_path / "file", kind)
    status, told = call("exec", "-e", "/no", "--payload", str(path), state=tmp_path / "state")
    assert status == 2 and "bad_option" in told
    assert f"payload: {path}: {words_of(kind)}" in told


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", sorted({*VERBS} - {"exec"}))
def test_a_record_in_the_journal(verb: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "holds").mkdir(0o700)
    path = make(tmp_path / "holds" / "x.hold", kind)
    _, told = call(verb, "-e", "/nowhere/a.sock", state=tmp_path)
    # Whoever only asks or releases goes on with what the HAProxies know.
    assert "no_such_socket" in told or f"cannot read {path}: {words_of(kind)}" in told
    if verb in ("suspend", "hold"):
        assert "journal_failed" in told and str(path) in told


@pytest.mark.parametrize("kind", KINDS)
def test_the_history(kind: str, tmp_path: Path) -> None:
    path = make(tmp_path / "history.jsonl", kind)
    done = subprocess.run(
        [sys.executable, "-m", "stillgate", "history", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
        env={**os.environ, "STILLGATE_STATE_DIR": str(tmp_path)},
    )
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 1 and error["code"] == "journal_failed"
    assert error["message"].startswith(f"history: {path}: {words_of(kind)}")


def test_a_state_folder_that_others_can_write(tmp_path: Path) -> None:
    (tmp_path / "somebody's").touch()
    tmp_path.chmod(0o777)
    try:
        for verb in ("suspend", "hold"):
            _, told = call(verb, "-e", "/nowhere/a.sock", state=tmp_path)
            assert "journal_failed" in told and "others can write it (owner " in told
            assert f"chmod go-w '{tmp_path}'" in told
    finally:
        tmp_path.chmod(0o700)
