"""HAProxy's own `wait` behind the guard: it gives its connections back, and never fires early. That
it fires on time is tested with the guard (test_guard.py). And who has none left is warned.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.app import App
from support.clients.load import Load
from support.haproxy.guards import guards, send_all
from support.haproxy.holds import F, findings
from support.haproxy.server import HAProxy
from support.haproxy.versions import REMEMBERING, SAFE
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

TRANSPORTS = pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
MAX_HOLD_S = 2.0
LONG_S = 600  # so that a connection that is given back was not waited out


def talking(proxy: HAProxy) -> int:
    """The connections to its stats sockets that HAProxy counts, without the one that asks."""
    return sum(" fe=GLOBAL " in line for line in proxy.cli("show sess").splitlines()) - 1


def let_pass(seconds: float) -> None:
    due = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > due, "time to pass", seconds + HANG_S)


@TRANSPORTS
@pytest.mark.parametrize("label", REMEMBERING)
def test_lines_that_are_replaced_give_their_connections_back(
    label: str, tcp: bool, haproxy: Start, state: Path
) -> None:
    proxy = haproxy(label, tcp_socket=tcp)
    fleet = Fleet([proxy.endpoints[-1]])
    fleet.suspend(F, method="maxconn", max_hold=LONG_S)
    wait_until(lambda: talking(proxy) == 2, "the guard's two connections alone")
    for _ in range(5):
        fleet.extend(F, seconds=1)
        let_pass(0.3)  # for the guard to see each
        wait_until(lambda: talking(proxy) == 2, "the line before to be gone")
    fleet.resume(F)
    wait_until(lambda: talking(proxy) == 0 and not guards(state), "the last line to be gone")


@TRANSPORTS
@pytest.mark.parametrize("label", REMEMBERING)
def test_a_hold_that_is_over_gives_all_its_connections_back(
    label: str, tcp: bool, haproxy: Start, state: Path
) -> None:
    proxy = haproxy(label, tcp_socket=tcp)
    fleet = Fleet([proxy.endpoints[-1]])
    for _ in range(3):
        with fleet.suspended(F, method="maxconn", max_hold=LONG_S):
            assert proxy.limit(F) == 0
        wait_until(lambda: not guards(state), "the guards to leave")
        wait_until(lambda: talking(proxy) == 0, "the line to be gone")


@pytest.mark.moment
@pytest.mark.parametrize("label", REMEMBERING)
def test_the_end_of_a_line_costs_no_client_its_answer(
    label: str, haproxy: Start, app: App, load: Callable[..., Load], state: Path
) -> None:
    """HAProxy gives the address of a line that has ended to the next client."""
    logged = {
        "extra_global": ["log stdout format raw local0"],
        "extra_defaults": ["log global", "option httplog"],
    }
    proxy = haproxy(label, servers=[app.port], **logged)
    fleet = Fleet([proxy.endpoints[0]])
    running = load(proxy.ports[F], rate=200)
    for _ in range(5):
        running.wait_for(len(running.records()) + 20)
        fleet.suspend(F, method="maxconn", max_hold=LONG_S)
        fleet.resume(F)
    records = running.stop()
    assert [record for record in records if not record.ok] == []
    killed = [line for line in proxy.log().splitlines() if " K" in line]
    assert killed == []


def killed_with(fleet: Fleet, state: Path, left: float, max_hold: float) -> float:
    """Holds, and kills all guards where so much of the time is left; gives the deadline."""
    deadline = fleet.suspend(F, method="maxconn", max_hold=max_hold).holds[0].deadline
    assert deadline is not None
    end: float = deadline
    # None of them may end the hold before both are dead.
    send_all(state, signal.SIGSTOP)
    wait_until(lambda: time.time() > end - left * max_hold, "the piece", max_hold + HANG_S)
    send_all(state, signal.SIGKILL)
    wait_until(lambda: not guards(state), "the death of both")
    if time.time() < end:
        return end
    # It came to the deadline first: another time with pieces that are longer.
    fleet.resume(F)
    return killed_with(fleet, state, left, 2 * max_hold)


@pytest.mark.moment
@pytest.mark.parametrize("left", [0.95, 0.5, 0.05], ids=["first piece", "middle", "last piece"])
@TRANSPORTS
@pytest.mark.parametrize("label", REMEMBERING)
def test_a_line_that_is_closed_in_any_piece_does_not_fire(
    label: str, tcp: bool, left: float, haproxy: Start, state: Path
) -> None:
    proxy = haproxy(label, tcp_socket=tcp)
    fleet = Fleet([proxy.endpoints[-1]])
    end = killed_with(fleet, state, left, patient(MAX_HOLD_S))
    wait_until(lambda: time.time() > end + 0.5, "what was to fire")
    assert proxy.limit(F) == 0
    wait_until(lambda: talking(proxy) == 0, "the line to be gone")
    fleet.resume(F)


@pytest.mark.parametrize("label", SAFE)
def test_a_suspend_warns_of_a_haproxy_that_few_more_can_talk_to(
    label: str, haproxy: Start, state: Path
) -> None:
    proxy = haproxy(label)
    fleet = Fleet([proxy.endpoints[0]])
    others = [proxy.connect() for _ in range(6)]
    try:
        assert "stats_connections" not in findings(
            fleet.suspend(F, method="maxconn", max_hold=LONG_S)
        )
        fleet.resume(F)
        wait_until(lambda: not guards(state) and talking(proxy) == 6, "the guards to leave")
        others.append(proxy.connect())
        # Its guard needs two of the ten, and the suspend itself, or the resume, the last one.
        assert "stats_connections" in findings(fleet.suspend(F, method="maxconn", max_hold=LONG_S))
        fleet.resume(F)
    finally:
        for one in others:
            one.close()
    wait_until(lambda: not guards(state), "the guards to leave")
