"""Clients that give up while they are held: none of their requests reaches the server where HAProxy
can know, and they are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from support.app import App
from support.clients.gated import Http1, Http2
from support.haproxy.gate import Gated

if TYPE_CHECKING:
    from conftest import Binary

Start = Callable[..., Gated]
threads = pytest.mark.parametrize("nbthread", [1, 2])
MANY = 10


def knows_http1(binary: Binary) -> bool:
    """2.2 and 3.0 never notice that a held HTTP/1 client has gone."""
    return binary.release not in ((2, 2), (3, 0))


def given_up_then_open(proxy: Gated, app: App, gone: int, kept: list[Http1]) -> list[str]:
    """The ids that reached the application in the end. `gone` are to be counted as given up."""
    proxy.wait_waiting(len(kept))
    assert proxy.status()["given_up"] == gone
    assert app.arrivals() == []
    proxy.open()
    assert {client.answer().status for client in kept} == {200}
    with Http1(proxy.port) as client:
        assert client.ask("after").status == 200
    return sorted(arrival.id for arrival in app.arrivals())


@threads
@pytest.mark.parametrize("how", ["fin", "rst", "half-close"])
def test_http1_clients(
    haproxy_version: Binary, gated: Start, app: App, nbthread: int, how: str
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], nbthread=nbthread)
    proxy.hold()
    kept = [Http1(proxy.port).send("kept") for _ in range(MANY)]
    gone = [Http1(proxy.port).send("gone") for _ in range(MANY)]
    proxy.wait_waiting(2 * MANY)
    for client in gone:
        {"fin": client.close, "rst": client.reset, "half-close": client.half_close}[how]()
    if haproxy_version.release >= (3, 2):
        # On a quiet machine it notices nearly all, on a busy one none. What it noticed is counted,
        # and never reaches the server.
        proxy.open()
        assert {client.answer().status for client in kept} == {200}
        proxy.wait_waiting(0)
        ids = [arrival.id for arrival in app.arrivals()]
        assert ids.count("kept") == MANY
        assert ids.count("gone") <= MANY - proxy.status()["given_up"]
    elif knows_http1(haproxy_version):
        ids = given_up_then_open(proxy, app, MANY, kept)
        assert ids == ["after"] + ["kept"] * MANY
    else:
        assert (proxy.status()["waiting"], proxy.status()["given_up"]) == (2 * MANY, 0)
        proxy.open()
        assert {client.answer().status for client in kept} == {200}
        proxy.wait_waiting(0)
        assert [arrival.id for arrival in app.arrivals()].count("kept") == MANY
    for client in [*kept, *gone]:
        client.close()


@threads
@pytest.mark.parametrize("how", ["cancel", "close"])
def test_http2_clients(
    haproxy_version: Binary, gated: Start, app: App, nbthread: int, how: str
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], nbthread=nbthread)
    proxy.hold()
    kept = [Http1(proxy.port).send("kept") for _ in range(MANY)]
    clients = [Http2(proxy.h2_port) for _ in range(MANY)]
    streams = [(client, client.send("gone")) for client in clients for _ in range(5)]
    proxy.wait_waiting(6 * MANY)
    for client, stream in streams:
        if how == "cancel":
            client.cancel(stream)
    if how == "close":
        for client in clients:
            client.close()
    assert given_up_then_open(proxy, app, 5 * MANY, kept) == ["after"] + ["kept"] * MANY
    for one in kept:
        one.close()
    for client in clients:
        client.close()


def test_many_that_give_up_in_hold_after_hold(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    """What waits in a queue of Lua's and is dropped must not be woken there."""
    proxy = gated(haproxy_version, servers=[app.port], nbthread=2)
    for _ in range(5):
        proxy.hold()
        kept = [Http1(proxy.port).send("kept") for _ in range(MANY)]
        clients = [Http2(proxy.h2_port) for _ in range(MANY)]
        streams = [(client, client.send("gone")) for client in clients for _ in range(20)]
        proxy.wait_waiting(21 * MANY)
        for client, stream in streams[::2]:
            client.cancel(stream)
        for client in clients:
            client.close()
        proxy.open()
        assert {one.answer().status for one in kept} == {200}
        for one in kept:
            one.close()
    proxy.wait_waiting(0)
    assert {arrival.id for arrival in app.arrivals()} <= {"kept", "gone"}
    assert [arrival.id for arrival in app.arrivals()].count("kept") == 5 * MANY


@pytest.mark.parametrize("label", ["2.6", "3.0", "sid"])
def test_tcp_clients_are_not_noticed(
    label: str, haproxy_binaries: dict[str, Binary], gated: Start, app: App
) -> None:
    """In tcp mode, which the gate has from 2.6 on, a client may have closed its half and still want
    its answer.
    """
    proxy = gated(haproxy_binaries[label], servers=[app.port], mode="tcp")
    proxy.hold()
    kept = [Http1(proxy.port).send("kept") for _ in range(MANY)]
    gone = [Http1(proxy.port).send("gone") for _ in range(MANY)]
    proxy.wait_waiting(2 * MANY)
    for client in gone:
        client.half_close()
    assert proxy.status()["waiting"] == 2 * MANY and app.arrivals() == []
    proxy.open()
    assert {client.answer().status for client in kept} == {200}
    for client in [*kept, *gone]:
        client.close()


def test_those_that_gave_up_make_room_under_the_bound(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    proxy.hold(bound=MANY)
    with Http2(proxy.h2_port) as client:
        streams = [client.send("gone") for _ in range(MANY)]
        proxy.wait_waiting(MANY)
        for stream in streams:
            client.cancel(stream)
        proxy.wait_waiting(0)
    kept = [Http1(proxy.port).send("kept") for _ in range(MANY)]
    proxy.wait_waiting(MANY)
    proxy.open()
    assert {one.answer().status for one in kept} == {200}
    for one in kept:
        one.close()
