"""Very many that wait: how many may, so that HAProxy and its other frontends live on, and that each
is let go, whatever interrupts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet, gate
from support.app import App
from support.clients.gated import Http1, Http2
from support.haproxy.gate import F, Gated
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

Start = Callable[..., Gated]
STREAMS = 100  # of one HTTP/2 connection, at once


def altered(*changes: tuple[str, str]) -> str:
    text = gate.lua()
    for before, after in changes:
        assert text.count(before) == 1
        text = text.replace(before, after)
    return text


def answers(clients: list[Http2], streams: list[list[int]]) -> Counter[int]:
    found: Counter[int] = Counter()
    for client, ids in zip(clients, streams):
        found.update(client.answer(stream).status for stream in ids)
        client.close()
    return found


def test_those_that_wait_are_woken_in_parts_however_often_that_is_interrupted(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    """By HAProxy's limit for Lua, say; here by an error at every third one."""
    interrupting = "      visit.bell:push(true)\n", (
        "      visit.bell:push(true)\n"
        "      if switch.to_wake % 3 == 0 and not visit.rung then\n"
        "        visit.rung = true\n"
        '        error("interrupted")\n'
        "      end\n"
    )
    few = "local WAKE_PART = 200", "local WAKE_PART = 10"
    text = altered(interrupting, few)
    proxy = gated(haproxy_version, servers=[app.port], lua_text=text)
    proxy.hold()
    client = Http2(proxy.h2_port)
    streams = [client.send("held") for _ in range(STREAMS)]
    proxy.wait_waiting(STREAMS)
    proxy.open()
    assert answers([client], [streams]) == {200: STREAMS}
    assert proxy.status()["waiting"] == 0


def test_a_part_that_the_deadline_wakes_is_followed_by_the_others(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    text = altered(("local WAKE_PART = 200", "local WAKE_PART = 10"))
    proxy = gated(haproxy_version, servers=[app.port], lua_text=text)
    client = Http2(proxy.h2_port)
    proxy.hold(700)
    streams = [client.send("held") for _ in range(STREAMS)]
    assert answers([client], [streams]) == {200: STREAMS}


@pytest.mark.parametrize("nbthread", [1, 2])
@pytest.mark.parametrize("label", ["3.0", "sid"])
def test_who_goes_on_has_the_next_woken(
    label: str, nbthread: int, haproxy_binaries: dict[str, Binary], gated: Start, app: App
) -> None:
    """Here nothing else wakes them after the first part. Below 2.8 nobody is woken."""
    text = altered(
        ("local WAKE_PART = 200", "local WAKE_PART = 10"),
        ("local WAKE_MS = 5 ", "local WAKE_MS = 3600000 "),
        ('  if switch.mode ~= "held" then wake_on(switch) end\n', ""),
    )
    binary = haproxy_binaries[label]
    proxy = gated(binary, servers=[app.port], lua_text=text, nbthread=nbthread)
    proxy.hold()
    client = Http2(proxy.h2_port)
    streams = [client.send("held") for _ in range(STREAMS)]
    proxy.wait_waiting(STREAMS)
    proxy.open()
    assert answers([client], [streams]) == {200: STREAMS}


def test_a_quarter_of_the_connections_is_left_to_others(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(
        haproxy_version, servers=[app.port], frontends=(F, "other"), global_maxconn=40, h2=False
    )
    proven = proxy.ask(f"stillgate prove {F}")["frontends"][F]
    assert (proven["most"], proven["most_by"]) == (30, "maxconn")
    checked = Fleet(proxy.proxy.endpoints).check(F, method="gate").switches[0].findings
    assert [one.message for one in checked if one.code == "gate_bound"] == [
        "at most 30 requests wait here at once, by maxconn; further ones get 503 with Retry-After; "
        "--max-waiting sets another number"
    ]
    proxy.hold()
    assert (proxy.status()["most"], proxy.status()["most_by"]) == (30, "maxconn")
    clients = [Http1(proxy.port).send("held") for _ in range(38)]
    wait_until(lambda: bool(proxy.status()["rejected"] == 8), "those that find no place")
    with Http1(proxy.proxy.ports["other"]) as client:
        assert client.ask("other").status == 200
    assert proxy.status()["waiting"] == 30
    proxy.open()
    statuses = Counter(client.answer().status for client in clients)
    assert statuses == {200: 30, 503: 8}
    for one in clients:
        one.close()


def came(proxy: Gated) -> int:
    told = proxy.status()
    return int(told["held"] + told["rejected"])


@pytest.mark.parametrize("megabytes", [4, 16])
def test_as_many_wait_as_lua_has_memory_for(
    haproxy_version: Binary, gated: Start, app: App, megabytes: int
) -> None:
    """All that are told to find a place do; the others are refused and counted."""
    limit = [f"tune.lua.maxmem {megabytes}"]
    proxy = gated(haproxy_version, servers=[app.port], extra_global=limit)
    proven = proxy.ask(f"stillgate prove {F}")["frontends"][F]
    assert proven["most_by"] == "tune.lua.maxmem" and 50 < proven["most"] < 125 * megabytes
    proxy.hold(bound=100_000)
    most = proxy.status()["most"]
    clients: list[Http2] = []
    streams: list[list[int]] = []
    for number in range(1, most // STREAMS + 6):
        clients.append(Http2(proxy.h2_port))
        streams.append([clients[-1].send("held") for _ in range(STREAMS)])
        wait_until(lambda: came(proxy) == number * STREAMS, "the next hundred")
    too_many = len(clients) * STREAMS - most
    assert (proxy.status()["waiting"], proxy.status()["rejected"]) == (most, too_many)
    assert proxy.proxy.alive()
    proxy.open()
    assert answers(clients, streams) == {200: most, 503: too_many}
    assert (proxy.status()["released"], proxy.status()["rejected"]) == (most, too_many)
    assert proxy.proxy.alive()


def test_a_held_request_takes_no_more_memory_than_is_counted_for_it(
    haproxy_version: Binary, gated: Start
) -> None:
    tells = """
        core.register_cli({"stillgate", "memory"}, "", function(applet)
          collectgarbage("collect")
          applet:send(collectgarbage("count") .. "\\n")
        end)
    """
    many = 500
    for mode in ("http", "tcp") if haproxy_version.release >= (2, 6) else ("http",):
        proxy = gated(haproxy_version, mode=mode, lua_text=gate.lua() + tells)
        before = float(proxy.proxy.cli("stillgate memory"))
        proxy.hold()
        clients = [Http1(proxy.port).send("held") for _ in range(many)]
        proxy.wait_waiting(many)
        each = (float(proxy.proxy.cli("stillgate memory")) - before) / many
        counted = re.search(r"local HELD_KB = (\d+) ", gate.lua())
        assert counted is not None and 1 < each < int(counted[1])
        for client in clients:
            client.close()
