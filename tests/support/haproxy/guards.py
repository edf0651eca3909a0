"""The guards of a test's holds: found by the state folder that they were started with."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Optional

from support.closing import Closing
from support.haproxy.server import HAProxy
from support.patience import HANG_S
from support.process import state_of, wait_until

NAME = "stillgate-guard"


def guards(state: Path) -> list[int]:
    """The guard processes of that state folder that run or are stopped, oldest first; the dead that
    nobody has reaped do not count.
    """
    wanted = f"STILLGATE_STATE_DIR={state}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "comm").read_bytes().strip() != NAME.encode():
                continue
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                started = int((entry / "stat").read_text().rpartition(")")[2].split()[19])
                found.append((started, int(entry.name)))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return [pid for _, pid in sorted(found)]


def end_guards(state: Path) -> None:
    """Kills what a test leaves: a guard whose HAProxy is gone waits for its hold's deadline.

    All are stopped before one is killed: the other one of a pair would start a new one.
    """
    known: list[int] = []
    while (found := guards(state)) != known:
        known = found
        _signal(known, signal.SIGSTOP)
        # One that was just forking has its child when it stands still.
        wait_until(lambda: not _running(known), "the guards to stand still")
    _signal(known, signal.SIGKILL)
    wait_until(lambda: not guards(state), "the guards to be gone")


def _running(pids: list[int]) -> list[int]:
    return [pid for pid in pids if state_of(pid) not in ("T", "t", "Z", "X", "")]


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def active(state: Path) -> int:
    """The one of the pair that works: it has connections to the endpoints."""
    return max(guards(state), key=sockets)


def standby(state: Path) -> int:
    return min(guards(state), key=sockets)


STANDBY_SOCKETS = 3  # the holder's two, and that of its active guard


def sockets(pid: int) -> int:
    found = 0
    with suppress(FileNotFoundError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):
                found += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
    return found


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def resident_kb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def send_all(state: Path, number: signal.Signals) -> None:
    for pid in guards(state):
        os.kill(pid, number)


def opened_at(proxies: Sequence[HAProxy], limits: Sequence[int]) -> list[float]:
    """When each of them was seen with its limit again, on time.time()."""
    deadline = time.monotonic() + HANG_S
    seen: dict[int, float] = {}
    while len(seen) < len(proxies):
        assert time.monotonic() < deadline, f"still held: {len(proxies) - len(seen)}"
        for index, proxy in enumerate(proxies):
            if index not in seen and proxy.limit("balanced") == limits[index]:
                seen[index] = time.time()
        time.sleep(0.005)
    return [seen[index] for index in range(len(proxies))]


def limit_or_none(proxy: HAProxy) -> Optional[int]:
    """None where its listen queue is still full of those who asked while it was stopped."""
    try:
        return proxy.limit("balanced")
    except OSError:
        return None


class BareGuard:
    """A guard started by hand, for as many endpoints as wanted, before anything is held."""

    def __init__(
        self, executable: Path, state: Path, endpoints: Sequence[str], before: Sequence[str] = ()
    ) -> None:
        """`before`: a command that runs it."""
        switches = "".join(f"switch {url} balanced 100\n" for url in endpoints)
        head = "stillgate-hold 1\nid bare\nowner a%20test\nreason \nstarted 0\ndeadline 60000\n"
        record = f"{head}{switches}end\n"
        now_ms = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
        order = {
            "mode": "arming",
            "record": urllib.parse.quote(record, safe="/:"),
            "deadline": str(now_ms + 60_000),
            "state-folder": str(state),
        }
        lines = "".join(f"{key} {value}\n" for key, value in order.items())
        self._here, there = socket.socketpair()
        self._here.settimeout(HANG_S)
        with there:
            environment = {**os.environ, "STILLGATE_STATE_DIR": str(state)}
            command = [*before, str(executable)]
            subprocess.run(
                command, stdin=there.fileno(), stdout=there.fileno(), check=True, env=environment
            )
        self._here.sendall(f"stillgate-guard 1\n{lines}go\n".encode())

    def answer(self) -> str:
        return self.line().split()[0]

    def line(self) -> str:
        """What it says next; empty where it died."""
        said = b""
        while not said.endswith(b"\n"):
            piece = self._here.recv(4096)
            if not piece:
                break
            said += piece
        return said.decode().rstrip()

    def say(self, word: str) -> None:
        self._here.sendall(f"{word}\n".encode())

    def leave(self) -> None:
        self.say("leave")
        self.hang_up()

    def hang_up(self) -> None:
        """As a suspend that is done, or that died."""
        self._here.close()


class Stuck(Closing):
    """A file that nobody gets read: a named pipe in its place, gone at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = -1

    def __enter__(self) -> Stuck:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.mkfifo(self._path)
        return self

    def close(self) -> None:
        self._path.unlink()
        if self._writer >= 0:
            os.close(self._writer)

    def wait_for_reader(self) -> None:
        """Until somebody tries to read it, and stands still there."""

        def opened() -> bool:
            try:
                self._writer = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
            return self._writer >= 0

        wait_until(opened, f"a reader of {self._path}")

    def let_one_through(self) -> None:
        """The reader finds an empty file."""
        os.close(self._writer)
        self._writer = -1
