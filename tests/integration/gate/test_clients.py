"""The gate and every kind of client: each is held, none reaches the server, all are answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from stillgate import gate
from support.app import App
from support.clients.gated import Http1, Http2
from support.haproxy.gate import F, Gated
from support.patience import patient

if TYPE_CHECKING:
    from conftest import Binary

Start = Callable[..., Gated]
BODY = b"x" * 300_000
threads = pytest.mark.parametrize("nbthread", [1, 2])


def names(app: App) -> list[str]:
    return sorted(arrival.id for arrival in app.arrivals())


def close(ones: list[Http1], many: list[Http2]) -> None:
    for one in ones:
        one.close()
    for client in many:
        client.close()


def none_passed(gated: Gated, app: App, before: int) -> bool:
    return len(app.arrivals()) == before and gated.status()["mode"] == "held"


@threads
def test_http1_new_and_kept_connections(
    haproxy_version: Binary, gated: Start, app: App, nbthread: int
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], nbthread=nbthread)
    kept = [Http1(proxy.port) for _ in range(5)]
    for client in kept:
        assert [client.ask("before").status for _ in range(2)] == [200, 200]
    proxy.hold()
    clients = kept + [Http1(proxy.port) for _ in range(5)]
    for number, client in enumerate(clients):
        client.send(f"held{number}")
    proxy.wait_waiting(10)
    assert none_passed(proxy, app, 10) and all(client.silent() for client in clients)
    proxy.open()
    assert [client.answer().status for client in clients] == [200] * 10
    assert [client.ask("after").status for client in clients] == [200] * 10
    told = proxy.status()
    assert {name: told[name] for name in ("mode", "held", "released", "waiting", "given_up")} == {
        "mode": "open", "held": 10, "released": 10, "waiting": 0, "given_up": 0,
    }  # fmt: skip
    for client in clients:
        client.close()


@threads
def test_http2_streams_of_open_connections(
    haproxy_version: Binary, gated: Start, app: App, nbthread: int
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], nbthread=nbthread)
    clients = [Http2(proxy.h2_port) for _ in range(4)]
    for client in clients:
        assert client.answer(client.send("before")).status == 200
        client.answers.clear()
    proxy.hold()
    streams = [(client, client.send("held")) for client in clients for _ in range(20)]
    proxy.wait_waiting(80)
    assert none_passed(proxy, app, 4) and all(client.silent() for client in clients)
    proxy.open()
    assert [client.answer(stream).status for client, stream in streams] == [200] * 80
    assert names(app) == ["before"] * 4 + ["held"] * 80
    for client in clients:
        client.close()


@threads
def test_tls(haproxy_version: Binary, gated: Start, app: App, nbthread: int) -> None:
    proxy = gated(haproxy_version, servers=[app.port], nbthread=nbthread, tls=True)
    one, many = Http1(proxy.tls_port, tls=True), Http2(proxy.tls_port, tls=True)
    assert one.ask("before").status == 200
    assert many.answer(many.send("before")).status == 200
    proxy.hold()
    one.send("held")
    streams = [many.send("held") for _ in range(10)]
    with Http1(proxy.tls_port, tls=True) as new:
        new.send("held")
        proxy.wait_waiting(12)
        assert none_passed(proxy, app, 2)
        proxy.open()
        assert [new.answer().status, one.answer().status] == [200, 200]
    assert [many.answer(stream).status for stream in streams] == [200] * 10
    one.close()
    many.close()


@threads
def test_posts_arrive_with_their_bodies(
    haproxy_version: Binary, gated: Start, app: App, nbthread: int
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], nbthread=nbthread)
    proxy.hold()
    with Http1(proxy.port) as one, Http2(proxy.h2_port) as two:
        # Small ones: what HAProxy has no room for is read when the request goes on.
        one.send("one", b"x" * 2000)
        stream = two.send("two", b"y" * 2000)
        proxy.wait_waiting(2)
        assert none_passed(proxy, app, 0)
        proxy.open()
        assert (one.answer().status, two.answer(stream).status) == (200, 200)
        assert names(app) == ["one", "two"]


def test_a_post_larger_than_all_buffers(haproxy_version: Binary, gated: Start, app: App) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    proxy.hold()
    with Http1(proxy.port) as client:
        client.send("large", BODY)
        proxy.wait_waiting(1)
        proxy.open()
        assert client.answer().status == 200
    assert names(app) == ["large"]


@threads
def test_a_thousand(haproxy_version: Binary, gated: Start, app: App, nbthread: int) -> None:
    proxy = gated(haproxy_version, servers=[app.port], nbthread=nbthread)
    proxy.hold()
    clients = [Http1(proxy.port).send(str(number)) for number in range(500)]
    many = [Http2(proxy.h2_port) for _ in range(10)]
    streams = [(client, client.send(str(500 + n))) for client in many for n in range(50)]
    proxy.wait_waiting(1000)
    assert none_passed(proxy, app, 0)
    proxy.open()
    assert {client.answer().status for client in clients} == {200}
    assert {client.answer(stream).status for client, stream in streams} == {200}
    assert len(app.arrivals()) == 1000
    told = proxy.status()
    assert (told["held"], told["released"], told["most_waiting"]) == (1000, 1000, 1000)
    close(clients, many)


def test_a_hold_longer_than_any_timeout_of_lua(
    haproxy_binaries: dict[str, Any], gated: Start, app: App
) -> None:
    """All versions at once, so that it costs the time once."""
    there = [binary for binary in haproxy_binaries.values() if not binary.missing]
    proxies = [
        gated(binary, servers=[app.port], nbthread=2, extra_defaults=["timeout http-request 2s"])
        for binary in there
    ]
    begun = time.monotonic()
    for proxy in proxies:
        proxy.hold(12_000)
    ones = [Http1(proxy.port).send("long") for proxy in proxies for _ in range(5)]
    many = [Http2(proxy.h2_port) for proxy in proxies]
    streams = [(client, client.send("long")) for client in many for _ in range(5)]
    for proxy in proxies:
        proxy.wait_waiting(10)
    answers = [client.answer() for client in ones]
    answers += [client.answer(stream) for client, stream in streams]
    assert {answer.status for answer in answers} == {200}
    assert min(arrival.at for arrival in app.arrivals()) >= begun + 11.9
    close(ones, many)


@threads
def test_tcp_mode_holds_new_connections(
    haproxy_version: Binary, gated: Start, app: App, nbthread: int
) -> None:
    if haproxy_version.release < (2, 6):
        unfit = gated(haproxy_version, servers=[app.port], mode="tcp", written_for="2.6")
        assert unfit.prove()["proven"] is False
        return
    proxy = gated(haproxy_version, servers=[app.port], nbthread=nbthread, mode="tcp")
    assert proxy.prove() == {"proven": True}
    with Http1(proxy.port) as kept:
        assert kept.ask("before").status == 200
        proxy.hold()
        clients = [Http1(proxy.port).send("held") for _ in range(20)]
        silent = Http1(proxy.port)
        proxy.wait_waiting(21)
        assert kept.ask("open before").status == 200
        assert none_passed(proxy, app, 2)
        proxy.open()
        assert [client.answer().status for client in clients] == [200] * 20
        assert silent.ask("after").status == 200
        for client in [*clients, silent]:
            client.close()


@pytest.mark.parametrize("expiry", ["release", "reject"])
@pytest.mark.parametrize("label", ["2.6", "3.0", "sid"])
def test_tcp_mode_keeps_the_deadline_and_the_bound(
    label: str, expiry: str, haproxy_binaries: dict[str, Binary], gated: Start, app: App
) -> None:
    # Below 2.8 what waits is called again and again, and the coroutine it runs in is replaced now
    # and then: here all the time.
    often = gate.lua().replace("CALLS_TO_TIDY = 256", "CALLS_TO_TIDY = 2")
    assert often != gate.lua()
    binary = haproxy_binaries[label]
    proxy = gated(binary, servers=[app.port], mode="tcp", nbthread=2, lua_text=often)
    lasts_s = patient(1.0)
    begun = time.monotonic()
    proxy.hold(round(lasts_s * 1000), expiry=expiry, bound=10)
    clients = [Http1(proxy.port).send("held") for _ in range(10)]
    proxy.wait_waiting(10)
    with Http1(proxy.port).send("past the bound") as refused:
        assert refused.answer().status == 0
    answers = [client.answer() for client in clients]
    told = proxy.status()
    if expiry == "release":
        assert {answer.status for answer in answers} == {200}
        assert min(arrival.at for arrival in app.arrivals()) >= begun + lasts_s - 0.05
        assert (told["mode"], told["released"], told["rejected"]) == ("open", 10, 1)
    else:
        assert {answer.status for answer in answers} == {0} and app.arrivals() == []
        assert min(answer.at for answer in answers) >= begun + lasts_s - 0.05
        assert (told["mode"], told["released"], told["rejected"]) == ("rejecting", 0, 11)
    assert (told["waiting"], told["given_up"]) == (0, 0)
    close(clients, [])


def test_of_two_frontends_the_other_goes_on(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], frontends=[F, "the-other"])
    assert proxy.prove() == proxy.prove("the-other") == {"proven": True}
    proxy.hold()
    with Http1(proxy.port) as held, Http1(proxy.proxy.ports["the-other"]) as other:
        held.send("held")
        proxy.wait_waiting(1)
        assert [other.ask("free").status for _ in range(20)] == [200] * 20
        assert names(app) == ["free"] * 20
        assert proxy.status("the-other")["mode"] == "open"
        proxy.open()
        assert held.answer().status == 200


def test_an_exempt_path_is_not_held(haproxy_version: Binary, gated: Start, app: App) -> None:
    proxy = gated(haproxy_version, servers=[app.port], exempt="/health")
    proxy.hold()
    with Http1(proxy.port) as held, Http1(proxy.port) as health:
        held.send("held")
        proxy.wait_waiting(1)
        assert health.send("health", path="/health").answer().status == 200
        assert names(app) == ["health"]
        proxy.open()
        assert held.answer().status == 200
