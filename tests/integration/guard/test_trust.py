"""What a guard has of its starter, and what it makes of a journal that is not what it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.haproxy.guards import guards
from support.haproxy.holds import F
from support.odd_files import make
from support.patience import patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")

ACCEPTING = 0x10000


def listening_inodes() -> set[str]:
    """Of unix sockets that somebody could connect to."""
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return {row[6] for row in rows if int(row[3], 16) & ACCEPTING}


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_the_guard_keeps_nothing_that_it_does_not_need(
    haproxy: Start, state: Path, tmp_path: Path
) -> None:
    """Neither files that its starter had open, nor its session, nor a way in for others."""
    proxy = haproxy("3.0")
    secret = tmp_path / "open in the starter"
    secret.touch()
    words = ["suspend", F, "--max-hold", "600", "--method", "maxconn", "-e", proxy.endpoints[0]]
    with secret.open() as file:
        command = [sys.executable, "-m", "stillgate", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, pass_fds=[file.fileno()])
    pair = guards(state)
    assert len(pair) == 2
    listening, ours = listening_inodes(), status_of(os.getpid())
    for pid in pair:
        targets = [os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir()]
        assert str(secret) not in targets
        assert not any(one in f"socket:[{number}]" for one in targets for number in listening)
        assert os.getsid(pid) != os.getsid(0)
        status = status_of(pid)
        assert status["Umask"] == "0077"
        # What it may do is what the user may: `on_event` runs with it.
        for kept in ("Uid", "Gid", "Groups", "CapEff", "CapBnd", "NoNewPrivs"):
            assert status[kept] == ours[kept], kept
    assert Fleet([proxy.endpoints[0]]).resume(F).ok


@pytest.mark.parametrize("kind", ["FIFO", "device", "huge"])
def test_a_record_that_becomes_something_else_ends_no_guard(
    kind: str, haproxy: Start, state: Path, tmp_path: Path
) -> None:
    """It reads the journal ten times a second, and leaves where its hold is off it."""
    proxy = haproxy("3.0")
    Fleet([proxy.endpoints[0]]).suspend(F, method="maxconn", max_hold=patient(2))
    (record,) = (state / "holds").glob("*.hold")
    # At one stroke: it is never missing.
    make(tmp_path / "other", kind).replace(record)
    wait_until(lambda: proxy.limit(F) == 100, "the release by the guard")
    wait_until(lambda: not guards(state), "the guard to leave")
