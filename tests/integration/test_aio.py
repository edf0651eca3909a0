"""The asyncio face, on real HAProxies: the verbs, the deadline, and what a cancellation leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from stillgate import CheckRefused, HoldExpired, aio
from support.app import App
from support.gate import Gated
from support.haproxy import HAProxy
from support.holds import F, Slow
from support.tap import Tap

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
        # Several at once, each on a connection of its own.
        check, status = await asyncio.gather(fleet.check(F), fleet.status(F))
        assert check.ok and status.ok
        held = await fleet.suspend(F, max_hold=20)
        assert held.switches[0].lease == "haproxy"
        longer = await fleet.extend(F, seconds=1)
        assert longer.holds[0].max_hold_s == 21
        assert (await fleet.resume(F)).switches[0].verdict == "resumed"
        with pytest.raises(CheckRefused):
            await fleet.extend(F, seconds=1)

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
        async with fleet_of(proxy).suspended(F, max_hold=20) as hold:
            assert 15 < hold.remaining <= 20 and proxy.status()["mode"] == "held"
            assert ticks > 5 and slow.join() == 200
            await hold.extend(1)
            assert 16 < hold.remaining <= 21
        ticking.cancel()
        assert hold.resumed is not None and hold.resumed.ok
        assert proxy.status()["mode"] == "open"

    run(work())


def test_the_deadline_cancels_the_block(proxy: Gated) -> None:
    async def work() -> None:
        cancelled = False
        began = time.monotonic()
        with pytest.raises(HoldExpired):
            async with fleet_of(proxy).suspended(F, max_hold=0.6):
                try:
                    await asyncio.sleep(20)
                except asyncio.CancelledError:
                    cancelled = True
                    raise
        assert cancelled and time.monotonic() - began < 5
        # The task itself was not cancelled.
        await asyncio.sleep(0)
        assert proxy.status()["mode"] == "open"

    run(work())


def test_an_exception_of_the_block_comes_out_and_nothing_stays_held(proxy: Gated) -> None:
    async def work() -> None:
        with pytest.raises(ZeroDivisionError):
            async with fleet_of(proxy).suspended(F, max_hold=20):
                raise ZeroDivisionError
        assert proxy.status()["mode"] == "open"

    run(work())


def test_a_cancelled_block_leaves_nothing_held(proxy: Gated) -> None:
    async def work() -> None:
        entered = asyncio.Event()

        async def block() -> None:
            async with fleet_of(proxy).suspended(F, max_hold=20):
                entered.set()
                await asyncio.sleep(20)

        task = asyncio.ensure_future(block())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert proxy.status()["mode"] == "open"

    run(work())


@pytest.mark.parametrize("moment", ["show info", f"set maxconn frontend {F} 0"])
def test_a_cancelled_suspend_leaves_nothing_held(haproxy: Start, app: App, moment: str) -> None:
    real: HAProxy = haproxy("3.0", servers=[app.port])

    async def work() -> None:
        loop = asyncio.get_running_loop()
        reached = asyncio.Event()
        go_on = asyncio.Event()

        def pause() -> None:
            loop.call_soon_threadsafe(reached.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)

        with Tap(real, {moment: pause}) as tap:
            fleet = aio.Fleet([tap.endpoint])
            task = asyncio.ensure_future(fleet.suspend(F, method="maxconn", max_hold=20))
            await reached.wait()
            task.cancel()
            loop.call_later(0.1, go_on.set)
            with pytest.raises(asyncio.CancelledError):
                await task
        assert real.limit(F) == 100

    run(work())
