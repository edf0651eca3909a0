"""What follows a hold at once, where HAProxy cannot say whose a limit of 0 is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.haproxy.guards import guards
from support.haproxy.holds import F
from support.haproxy.server import HAProxy
from support.haproxy.versions import SAFE
from support.patience import patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

HOLD_S = 1.0
CLEAR_S = 0.3  # behind a deadline, where HAProxy's own `wait` would have come 30 ms late


def stays_held(proxy: HAProxy, state: Path, former: set[int], until: float = 0.0) -> None:
    """As long as one of the guards of the hold before is there, and until that time."""
    while former & set(guards(state)) or time.time() < until:
        assert proxy.limit(F) == 0


@pytest.mark.parametrize("label", SAFE)
def test_the_guard_of_an_expired_hold_leaves_the_next_one_alone(
    label: str, haproxy: Start, state: Path
) -> None:
    proxy = haproxy(label)
    fleet = Fleet([proxy.endpoints[0]])
    for _ in range(3):
        fleet.suspend(F, method="maxconn", max_hold=patient(HOLD_S))
        former = set(guards(state))
        wait_until(lambda: proxy.limit(F) == 100, "the hold's end")
        next_one = fleet.suspend(F, method="maxconn", max_hold=600)
        assert next_one.ok
        # It looks on for a moment, and then leaves.
        stays_held(proxy, state, former)
        fleet.resume(F)
        # One that sees no open frontend before the next hold stays until its own deadline.
        wait_until(lambda: not guards(state), "the guards to leave")
    assert proxy.limit(F) == 100


@pytest.mark.parametrize("label", SAFE)
def test_the_guard_of_a_resumed_hold_leaves_the_next_one_alone(
    label: str, haproxy: Start, state: Path
) -> None:
    proxy = haproxy(label)
    fleet = Fleet([proxy.endpoints[0]])
    (first,) = fleet.suspend(F, method="maxconn", max_hold=patient(HOLD_S)).holds
    former = set(guards(state))
    # Faster than two looks of its guard follow each other.
    fleet.resume(F)
    fleet.suspend(F, method="maxconn", max_hold=600)
    assert first.deadline is not None
    stays_held(proxy, state, former, first.deadline + CLEAR_S)
    fleet.resume(F)
    wait_until(lambda: not guards(state), "the guards to leave")
    assert proxy.limit(F) == 100
