"""Completion in real shells: what is completed is a word, and nothing that the shell runs."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

HANG_S = 60.0
TAB = b"\t"
EVIL = ("$(touch RAN)", "`touch RAN`", "a;touch RAN", "*", "it's one", "a b", "plain")


def inventory(folder: Path, *names: str) -> None:
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    text = "".join(f'[fleet."{name}"]\nendpoints = ["/a"]\n' for name in quoted)
    (folder / "stillgate.toml").write_text(text)


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    """With a `stillgate` on the path, and one that shows the words that it gets."""
    program = tmp_path / "bin" / "stillgate"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'[ -z "$_STILLGATE_COMPLETE" ] || exec {sys.executable} -m stillgate\n'
        'for word in "$@"; do printf "<%s>" "$word"; done\necho ":END"\n'
    )
    program.chmod(0o755)
    return tmp_path


class Shell:
    """An interactive shell at a terminal of its own, in `folder`."""

    def __init__(self, folder: Path, *command: str) -> None:
        self._ours, theirs = pty.openpty()
        attributes = termios.tcgetattr(theirs)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "TERM": "dumb"}
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env={**environment, "HOME": str(folder), "PS1": "% "},
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = b""

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def wait_for(self, words: bytes) -> None:
        deadline = time.monotonic() + HANG_S
        while words not in self.shown:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._ours], [], [], left)[0], self.shown
            try:
                self.shown += os.read(self._ours, 65536)
            except OSError as error:
                raise AssertionError(self.shown) from error

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def script_of(shell: str) -> str:
    command = [sys.executable, "-m", "stillgate", "completion", shell]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_fleet_of_any_name_is_completed_to_one_word(shell: str, name: str, folder: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    inventory(folder, name)
    (folder / "script").write_text(script_of(shell))
    options = ["--norc", "--noprofile"] if shell == "bash" else ["-f"]
    started = Shell(folder, shell, *options, "-i")
    try:
        prepare = "" if shell == "bash" else "autoload -Uz compinit; compinit -u; "
        started.type(f"{prepare}. ./script; echo SCRIPT READ=$?\n".encode())
        started.wait_for(b"READ=0")
        # Twice: the first may end within the word, and what stands there then is completed again.
        started.type(b"stillgate status --fleet " + TAB + TAB + b"\n")
        started.wait_for(b":END")
    finally:
        started.close()
    assert f"<status><--fleet><{name}>:END".encode() in started.shown
    assert not (folder / "RAN").exists()


def answers(folder: Path, incomplete: str) -> list[str]:
    words = f"stillgate exec --fleet {incomplete}"
    environment = {**os.environ, "_STILLGATE_COMPLETE": "bash_complete", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-m", "stillgate"],
        env={**environment, "COMP_WORDS": words},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split()


def test_a_name_of_several_lines_is_not_offered(folder: Path) -> None:
    (folder / "stillgate.toml").write_text(
        "".join(
            f'[fleet."{name}"]\nendpoints = ["/a"]\n'
            for name in ("good", "a\\nplain,$(id)", "\\u001b[2J")
        )
    )
    assert answers(folder, "") == ["plain,good"]


def test_an_inventory_that_others_can_write_completes_nothing(folder: Path) -> None:
    inventory(folder, "good")
    (folder / "stillgate.toml").chmod(0o666)
    assert answers(folder, "") == []
