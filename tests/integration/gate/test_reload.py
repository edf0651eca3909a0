"""A hold by the gate through reloads and restarts: nothing reaches the server, nothing fails."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from support.app import App
from support.clients.gated import Http1, Http2
from support.clients.load import Load
from support.haproxy.gate import F, Gated
from support.patience import patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

Start = Callable[..., Gated]
StartLoad = Callable[..., Load]
LATE_S = 0.25
EXPOSED = {"level": "admin expose-fd listeners"}
WAYS: dict[str, dict[str, Any]] = {
    "master": {"master_worker": True},
    "master-exposed": {"master_worker": True, **EXPOSED},
    "plain": {},
    "plain-exposed": EXPOSED,
}
ways = pytest.mark.parametrize("way", list(WAYS))
two_ways = pytest.mark.parametrize("way", ["master", "plain-exposed"])


def reload(proxy: Gated) -> None:
    if proxy.proxy.master_socket is None:
        proxy.proxy.replace()
    else:
        proxy.proxy.reload()


def waiting(proxy: Gated, least: int) -> None:
    wait_until(lambda: bool(proxy.status()["waiting"] >= least), f"{least} that wait")


def hold_under_load(proxy: Gated, app: App, running: Load) -> int:
    """Returns how many had reached the application when the hold stood."""
    running.wait_for(20)
    proxy.hold()
    waiting(proxy, 10)
    return len(app.arrivals())


def open_and_count(proxy: Gated, app: App, running: Load) -> None:
    proxy.open()
    records = running.stop()
    assert [record for record in records if not record.ok] == []
    assert len(app.arrivals()) == len(records)


@ways
@pytest.mark.parametrize("nbthread", [1, 2])
def test_a_reload_while_holding_under_load(
    haproxy_version: Binary, gated: Start, app: App, load: StartLoad, way: str, nbthread: int
) -> None:
    # 2.6 aborts when it is to give up an abstract socket, as a plain reload wants it to.
    probe = haproxy_version.release != (2, 6) or way != "plain"
    options = {**WAYS[way], "nbthread": nbthread, "probe": probe}
    proxy = gated(haproxy_version, servers=[app.port], **options)
    running = load(proxy.port, rate=100)
    count = hold_under_load(proxy, app, running)
    reload(proxy)
    waiting(proxy, 10)
    assert len(app.arrivals()) == count
    open_and_count(proxy, app, running)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its root")
@two_ways
def test_under_a_chroot_and_a_user_of_its_own(
    haproxy_version: Binary, gated: Start, app: App, load: StartLoad, way: str
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], chroot=True, **WAYS[way])
    assert proxy.prove() == {"proven": True}
    assert "state_error" not in proxy.whole_status()
    running = load(proxy.port, rate=100)
    count = hold_under_load(proxy, app, running)
    assert proxy.state_file().read_text().startswith("held ")
    reload(proxy)
    waiting(proxy, 10)
    assert len(app.arrivals()) == count
    open_and_count(proxy, app, running)


@two_ways
def test_two_reloads_in_a_row(
    haproxy_version: Binary, gated: Start, app: App, load: StartLoad, way: str
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], **WAYS[way])
    running = load(proxy.port, rate=100)
    count = hold_under_load(proxy, app, running)
    for _ in range(2):
        reload(proxy)
        waiting(proxy, 5)
    assert len(app.arrivals()) == count
    open_and_count(proxy, app, running)


@two_ways
def test_an_open_right_behind_the_reload_frees_the_old_worker_too(
    haproxy_version: Binary, gated: Start, app: App, way: str
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], **WAYS[way])
    proxy.hold()
    clients = [Http1(proxy.port).send("old") for _ in range(20)]
    many = Http2(proxy.h2_port)
    streams = [many.send("old") for _ in range(20)]
    proxy.wait_waiting(40)
    reload(proxy)
    assert proxy.status()["mode"] == "held" and app.arrivals() == []
    proxy.open()
    assert {client.answer().status for client in clients} == {200}
    assert {many.answer(stream).status for stream in streams} == {200}
    many.close()
    for client in clients:
        client.close()


@two_ways
def test_the_deadline_is_the_same_in_the_new_worker(
    haproxy_version: Binary, gated: Start, app: App, way: str
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], **WAYS[way])
    lasts_s = patient(2.0)
    begun = time.monotonic()
    proxy.hold(round(lasts_s * 1000))
    after = time.monotonic()
    old = Http1(proxy.port).send("old")
    proxy.wait_waiting(1)
    reload(proxy)
    asked = time.monotonic()
    told = proxy.status()
    assert told["mode"] == "held"
    assert told["remaining_ms"] / 1000 <= after + lasts_s - asked + 0.1
    new = Http1(proxy.port).send("new")
    assert (old.answer().status, new.answer().status) == (200, 200)
    arrived = [arrival.at for arrival in app.arrivals()]
    assert min(arrived) >= begun + lasts_s - 0.05
    assert max(arrived) <= after + lasts_s + patient(LATE_S)
    old.close()
    new.close()


@two_ways
def test_a_hold_at_the_old_worker_at_the_instant_of_a_reload(
    haproxy_version: Binary, gated: Start, app: App, way: str
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], **WAYS[way])
    with proxy.proxy.connect() as connection:
        commands = ["prompt", *proxy.switching(proxy.token(60_000))]
        connection.sendall("".join(f"{line}\n" for line in commands[:-1]).encode())
        connection.recv(65536)
        reloading = threading.Thread(target=reload, args=(proxy,))
        reloading.start()
        connection.sendall(f"{commands[-1]}\n".encode())
        reloading.join()
        wait_until(lambda: proxy.state_file().exists(), "the state")
        clients = [Http1(proxy.port).send("held") for _ in range(5)]
        wait_until(lambda: bool(proxy.status()["mode"] == "held"), "the hold in the new worker")
        assert app.arrivals() == []
    proxy.open()
    assert {client.answer().status for client in clients} == {200}
    for client in clients:
        client.close()


@two_ways
def test_a_connection_kept_at_the_old_worker_is_held_by_what_the_new_one_is_told(
    haproxy_version: Binary, gated: Start, app: App, way: str
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], **WAYS[way])
    kept = [Http1(proxy.port) for _ in range(5)]
    for client in kept:
        assert client.ask("before").status == 200
    reload(proxy)
    proxy.hold()
    sent = []
    for client in kept:
        try:
            sent.append(client.send("kept"))
        except OSError:
            pass  # closed by HAProxy: its client connects again, and is held by the new one
    with Http1(proxy.port).send("new") as new:
        waiting(proxy, 1)
        assert {arrival.id for arrival in app.arrivals()} == {"before"}
        proxy.open()
        assert new.answer().status == 200
        assert {client.answer().status for client in sent} <= {200, 0}
    for client in kept:
        client.close()


def test_a_restart_while_holding(haproxy_version: Binary, gated: Start, app: App) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    proxy.hold()
    proxy.proxy.kill()
    proxy.proxy.restart()
    assert proxy.status()["mode"] == "held"
    with Http1(proxy.port).send("held") as client:
        proxy.wait_waiting(1)
        assert app.arrivals() == []
        proxy.open()
        assert client.answer().status == 200
    proxy.proxy.kill()
    proxy.proxy.restart()
    assert proxy.status()["mode"] == "open", "what was ended does not come back"


def test_a_hold_that_rejects_is_not_forgotten(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    proxy.hold(200, expiry="reject")
    wait_until(lambda: bool(proxy.status()["mode"] == "rejecting"), "the end of the hold")
    proxy.proxy.kill()
    proxy.proxy.restart()
    with Http1(proxy.port) as client:
        assert client.ask().status == 503
    proxy.open()
    with Http1(proxy.port) as client:
        assert client.ask().status == 200


def test_one_frontend_of_two_through_a_reload(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], frontends=[F, "b-2"], master_worker=True)
    proxy.hold(frontend="b-2")
    reload(proxy)
    assert [proxy.status(name)["mode"] for name in (F, "b-2")] == ["open", "held"]
    with Http1(proxy.port) as client:
        assert client.ask().status == 200
    proxy.open(frontend="b-2")
