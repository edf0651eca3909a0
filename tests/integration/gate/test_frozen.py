"""The gate of an HAProxy that stood still: its deadlines are kept by the time that has passed, and
a process that takes over from it finds them on a clock of its own.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import pytest

from stillgate import gate
from support.app import App
from support.clients.gated import Http1
from support.haproxy.gate import F, Gated
from support.patience import patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

Start = Callable[..., Gated]
LATE_S = 0.25


def freeze(proxy: Gated, seconds: float) -> None:
    """Up to 3.0 its own clock is behind by that much from then on."""
    pid = proxy.proxy.worker_pid
    thaw = time.monotonic() + seconds
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: time.monotonic() >= thaw, "the thaw")
    finally:
        os.kill(pid, signal.SIGCONT)


def clock_of(proxy: Gated) -> int:
    return int(proxy.whole_status()["now_ms"])


def uptime() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


def leave(file: Path, since: float, token: str, up_until: Optional[float] = None) -> None:
    """What an earlier process kept; one that knew of no other clock wrote no `up_until`."""
    up_ms = "" if up_until is None else f"{int(max(0, up_until) * 1000):012d}"
    file.write_text(f"held {since:.6f}{up_ms} {token}\n")


@pytest.mark.parametrize("past", [True, False], ids=["past its end", "before its end"])
def test_it_ends_on_time_however_long_it_was_frozen(
    haproxy_version: Binary, gated: Start, app: App, past: bool
) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    # What stands still for so long and does not know it is late by more than it may be.
    frozen_s = 3 * patient(LATE_S)
    lasts_s = patient(0.5) + (0 if past else frozen_s)
    frozen_s += lasts_s if past else 0
    before = time.monotonic()
    proxy.hold(round(lasts_s * 1000))
    after = time.monotonic()
    with Http1(proxy.port).send("held") as client:
        proxy.wait_waiting(1)
        freeze(proxy, frozen_s)
        thawed = time.monotonic()
        assert client.answer().status == 200
    (arrival,) = app.arrivals()
    assert arrival.at >= before + lasts_s - 0.02
    assert arrival.at <= max(thawed, after + lasts_s) + patient(LATE_S)


def test_made_longer_behind_a_freeze_it_ends_no_later_for_that(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    until = clock_of(proxy) + 200_000
    begun = time.monotonic()
    proxy.hold(200_000, name="one", until=until)
    freeze(proxy, 1.0)
    proxy.hold(300_000, name="one", until=until + 100_000)
    asked = time.monotonic()
    left = proxy.status()["remaining_ms"] / 1000
    assert 200 < left <= begun + 300 - asked + 0.1
    proxy.open()


def test_a_switch_that_was_under_way_through_a_freeze_holds_no_longer_for_it(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    until = clock_of(proxy) + 300
    freeze(proxy, 0.6)
    proxy.hold(30_000, until=until)
    assert proxy.status()["mode"] == "open"


@pytest.mark.parametrize("name", ["lasts", "until"])
def test_a_reload_behind_a_freeze_moves_no_deadline(
    haproxy_version: Binary, gated: Start, app: App, name: str
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], master_worker=True)
    freeze(proxy, 1.0)
    lasts_s = patient(1.5)  # for the reload
    lasts_ms = round(lasts_s * 1000)
    before = time.monotonic()
    proxy.hold(lasts_ms, until=clock_of(proxy) + lasts_ms if name == "until" else None)
    after = time.monotonic()
    with Http1(proxy.port).send("old") as old:
        proxy.wait_waiting(1)
        proxy.proxy.reload()
        asked = time.monotonic()
        told = proxy.status()
        assert told["mode"] == "held"
        left = told["remaining_ms"] / 1000
        assert before + lasts_s - time.monotonic() - 0.1 <= left <= after + lasts_s - asked + 0.1
        with Http1(proxy.port).send("new") as new:
            assert (old.answer().status, new.answer().status) == (200, 200)
    arrived = [arrival.at for arrival in app.arrivals()]
    assert min(arrived) >= before + lasts_s - 0.02
    assert max(arrived) <= after + lasts_s + patient(LATE_S)


def test_made_longer_behind_a_freeze_and_two_reloads(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], master_worker=True)
    freeze(proxy, 1.0)
    before = time.monotonic()
    until = clock_of(proxy) + 200_000
    after = time.monotonic()
    proxy.hold(200_000, name="one", until=until)
    with Http1(proxy.port).send("old") as old:
        proxy.wait_waiting(1)
        proxy.proxy.reload()
        # As `extend` does, whichever process told UNTIL.
        proxy.hold(300_000, name="one", until=until + 100_000)
        proxy.proxy.reload()
        asked = time.monotonic()
        left = proxy.status()["remaining_ms"] / 1000
        assert before + 300 - time.monotonic() - 0.1 <= left <= after + 300 - asked + 0.1
        assert app.arrivals() == []
        proxy.open()
        assert old.answer().status == 200


def test_an_open_where_it_is_over_already_frees_who_goes_by_the_file(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], master_worker=True)
    word = proxy.hold(60_000)
    with Http1(proxy.port).send("old") as old:
        proxy.wait_waiting(1)
        # As if this worker's clock were behind by a minute.
        leave(proxy.state_file(), time.time() - 61, word)
        proxy.proxy.reload()
        assert proxy.status()["mode"] == "open"
        assert old.silent()
        opening = "open" if proxy.version >= (2, 4) else word
        proxy.proxy.cli(*proxy.switching(opening, number=0))
        assert proxy.state_file().read_text().startswith("open ")
        assert old.answer().status == 200


@pytest.mark.parametrize(
    "began_s, up_until_s, least_s, most_s",
    [
        (-50, None, 149, 150),  # no such time: the wall clock
        (+3600, None, 199, 200),  # a wall clock that was set back
        (-3600, +100, 99, 100),  # one that was set forward, or was behind when the hold began
        (+3600, +100, 99, 100),
        (-50, +210, 149, 150),  # more than all of it is left: the machine was booted since
        (+3600, +1e8, 199, 200),
        (-250, +1e8, 0, 0),
        (0, -1, 0, 0),
        (0, -1e9, 0, 0),
    ],
)
def test_what_an_earlier_process_left(
    gated: Start,
    haproxy_binaries: dict[str, Binary],
    app: App,
    tmp_path: Path,
    began_s: float,
    up_until_s: Optional[float],
    least_s: float,
    most_s: float,
) -> None:
    tmp_path.chmod(0o777)
    for binary in haproxy_binaries.values():
        if binary.missing:
            continue
        begun = time.monotonic()
        up_until = None if up_until_s is None else uptime() + up_until_s
        token = "1.id.200000.release.0.Zm9v"
        leave(tmp_path / gate.encode(F), time.time() + began_s, token, up_until)
        proxy = gated(binary, servers=[app.port], folder=tmp_path)
        told = proxy.status()
        gone = time.monotonic() - begun
        assert told["mode"] == ("held" if most_s else "open")
        assert least_s - gone <= told.get("remaining_ms", 0) / 1000 <= most_s + 0.05
        proxy.proxy.stop()


def test_a_gate_before_this_one_can_read_what_is_kept(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    """It looks for one number and the token: a reload that goes back to it must hold on."""
    proxy = gated(haproxy_version, servers=[app.port])
    before = time.time()
    word = proxy.hold(30_000)
    after = time.time()
    found = re.fullmatch(r"held (\d+\.\d+) (\S+)\n", proxy.state_file().read_text())
    assert found is not None and found[2] == word
    # HAProxy reads its clock once a round of its loop.
    assert before - patient(0.1) <= float(found[1]) <= after + 0.1
    proxy.open()


@pytest.mark.parametrize("nbthread", [1, 2])
@pytest.mark.parametrize("mode", ["http", "tcp"])
@pytest.mark.parametrize("ramp_ms", [0, 300])
def test_whoever_waits_is_woken_however_often_haproxy_is_interrupted(
    haproxy_version: Binary, gated: Start, app: App, mode: str, ramp_ms: int, nbthread: int
) -> None:
    """2.6 loses the wake-up of an action that sleeps in tcp mode, where it is due when its time is
    noted: HAProxy stands still then, a moment after the clock was read.
    """
    if mode == "tcp" and haproxy_version.release < (2, 6):
        proxy = gated(haproxy_version, servers=[app.port], mode=mode, written_for="2.6")
        assert proxy.prove()["proven"] is False
        return
    proxy = gated(haproxy_version, servers=[app.port], mode=mode, nbthread=nbthread)
    proxy.hold()
    clients = [Http1(proxy.port).send("held") for _ in range(300)]
    proxy.wait_waiting(300)
    for _ in range(50):
        freeze(proxy, 0.025)
        proxy.wait_waiting(300)
    proxy.open(ramp_ms=ramp_ms)
    if ramp_ms:
        for _ in range(5):
            freeze(proxy, 0.025)
    assert {client.answer().status for client in clients} == {200}
    assert proxy.status()["waiting"] == 0
    for client in clients:
        client.close()
