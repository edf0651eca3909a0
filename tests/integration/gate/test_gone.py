"""Clients that give up while they are held: none of their requests reaches the server where HAProxy
can know, and they are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from stillgate import gate
from support.app import App
from support.clients.gated import Http1, Http2
from support.haproxy.gate import Gated
from support.ports import Reserved
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

Start = Callable[..., Gated]
threads = pytest.mark.parametrize("nbthread", [1, 2])
MANY = 10


def knows_http1(binary: Binary) -> bool:
    """2.2 and 3.0 never notice that a held HTTP/1 client has gone; the gate does, at the end."""
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
        # A reset leaves no connection in the kernel's table, as one that cannot be found there.
        told = 0 if how == "rst" else MANY
        assert proxy.status()["given_up"] == told
        ids = [arrival.id for arrival in app.arrivals()]
        assert ids.count("kept") == MANY and ids.count("gone") <= MANY - told
    for client in [*kept, *gone]:
        client.close()


def test_a_client_that_closes_its_half_is_answered_at_all_other_times(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    """What has HAProxy notice those that leave a hold must not end the others' requests."""
    proxy = gated(haproxy_version, servers=[app.port], h2=False)
    at_work = [Http1(proxy.port).send("at work", path="/?ms=60000") for _ in range(MANY)]
    wait_until(lambda: len(app.arrivals()) == MANY, "those that are worked on")
    for client in at_work:
        client.half_close()
    at_once = [Http1(proxy.port).send("at once") for _ in range(MANY)]
    for client in at_once:
        client.half_close()
    assert [client.answer().status for client in at_once] == [200] * MANY
    app.finish()
    assert [client.answer().status for client in at_work] == [200] * MANY
    for client in [*at_work, *at_once]:
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


def serves_only_who_has_stayed(proxy: Gated, port: int, app: App) -> None:
    proxy.hold()
    kept = [Http1(port).send("kept") for _ in range(MANY)]
    gone = [Http1(port).send("gone", b"x" * size) for size in range(MANY)]
    proxy.wait_waiting(2 * MANY)
    for client in gone:
        client.close()
    proxy.open()
    assert {client.answer().status for client in kept} == {200}
    proxy.wait_waiting(0)
    told = proxy.status()
    assert (told["released"], told["given_up"], told["rejected"]) == (MANY, MANY, 0)
    assert [arrival.id for arrival in app.arrivals()] == ["kept"] * MANY
    for client in kept:
        client.close()


def test_who_has_closed_is_noticed_without_abortonclose_and_under_a_chroot(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    """At the release, by the kernel's table of connections. HAProxy alone serves all of them."""
    own = {"chroot": True, "extra_defaults": ["no option abortonclose"]}
    proxy = gated(haproxy_version, servers=[app.port], nbthread=2, **own)
    serves_only_who_has_stayed(proxy, proxy.port, app)


def test_who_has_closed_is_noticed_on_a_bind_of_both_families_and_however_long_the_table_is(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    """Their connections are in a table of the kernel's own, and here it is read in many parts."""
    text, short = gate.lua(), ("local TABLE_PART = 1 << 16", "local TABLE_PART = 1 << 8")
    assert text.count(short[0]) == 1
    with closing(Reserved(shared=True)) as both:
        proxy = gated(
            haproxy_version,
            servers=[app.port],
            h2=False,
            lua_text=text.replace(*short),
            before=[f"bind :::{both.port} v4v6"],
            extra_defaults=["no option abortonclose"],
        )
        serves_only_who_has_stayed(proxy, both.port, app)


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


def test_what_a_short_timeout_client_cuts(haproxy_version: Binary, gated: Start, app: App) -> None:
    """A request that is not complete, everywhere; a complete one on 2.2 only."""
    proxy = gated(haproxy_version, servers=[app.port], extra_defaults=["timeout client 1s"])
    proxy.hold()
    clients = [Http1(proxy.port).send("held") for _ in range(MANY)]
    with Http2(proxy.h2_port) as many, Http1(proxy.port) as slow:
        stream = many.send("held")
        proxy.wait_waiting(MANY + 1)
        # It comes last, so its end comes last, too.
        slow.socket.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
        proxy.wait_waiting(MANY + 2)
        if haproxy_version.release < (2, 4):
            proxy.wait_waiting(0)
            assert proxy.status()["given_up"] == MANY + 2
        else:
            wait_until(lambda: bool(proxy.status()["given_up"] > 0), "the end of the slow one")
            assert (proxy.status()["waiting"], app.arrivals()) == (MANY + 1, [])
            proxy.open()
            assert {client.answer().status for client in clients} == {200}
            assert many.answer(stream).status == 200
    for client in clients:
        client.close()
