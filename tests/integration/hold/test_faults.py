"""Bad luck at an exact moment, on real HAProxies: every other one is as it was before, verified."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import pytest

from stillgate import EndpointFailed, Fleet
from support.haproxy.holds import COMMIT, F, codes, records, remembered, verdicts
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.patience import patient

if TYPE_CHECKING:
    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")
ARM = "experimental-mode on"  # the first line behind the check


def stop(proxy: HAProxy) -> None:
    os.kill(proxy.pid, signal.SIGSTOP)


def go_on(proxy: HAProxy) -> None:
    os.kill(proxy.pid, signal.SIGCONT)


@pytest.mark.parametrize("moment", [ARM, COMMIT], ids=["before the commit", "in the commit"])
def test_one_that_dies(moment: str, haproxy: Start, state: Path) -> None:
    proxies = [haproxy("3.0") for _ in range(3)]
    with Tap(proxies[1], {moment: proxies[1].kill}) as tap:
        fleet = Fleet([proxies[0].endpoints[0], tap.endpoint, proxies[2].endpoints[0]])
        with pytest.raises(EndpointFailed) as caught:
            fleet.suspend(F, no_lease=True)
        report = caught.value.report
        assert [proxies[i].limit(F) for i in (0, 2)] == [100, 100]
        assert not any(remembered(proxies[i]) for i in (0, 2))
        assert report.switches[1].verdict in ("unchanged", "unknown")
        assert report.switches[1].error is not None
        # Of one that is gone nobody can say that it is open: it stays on record until one can.
        assert records(state) == [] or report.switches[1].verdict == "unknown"
        proxies[1].restart()
        fleet.resume(F)
    assert records(state) == []
    assert [proxy.limit(F) for proxy in proxies] == [100, 100, 100]


@pytest.mark.parametrize("moment", [ARM, COMMIT], ids=["before the commit", "in the commit"])
def test_one_that_hangs_for_good(moment: str, haproxy: Start, state: Path) -> None:
    proxies = [haproxy("3.0") for _ in range(3)]
    with Tap(proxies[1], {moment: lambda: stop(proxies[1])}) as tap:
        endpoints = [proxies[0].endpoints[0], tap.endpoint, proxies[2].endpoints[0]]
        fleet = Fleet(endpoints, reply_timeout=patient(0.4), greeting_timeout=patient(0.4))
        with pytest.raises(EndpointFailed) as caught:
            fleet.suspend(F, no_lease=True)
        assert [proxies[i].limit(F) for i in (0, 2)] == [100, 100]
        verdict = caught.value.report.switches[1].verdict
        go_on(proxies[1])
        # It takes up what it was told while it hung: the commit, and the way back behind it.
        if verdict == "unknown":
            fleet.resume(F)
    assert [proxy.limit(F) for proxy in proxies] == [100, 100, 100]
    assert records(state) == []


def test_one_that_hangs_for_a_second_in_the_commit_is_waited_for(haproxy: Start) -> None:
    proxies = [haproxy("3.0") for _ in range(2)]

    def pause() -> None:
        stop(proxies[1])
        threading.Timer(1.0, go_on, [proxies[1]]).start()

    with Tap(proxies[1], {COMMIT: pause}) as tap:
        fleet = Fleet([proxies[0].endpoints[0], tap.endpoint], reply_timeout=60)
        report = fleet.suspend(F, no_lease=True)
        assert verdicts(report) == ["held", "held"]
        assert report.commit_window_ms is not None and report.commit_window_ms > 800
        assert [proxy.limit(F) for proxy in proxies] == [0, 0]
        fleet.resume(F)


def test_a_commit_that_is_lost_on_the_way_is_rolled_back(haproxy: Start, state: Path) -> None:
    proxies = [haproxy("3.0") for _ in range(2)]

    def swallow() -> Optional[bool]:
        return False

    with Tap(proxies[1], {COMMIT: swallow}) as tap:
        fleet = Fleet([proxies[0].endpoints[0], tap.endpoint], reply_timeout=patient(1))
        with pytest.raises(EndpointFailed) as caught:
            fleet.suspend(F, no_lease=True)
    assert verdicts(caught.value.report) == ["reverted", "reverted"]
    assert codes(caught.value.report) == ["rolled_back", "reply_timeout"]
    assert [proxy.limit(F) for proxy in proxies] == [100, 100]
    assert records(state) == []


@pytest.mark.parametrize(
    "moment, instead, code",
    [
        (ARM, "experimental-mode off", "command_failed"),
        (COMMIT, "set maxconn frontend nosuch 0", "no_such_frontend"),
    ],
    ids=["before the commit", "in the commit"],
)
def test_one_that_refuses(
    moment: str, instead: str, code: str, haproxy: Start, state: Path
) -> None:
    """In HAProxy's own words, which it is made to say by another line on the way."""
    proxies = [haproxy("3.0") for _ in range(3)]
    with Tap(proxies[1], {}) as tap:
        # The first time it is the lock's line: a release that has none is held without.
        tap.hook(moment, lambda: instead if moment == COMMIT else tap.hook(ARM, lambda: instead))
        fleet = Fleet([proxies[0].endpoints[0], tap.endpoint, proxies[2].endpoints[0]])
        with pytest.raises(EndpointFailed) as caught:
            fleet.suspend(F, no_lease=True)
    assert caught.value.code == code and caught.value.haproxy
    assert set(verdicts(caught.value.report)) <= {"unchanged", "reverted"}
    assert [proxy.limit(F) for proxy in proxies] == [100, 100, 100]
    assert not any(remembered(proxy) for proxy in proxies)
    assert records(state) == []


@pytest.mark.parametrize(
    "change", ["set maxconn frontend balanced 55", "shutdown frontend balanced"]
)
def test_somebody_else_changes_it_in_the_middle(change: str, haproxy: Start, state: Path) -> None:
    """After the commit and before it is read back."""
    proxies = [haproxy("3.0") for _ in range(2)]
    looks: list[str] = []

    def meddle() -> None:
        looks.append(proxies[1].cli(change))

    proxies[1].may_end = True
    with Tap(proxies[1], {}) as tap:
        tap.after(COMMIT, meddle)
        fleet = Fleet([proxies[0].endpoints[0], tap.endpoint])
        with pytest.raises(EndpointFailed) as caught:
            fleet.suspend(F, no_lease=True)
    assert looks
    assert caught.value.report.switches[0].verdict == "reverted"
    assert proxies[0].limit(F) == 100
    assert records(state) == []
