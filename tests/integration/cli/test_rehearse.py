"""The forecast of a rehearsal against what then waits, on a real HAProxy under steady load."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stillgate import Fleet, history
from support.clients.gated import Http1
from support.command import run, run_json
from support.haproxy.gate import Gated
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F, queued
from support.haproxy.server import Frontend
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

    from support.app import App
    from support.haproxy.server import HAProxy

pytestmark = pytest.mark.usefixtures("state")
MakeLoad = Callable[..., Any]
HOLD_S = 4.5
WITHIN = 0.2


def foreseen(told: dict[str, Any], at_s: float) -> float:
    """How many wait then, by the moments before and behind it."""
    points = [(0.0, 0), *((one["after_s"], one["waiting"]) for one in told["waits"])]
    for (before, low), (behind, high) in zip(points, points[1:]):
        if at_s <= behind:
            return float(low + (high - low) * (at_s - before) / (behind - before))
    raise AssertionError(f"{at_s} s is beyond {points}")


def held_since() -> float:
    """When the hold was in effect: its record is older by a guard's start."""
    (past,) = history(F, limit=1)
    return next(one.at for one in past.events if one.event == "held")


def sent_between(clients: Any, begun: float, ended: float) -> float:
    """Requests per second: a busy machine does not send as evenly as it was told to."""
    sent = [one for one in clients.stop() if begun <= one.sent_at <= ended]
    return len(sent) / (ended - begun)


def rehearse(proxy: HAProxy, *options: str) -> dict[str, Any]:
    hold = ["--max-hold", str(HOLD_S), "--watch", "3", *options]
    status, told = run_json("rehearse", F, *hold, "-e", f"lb1={proxy.endpoints[0]}")
    assert status == 0
    return told


def test_by_gate_so_many_wait_as_were_foreseen(
    haproxy: Start, haproxy_binaries: dict[str, Binary], app: App, load: MakeLoad, tmp_path: Path
) -> None:
    version = haproxy_binaries["3.0"].version
    options = gate_options(F, tmp_path / "gate", version, servers=[app.port], maxconn=2000)
    proxy = haproxy("3.0", **options)
    fleet = Fleet(proxy.endpoints)
    clients = load(proxy.ports[F], rate=60, path="/?ms=20")
    clients.wait_for(60)
    told = rehearse(proxy, "--max-hold", "45")
    assert proxy.limit(F) == 2000 and fleet.status(F).switches[0].verdict == "open"
    with fleet.suspended(F, max_hold=600, method="gate"):
        time.sleep(HOLD_S * 2 / 3)
        waiting = fleet.look(F).switches[0].waiting
        ended, held_s = time.monotonic(), time.time() - held_since()
    evenly = sent_between(clients, ended - held_s, ended) / told["arrivals_per_s"]
    assert waiting == pytest.approx(foreseen(told, held_s) * evenly, rel=WITHIN)
    (one,) = told["haproxies"]
    assert (one["endpoint_name"], one["methods"]) == ("lb1", ["gate"])
    assert one["fills"][0]["what"] in ("gate", "maxconn", "global")
    assert one["in_flight"] < 10 and one["drain_s"] < 1


def test_by_maxconn_so_many_wait_in_the_kernel_as_were_foreseen(
    haproxy: Start, app: App, load: MakeLoad
) -> None:
    proxy = haproxy("3.0", servers=[app.port], maxconn=1000)
    fleet = Fleet(proxy.endpoints)
    clients = load(proxy.ports[F], rate=60, path="/?ms=20")
    clients.wait_for(60)
    told = rehearse(proxy, "--max-hold", "45", "--method", "maxconn")
    with fleet.suspended(F, max_hold=600, method="maxconn"):
        time.sleep(HOLD_S * 2 / 3)
        waiting = queued(proxy)
        ended, held_s = time.monotonic(), time.time() - held_since()
    evenly = sent_between(clients, ended - held_s, ended) / told["arrivals_per_s"]
    assert waiting == pytest.approx(foreseen(told, held_s) * evenly, rel=WITHIN)
    first = told["haproxies"][0]["fills"][0]
    assert first["what"] == "kernel" and "the kernel's queue of 1,001 of" in first["words"]


def test_what_is_full_first_limits_the_advice(haproxy: Start, app: App, load: MakeLoad) -> None:
    proxy = haproxy("3.0", servers=[app.port], maxconn=1000, backlog=40)
    clients = load(proxy.ports[F], rate=40)
    clients.wait_for(40)
    told = rehearse(proxy, "--method", "maxconn", "--watch", "2")
    there = ["-e", f"lb1={proxy.endpoints[0]}", "--method", "maxconn", "--watch", "1"]
    text = run("rehearse", F, "--max-hold", "4.5", *there).stdout
    clients.stop()
    (full,) = told["haproxies"][0]["fills"]
    assert full["what"] == "kernel" and full["at_s"] == pytest.approx(41 / 40, rel=WITHIN)
    assert told["advised_s"] < 1 and not told["fits"]
    assert "the kernel's queue of 41 of" in told["reason"]
    # Whoever comes behind that retries, and is not in the queue.
    assert told["waits"][-1]["waiting"] == 41
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines[:3])
    assert lines[2].startswith("lb1 ") and " kernel 1." in lines[2]
    assert any("4.5 s is TOO LONG; advised: at most 0." in line for line in lines)


def test_the_servers_queue_limits_it_too(haproxy: Start, app: App, load: MakeLoad) -> None:
    servers = ["default-server maxconn 2"]
    front = Frontend(F, maxconn=1000, backlog=1000, backend_lines=tuple(servers))
    proxy = haproxy("3.0", servers=[app.port], frontends=[front])
    clients = load(proxy.ports[F], rate=20, path="/?ms=50")
    clients.wait_for(20)
    told = rehearse(proxy, "--method", "maxconn", "--watch", "1")
    clients.stop()
    herd = told["haproxies"][0]["herd"]
    # Of 90 that are released 2 are served at a time, for 50 ms each, while 20 a second come.
    assert (herd["backend"], herd["slots"]) == (f"{F}_servers", 2)
    assert 1.5 < herd["last_wait_s"] < 4 and herd["servers_s"] > herd["last_wait_s"]


def test_memory_that_is_full_first_limits_it(
    haproxy_binaries: dict[str, Binary], gated: Callable[..., Gated], app: App, load: MakeLoad
) -> None:
    small = ["tune.lua.maxmem 3"]
    gate = gated(haproxy_binaries["3.0"], servers=[app.port], extra_global=small)
    clients = load(gate.port, rate=60)
    clients.wait_for(60)
    told = rehearse(gate.proxy, "--max-hold", "45", "--watch", "1")
    clients.stop()
    first = told["haproxies"][0]["fills"][0]
    assert (first["what"], first["fails"]) == ("gate", True)
    limit = re.match(r"the gate's limit of (\d+) \(tune.lua.maxmem\) is reached", first["words"])
    assert limit is not None
    assert told["advised_s"] < 45 and not told["fits"] and "tune.lua.maxmem" in told["reason"]
    assert told["waits"][-1]["waiting"] == int(limit[1])


def test_timeout_queue_cuts_who_was_released_and_limits_it(
    haproxy_binaries: dict[str, Binary], gated: Callable[..., Gated], app: App, load: MakeLoad
) -> None:
    """At a server that takes one at a time, for 200 ms."""
    queue = ["timeout queue 1s", "default-server maxconn 1"]
    gate = gated(haproxy_binaries["3.0"], servers=[app.port], extra_defaults=queue)
    clients = load(gate.port, rate=3, path="/?ms=200")
    clients.wait_for(3)
    told = rehearse(gate.proxy, "--watch", "1", "--max-hold", "15")
    clients.stop()
    (full,) = [one for one in told["haproxies"][0]["fills"] if one["what"] == "servers"]
    assert full["words"].endswith("in their queue for 1 s, where 'timeout queue' ends it")
    assert told["advised_s"] < 5 and told["reason"].endswith(full["words"])
    with Fleet(gate.proxy.endpoints).suspended(F, max_hold=600, method="gate"):
        held = [Http1(gate.port).send(path="/?ms=200") for _ in range(15)]
        gate.wait_waiting(15)
    assert {client.answer().status for client in held} == {200, 503}


def test_timeout_http_request_cuts_nobody_who_waits(
    haproxy_binaries: dict[str, Binary], gated: Callable[..., Gated], app: App
) -> None:
    short = ["timeout http-request 1s"]
    gate = gated(haproxy_binaries["3.0"], servers=[app.port], extra_defaults=short)
    (told,) = rehearse(gate.proxy, "--watch", "1")["haproxies"]
    assert told["cuts"] == []
    with Fleet(gate.proxy.endpoints).suspended(F, max_hold=600, method="gate"):
        client = Http1(gate.port).send("held")
        gate.wait_waiting(1)
        over = time.monotonic() + 1.2
        wait_until(lambda: time.monotonic() > over, "more than that timeout")
    assert client.answer().status == 200


def test_inspect_delay_cuts_and_limits_it(
    haproxy_binaries: dict[str, Binary], gated: Callable[..., Gated], app: App
) -> None:
    own = ["tcp-request inspect-delay 5s"]
    gate = gated(haproxy_binaries["3.0"], servers=[app.port], mode="tcp", before=own)
    hold = ["--max-hold", "15", "--watch", "1", "-e", gate.proxy.endpoints[0]]
    status, told = run_json("rehearse", F, *hold, "--method", "maxconn")
    assert (status, told["haproxies"][0]["cuts"]) == (0, [])
    status, told = run_json("rehearse", F, *hold, "--method", "gate")
    assert status == 3 and not told["fits"]
    (cut,) = told["haproxies"][0]["cuts"]
    assert cut["after_s"] == 5 and "'tcp-request inspect-delay' of 'balanced'" in cut["words"]
    assert told["advised_s"] == 4


def test_a_timeout_that_would_cut_is_known_where_the_check_knows_it(
    haproxy: Start, haproxy_binaries: dict[str, Binary], app: App, tmp_path: Path
) -> None:
    version = haproxy_binaries["2.2"].version
    short = {"extra_defaults": ["timeout client 6s"], "servers": [app.port]}
    proxy = haproxy("2.2", **gate_options(F, tmp_path / "gate", version, **short))
    hold = ["--max-hold", "15", "--watch", "1", "-e", proxy.endpoints[0]]
    status, told = run_json("rehearse", F, *hold)
    assert status == 3 and not told["fits"]
    (cut,) = told["haproxies"][0]["cuts"]
    assert "'timeout client' of 'balanced'" in cut["words"] and 4 <= cut["after_s"] <= 6
    assert 3 <= told["advised_s"] <= 5


def test_what_does_not_answer_is_told_of(haproxy: Start, tmp_path: Path) -> None:
    proxy = haproxy("3.0")
    gone = f"unix://{tmp_path}/gone.sock"
    there = ["--watch", "1", "-e", proxy.endpoints[0], "-e", gone]
    status, told = run_json("rehearse", F, *there)
    assert status == 3 and told["arrivals_per_s"] is None
    assert [one["arrivals_per_s"] is None for one in told["haproxies"]] == [False, True]
    assert told["haproxies"][1]["error"]["code"] == "no_such_socket"
