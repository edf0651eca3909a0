"""Work inside a hold that uses up the process's descriptors or memory: the hold is ended all the
same, or it is said what stands in its place.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.command import COMMAND, run
from support.haproxy.gate import Gated
from support.haproxy.guards import guards
from support.haproxy.holds import F, records
from support.haproxy.stuck import TO_END
from support.patience import HANG_S
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

EITHER = pytest.mark.parametrize("held", ["3.0 by maxconn", "3.0 by gate"], indirect=True)
USING = """
import asyncio, os, resource, sys
import stillgate
from stillgate import aio

way, what, endpoint = sys.argv[1:]
kept = []

def descriptors():
    most = max(int(name) for name in os.listdir("/proc/self/fd")) + 8
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        while True:
            kept.append(os.dup(0))
    except OSError:
        pass

def no_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))

def memory():
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize() + (4 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    for piece in (1 << 20, 1 << 16, 1 << 12, 1 << 9):
        try:
            while True:
                kept.append(bytearray(piece))
        except MemoryError:
            pass

def sync():
    with stillgate.Fleet([endpoint]).suspended("balanced", max_hold=600) as hold:
        globals()[what]()
    return hold

async def awaited():
    async with aio.Fleet([endpoint]).suspended("balanced", max_hold=600) as hold:
        globals()[what]()
    return hold

try:
    hold = sync() if way == "suspended" else asyncio.run(awaited())
except stillgate.StillHeld as held:
    kept.clear()
    print(held.message)
    sys.exit(held.exit_status)
kept.clear()
print("; ".join(one.verdict for one in hold.resumed.switches))
"""


class Held:
    """One HAProxy, by either method."""

    def __init__(self, start: Start, binary: Binary, method: str) -> None:
        self._gated = Gated(start, binary) if method == "gate" else None
        proxy = self._gated.proxy if self._gated else start(binary)
        self.endpoint = proxy.endpoints[0]
        self._proxy = proxy

    def is_held(self) -> bool:
        if self._gated:
            return bool(self._gated.status()["mode"] == "held")
        return self._proxy.limit(F) == 0

    def close(self) -> None:
        if self._gated:
            self._gated.close()


@pytest.fixture(params=["3.0 by maxconn", "3.0 by gate", "2.2 by maxconn"])
def held(
    request: pytest.FixtureRequest, haproxy: Start, haproxy_binaries: dict[str, Binary]
) -> Iterator[Held]:
    label, _, method = request.param.split()
    made = Held(haproxy, haproxy_binaries[label], method)
    yield made
    made.close()


@pytest.mark.parametrize("what", ["descriptors", "memory"])
@pytest.mark.parametrize("way", ["suspended", "aio"])
def test_a_block_that_uses_up_all_is_released(way: str, what: str, held: Held, state: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", USING, way, what, held.endpoint],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    assert (done.returncode, done.stdout) == (0, "resumed\n"), done.stderr
    assert not held.is_held() and records(state) == []
    wait_until(lambda: not guards(state), "the guard's end")


@EITHER
@pytest.mark.parametrize("way", ["suspended", "aio"])
def test_where_nothing_can_be_had_any_more_it_is_said(way: str, held: Held, state: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", USING, way, "no_descriptors", held.endpoint],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    assert done.returncode == 1, done.stderr
    assert_said_and_ended(done.stdout, held)


def assert_said_and_ended(words: str, held: Held) -> None:
    """It is true, and its command ends the hold."""
    assert held.is_held() and " until " in words, words
    (line,) = [one for one in words.splitlines() if TO_END in one]
    done = run(*shlex.split(line.rpartition(TO_END)[2])[1:])
    assert (done.returncode, held.is_held()) == (0, False), done.stdout + done.stderr


# --- the command line -----------------------------------------------------------------


def of_descriptors(pid: int) -> str:
    """All that it has, and not one more."""
    most = max(int(name) for name in os.listdir(f"/proc/{pid}/fd")) + 1
    return f"--nofile={most}:{most}"


def of_memory(pid: int) -> str:
    size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return f"--as={size}:{size}"


@contextmanager
def holding(
    held: Held, folder: Path, options: Sequence[str] = ()
) -> Iterator[tuple[int, Callable[[], tuple[int, str, str]]]]:
    """Its pid while COMMAND runs, and what lets COMMAND end."""
    begun, go = folder / "begun", folder / "go"
    script = f"touch {begun}; while [ ! -e {go} ]; do sleep 0.01; done"
    words = [
        "hold",
        F,
        "--max-hold",
        "600",
        "-e",
        held.endpoint,
        *options,
        "--",
        "sh",
        "-c",
        script,
    ]
    with subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:

        def end() -> tuple[int, str, str]:
            go.touch()
            out, talk = process.communicate(timeout=HANG_S)
            return process.returncode, out, talk

        try:
            wait_until(begun.exists, "the command")
            yield process.pid, end
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


@EITHER
@pytest.mark.parametrize("limit", [of_descriptors, of_memory])
def test_a_command_line_without_any_left_releases(
    limit: Callable[[int], str], held: Held, tmp_path: Path, state: Path
) -> None:
    with holding(held, tmp_path) as (pid, end):
        subprocess.run(["prlimit", f"--pid={pid}", limit(pid)], check=True)
        status, _, talk = end()
    assert status == 0 and "stillgate: Resumed after" in talk and "; 0 leaked." in talk, talk
    assert not held.is_held() and records(state) == []


@EITHER
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["words", "json"])
def test_a_command_line_that_can_open_nothing_says_so(
    options: list[str], held: Held, tmp_path: Path, state: Path
) -> None:
    with holding(held, tmp_path, options) as (pid, end):
        subprocess.run(["prlimit", f"--pid={pid}", "--nofile=0:0"], check=True)
        status, out, talk = end()
    assert status == 125, talk
    assert "Traceback" not in talk, talk
    if options:
        document = json.loads(out)
        assert document["error"]["code"] == "still_held"
        talk = document["error"]["message"]
    assert_said_and_ended(talk, held)
