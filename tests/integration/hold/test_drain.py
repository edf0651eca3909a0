"""The drain and the leaks, on real HAProxies: what was let in before, and what slips through."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from stillgate import EndpointFailed, Fleet
from support.app import App
from support.haproxy.holds import F, KeepAlive, Slow, codes, findings, records, remembered, verdicts
from support.haproxy.server import Frontend
from support.haproxy.versions import SAFE
from support.patience import patient

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")


@pytest.mark.parametrize("label", SAFE)
def test_suspend_returns_when_what_was_let_in_has_ended(
    label: str, haproxy: Start, app: App
) -> None:
    proxies = [haproxy(label, servers=[app.port]) for _ in range(2)]

    def ends_soon(event: dict[str, Any]) -> None:
        if event["event"] == "held":
            threading.Timer(patient(0.3), app.finish).start()

    fleet = Fleet([proxy.endpoints[0] for proxy in proxies], on_event=ends_soon)
    slow = Slow(proxies[1], 60_000)
    with fleet.suspended(F, max_hold=300, drain_timeout=60) as hold:
        held_at = time.monotonic()
        assert slow.join() == 200
        assert slow.ended_at <= held_at
    assert (hold.report.drained, verdicts(hold.report)) == (True, ["held", "held"])
    assert hold.report.drain_ms is not None and hold.report.drain_ms > 100
    assert [one.in_flight for one in hold.report.switches] == [0, 0]


@pytest.mark.parametrize("label", SAFE)
def test_what_does_not_end_is_named_and_all_is_resumed(
    label: str, haproxy: Start, app: App, state: Path
) -> None:
    proxies = [haproxy(label, servers=[app.port]) for _ in range(2)]
    fleet = Fleet([proxy.endpoints[0] for proxy in proxies])
    slow = Slow(proxies[1], 60_000)
    with pytest.raises(EndpointFailed) as caught:
        fleet.suspend(F, no_lease=True, drain_timeout=0.5)
    report = caught.value.report
    assert (report.drained, codes(report)) == (False, ["rolled_back", "drain_timeout"])
    assert "1 request (127.0.0.1:" in caught.value.message
    assert f"to {F}_servers/s1 for " in caught.value.message
    assert [proxy.limit(F) for proxy in proxies] == [100, 100]
    assert records(state) == []
    app.finish()
    assert slow.join() == 200


@pytest.mark.parametrize("label", SAFE)
def test_traffic_of_another_frontend_does_not_keep_it_from_draining(
    label: str, haproxy: Start, app: App
) -> None:
    lines = (f"use_backend {F}_servers if TRUE",)
    names = [Frontend(F), Frontend("other", lines=lines)]
    proxy = haproxy(label, servers=[app.port], frontends=names)
    proxy.ports = {**proxy.ports, F: proxy.ports["other"]}  # the slow one comes by the other
    slow = Slow(proxy, 60_000)
    report = Fleet(proxy.endpoints).suspend(F, no_lease=True)
    assert report.drained and slow.status is None
    app.finish()
    assert slow.join() == 200
    Fleet(proxy.endpoints).resume(F)


def test_without_a_drain_nobody_waits(haproxy: Start, app: App) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    slow = Slow(proxy, 60_000)
    report = Fleet(proxy.endpoints).suspend(F, no_lease=True, drain_timeout=0)
    assert (report.drained, report.drain_ms, verdicts(report)) == (None, None, ["held"])
    assert slow.status is None
    Fleet(proxy.endpoints).resume(F)
    app.finish()
    assert slow.join() == 200


@pytest.mark.parametrize("label", SAFE)
def test_what_slips_through_by_keep_alive_is_counted(label: str, haproxy: Start, app: App) -> None:
    proxies = [haproxy(label, servers=[app.port]) for _ in range(2)]
    fleet = Fleet([proxy.endpoints[0] for proxy in proxies])
    client = KeepAlive(proxies[1])
    client.ask(3)
    assert "keep_alive_passes" in findings(fleet.check(F))
    fleet.suspend(F, no_lease=True)
    assert [one.leaked for one in fleet.status(F).switches] == [0, 0]
    client.ask(5)
    assert [one.leaked for one in fleet.status().switches] == [0, 5]
    assert [one.leaked for one in fleet.resume(F).switches] == [0, 5]
    client.close()


def test_a_record_does_not_outlive_its_hold(haproxy: Start, state: Path) -> None:
    proxy = haproxy("3.0")
    with Fleet(proxy.endpoints).suspended(F):
        assert remembered(proxy) and len(records(state)) == 1
    assert not remembered(proxy) and records(state) == []
