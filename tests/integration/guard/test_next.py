"""What follows a hold at once, where HAProxy cannot say whose a limit of 0 is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.haproxy.guards import guards
from support.haproxy.holds import SAFE, F
from support.haproxy.server import HAProxy, wait_until

if TYPE_CHECKING:
    from conftest import Start

HOLD_S = 1.0
WATCH_S = 0.4  # the guard of a hold that has expired looks on for so long


def stays_held(proxy: HAProxy, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert proxy.limit(F) == 0, f"opened {until - time.monotonic():.3f} s early"


@pytest.mark.parametrize("label", SAFE)
def test_the_guard_of_an_expired_hold_leaves_the_next_one_alone(
    label: str, haproxy: Start, state: Path
) -> None:
    proxy = haproxy(label)
    fleet = Fleet([proxy.endpoints[0]])
    for _ in range(3):
        fleet.suspend(F, method="maxconn", max_hold=HOLD_S)
        wait_until(lambda: proxy.limit(F) == 100, HOLD_S + 2, "the hold's end")
        next_one = fleet.suspend(F, method="maxconn", max_hold=30)
        assert next_one.ok
        stays_held(proxy, WATCH_S + 0.3)
        fleet.resume(F)
    wait_until(lambda: not guards(state), 5, "the guards to leave")
    assert proxy.limit(F) == 100


@pytest.mark.parametrize("label", SAFE)
def test_the_guard_of_a_resumed_hold_leaves_the_next_one_alone(
    label: str, haproxy: Start, state: Path
) -> None:
    proxy = haproxy(label)
    fleet = Fleet([proxy.endpoints[0]])
    fleet.suspend(F, method="maxconn", max_hold=HOLD_S)
    # Faster than two looks of its guard follow each other.
    fleet.resume(F)
    fleet.suspend(F, method="maxconn", max_hold=30)
    stays_held(proxy, HOLD_S + WATCH_S)
    fleet.resume(F)
    wait_until(lambda: not guards(state), 5, "the guards to leave")
    assert proxy.limit(F) == 100
