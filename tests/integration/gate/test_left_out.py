"""What the drain leaves out: endless streams, by their backend, or by a condition that they met."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import pytest

from stillgate import CheckRefused, EndpointFailed, Fleet
from support.app import App
from support.clients.gated import Http1
from support.haproxy.gate import F, Gated
from support.haproxy.holds import codes
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

pytestmark = pytest.mark.usefixtures("state")
StartGated = Callable[..., Gated]
methods = pytest.mark.parametrize("method", ["gate", "maxconn"])
Method = Literal["gate", "maxconn"]
SHORT = 0.7  # of a drain that cannot end


def sockets(port: int) -> list[str]:
    return ["backend sockets", "mode http", f"server s 127.0.0.1:{port}"]


def by_backend(gated: StartGated, binary: Binary, app: App) -> Gated:
    behind = ["use_backend sockets if { path /endless }"]
    return gated(binary, servers=[app.port], behind=behind, more=sockets(app.port))


@methods
def test_endless_streams_are_left_out_by_their_backend(
    haproxy_version: Binary, gated: StartGated, app: App, method: Method
) -> None:
    proxy = by_backend(gated, haproxy_version, app)
    fleet = Fleet(proxy.proxy.endpoints)
    with Http1(proxy.port).upgrade() as endless, Http1(proxy.port) as slow:
        asked: dict[str, Any] = {"method": method, "accept_hazard": True, "max_hold": 30.0}
        with pytest.raises(EndpointFailed) as failed:
            fleet.suspend(F, drain_timeout=SHORT, **asked)
        assert codes(failed.value.report) == ["drain_timeout"]
        assert "to sockets/s for" in failed.value.message
        # What is not named is waited for.
        slow.send("slow", path="/?ms=60000")
        wait_until(lambda: len(app.arrivals()) == 2, "the slow one")
        with pytest.raises(EndpointFailed) as failed:
            fleet.suspend(F, drain_timeout=SHORT, drain_except="sockets", **asked)
        assert f"1 request (127.0.0.1:{slow.socket.getsockname()[1]} to " in failed.value.message
        app.finish()
        assert slow.answer().status == 200
        with fleet.suspended(F, drain_timeout=20, drain_except="sockets", **asked) as hold:
            assert hold.report.drained and endless.echoes()
        assert endless.echoes()


@methods
def test_endless_streams_are_left_out_by_a_condition(
    haproxy_version: Binary, gated: StartGated, app: App, method: Method
) -> None:
    """In the backend that also serves what is waited for; the rule stands in docs/gate.md."""
    rule = "http-response track-sc2 fe_name,concat(/,txn.be) table websockets if { status 101 }"
    table = ["backend websockets", "mode http"]
    table += ["stick-table type string len 128 size 1k store conn_cur"]
    behind = ["http-response set-var(txn.be) be_name", rule]
    proxy = gated(haproxy_version, servers=[app.port], behind=behind, more=table)
    fleet = Fleet(proxy.proxy.endpoints)
    asked: dict[str, Any] = {"method": method, "accept_hazard": True, "max_hold": 30.0}
    asked["drain_except"] = "websockets"
    with Http1(proxy.port).upgrade() as endless, Http1(proxy.port).upgrade() as other:
        slow = Http1(proxy.port).send("slow", path="/?ms=60000")
        wait_until(lambda: len(app.arrivals()) == 3, "the slow one")
        with pytest.raises(EndpointFailed) as failed:
            fleet.suspend(F, drain_timeout=SHORT, **asked)
        assert "1 request (127.0.0.1:" in failed.value.message
        app.finish()
        assert slow.answer().status == 200
        slow.close()

        def may_fail(names: str = "") -> bool:
            told = fleet.check(F, method=method, drain_timeout=1, drain_except=names)
            return "drain_may_fail" in [one.code for one in told.switches[0].findings]

        # HAProxy tells whole seconds.
        wait_until(may_fail, "streams that are older than the drain would wait")
        assert not may_fail("websockets")
        with fleet.suspended(F, drain_timeout=20, **asked) as hold:
            assert hold.report.drained and endless.echoes() and other.echoes()
        # One that ended is not counted any more.
        other.close()
        fleet.suspend(F, drain_timeout=20, **asked)
        assert endless.echoes()
        fleet.resume(F, accept_hazard=True)


def test_an_unknown_backend_is_refused_before_anything_is_held(
    haproxy_version: Binary, gated: StartGated, app: App
) -> None:
    proxy = by_backend(gated, haproxy_version, app)
    fleet = Fleet(proxy.proxy.endpoints)
    before = proxy.status()["held"]
    for option in ("drain_except", "wait_up_for"):
        for names in ("socket", "sockets,socket"):
            asked: dict[str, Any] = {option: names}
            with pytest.raises(CheckRefused) as refused:
                with fleet.suspended(F, method="gate", **asked):
                    raise AssertionError("it was held")
            assert codes(refused.value.report) == ["no_such_backend"]
            assert f"{option}: this HAProxy has no backend 'socket'" in str(refused.value)
            assert f"it has '{F}_servers', " in str(refused.value)
            assert "'sockets'" in str(refused.value)
    assert (proxy.status()["mode"], proxy.status()["held"]) == ("open", before)


def test_a_hold_waits_for_the_backends_that_it_names(
    haproxy_version: Binary, gated: StartGated, app: App
) -> None:
    """Those that it does not name may be down; those that it does, may not, to be released."""
    proxy = by_backend(gated, haproxy_version, app)
    fleet = Fleet(proxy.proxy.endpoints)
    down = "set server {}/{} state maint"
    with fleet.suspended(F, method="gate", wait_up_for=f"{F}_servers", retry_for=20) as hold:
        proxy.proxy.cli(down.format("sockets", "s"))
    assert hold.resumed is not None and hold.resumed.ok
    with pytest.raises(EndpointFailed) as caught:
        with fleet.suspended(F, method="gate", wait_up_for=f"{F}_servers", retry_for=0.3) as hold:
            proxy.proxy.cli(down.format(f"{F}_servers", "s1"))
    assert codes(caught.value.report) == ["application_down"]
    assert proxy.status()["mode"] == "held"
    fleet.resume(F, hold=hold.holds[0].id)
