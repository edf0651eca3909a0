"""A hold is its caller's only with the report: whatever comes instead takes it back."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

import stillgate.fleet
from stillgate import Fleet, Report
from support.haproxy.holds import F, records
from support.patience import HANG_S
from support.process import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Start


class Broken(Exception):
    """What no one foresees."""


def broken(core: Any) -> Report:
    raise Broken


def test_a_report_that_cannot_be_made_holds_nothing(
    haproxy: Start, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = haproxy("3.0")
    fleet = Fleet([proxy.endpoints[0]])
    monkeypatch.setattr(stillgate.fleet, "to_report", broken)
    with pytest.raises(Broken):
        fleet.suspend(F, no_lease=True)
    assert proxy.limit(F) == 100 and records(state) == []
    with pytest.raises(Broken):
        with fleet.suspended(F, max_hold=600):
            raise AssertionError("the block must not run")
    assert proxy.limit(F) == 100 and records(state) == []


@pytest.mark.parametrize("kind", [Broken, KeyboardInterrupt, SystemExit])
def test_what_is_raised_before_the_hold_is_handed_over_takes_it_back(
    kind: type[BaseException], haproxy: Start, state: Path
) -> None:
    proxy = haproxy("3.0")
    given: list[Report] = []

    def receive(report: Report) -> None:
        assert proxy.limit(F) == 0
        given.append(report)
        raise kind

    with pytest.raises(kind):
        Fleet([proxy.endpoints[0]]).suspend_then(receive, F, max_hold=600)
    assert [one.verdict for one in given[0].switches] == ["held"]
    assert proxy.limit(F) == 100 and records(state) == []


def test_another_hold_is_not_taken_back(haproxy: Start, state: Path) -> None:
    """Of a suspend that is refused because this one holds."""
    proxy = haproxy("3.0")
    fleet = Fleet([proxy.endpoints[0]])
    held = fleet.suspend(F, max_hold=600)
    with pytest.raises(stillgate.HeldByOther):
        fleet.suspend(F)
    assert fleet.status(F).holds[0].id == held.holds[0].id
    fleet.resume(F)


def test_a_signal_whose_handler_raises_something_else_ends_the_block(
    haproxy: Start, state: Path
) -> None:
    proxy = haproxy("3.0")

    def handler(number: int, frame: object) -> None:
        raise Broken

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(Broken):
            with Fleet([proxy.endpoints[0]]).suspended(F, max_hold=600):
                signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert proxy.limit(F) == 100 and records(state) == []


def test_a_listener_that_takes_its_time_delays_neither_the_block_nor_its_resume(
    haproxy: Start, state: Path
) -> None:
    proxy = haproxy("3.0")
    told: list[str] = []
    go_on = threading.Event()

    def slow(event: dict[str, Any]) -> None:
        assert go_on.wait(HANG_S)
        told.append(event["event"])

    def let_go() -> None:
        wait_until(lambda: proxy.limit(F) == 100, "the release")
        assert told == []
        go_on.set()

    inside = False
    with Fleet([proxy.endpoints[0]], on_event=slow).suspended(F, max_hold=600):
        inside = proxy.limit(F) == 0
        threading.Thread(target=let_go).start()
    assert inside
    # Nothing is lost, and all is in order.
    assert told == ["held", "drained", "resumed"]
