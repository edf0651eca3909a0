"""`timeout client` and the hold: where HAProxy would end what waits, a longer hold is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from stillgate import CheckRefused, Fleet, gate
from support.app import App
from support.clients.gated import Http1
from support.haproxy.gate import F, Gated
from support.haproxy.holds import codes

if TYPE_CHECKING:
    from conftest import Binary

pytestmark = pytest.mark.usefixtures("state")
Start = Callable[..., Gated]


def cuts(binary: Binary) -> bool:
    """A request that waits although it is complete: test_gone.py has it happen."""
    return binary.release < (2, 4)


def test_a_hold_that_would_be_cut_is_refused(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], extra_defaults=["timeout client 20s"])
    fleet = Fleet(proxy.proxy.endpoints)
    told = fleet.check(F, method="gate", max_hold=20)
    assert codes(told) == ["client_timeout_short" if cuts(haproxy_version) else None]
    if cuts(haproxy_version):
        assert "within 20 s" in str(told.switches[0].error)
        with pytest.raises(CheckRefused) as refused:
            fleet.suspend(F, method="gate", max_hold=20)
        assert codes(refused.value.report) == ["client_timeout_short"]
        assert proxy.status()["mode"] == "open"
    # Who has asked for nothing, or not for all, has that timer everywhere.
    with Http1(proxy.port) as idle, Http1(proxy.port) as slow:
        slow.socket.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
        assert fleet.check(F, method="gate", max_hold=15).ok
        fleet.suspend(F, method="gate", max_hold=15, drain_timeout=0)
        idle.send("idle")
        if cuts(haproxy_version):
            with pytest.raises(CheckRefused) as refused:
                fleet.extend(F, seconds=10)
            assert codes(refused.value.report) == ["client_timeout_short"]
        fleet.extend(F, seconds=2)
        fleet.resume(F)
        assert idle.answer().status == 200


def test_a_probe_is_told_of_when_its_timer_has_run(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    """In the millisecond in which it begins, 20 s are left: a hold of 20 s would seem to fit."""
    proxy = gated(haproxy_version, servers=[app.port], extra_defaults=["timeout client 20s"])
    listed = proxy.proxy.cli(f"stillgate held {F}", "show sess").splitlines()
    (probe,) = (line for line in listed if f" fe={F} " in line)
    again = re.search(r" calls=(\d+) ", probe)
    assert again is not None and int(again[1]) > 1, probe
    if cuts(haproxy_version):
        left = re.search(r",rx=(\d+)s,", probe)
        assert left is not None and int(left[1]) < 20, probe


def test_a_probe_that_is_over_when_it_is_looked_for_tells_nothing(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    told = "    told[name] = {listed = held.listed}\n"
    text = gate.lua()
    assert text.count(told) == 1
    slow = text.replace(told, "    while now() < held.ends + 1 do core.msleep(1) end\n" + told)
    proxy = gated(haproxy_version, servers=[app.port], lua_text=slow)
    is_asked = haproxy_version.release < (2, 8)
    fleet = Fleet(proxy.proxy.endpoints)
    found = fleet.check(F, method="gate", max_hold=5)
    assert codes(found) == ["client_timeout_unknown" if is_asked else None]
    if is_asked:
        with pytest.raises(CheckRefused) as refused:
            fleet.suspend(F, method="gate", max_hold=5)
        assert codes(refused.value.report) == ["client_timeout_unknown"]
        assert proxy.status()["mode"] == "open"


def test_several_frontends_are_told_apart(haproxy_version: Binary, gated: Start, app: App) -> None:
    """And without `timeout client` nothing is cut."""
    names = ["first", "second", "third"]
    proxy = gated(
        haproxy_version, frontends=names, servers=[app.port], extra_defaults=["timeout client 0"]
    )
    told = Fleet(proxy.proxy.endpoints).check(*names, method="gate", max_hold=3000)
    assert codes(told) == [None] * 3
    listed = proxy.ask("stillgate held " + " ".join(names))["frontends"]
    assert all(int(listed[name]["listed"]) > 0 for name in names)


def test_in_tcp_mode_no_such_timer_counts(haproxy_version: Binary, gated: Start, app: App) -> None:
    """`inspect-delay` does. Below 2.6 there is no gate in tcp mode."""
    if haproxy_version.release < (2, 6):
        return
    proxy = gated(haproxy_version, servers=[app.port], mode="tcp")
    assert proxy.ask(f"stillgate held {F}")["frontends"] == {F: {}}
