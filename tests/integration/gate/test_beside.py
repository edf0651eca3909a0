"""What passes beside the gate: a rule with a condition before its lines, full variables, a gate in
each thread, several processes. It is refused, or told; never called held.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import pytest

from stillgate import CheckRefused, Fleet, gate
from support.app import App
from support.clients.gated import Http1, Http2
from support.haproxy.gate import YOUNG_S, F, Gated
from support.haproxy.holds import codes, findings
from support.haproxy.server import HAProxyFailed
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")
Method = Literal["gate", "maxconn"]
StartGated = Callable[..., Gated]
BYPASS = "http-request allow if { req.hdr(x-beside) -m found }"
SNI = "tcp-request content accept if { src 127.0.0.0/8 } { dst_port 1:65535 }"


def beside(proxy: Gated, count: int) -> None:
    """Requests of the kind that the rule before the gate lets pass."""
    with Http1(proxy.port) as client:
        for _ in range(count):
            client.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nx-beside: 1\r\n\r\n")
            assert client.answer().status == 200


def settled(proxy: Gated, name: str) -> int:
    wait_until(lambda: name in proxy.status(), "a count that is known")
    return int(proxy.status()[name])


def test_a_rule_with_a_condition_before_the_gate_is_refused(
    haproxy_version: Binary, gated: StartGated, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], before=[BYPASS])
    assert proxy.prove() == {"proven": True}
    fleet = Fleet(proxy.proxy.endpoints)
    beside(proxy, 20)
    wait_until(lambda: bool(proxy.status()["all_unseen"] == 20), "the count")
    with pytest.raises(CheckRefused) as refused:
        fleet.suspend(F, method="gate")
    assert codes(refused.value.report) == ["gate_unproven"]
    assert "20 of 2" in str(refused.value.report.switches[0].error)
    report = fleet.suspend(F, method="gate", accept_unproven=True)
    assert "gate_unproven" in findings(report)
    fleet.resume(F)


def test_what_passes_beside_while_it_holds_is_told(
    haproxy_version: Binary, gated: StartGated, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], before=[BYPASS])
    fleet = Fleet(proxy.proxy.endpoints)
    fleet.suspend(F, method="gate")
    beside(proxy, 3)
    wait_until(lambda: bool(proxy.status().get("unseen") == 3), "the count")
    told = fleet.status(F)
    assert ("gate_bypassed" in findings(told), told.switches[0].leaked) == (True, 3)
    resumed = fleet.resume(F)
    assert ("gate_bypassed" in findings(resumed), resumed.switches[0].leaked) == (True, 3)


def test_what_ends_before_the_gate_or_is_exempt_is_no_leak(
    haproxy_version: Binary, gated: StartGated, app: App
) -> None:
    rules = [
        "http-request deny if { path /denied }",
        "http-request redirect location / if { path /moved }",
        "monitor-uri /monitor",
    ]
    proxy = gated(haproxy_version, servers=[app.port], before=rules, exempt="/health")
    fleet = Fleet(proxy.proxy.endpoints)
    fleet.suspend(F, method="gate")
    for path, status in (("/denied", 403), ("/moved", 302), ("/monitor", 200), ("/health", 200)):
        with Http1(proxy.port) as client:
            assert client.send(path=path).answer().status == status
    with Http1(proxy.port) as client:
        client.socket.sendall(b"what is this\r\n\r\n")
        assert client.answer().status == 400
    with Http1(proxy.port).send("held") as client:
        proxy.wait_waiting(1)
        assert settled(proxy, "unseen") == 0
        told = fleet.status(F).switches[0]
        assert (told.verdict, told.leaked) == ("held", 0)
        assert [arrival.id for arrival in app.arrivals()] == [""]
        fleet.resume(F)
        assert client.answer().status == 200


def test_in_tcp_mode_too(haproxy_version: Binary, gated: StartGated, app: App) -> None:
    if haproxy_version.release < (2, 6):
        return
    proxy = gated(haproxy_version, servers=[app.port], mode="tcp", before=[SNI])
    for _ in range(5):
        with Http1(proxy.port) as client:
            assert client.ask("beside").status == 200
    wait_until(lambda: bool(proxy.status()["all_unseen"] == 5), "the count")


def test_a_check_counts_for_a_while(haproxy_version: Binary, gated: StartGated, app: App) -> None:
    """In a process that is no longer young, whose requests take the short cut."""
    proxy = gated(haproxy_version, servers=[app.port], before=[BYPASS])
    with Http1(proxy.port) as client:
        # The short cut is open as soon as a request does not come to the gate any more.
        def short() -> bool:
            before = proxy.status()["all_counted"]
            assert client.ask("plain").status == 200
            return bool(proxy.status()["all_counted"] == before)

        wait_until(short, f"a process older than {YOUNG_S} s")
        assert proxy.status()["all_unseen"] == 0
        proxy.prove()
        beside(proxy, 4)
        wait_until(lambda: bool(proxy.status()["all_unseen"] == 4), "the count")


# --- variables ------------------------------------------------------------------------


def test_full_variables_let_nothing_pass(
    haproxy_version: Binary, gated: StartGated, app: App
) -> None:
    """So full that no request can set one."""
    full = ["tune.vars.global-max-size 2000", "tune.vars.txn-max-size 1"]
    proxy = gated(haproxy_version, servers=[app.port], extra_global=full, h2=True)
    proxy.hold()
    clients = [Http1(proxy.port).send("held") for _ in range(20)]
    with Http2(proxy.h2_port) as client:
        streams = [client.send("held") for _ in range(20)]
        proxy.wait_waiting(40)
        assert app.arrivals() == []
        proxy.open()
        assert {one.answer().status for one in clients} == {200}
        assert {client.answer(stream).status for stream in streams} == {200}
    for one in clients:
        one.close()


def test_a_suspend_that_has_no_room_for_its_variables_is_refused(
    haproxy_version: Binary, gated: StartGated, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], extra_global=["tune.vars.proc-max-size 300"])
    fleet = Fleet(proxy.proxy.endpoints)
    if haproxy_version.release < (2, 4):
        fleet.suspend(F, method="gate")  # by a stick table, not by variables
        fleet.resume(F)
        return
    methods: tuple[Method, ...] = ("gate", "maxconn")
    for method in methods:
        with pytest.raises(CheckRefused) as refused:
            fleet.suspend(F, method=method, accept_hazard=True, no_lease=True)
        assert "variables_full" in {f.code for f in refused.value.report.switches[0].findings}
    assert proxy.proxy.alive()
    with Http1(proxy.port) as client:
        assert client.ask("after").status == 200


# --- a gate in each thread, and several processes -------------------------------------


def test_loaded_per_thread_haproxy_does_not_start(
    haproxy_version: Binary, gated: StartGated, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    if haproxy_version.release < (2, 4):
        return  # has no such word
    lines = gate.lines

    def per_thread(*arguments: Any, **options: Any) -> gate.Lines:
        found = lines(*arguments, **options)
        own = [line.replace("lua-load ", "lua-load-per-thread ") for line in found.global_]
        return found._replace(global_=own)

    monkeypatch.setattr(gate, "lines", per_thread)
    with pytest.raises(HAProxyFailed, match="load this file by lua-load"):
        gated(haproxy_version, servers=[app.port], nbthread=2)


@pytest.mark.parametrize("method", ["gate", "maxconn"])
def test_several_processes_are_refused(
    haproxy: Start, haproxy_binaries: dict[str, Binary], gated: StartGated, app: App, method: Method
) -> None:
    binary = haproxy_binaries["2.2"]
    proxy = gated(binary, servers=[app.port], master_worker=True, extra_global=["nbproc 2"])
    with pytest.raises(CheckRefused) as refused:
        Fleet(proxy.proxy.endpoints).suspend(F, method=method)
    assert "several_processes" in {f.code for f in refused.value.report.switches[0].findings}
