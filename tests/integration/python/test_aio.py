"""The asyncio face, on real HAProxies: the verbs, the block and its deadline."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import stillgate
from stillgate import CheckRefused, HoldExpired, aio
from support.app import App
from support.haproxy.blue_green import BACKEND, LAST, NEW_CODE, OLD_CODE, SERVERS, serving
from support.haproxy.gate import Gated
from support.haproxy.holds import F, Slow
from support.haproxy.tap import Tap
from support.patience import patient

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


@pytest.fixture
def proxy(gated: Callable[..., Gated], app: App, haproxy_binaries: dict[str, Binary]) -> Gated:
    return gated(haproxy_binaries["3.0"], servers=[app.port])


def fleet_of(proxy: Gated) -> aio.Fleet:
    return aio.Fleet([proxy.proxy.endpoints[0]])


def test_the_verbs(proxy: Gated) -> None:
    async def work() -> None:
        fleet = fleet_of(proxy)
        (outcome,) = await fleet.execute("show info")
        assert outcome.ok
        (info,), (stat,) = await asyncio.gather(fleet.info(), fleet.stat())
        assert info.value is not None and info.value.pid == proxy.proxy.pid
        assert stat.value is not None and F in [row.pxname for row in stat.value]
        assert fleet.progress()[1:3] == (1, 1)
        # Several at once, each on a connection of its own.
        check, status = await asyncio.gather(fleet.check(F), fleet.status(F))
        assert check.ok and status.ok
        held = await fleet.suspend(F, max_hold=120)
        assert held.switches[0].lease == "haproxy"
        longer = await fleet.extend(F, seconds=1)
        assert longer.holds[0].max_hold_s == 121
        assert (await fleet.resume(F)).switches[0].verdict == "resumed"
        with pytest.raises(CheckRefused):
            await fleet.extend(F, seconds=1)

    run(work())


def test_the_verbs_as_functions(proxy: Gated) -> None:
    async def work() -> None:
        endpoints = fleet_of(proxy).endpoints
        (outcome,) = await aio.execute("show info", fleet=endpoints)
        assert outcome.ok and (await aio.check(F, fleet=endpoints)).ok
        held = await aio.suspend(F, fleet=endpoints, max_hold=120)
        longer = await aio.extend(F, seconds=1, fleet=fleet_of(proxy))
        assert longer.holds[0].id == held.holds[0].id and longer.holds[0].max_hold_s == 121
        assert (await aio.status(F, fleet=endpoints)).switches[0].verdict == "held"
        assert (await aio.resume(F, fleet=endpoints)).switches[0].verdict == "resumed"
        async with aio.suspended(F, fleet=endpoints, max_hold=120):
            assert proxy.status()["mode"] == "held"
        past = await aio.history(F, limit=2)
        assert [one.ended for one in past] == ["resumed", "resumed"]
        assert past[1].id == held.holds[0].id

    run(work())


def test_every_verb_is_there_with_the_same_options() -> None:
    """What `stillgate` and its Fleet offer, asyncio's does too; stop and twin are cancellation, and
    look() serves a screen.
    """
    own = {"look", "resume_then", "stop", "suspend_then", "twin"}
    methods = {name for name in vars(stillgate.Fleet) if not name.startswith("_")}
    assert methods - {name for name in vars(aio.Fleet)} == own
    for name in methods - own - {"endpoints", "load"}:
        options = dict(inspect.signature(getattr(stillgate.Fleet, name)).parameters)
        options.pop("at_deadline", None)
        assert dict(inspect.signature(getattr(aio.Fleet, name)).parameters) == options, name
    functions = {name for name in stillgate.__all__ if inspect.isfunction(getattr(stillgate, name))}
    assert len(functions) == 9
    assert functions - set(aio.__all__) == set()


def test_a_block_that_has_all_of_the_loops_threads_is_resumed(proxy: Gated) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        go_on = threading.Event()
        busy = loop.run_in_executor(None, go_on.wait, 20)
        async with fleet_of(proxy).suspended(F, max_hold=120):
            assert proxy.status()["mode"] == "held"
        assert proxy.status()["mode"] == "open" and not busy.done()
        go_on.set()
        await busy

    run(work())


def test_the_loop_is_free_while_a_call_works(proxy: Gated) -> None:
    async def work() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.ensure_future(tick())
        # The drain waits for it.
        slow = Slow(proxy.proxy, 300)
        async with fleet_of(proxy).suspended(F, max_hold=300) as hold:
            assert 200 < hold.remaining <= 300 and proxy.status()["mode"] == "held"
            # Where the call keeps the loop there is no tick until it is over.
            assert ticks > 5 and slow.join() == 200
            await hold.extend(1)
            assert 200 < hold.remaining <= 301
        ticking.cancel()
        assert hold.resumed is not None and hold.resumed.ok
        assert proxy.status()["mode"] == "open"

    run(work())


def test_the_deadline_cancels_the_block(proxy: Gated) -> None:
    async def work() -> None:
        cancelled = False
        began = time.monotonic()
        with pytest.raises(HoldExpired):
            async with fleet_of(proxy).suspended(F, max_hold=patient(0.6)):
                try:
                    await asyncio.sleep(300)
                except asyncio.CancelledError:
                    cancelled = True
                    raise
        assert cancelled and time.monotonic() - began < patient(5)
        # The task itself was not cancelled.
        await asyncio.sleep(0)
        assert proxy.status()["mode"] == "open"

    run(work())


def test_an_exception_of_the_block_comes_out_and_nothing_stays_held(proxy: Gated) -> None:
    async def work() -> None:
        with pytest.raises(ZeroDivisionError):
            async with fleet_of(proxy).suspended(F, max_hold=120):
                raise ZeroDivisionError
        assert proxy.status()["mode"] == "open"

    run(work())


def test_a_block_ends_with_its_cutover_and_is_released_as_it_was_told(
    haproxy: Start, app: App
) -> None:
    proxy = haproxy("3.0", servers=[app.port], extra=BACKEND.splitlines())

    async def work(endpoint: str) -> None:
        fleet = aio.Fleet([endpoint])
        green = stillgate.Cutover("given", SERVERS)
        told: dict[str, Any] = {"wait_up": True, "ramp": 0.3, "cutover": green}
        async with fleet.suspended(F, method="maxconn", **told) as hold:
            assert serving(proxy) == OLD_CODE and proxy.limit(F) == 0
        assert hold.resumed is not None and hold.resumed.cutover is not None
        assert hold.resumed.cutover.state == "applied" and serving(proxy) == NEW_CODE
        assert [one.verdict for one in hold.resumed.switches] == ["resumed"]

    with Tap(proxy, {}) as tap:
        run(work(tap.endpoint))
        limits = [line for line in tap.lines if line.startswith(f"set maxconn frontend {F} ")]
        assert tap.lines.index(LAST) < tap.lines.index(limits[1])
    # 0, the steps of the ramp, and the old limit.
    assert len(limits) > 3 and proxy.limit(F) == 100
