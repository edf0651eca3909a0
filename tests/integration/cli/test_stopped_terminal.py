"""A terminal that is stopped by Ctrl-S, and a pipe that nobody reads: nothing is held for them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.command import COMMAND
from support.haproxy.holds import F
from support.patience import HANG_S
from support.process import wait_until
from support.terminal import AtTerminal

if TYPE_CHECKING:
    from conftest import Start

STOP, GO_ON = "\x13", "\x11"

pytestmark = pytest.mark.usefixtures("state")


@contextmanager
def unread() -> Iterator[int]:
    """The end of a pipe that is full."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"." * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    try:
        yield writing
    finally:
        os.close(reading)
        os.close(writing)


def until(over: Path, begun: Path) -> list[str]:
    """A command that works until it may end."""
    return ["sh", "-c", f"touch {begun}; while [ ! -e {over} ]; do sleep 0.02; done"]


@pytest.mark.parametrize("keys", [[], ["--keys"]])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_hold_ends_with_its_command_though_the_terminal_is_stopped(
    when: str, keys: list[str], haproxy: Start, tmp_path: Path
) -> None:
    proxy = haproxy("3.0")
    begun, over = tmp_path / "begun", tmp_path / "over"
    there = ["--max-hold", "600", *keys, "-e", proxy.endpoints[0]]
    words = ["hold", F, *there, "--", *until(over, begun)]
    with AtTerminal(*words, environment=os.environ, on_it=True) as terminal:
        if when == "before":
            terminal.enter(STOP)
        wait_until(begun.exists, "the command")
        if when == "meanwhile":
            terminal.wait_for("HELD")
            terminal.enter(STOP)
        assert proxy.limit(F) == 0
        over.touch()
        wait_until(lambda: proxy.limit(F) == 100, "the release")
        assert terminal.process.poll() is None
        terminal.enter(GO_ON)
        terminal.wait_for("Resumed after")
        assert terminal.finish()[0] == 0
    # Nothing is lost, and all is in order.
    assert terminal.shown.index("held: 1 switch") < terminal.shown.index("Resumed after")


def test_a_resume_ends_the_hold_though_the_terminal_is_stopped(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    Fleet([proxy.endpoints[0]]).suspend(F, max_hold=600)
    words = ["resume", F, "-e", proxy.endpoints[0]]
    with AtTerminal(*words, environment=os.environ, on_it=True) as terminal:
        terminal.enter(STOP)
        wait_until(lambda: proxy.limit(F) == 100, "the release")
        terminal.enter(GO_ON)
        terminal.wait_for("resume: done")
        assert terminal.finish()[0] == 0


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_hold_ends_with_its_command_though_nobody_reads(
    form: list[str], haproxy: Start, tmp_path: Path
) -> None:
    """A line a second of it cannot be written either."""
    proxy = haproxy("3.0")
    begun = tmp_path / "begun"
    there = ["--max-hold", "600", *form, "-e", proxy.endpoints[0]]
    words = [*COMMAND, "hold", F, *there, "--", "sh", "-c", f"sleep 1.5; touch {begun}"]
    with unread() as pipe, subprocess.Popen(words, stderr=pipe) as holding:
        wait_until(lambda: begun.exists() and proxy.limit(F) == 100, "the release")
        assert holding.poll() is None
        # A signal ends the waiting for whoever does not read.
        holding.send_signal(signal.SIGTERM)
        try:
            assert holding.wait(HANG_S) == 130
        finally:
            holding.kill()


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_suspend_that_cannot_be_told_is_taken_back_by_a_signal(
    form: list[str], haproxy: Start
) -> None:
    proxy = haproxy("3.0")
    words = [*COMMAND, "suspend", F, "--no-lease", "-e", proxy.endpoints[0], *form]
    with unread() as pipe, subprocess.Popen(
        words, stdout=pipe, stderr=subprocess.PIPE, text=True
    ) as suspending:
        wchan = Path(f"/proc/{suspending.pid}/wchan")
        wait_until(lambda: proxy.limit(F) == 0 and "pipe" in wchan.read_text(), "the writing")
        suspending.send_signal(signal.SIGTERM)
        _, talk = suspending.communicate(timeout=HANG_S)
    assert (suspending.returncode, talk) == (130, "stopped; nothing is held, traffic flows\n")
    assert proxy.limit(F) == 100
