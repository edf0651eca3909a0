"""The release, on real HAProxies: the whole queue; ramped; once the application is up."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import EndpointFailed, Fleet, HoldExpired, InputError
from stillgate.clock import wall
from support.app import App
from support.clients.load import Load
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F, codes, findings, queued, records, verdicts
from support.haproxy.server import Frontend, HAProxy
from support.haproxy.versions import SAFE
from support.patience import patient
from support.ports import Reserved
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")
CLIENTS = 200


@pytest.mark.parametrize("label", SAFE)
def test_two_hundred_waiting_clients_are_all_served(
    label: str, haproxy: Start, app: App, load: Callable[..., Load]
) -> None:
    proxy = haproxy(label, servers=[app.port], maxconn=500)
    fleet = Fleet(proxy.endpoints)
    with fleet.suspended(F, max_hold=600):
        clients = load(proxy.ports[F], rate=CLIENTS, seconds=1)
        wait_until(lambda: queued(proxy) == CLIENTS, "all clients in the queue")
        assert clients.records() == [] and app.arrivals() == []
    answered = clients.finish()
    assert (len(answered), [one for one in answered if not one.ok]) == (CLIENTS, [])
    assert len(app.arrivals()) == CLIENTS


def retries() -> int:
    """SYNs that a full accept queue dropped on this machine."""
    names, values = [
        line.split()
        for line in Path("/proc/net/netstat").read_text().splitlines()
        if line.startswith("TcpExt:")
    ]
    return int(values[names.index("ListenDrops")])


def test_a_queue_that_is_too_short_is_told_and_nobody_is_lost(
    haproxy: Start, app: App, load: Callable[..., Load]
) -> None:
    proxy = haproxy("3.0", servers=[app.port], maxconn=10)
    fleet = Fleet(proxy.endpoints)
    clients = load(proxy.ports[F], rate=60)
    clients.wait_for(90)
    # Counted by HAProxy per second: under load from the second second on.
    wait_until(lambda: "queue_too_short" in findings(fleet.check(F)), "the warning")
    dropped = retries()
    with fleet.suspended(F, max_hold=600) as hold:
        assert "queue_too_short" in findings(hold.report)
        wait_until(lambda: queued(proxy) > 10, "the full queue")
        wait_until(lambda: retries() > dropped + 20, "clients that find it full")
    already = len(clients.records())
    clients.wait_for(already + 60)
    everything = clients.stop()
    assert [one for one in everything if not one.ok] == []
    # Who was turned away came back after a second, as the kernel does.
    assert max(one.finished_at - one.sent_at for one in everything) >= 0.9


@pytest.mark.parametrize("label", SAFE)
def test_the_backlog_counts_and_not_the_limit(
    label: str, haproxy: Start, app: App, load: Callable[..., Load]
) -> None:
    """The same arrivals, a limit that says otherwise than the backlog: the kernel is asked."""
    wide = haproxy(label, servers=[app.port], maxconn=20, backlog=2000)
    narrow = haproxy(label, servers=[app.port], maxconn=2000, backlog=20)
    clients = [load(proxy.ports[F], rate=40) for proxy in (wide, narrow)]
    for one in clients:
        one.wait_for(60)
    wait_until(
        lambda: "queue_too_short" in findings(Fleet(narrow.endpoints).check(F)), "the warning"
    )
    assert "queue_too_short" not in findings(Fleet(wide.endpoints).check(F))
    (message,) = {
        finding.message
        for finding in Fleet(narrow.endpoints).check(F).switches[0].findings
        if finding.code == "queue_too_short"
    }
    assert "the kernel's queue takes 21 (the smaller of" in message
    for one in clients:
        one.stop()


@pytest.mark.parametrize("label", SAFE)
def test_a_ramp_raises_the_limit_over_its_time(label: str, haproxy: Start, app: App) -> None:
    proxy = haproxy(label, servers=[app.port], maxconn=400)
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, no_lease=True)
    seen: list[tuple[float, int]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            seen.append((time.monotonic(), proxy.limit(F)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    report = fleet.resume(F, ramp=1.0)
    took = time.monotonic() - began
    over.set()
    watcher.join()
    limits = [limit for _, limit in seen]
    assert (verdicts(report), proxy.limit(F)) == (["resumed"], 400)
    assert limits == sorted(limits) and len(set(limits)) > 5
    # Half of it was given at half of the time, which the ramp keeps to wherever it is late.
    half = next(at for at, limit in seen if limit >= 200) - began
    assert 0.8 < took < patient(1.5) and 0.25 < half < patient(0.75)


def test_a_ramp_that_is_killed_is_finished_by_the_next_resume(haproxy: Start, state: Path) -> None:
    for label in SAFE:
        proxy = haproxy(label, maxconn=400)
        Fleet(proxy.endpoints).suspend(F, no_lease=True)
        command = [sys.executable, "-m", "stillgate", "resume", F, "--ramp", "60"]
        with subprocess.Popen([*command, "-e", proxy.endpoints[0]]) as ramping:
            wait_until(lambda: proxy.limit(F) > 0, "the first step")
            ramping.kill()
        assert 0 < proxy.limit(F) < 400
        assert verdicts(Fleet(proxy.endpoints).resume(F)) == ["resumed"]
        assert proxy.limit(F) == 400
        assert records(state) == []


@pytest.fixture
def switched(haproxy: Start, app: App) -> HAProxy:
    """A server that an operator may take down and put up."""
    return haproxy("3.0", servers=[app.port])


def test_wait_up_waits_for_a_server_in_each_backend(switched: HAProxy, app: App) -> None:
    fleet = Fleet(switched.endpoints)
    fleet.suspend(F, no_lease=True)
    switched.cli(f"set server {F}_servers/s1 state maint")
    up = threading.Timer(0.7, switched.cli, [f"set server {F}_servers/s1 state ready"])
    began = time.monotonic()
    up.start()
    assert verdicts(fleet.resume(F, wait_up=True)) == ["resumed"]
    assert time.monotonic() - began >= 0.7
    up.join()
    assert switched.limit(F) == 100


def test_wait_up_gives_up_and_says_so(switched: HAProxy) -> None:
    fleet = Fleet(switched.endpoints)
    (hold,) = fleet.suspend(F, max_hold=600).holds
    switched.cli(f"set server {F}_servers/s1 state maint")
    with pytest.raises(EndpointFailed) as caught:
        fleet.resume(F, wait_up=True, retry_for=0.5)
    assert (codes(caught.value.report), switched.limit(F)) == (["application_down"], 0)
    # Which servers, why, what to type, and for how long it is held.
    assert f"backend '{F}_servers' at " in caught.value.message
    assert ": s1 is MAINT; start the application, or run " in caught.value.message
    assert hold.deadline is not None
    until = re.escape(f"{F} is held until {wall(hold.deadline)}")
    assert re.search(rf"; {until}, \d+ s left$", caught.value.message)
    assert verdicts(fleet.resume(F)) == ["resumed"]


@pytest.mark.parametrize("label", SAFE)
def test_a_server_counts_by_a_check_since_its_last_change_of_state(
    label: str, haproxy: Start, app: App
) -> None:
    """HAProxy calls it UP from leaving maintenance on, though nobody answers there."""
    proxy = haproxy(label, servers=[app.port], extra_defaults=["default-server check inter 1s"])
    server, fleet = f"{F}_servers/s1", Fleet(proxy.endpoints)
    fleet.suspend(F, no_lease=True)
    proxy.cli(f"set server {server} state maint")
    # Until somebody listens there, a connection is refused.
    with closing(Reserved()) as nobody:
        proxy.cli(f"set server {server} addr 127.0.0.1 port {nobody.port}")
        proxy.cli(f"set server {server} state ready")
        with pytest.raises(EndpointFailed) as caught:
            fleet.resume(F, wait_up=True, retry_for=0.1)
        assert (codes(caught.value.report), proxy.limit(F)) == (["application_down"], 0)
        proxy.cli(f"set server {server} state maint")
    proxy.cli(f"set server {server} addr 127.0.0.1 port {app.port}")
    proxy.cli(f"set server {server} state ready")
    report = fleet.resume(F, wait_up=True, retry_for=60)
    assert [one.code for one in report.switches[0].findings if one.code == "up_unshown"] == []
    (row,) = (one for one in fleet.stat()[0].value or [] if one.svname == "s1")
    assert (row.status, proxy.limit(F)) == ("UP", 100)


def test_a_server_without_a_check_counts_and_that_is_said(switched: HAProxy) -> None:
    fleet = Fleet(switched.endpoints)
    for wait_up in (False, True):
        fleet.suspend(F, no_lease=True)
        (switch,) = fleet.resume(F, wait_up=wait_up).switches
        words = [one.message for one in switch.findings if one.code == "up_unshown"]
        assert len(words) == wait_up
    assert "server 's1' has no health check" in words[0]


@pytest.mark.parametrize("method", ["maxconn", "gate"])
def test_a_block_is_released_as_it_was_told(
    method: str, haproxy: Start, haproxy_binaries: dict[str, Binary], app: App, tmp_path: Path
) -> None:
    version = haproxy_binaries["3.0"].version
    lines = gate_options(F, tmp_path / "gate", version, servers=[app.port])
    proxy = haproxy("3.0", **(lines if method == "gate" else {"servers": [app.port]}))
    fleet = Fleet(proxy.endpoints)
    down, ready = (f"set server {F}_servers/s1 state {word}" for word in ("maint", "ready"))
    with pytest.raises(EndpointFailed) as caught:
        with fleet.suspended(F, wait_up=True, retry_for=0.3) as hold:
            proxy.cli(down)
    assert codes(caught.value.report) == ["application_down"]
    assert fleet.status(F).switches[0].verdict == "held"
    proxy.cli(ready)
    fleet.resume(F, hold=hold.holds[0].id)
    # What was not begun, and what its deadline ends, waits for nothing.
    with pytest.raises(HoldExpired):
        with fleet.suspended(F, wait_up=True, retry_for=60, max_hold=1) as hold:
            proxy.cli(down)
            wait_until(lambda: hold.expired and hold.resumed is not None, "the deadline")
    assert fleet.status(F).switches[0].verdict == "open"
    with pytest.raises(InputError, match="retry_for: must be from 0 to 3600"):
        fleet.suspended(F, retry_for=4000)


@pytest.mark.parametrize("label", SAFE)
def test_a_backend_without_servers_is_not_waited_for(label: str, haproxy: Start, app: App) -> None:
    extra = ("backend empty", "mode http", "listen stats", "mode http", "stats enable")
    proxy = haproxy(label, servers=[app.port], frontends=[Frontend(F)], extra=extra)
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, no_lease=True)
    assert verdicts(fleet.resume(F, wait_up=True, retry_for=60)) == ["resumed"]
