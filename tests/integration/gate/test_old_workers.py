"""A reload to other servers within a hold: what becomes of those who wait in the old worker.

And what a status tells of a gate that holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stillgate import CheckRefused, Fleet, OldWorkers, Report, gate
from support.app import App
from support.clients.gated import Answer, Http1, Http2
from support.haproxy.gate import F, Gated
from support.haproxy.holds import findings
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

Start = Callable[..., Gated]
WAYS: dict[str, dict[str, Any]] = {
    "master": {"master_worker": True},
    "plain-exposed": {"level": "admin expose-fd listeners"},
}
ways = pytest.mark.parametrize("way", list(WAYS))
STREAMS = 10
ALL = 2 * STREAMS
pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture(scope="module")
def other_app() -> Iterator[App]:
    """The servers of the new configuration."""
    app = App()
    yield app
    app.close()


class Waiting:
    """Requests that wait in the old worker, over HTTP/1 and HTTP/2."""

    def __init__(self, proxy: Gated) -> None:
        self.clients = [Http1(proxy.port).send("old") for _ in range(STREAMS)]
        self.many = Http2(proxy.h2_port)
        self.streams = [self.many.send("old") for _ in range(STREAMS)]
        proxy.wait_waiting(ALL)

    def answers(self) -> list[Answer]:
        found = [client.answer() for client in self.clients]
        return found + [self.many.answer(stream) for stream in self.streams]

    def close(self) -> None:
        self.many.close()
        for client in self.clients:
            client.close()


def reload_to(proxy: Gated, other: App, app: App) -> None:
    """The new worker has other servers than the old one."""
    config = proxy.proxy.config
    config.write_text(config.read_text().replace(f":{app.port}\n", f":{other.port}\n"))
    if proxy.proxy.master_socket is None:
        proxy.proxy.replace()
    else:
        proxy.proxy.reload()


def old(fleet: Fleet) -> OldWorkers:
    return fleet.status(F).switches[0].old_workers or OldWorkers(0, 0, 0, 0, "")


def told(report: Report) -> str:
    """The warnings and the rest about old workers, with their levels."""
    every = [one for switch in report.switches for one in switch.findings]
    return "; ".join(f"{one.level}: {one.message}" for one in every if one.code == "old_workers")


@ways
def test_who_waits_in_an_old_worker_is_told_and_where_they_went(
    haproxy_version: Binary, gated: Start, app: App, other_app: App, way: str
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], **WAYS[way])
    before = proxy.proxy.info()["Pid"]
    fleet = Fleet(proxy.proxy.endpoints)
    fleet.suspend(F, method="gate", max_hold=300)
    waiting = Waiting(proxy)
    reload_to(proxy, other_app, app)
    wait_until(lambda: old(fleet).waiting == ALL, "who waits in the old worker")
    report = fleet.status(F)
    assert report.switches[0].old_workers == OldWorkers(ALL, 0, 0, 0, before)
    assert f"warning: {ALL} requests wait in an old worker of a reload (process {before})" in told(
        report
    )
    assert "reloaded" in findings(report, "info")
    resumed = fleet.resume(F)
    assert f"warning: {ALL} requests waited in an old worker of a reload, and went to" in told(
        resumed
    )
    assert "reloaded" in findings(resumed, "info")
    assert {answer.status for answer in waiting.answers()} == {200}
    assert len(app.arrivals()) == ALL and other_app.arrivals() == []
    waiting.close()


@ways
def test_a_hold_that_rejects_on_a_reload_sends_nothing_to_the_old_servers(
    haproxy_version: Binary, gated: Start, app: App, other_app: App, way: str
) -> None:
    other_app.forget()
    proxy = gated(haproxy_version, servers=[app.port], **WAYS[way])
    fleet = Fleet(proxy.proxy.endpoints)
    fleet.suspend(F, method="gate", on_reload="reject", max_hold=300)
    waiting = Waiting(proxy)
    reload_to(proxy, other_app, app)
    refused = waiting.answers()
    assert {answer.status for answer in refused} == {503}
    assert all("retry-after: 1" in answer.head for answer in refused[:STREAMS])
    wait_until(lambda: old(fleet).rejected == ALL, "who was refused")
    # Those who try again wait in the new worker, and go to its servers.
    with Http1(proxy.port).send("again") as again:
        proxy.wait_waiting(1)
        assert (app.arrivals(), other_app.arrivals()) == ([], [])
        resumed = fleet.resume(F)
        assert again.answer().status == 200
    assert f"info: {ALL} requests in an old worker of a reload were answered 503" in told(resumed)
    assert (len(app.arrivals()), len(other_app.arrivals())) == (0, 1)
    waiting.close()


def test_an_old_worker_that_is_ended_is_told_as_such(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    """Its line is as old as if it had been killed that long ago."""
    proxy = gated(haproxy_version, servers=[app.port])
    fleet = Fleet(proxy.proxy.endpoints)
    fleet.suspend(F, method="gate", max_hold=300)
    hold, place = proxy.status()["id"], str(proxy.state_file())
    Path(f"{place}.old").write_text(f"{hold} 7\n{hold} 7\n{hold} 9\nother 8\n")
    Path(f"{place}.old.7").write_text(f"{hold} 1000 3 0 0\n")
    Path(f"{place}.old.8").write_text("other 1000 5 0 0\n")
    assert old(fleet) == OldWorkers(0, 0, 0, 3, "")
    assert "warning: 3 requests waited in an old worker of a reload that says nothing" in told(
        fleet.resume(F)
    )


def test_an_older_gate_is_asked_for_nothing_that_it_does_not_know(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    text = gate.lua().replace("reloads = true, ", "")
    proxy = gated(haproxy_version, servers=[app.port], lua_text=text)
    fleet = Fleet(proxy.proxy.endpoints)
    with pytest.raises(CheckRefused, match="gate_outdated"):
        fleet.suspend(F, on_reload="reject")
    assert fleet.check(F, method="gate").ok and proxy.status()["mode"] == "open"


def test_the_bound_of_a_hold_is_in_its_status(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    fleet = Fleet(proxy.proxy.endpoints)
    counted = fleet.status(F).switches[0].gate
    assert counted and (counted.bound, counted.bound_by) == (None, None)
    fleet.suspend(F, method="gate", max_waiting=77)
    report = fleet.status(F)
    counted = report.switches[0].gate
    assert counted and (counted.bound, counted.bound_by) == (77, "max_waiting")
    assert " 0 of 77 " in str(report)
    fleet.resume(F)
