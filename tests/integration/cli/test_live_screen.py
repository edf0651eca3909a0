"""The live screen, through a real terminal of 80x24: looked at as a terminal shows it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pyte
import pytest

from stillgate import Fleet
from support.closing import Closing
from support.command import COMMAND, run
from support.haproxy.holds import F
from support.patience import HANG_S
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")
COLUMNS, LINES = 80, 24


class Terminal(Closing):
    """`stillgate` on a terminal; `screen` is what somebody would see there."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    def wait_for(self, is_there: Callable[[list[str]], bool], what: str) -> list[str]:
        deadline = time.monotonic() + HANG_S
        while not is_there(self.lines()):
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"not seen: {what}; but:\n" + "\n".join(self.lines()))
        return self.lines()

    def wait_for_words(self, words: str) -> list[str]:
        return self.wait_for(lambda lines: any(words in line for line in lines), words)

    def finish(self) -> int:
        while self._read(HANG_S):
            pass
        return self.process.wait(HANG_S)

    def _read(self, timeout: float) -> bool:
        if not select.select([self._ours], [], [], timeout)[0]:
            return False
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # nobody has the other end any more
            return False
        self._stream.feed(piece)
        return piece != b""

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


def watch(endpoints: Sequence[str]) -> Terminal:
    return Terminal("status", F, "--watch", *(word for one in endpoints for word in ("-e", one)))


def test_a_watch_shows_a_hold_and_a_key_ends_it_asked_once(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fleet = Fleet([f"lb1={proxy.endpoints[0]}"])
    with watch([f"lb1={proxy.endpoints[0]}"]) as terminal:
        terminal.wait_for_words("OPEN, 1 of 1 HAProxies answer")
        fleet.suspend(F, max_hold=600, reason="migration 42")
        lines = terminal.wait_for_words("HELD")
        assert lines[0].endswith("1 of 1 HAProxies")
        assert any(line.startswith("lb1 ") and " held " in line for line in lines)
        assert any("migration 42" in line for line in lines)
        terminal.press("r")
        terminal.wait_for_words("? y/n")
        terminal.press("n")
        terminal.wait_for_words("r resume   e extend")
        assert proxy.limit(F) == 0
        terminal.press("e")
        terminal.wait_for_words("Extend by 15 s")
        terminal.press("y")
        terminal.wait_for_words("of 615")
        terminal.press("r")
        terminal.wait_for_words("? y/n")
        terminal.press("y")
        wait_until(lambda: proxy.limit(F) == 100, "the release")
        terminal.wait_for_words("Resumed after")
        terminal.press("q")
        assert terminal.finish() == 0
        # What it was last stays to be read, and the screen of before is back.
        assert "OPEN, 1 of 1 HAProxies answer" in terminal.lines()


def test_looks_open_no_connection_each(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fleet = Fleet([proxy.endpoints[0]])
    fleet.look(F)
    # That of `execute` itself is counted, too.
    before = count_connections(fleet)
    for _ in range(5):
        fleet.look(F)
    assert count_connections(fleet) == before + 1


def count_connections(fleet: Fleet) -> int:
    reply = fleet.execute("show info")[0].reply
    assert reply is not None
    told = dict(line.split(": ", 1) for line in reply.splitlines() if ": " in line)
    return int(told["CumConns"])


def test_a_look_after_a_reload_sees_the_new_worker(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fleet = Fleet([proxy.endpoints[0]])
    assert fleet.look(F).switches[0].verdict == "open"
    Fleet([proxy.endpoints[0]]).suspend(F, max_hold=600)
    assert fleet.look(F).switches[0].verdict == "held"
    Fleet([proxy.endpoints[0]]).resume(F)


def test_under_maxconn_the_kernels_queue_is_counted(haproxy: Start) -> None:
    import socket

    proxy = haproxy("3.0")
    fleet = Fleet([proxy.endpoints[0]])
    fleet.suspend(F, max_hold=600, method="maxconn")
    waiting = [socket.create_connection(("127.0.0.1", proxy.ports[F])) for _ in range(3)]
    try:
        wait_until(lambda: fleet.look(F).switches[0].waiting == 3, "the queue")
    finally:
        for one in waiting:
            one.close()
        fleet.resume(F)


def test_a_hold_keeps_the_last_lines_for_its_screen(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    there = ["--max-hold", "600", "-e", f"lb1={proxy.endpoints[0]}"]
    # As many lines as would scroll anything away that is not kept.
    script = "for i in $(seq 1 60); do echo line $i; sleep 0.05; done"
    with Terminal("hold", F, *there, "--", "sh", "-c", script) as terminal:
        lines = terminal.wait_for(
            lambda lines: any(line.startswith("lb1 ") for line in lines)
            and any(line.startswith("line ") for line in lines),
            "both",
        )
        held = next(at for at, line in enumerate(lines) if "HELD" in line)
        assert held >= LINES // 2
        assert not any(line.startswith("line ") for line in lines[held:])
        assert terminal.finish() == 0
        shown = terminal.lines()
        assert any(line.startswith("stillgate: Resumed after ") for line in shown), shown
        assert "line 60" in shown
        assert not any(line.startswith("lb1 ") for line in shown)


def test_keys_extend_a_hold_and_end_its_command_asked_once(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    there = ["--max-hold", "300", "--keys", "-e", f"lb1={proxy.endpoints[0]}"]
    # It sees that it has no standard input: what is typed is not for it.
    script = "cat; echo nothing to read; sleep 600"
    with Terminal("hold", F, *there, "--", "sh", "-c", script) as terminal:
        terminal.wait_for_words("nothing to read")
        lines = terminal.wait_for_words("r end the command and resume   e extend")
        assert any("of 300, " in line for line in lines)
        terminal.press("q")  # Nobody could keep the command, so the hold cannot be left.
        terminal.press("e")
        terminal.wait_for_words("Extend by 15 s")
        terminal.press("y")
        terminal.wait_for_words("of 315, ")
        terminal.press("r")
        terminal.wait_for_words("End the command, and resume balanced")
        terminal.press("n")
        terminal.wait_for_words("r end the command and resume   e extend")
        assert proxy.limit(F) == 0
        terminal.press("r")
        terminal.wait_for_words("? y/n")
        terminal.press("y")
        assert terminal.finish() == 130
        assert proxy.limit(F) == 100
        assert any("traffic flows" in line for line in terminal.lines()), terminal.lines()


def test_keys_need_a_terminal_and_else_nothing_is_held(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    done = run("hold", F, "--keys", "-e", proxy.endpoints[0], "--", "true")
    assert done.returncode == 2 and "keys: standard input and error must be a" in done.stderr
    assert proxy.limit(F) == 100


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_hold_without_a_terminal_can_say_a_line_a_second(form: list[str], haproxy: Start) -> None:
    proxy = haproxy("3.0")
    there = ["--max-hold", "300", "--progress", *form, "-e", f"lb1={proxy.endpoints[0]}"]
    done = run("hold", F, *there, "--", "sleep", "2.5")
    assert done.returncode == 0
    if form:
        told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        assert [one["switches"][0]["verdict"] for one in told[:2]] == ["held", "held"]
        assert json.loads(done.stdout)["action"] == "hold"
    else:
        lines = [line for line in done.stderr.splitlines() if " HELD " in line]
        assert len(lines) >= 2 and all(" of 300, " in line for line in lines)
        assert done.stdout == ""


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_where_there_is_no_terminal_it_is_a_line_a_look(form: list[str], haproxy: Start) -> None:
    proxy = haproxy("3.0")
    command = [*COMMAND, "status", F, "--watch", *form, "-e", proxy.endpoints[0]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        lines = [watching.stdout.readline() for _ in range(2)]
        watching.terminate()
        watching.stdout.read()
    for line in lines:
        if form:
            assert json.loads(line)["action"] == "status"
        else:
            assert line.endswith("OPEN, 1 of 1 HAProxies answer\n")
