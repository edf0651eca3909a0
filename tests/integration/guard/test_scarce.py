"""A guard that cannot have what it needs refuses before anything is held, or ends in time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

import stillgate
from stillgate import Fleet
from support.haproxy.guards import (
    STANDBY_SOCKETS,
    BareGuard,
    active,
    descriptors,
    guards,
    limit_or_none,
    sockets,
    standby,
)
from support.haproxy.holds import F, records
from support.haproxy.server import HAProxy
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

GUARD = Path(
    os.environ.get("STILLGATE_GUARD") or Path(stillgate.__file__).parent / "stillgate-guard"
)
CLI = [sys.executable, "-m", "stillgate"]
MANY = 20

pytestmark = pytest.mark.usefixtures("state")
root = pytest.mark.skipif(
    os.getuid() != 0, reason="only root can limit another user, and hide /proc"
)


def suspend(endpoints: Sequence[str], *before: str, max_hold: float = 1.5) -> Any:
    targets = [word for endpoint in endpoints for word in ("-e", endpoint)]
    options = ["--method", "maxconn", "--max-hold", str(patient(max_hold))]
    return subprocess.run(
        [*before, *CLI, "suspend", F, *options, *targets],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


def refused(done: Any, proxy: HAProxy, state: Path) -> str:
    """What it said: nothing was held, and nobody is left."""
    said: str = done.stdout + done.stderr
    assert done.returncode not in (0, -signal.SIGKILL), said
    assert proxy.limit(F) == 300, said
    wait_until(lambda: not guards(state), "the guards to leave")
    assert records(state) == []
    return said


@pytest.fixture
def somebodys_folder() -> Iterator[Path]:
    """Of a user who has nothing else; what pytest gives is in folders of root's."""
    with TemporaryDirectory() as folder:
        uid = 64_000 + os.getpid() % 1000
        os.chown(folder, uid, uid)
        yield Path(folder)


def lost_standbys(state: Path) -> list[str]:
    """What was told of guards that no other stands by."""
    lines = (state / "history.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    told = [one["message"] for one in events if one["event"] == "guard_lost"]
    return [message for message in told if "no standby guard can be had" in message]


def test_too_few_descriptors_for_the_worst_case_are_a_refusal(haproxy: Start, state: Path) -> None:
    proxy = haproxy("3.0", maxconn=300, unix_sockets=MANY, stats_maxconn=400)
    # Enough for those of a suspend, and for a guard on a good day.
    guard = BareGuard(GUARD, state, proxy.endpoints, ["prlimit", f"--nofile={3 * MANY}"])
    said = guard.line()
    assert said.startswith("refused  guard_failed "), said
    assert f"its%20limit%20is%20{3 * MANY}:" in said and "LimitNOFILE=" in said
    wait_until(lambda: not guards(state), "the guards to leave")


def test_a_low_soft_limit_is_raised(haproxy: Start, state: Path) -> None:
    proxy = haproxy("3.0", maxconn=300, unix_sockets=MANY, stats_maxconn=400)
    guard = BareGuard(GUARD, state, proxy.endpoints, ["prlimit", f"--nofile={3 * MANY}:4096"])
    assert guard.answer() == "ready"
    guard.leave()
    wait_until(lambda: not guards(state), "the guards to leave")


def test_a_suspend_with_too_few_descriptors_holds_nothing(haproxy: Start, state: Path) -> None:
    proxy = haproxy("3.0", maxconn=300)
    said = refused(suspend(proxy.endpoints[:1], "prlimit", "--nofile=36"), proxy, state)
    assert "ulimit" in said


def test_no_memory_for_the_worst_case_is_a_refusal(haproxy: Start, state: Path) -> None:
    proxy = haproxy("3.0", maxconn=300)
    guard = BareGuard(GUARD, state, proxy.endpoints[:1], ["prlimit", f"--as={20 << 20}"])
    said = guard.line()
    assert said.startswith("refused  guard_failed ") or said == "", said
    wait_until(lambda: not guards(state), "the guards to leave")
    assert proxy.limit(F) == 300


@root
@pytest.mark.parametrize("processes", [2, 3])
def test_no_thread_or_process_is_a_refusal(processes: int, haproxy: Start, state: Path) -> None:
    proxy = haproxy("3.0", maxconn=300)
    uid = 64_000 + os.getpid() % 1000
    somebody = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    # The guard and its thread need two, and its standby guard two more.
    limit = ["prlimit", f"--nproc={processes}"]
    guard = BareGuard(GUARD, state, proxy.endpoints[:1], [*somebody, *limit])
    said = guard.line()
    assert said.startswith("refused  guard_failed "), said
    assert "ulimit%20-u" in said
    wait_until(lambda: not guards(state), "the guards to leave")


@root
def test_a_takeover_where_no_thread_or_process_is_to_be_had_ends_the_hold_in_time(
    haproxy: Start, somebodys_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, uid = somebodys_folder, somebodys_folder.stat().st_uid
    monkeypatch.setenv("STILLGATE_STATE_DIR", str(state))
    # By TCP: the socket is root's.
    proxy = haproxy("3.0", maxconn=300, tcp_socket=True)
    somebody = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    began = time.time()
    done = suspend(proxy.endpoints[-1:], *somebody, max_hold=5)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = active(state), standby(state)
    for pid in (first, second):
        # Only root with all capabilities may limit what another user has begun.
        subprocess.run([*somebody, "prlimit", f"--pid={pid}", "--nproc=1:1"], check=True)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: guards(state) == [second], "the end of the first")
    wait_until(lambda: proxy.limit(F) == 300, "the end of the hold")
    assert time.time() >= began + 5 - 0.05
    wait_until(lambda: not guards(state), "the guard to leave")
    (message,) = lost_standbys(state)
    assert "ulimit -u" in message


@root
def test_without_proc_there_is_a_standby_guard_too(haproxy: Start, state: Path) -> None:
    proxy = haproxy("3.0", maxconn=300)
    hidden = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$0" "$@"']
    done = suspend(proxy.endpoints[:1], *hidden, max_hold=3)
    assert done.returncode == 0, done.stdout + done.stderr
    before = guards(state)
    assert len(before) == 2
    # A new one starts from its standby guard's own, too.
    for _ in range(2):
        before = guards(state)
        os.kill(active(state), signal.SIGKILL)
        wait_until(lambda: len(guards(state)) == 2 and guards(state) != before, "a new pair")
        wait_until(lambda: sockets(active(state)) > STANDBY_SOCKETS, "a takeover")
    wait_until(lambda: proxy.limit(F) == 300, "the end of the hold")
    wait_until(lambda: not guards(state), "the guards to leave")


def test_one_that_never_answers_delays_no_other(haproxy: Start, state: Path) -> None:
    proxies = [haproxy("3.0", maxconn=300) for _ in range(3)]
    report = Fleet([one.endpoints[0] for one in proxies]).suspend(
        F, method="maxconn", max_hold=patient(1.5)
    )
    assert report.holds[0].deadline is not None
    stopped = proxies[0].worker_pid
    os.kill(stopped, signal.SIGSTOP)
    try:
        wait_until(lambda: [one.limit(F) for one in proxies[1:]] == [300, 300], "the others' end")
        assert len(guards(state)) == 2
    finally:
        os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: limit_or_none(proxies[0]) == 300, "its end")
    wait_until(lambda: not guards(state), "the guards to leave")


def test_a_journal_that_hangs_delays_no_release(haproxy: Start, state: Path) -> None:
    proxy = haproxy("3.0", maxconn=300)
    Fleet(proxy.endpoints[:1]).suspend(F, method="maxconn", max_hold=patient(1.5))
    (record,) = (state / "holds").iterdir()
    record.unlink()
    os.mkfifo(record)
    wait_until(lambda: proxy.limit(F) == 300, "the end of the hold")


def test_a_standby_guard_that_is_stopped_delays_no_release(haproxy: Start, state: Path) -> None:
    proxies = [haproxy("3.0", maxconn=300) for _ in range(2)]
    fleet = Fleet([one.endpoints[0] for one in proxies])
    fleet.suspend(F, method="maxconn", max_hold=patient(1.5))
    stopped = standby(state)
    os.kill(stopped, signal.SIGSTOP)
    try:
        wait_until(lambda: [one.limit(F) for one in proxies] == [300, 300], "the end of the hold")
        wait_until(lambda: guards(state) == [stopped], "the active guard to leave")
    finally:
        os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: not guards(state), "the standby guard to leave")


def test_a_guard_without_descriptors_at_a_restart_ends_the_hold_in_time(
    haproxy: Start, state: Path
) -> None:
    proxies = [haproxy("3.0", maxconn=300) for _ in range(2)]
    report = Fleet([one.endpoints[0] for one in proxies]).suspend(
        F, method="maxconn", max_hold=patient(2)
    )
    first = active(state)
    # Not one more than it has: no new connection anywhere.
    used = descriptors(first)
    subprocess.run(["prlimit", f"--pid={first}", f"--nofile={used}:{used}"], check=True)
    os.kill(standby(state), signal.SIGKILL)
    assert report.holds[0].deadline is not None
    wait_until(lambda: [one.limit(F) for one in proxies] == [300, 300], "the end of the hold")
    assert time.time() >= report.holds[0].deadline - 0.05
    wait_until(lambda: not guards(state), "the guards to leave")
