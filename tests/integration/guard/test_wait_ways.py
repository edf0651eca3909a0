"""HAProxy's own `wait` behind the guard, by each way to an HAProxy: a release that waits there
releases its hold and no other, whoever closes the connection, and however.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.haproxy.guards import guards, send_all
from support.haproxy.holds import F
from support.haproxy.server import HAProxy
from support.haproxy.versions import REMEMBERING, SAFE
from support.haproxy.ways import WAYS, Ways
from support.patience import patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

LONG_S = 600
HOLD_S = 2.0
CLEAR_S = 0.3  # behind a deadline, where HAProxy's own `wait` comes 30 ms late
# Where a close ends a waiting line, and where it does not: a relay passes it on as a half-close.
PROVEN = {(label, way) for label in REMEMBERING for way in WAYS if "relay" not in way}
UNPROVEN = {("3.0", "tcp relay"), ("sid", "relay"), ("sid", "tcp relay")}

Reach = Callable[[str, str], tuple[HAProxy, Fleet]]


@pytest.fixture
def reach(haproxy: Start, ways: Ways) -> Reach:
    """reach("3.0", "relay"): an HAProxy, and the fleet that it is by that way."""

    def start(label: str, way: str) -> tuple[HAProxy, Fleet]:
        proxy = haproxy(label, tcp_socket=True)
        return proxy, ways(proxy, way)

    return start


def stays_held(proxy: HAProxy, done: Callable[[], bool]) -> None:
    """Until that is so."""

    def done_and_held() -> bool:
        now = done()
        assert proxy.limit(F) == 0
        return now

    wait_until(done_and_held, "what it is to stay held for")


def after(seconds: float) -> Callable[[], bool]:
    due = time.monotonic() + seconds
    return lambda: time.monotonic() > due


def taken_over(state: Path, killed: int) -> Callable[[], bool]:
    """The standby guard has begun, and has one of its own."""
    return lambda: killed not in guards(state) and len(guards(state)) == 2


ALL_WAYS = pytest.mark.parametrize("way", WAYS)
pytestmark = pytest.mark.moment
BOTH = pytest.mark.parametrize("label", REMEMBERING)
# With those that have no `wait` and no variables: there the guard follows the journal.
EACH = pytest.mark.parametrize("label", SAFE)


@ALL_WAYS
@BOTH
def test_the_lease_is_what_the_way_allows(label: str, way: str, reach: Reach, state: Path) -> None:
    _, fleet = reach(label, way)
    report = fleet.suspend(F, method="maxconn", max_hold=LONG_S)
    (one,) = report.switches
    if (label, way) in PROVEN | UNPROVEN:
        assert one.lease == ("guard" if (label, way) in UNPROVEN else "guard+wait")
    told = [finding.code for finding in one.findings]
    assert ("wait_unproven" in told) == (one.lease == "guard")
    assert fleet.status(F).switches[0].lease == one.lease
    fleet.resume(F)


@ALL_WAYS
@EACH
def test_an_extend_leaves_it_held(label: str, way: str, reach: Reach, state: Path) -> None:
    proxy, fleet = reach(label, way)
    for _ in range(3):
        fleet.suspend(F, method="maxconn", max_hold=LONG_S)
        assert fleet.extend(F, seconds=1).ok
        stays_held(proxy, after(0.4))  # its guard follows within 100 ms
        fleet.resume(F)


@ALL_WAYS
@EACH
def test_an_extended_hold_outlives_its_first_deadline(
    label: str, way: str, reach: Reach, state: Path
) -> None:
    proxy, fleet = reach(label, way)
    (hold,) = fleet.suspend(F, method="maxconn", max_hold=patient(HOLD_S)).holds
    assert fleet.extend(F, seconds=LONG_S).ok
    assert hold.deadline is not None
    end: float = hold.deadline
    stays_held(proxy, lambda: time.time() > end + CLEAR_S)
    fleet.resume(F)


@ALL_WAYS
@BOTH
def test_the_death_of_the_active_guard_alone_opens_nothing(
    label: str, way: str, reach: Reach, state: Path
) -> None:
    proxy, fleet = reach(label, way)
    fleet.suspend(F, method="maxconn", max_hold=LONG_S)
    for _ in range(2):
        first = guards(state)[0]
        os.kill(first, signal.SIGKILL)
        stays_held(proxy, taken_over(state, first))
    stays_held(proxy, after(0.3))
    fleet.resume(F)


@ALL_WAYS
@BOTH
def test_the_hold_behind_a_resume_stands(label: str, way: str, reach: Reach, state: Path) -> None:
    proxy, fleet = reach(label, way)
    for _ in range(3):
        fleet.suspend(F, method="maxconn", max_hold=LONG_S)
        former = set(guards(state))
        fleet.resume(F)
        fleet.suspend(F, method="maxconn", max_hold=LONG_S)
        stays_held(proxy, lambda: not former & set(guards(state)))
        fleet.resume(F)


@ALL_WAYS
@BOTH
def test_the_line_of_a_frozen_machine_opens_nobody_elses_hold(
    label: str,
    way: str,
    reach: Reach,
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy, fleet = reach(label, way)
    (hold,) = fleet.suspend(F, method="maxconn", max_hold=patient(HOLD_S)).holds
    send_all(state, signal.SIGSTOP)
    try:
        monkeypatch.setenv("STILLGATE_STATE_DIR", str(tmp_path / "elsewhere"))
        fleet.resume(F, force=True, reason="their machine is frozen", owner="somebody else")
        fleet.suspend(F, method="maxconn", max_hold=LONG_S, owner="somebody else")
        assert hold.deadline is not None
        end: float = hold.deadline
        stays_held(proxy, lambda: time.time() > end + CLEAR_S)
    finally:
        send_all(state, signal.SIGCONT)
    # Their machine wakes up, and finds that its hold is over.
    stays_held(proxy, lambda: not guards(state))
    fleet.resume(F, owner="somebody else")
    wait_until(lambda: not guards(tmp_path / "elsewhere"), "the guards to leave")
