"""Moving the deadline of a hold, on real HAProxies: by its holder, in time, and everywhere."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import CheckRefused, EndpointFailed, Fleet, HeldByOther, HoldExpired, InputError
from support.app import App
from support.haproxy.gate import Gated
from support.haproxy.guards import send_all
from support.haproxy.holds import F
from support.haproxy.versions import REMEMBERING, SAFE
from support.haproxy.ways import WAYS, Ways
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

    from stillgate.options import Method

LATE_S = 0.25
CLEAR_S = 0.25

pytestmark = pytest.mark.usefixtures("state")


def waits_until_open(proxy: Gated) -> float:
    wait_until(lambda: bool(proxy.status()["mode"] == "open"), "the end of the hold")
    return time.time()


def test_a_gate_holds_longer(
    haproxy_version: Binary, gated: Callable[..., Gated], app: App
) -> None:
    proxies = [gated(haproxy_version, servers=[app.port]) for _ in range(2)]
    fleet = Fleet([proxy.proxy.endpoints[0] for proxy in proxies])
    before = fleet.suspend(F, method="gate", max_hold=patient(1)).holds[0].deadline
    report = fleet.extend(F, seconds=1)
    assert before is not None and report.holds[0].deadline == pytest.approx(before + 1)
    assert [(one.verdict, one.lease) for one in report.switches] == [("held", "haproxy")] * 2
    for proxy in proxies:
        assert before + 1 - 0.1 <= waits_until_open(proxy) <= before + 1 + patient(LATE_S)
    with pytest.raises(CheckRefused) as caught:
        fleet.extend(F, seconds=1)
    assert caught.value.code == "not_held"


@pytest.mark.moment
@pytest.mark.parametrize("way", WAYS)
def test_a_gate_keeps_the_later_deadline_by_each_way(
    way: str, haproxy_version: Binary, gated: Callable[..., Gated], ways: Ways
) -> None:
    """By maxconn, in each lease: tests/integration/guard/test_wait_ways.py."""
    proxy = gated(haproxy_version, tcp_socket=True)
    fleet = ways(proxy.proxy, way)
    before = fleet.suspend(F, method="gate", max_hold=patient(1)).holds[0].deadline
    report = fleet.extend(F, seconds=1)
    assert before is not None and report.holds[0].deadline == pytest.approx(before + 1)
    assert [(one.verdict, one.lease) for one in report.switches] == [("held", "haproxy")]
    while proxy.status()["mode"] == "held":
        pass
    assert time.time() >= before + 1


def test_only_the_holder_extends(
    gated: Callable[..., Gated],
    app: App,
    haproxy_binaries: dict[str, Binary],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    proxy = gated(haproxy_binaries["3.0"], servers=[app.port])
    fleet = Fleet([proxy.proxy.endpoints[0]])
    hold = fleet.suspend(F, method="gate", max_hold=300, owner="anna", reason="migration 42").holds[
        0
    ]
    monkeypatch.setenv("STILLGATE_STATE_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(HeldByOther) as caught:
        fleet.extend(F, seconds=1)
    assert caught.value.code == "not_the_holder" and "anna" in caught.value.message
    with pytest.raises(InputError) as wrong:
        fleet.extend(F, seconds=1, force=True)
    assert wrong.value.field == "reason"
    for options in ({"hold": hold.id}, {"owner": "anna"}, {"force": True, "reason": "a pager"}):
        fleet.extend(F, seconds=1, **options)  # type: ignore[arg-type]
    now = fleet.status(F).holds[0]
    assert hold.deadline is not None and now.deadline == pytest.approx(hold.deadline + 3)
    fleet.resume(F, hold=hold.id)


@pytest.mark.parametrize("label", REMEMBERING)
def test_an_extend_that_its_guard_does_not_follow_is_a_failure(
    label: str, haproxy: Start, state: Path
) -> None:
    """The release that waits in HAProxy would open it at the old deadline."""
    proxy = haproxy(label)
    fleet = Fleet([proxy.endpoints[0]])
    fleet.suspend(F, method="maxconn", max_hold=600)
    send_all(state, signal.SIGSTOP)
    try:
        with pytest.raises(EndpointFailed) as caught:
            fleet.extend(F, seconds=60)
    finally:
        send_all(state, signal.SIGCONT)
    assert caught.value.code == "guard_failed" and "did not follow" in caught.value.message
    assert proxy.limit(F) == 0
    # The same again, once its machine is looked after.
    assert fleet.extend(F, seconds=60).ok
    fleet.resume(F)


@pytest.mark.parametrize("label", SAFE)
def test_a_journal_that_cannot_be_written_refuses_and_moves_nothing(
    label: str, haproxy: Start, state: Path
) -> None:
    proxy = haproxy(label)
    fleet = Fleet([proxy.endpoints[0]])
    hold = fleet.suspend(F, method="maxconn", max_hold=300).holds[0]
    assert hold.deadline is not None
    # In the way of the file that is written aside: for root no mode and no owner is in the way.
    obstacle = state / "holds" / f"{hold.id}.hold.{os.getpid()}"
    obstacle.mkdir()
    with pytest.raises(CheckRefused) as caught:
        fleet.extend(F, seconds=10)
    assert caught.value.code == "journal_failed"
    assert [one.deadline for one in caught.value.report.holds] == [hold.deadline]
    assert fleet.status(F).holds[0].deadline == hold.deadline
    obstacle.rmdir()
    fleet.extend(F, seconds=10)
    assert fleet.status(F).holds[0].deadline == pytest.approx(hold.deadline + 10)
    fleet.resume(F)


def test_an_endpoint_that_cannot_be_asked_is_told_and_the_others_are_extended(
    gated: Callable[..., Gated], app: App, haproxy_binaries: dict[str, Binary]
) -> None:
    proxies = [gated(haproxy_binaries["3.0"], servers=[app.port]) for _ in range(2)]
    fleet = Fleet([proxy.proxy.endpoints[0] for proxy in proxies])
    before = fleet.suspend(F, method="gate", max_hold=300).holds[0].deadline
    proxies[1].proxy.stop()
    with pytest.raises(EndpointFailed) as caught:
        fleet.extend(F, seconds=10)
    switches = caught.value.report.switches
    assert [one.verdict for one in switches] == ["held", "unknown"]
    assert before is not None
    assert Fleet(fleet.endpoints[:1]).status(F).holds[0].deadline == pytest.approx(before + 10)
    Fleet(fleet.endpoints[:1]).resume(F)


@pytest.mark.parametrize("method", ["gate", "maxconn"])
def test_a_block_gives_itself_more_time(
    gated: Callable[..., Gated], app: App, haproxy_binaries: dict[str, Binary], method: Method
) -> None:
    proxy = gated(haproxy_binaries["3.0"], servers=[app.port])
    fleet = Fleet([proxy.proxy.endpoints[0]])
    max_hold, more = patient(1.0), patient(2.0)
    with fleet.suspended(F, method=method, max_hold=max_hold) as hold:
        first = time.monotonic() + hold.remaining
        asked = time.monotonic()
        hold.extend(more)
        # From the call on, however long it took.
        assert asked + more < time.monotonic() + hold.remaining
        assert hold.remaining <= max_hold + more
        wait_until(lambda: time.monotonic() > first + CLEAR_S, "the first deadline")
        assert fleet.status(F).switches[0].verdict == "held"
    assert hold.resumed is not None and not hold.expired


def test_the_deadline_calls_the_block(
    gated: Callable[..., Gated], app: App, haproxy_binaries: dict[str, Binary]
) -> None:
    proxy = gated(haproxy_binaries["3.0"], servers=[app.port])
    fleet = Fleet([proxy.proxy.endpoints[0]])
    called = threading.Event()
    with pytest.raises(HoldExpired):
        with fleet.suspended(F, method="gate", max_hold=patient(0.5), at_deadline=called.set):
            assert called.wait(HANG_S)
    assert fleet.status(F).switches[0].verdict == "open"


@pytest.mark.parametrize("seconds", [0, -1, 3601, float("nan")])
def test_a_wrong_time_is_refused(seconds: float, state: Path) -> None:
    with pytest.raises(InputError) as caught:
        Fleet([str(state / "nowhere.sock")]).extend(F, seconds=seconds)
    assert caught.value.field == "seconds"
