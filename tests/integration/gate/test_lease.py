"""The gate's own end of a hold: the deadline, what a lower level can do, and how those who waited
are let go.
"""

from __future__ import annotations

import contextlib
import json
import re
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stillgate import Fleet
from support.app import App
from support.clients.gated import Http1
from support.clock import WallClock
from support.haproxy.gate import F, Gated
from support.haproxy.server import HAProxyFailed
from support.patience import patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

Start = Callable[..., Gated]
LATE_S = 0.25
threads = pytest.mark.parametrize("nbthread", [1, 2])


@threads
def test_it_ends_at_its_deadline_with_nobody_there(
    haproxy_version: Binary, gated: Start, app: App, nbthread: int
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], nbthread=nbthread)
    lasts_s = patient(0.7)
    before = time.monotonic()
    proxy.hold(round(lasts_s * 1000))
    after = time.monotonic()
    clients = [Http1(proxy.port).send("held") for _ in range(10)]
    answers = [client.answer() for client in clients]
    assert [answer.status for answer in answers] == [200] * 10
    arrived = [arrival.at for arrival in app.arrivals()]
    assert min(arrived) >= before + lasts_s
    assert max(arrived) <= after + lasts_s + patient(LATE_S)
    told = proxy.status()
    assert (told["mode"], told["released"]) == ("open", 10)
    with Http1(proxy.port) as client:
        assert client.ask().status == 200
    for client in clients:
        client.close()


def test_it_never_opens_before_the_deadline_that_was_told(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    """Its clock has steps of 10 ms, and is asked over a connection: both may make it late only."""
    proxy = gated(haproxy_version, servers=[app.port])
    early = []
    for number in range(6):
        app.forget()
        report = Fleet(proxy.proxy.endpoints).suspend(F, method="gate", max_hold=patient(0.3))
        with Http1(proxy.port).send("held") as client:
            assert client.answer().status == 200
        (arrival,) = app.arrivals()
        told = report.holds[0].deadline
        assert told is not None
        early.append(told - (arrival.at + time.time() - time.monotonic()))
        # So that the rounds are spread over a step of its clock.
        time.sleep(0.002 * number)
    print(proxy.version, [round(1000 * one, 1) for one in early], "ms early")
    assert max(early) <= 0.001


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_step_of_the_wall_clock_moves_no_deadline(
    haproxy_version: Binary, gated: Start, app: App, tmp_path: Path, seconds: int
) -> None:
    clock = WallClock(tmp_path)
    with clock.for_what_is_started():
        lines = ["http-response set-header clock %[date]"]
        proxy = gated(haproxy_version, servers=[app.port], before=lines)
    lasts_s = patient(0.7)
    before = time.monotonic()
    proxy.hold(round(lasts_s * 1000))
    after = time.monotonic()
    with Http1(proxy.port).send("held") as client:
        proxy.wait_waiting(1)
        clock.step(seconds)
        answer = client.answer()
    assert answer.status == 200
    (told,) = re.findall(r"clock: (\d+)", answer.head)
    assert abs(int(told) - seconds - time.time()) < 60
    (arrival,) = app.arrivals()
    assert before + lasts_s <= arrival.at <= after + lasts_s + patient(LATE_S)


def test_steps_of_the_wall_clock_while_haproxy_works_move_no_deadline(
    haproxy_version: Binary, gated: Start, app: App, tmp_path: Path
) -> None:
    # 2.6 takes a step for time that has passed, unless it comes while it waits for something to do.
    clock = WallClock(tmp_path)
    with clock.for_what_is_started():
        proxy = gated(haproxy_version, servers=[app.port])
    lasts_s = patient(1.5)
    before = time.monotonic()
    proxy.hold(round(lasts_s * 1000))
    after = time.monotonic()
    over = threading.Event()

    def mode() -> str:
        """Empty where a step fell into the asking: HAProxy's `stats timeout` is over then, and it
        closes the connection.
        """
        with contextlib.suppress(OSError, HAProxyFailed):
            return str(proxy.status()["mode"])
        return ""

    def keep_it_busy() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError, HAProxyFailed):
                proxy.proxy.cli("show stat")

    busy = [threading.Thread(target=keep_it_busy) for _ in range(3)]
    for thread in busy:
        thread.start()
    told = []
    try:
        steps = 0
        while time.monotonic() < before + lasts_s - 0.1:
            steps += 1
            clock.step(3600 * steps)
            told.append(mode())
            assert told[-1] in ("held", "") or time.monotonic() > before + lasts_s - 0.03
    finally:
        over.set()
        for thread in busy:
            thread.join()
    assert "held" in told
    wait_until(lambda: mode() == "open", "the end of the hold")
    assert time.monotonic() <= after + lasts_s + patient(LATE_S)


@threads
def test_past_its_deadline_it_rejects_until_it_is_opened(
    haproxy_version: Binary, gated: Start, app: App, nbthread: int
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], nbthread=nbthread)
    proxy.hold(300, expiry="reject")
    clients = [Http1(proxy.port).send("held") for _ in range(5)]
    answers = [client.answer() for client in clients]
    wait_until(lambda: bool(proxy.status()["mode"] == "rejecting"), "the end of the hold")
    with Http1(proxy.port) as client:
        answers.append(client.ask("later"))
    assert [answer.status for answer in answers] == [503] * 6
    assert all("retry-after: 1" in answer.head for answer in answers)
    assert app.arrivals() == [] and proxy.status()["rejected"] == 6
    proxy.open()
    with Http1(proxy.port) as client:
        assert client.ask("open").status == 200
    for client in clients:
        client.close()


def test_the_same_hold_again_is_not_begun_anew_and_can_be_made_longer(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    proxy.hold(30_000, name="one")
    with Http1(proxy.port).send("held") as client:
        proxy.wait_waiting(1)
        left = proxy.status()["remaining_ms"]
        proxy.hold(30_000, name="one")
        assert proxy.status()["remaining_ms"] <= left
        proxy.hold(60_000, name="one")
        assert 30_000 < proxy.status()["remaining_ms"] <= left + 30_000
        assert proxy.status()["held"] == 1
        proxy.hold(1, name="one")
        assert client.answer().status == 200
    # It has ended, and what has ended is not begun again by who comes late.
    proxy.hold(60_000, name="one")
    assert proxy.status()["mode"] == "open"


@pytest.mark.parametrize("expiry", ["release", "reject"])
def test_a_switch_that_was_long_under_way_holds_no_longer_for_it(
    haproxy_version: Binary, gated: Start, app: App, expiry: str
) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    clock = json.loads(proxy.proxy.cli(f"stillgate status {F}"))["now_ms"]
    proxy.hold(30_000, until=clock - 1, expiry=expiry)
    assert proxy.status()["mode"] == "open"
    with Http1(proxy.port) as client:
        assert client.ask("at once").status == 200
    clock = json.loads(proxy.proxy.cli(f"stillgate status {F}"))["now_ms"]
    proxy.hold(600_000, until=clock + 100_000)
    assert 0 < proxy.status()["remaining_ms"] <= 100_000


def test_another_level_can_look_and_change_nothing(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    low = gated(haproxy_version, servers=[app.port], level="user")
    for command in low.switching(low.token(60_000)):
        low.proxy.cli(command)
    assert low.status()["mode"] == "open"
    with Http1(low.port) as client:
        assert client.ask().status == 200


def test_sync_by_any_level_begins_ends_and_lengthens_nothing(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    user = f"/tmp/sg-user-{time.monotonic_ns()}.sock"
    proxy = gated(
        haproxy_version, servers=[app.port], extra_global=[f"stats socket {user} level user"]
    )
    proxy.proxy.sockets.append(Path(user))

    def low(*commands: str) -> str:
        return proxy.proxy.cli(*commands, index=1)

    low(f"stillgate sync {F}", "stillgate sync", "stillgate sync no-such ../../etc/passwd")
    assert proxy.status()["mode"] == "open"
    assert list(proxy.folder.iterdir()) == [], "a user may not write state"
    word = proxy.hold(30_000)
    text = proxy.state_file().read_text()
    for command in proxy.switching("open", number=0) + proxy.switching(proxy.token(1)):
        low(command)
    low(f"stillgate sync {F}", f"stillgate status {F}", f"stillgate prove {F}")
    told = proxy.status()
    assert (told["mode"], told["token"]) == ("held", word)
    assert told["remaining_ms"] <= 30_000 and proxy.state_file().read_text() == text
    proxy.open()
    low(f"stillgate sync {F}")
    assert proxy.status()["mode"] == "open"
    proxy.proxy.sockets.pop().unlink(missing_ok=True)


@threads
def test_past_the_bound_it_rejects(
    haproxy_version: Binary, gated: Start, app: App, nbthread: int
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], nbthread=nbthread)
    proxy.hold(bound=5)
    clients = [Http1(proxy.port).send("held") for _ in range(5)]
    proxy.wait_waiting(5)
    for _ in range(3):
        with Http1(proxy.port) as client:
            answer = client.ask("too many")
            assert answer.status == 503 and "retry-after: 1" in answer.head
    told = proxy.status()
    assert (told["rejected"], told["most_waiting"], told["waiting"]) == (3, 5, 5)
    proxy.open()
    assert [client.answer().status for client in clients] == [200] * 5
    assert {arrival.id for arrival in app.arrivals()} == {"held"}
    for client in clients:
        client.close()


@threads
def test_a_ramp_lets_go_evenly(
    haproxy_version: Binary, gated: Start, app: App, nbthread: int
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], nbthread=nbthread)
    proxy.hold()
    clients = [Http1(proxy.port).send(str(number)) for number in range(40)]
    proxy.wait_waiting(40)
    begun = time.monotonic()
    proxy.open(ramp_ms=1000)
    assert {client.answer().status for client in clients} == {200}
    after = sorted(arrival.at - begun for arrival in app.arrivals())
    assert len(after) == 40
    # The n-th is due at n/40 of a second: none comes before, and half of them not at once.
    assert all(at >= 0.025 * number - 0.02 for number, at in enumerate(after, 1))
    assert after[-1] <= 1.0 + patient(LATE_S)
    for client in clients:
        client.close()


def test_held_again_during_a_ramp(haproxy_version: Binary, gated: Start, app: App) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    proxy.hold()
    clients = [Http1(proxy.port).send(str(number)) for number in range(20)]
    proxy.wait_waiting(20)
    proxy.open(ramp_ms=10_000)
    wait_until(lambda: len(app.arrivals()) >= 1, "the first")
    proxy.hold()
    told = proxy.status()
    left = told["waiting"]
    assert told["mode"] == "held" and told["held"] == left > 0
    # Of the others some may still be on their way to the application.
    wait_until(lambda: bool(len(app.arrivals()) == 20 - left), "those that were let go")
    # The ramp would have let one go every half second.
    held_at = time.monotonic()
    wait_until(lambda: time.monotonic() > held_at + 0.6, "more than half a second")
    assert len(app.arrivals()) == 20 - left and proxy.status()["waiting"] == left
    proxy.open()
    assert {client.answer().status for client in clients} == {200}
    told = proxy.status()
    assert told["waiting"] == 0 and told["released"] == told["held"]
    for client in clients:
        client.close()


def test_the_order_of_arrival(haproxy_version: Binary, gated: Start, app: App) -> None:
    """Measured, not promised: how far from their order a hundred are let go."""
    proxy = gated(haproxy_version, servers=[app.port])
    proxy.hold()
    clients = []
    for number in range(100):
        clients.append(Http1(proxy.port).send(str(number)))
        proxy.wait_waiting(number + 1)
    proxy.open()
    assert {client.answer().status for client in clients} == {200}
    order = [int(arrival.id) for arrival in app.arrivals()]
    off = [abs(place - number) for place, number in enumerate(order)]
    print(f"\norder {haproxy_version.version}: median {statistics.median(off)}, most {max(off)}")
    assert sorted(order) == list(range(100))
    if haproxy_version.release >= (2, 8):
        assert statistics.median(off) <= 10, order
    for client in clients:
        client.close()


def test_a_long_wait_is_told_while_it_lasts(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    proxy.hold()
    with Http1(proxy.port).send("held") as client:
        proxy.wait_waiting(1)

        def longest() -> Any:
            return proxy.status()["longest_wait_ms"]

        wait_until(lambda: bool(longest() > 200), "a longer wait")
        proxy.open()
        assert client.answer().status == 200
        wait_until(lambda: bool(longest() > 200), "the longest one to be kept")
