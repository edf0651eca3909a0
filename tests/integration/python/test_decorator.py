"""`suspended()` around functions and coroutines, on a real HAProxy: held while they run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import stillgate
from stillgate import CheckRefused, Fleet, HeldByOther, HoldExpired, InputError, aio
from support.app import App
from support.haproxy.gate import Gated
from support.haproxy.holds import F, records
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary


@pytest.fixture
def proxy(
    gated: Callable[..., Gated], app: App, haproxy_binaries: dict[str, Binary], state: Path
) -> Iterator[Gated]:
    """Open in the end."""
    made = gated(haproxy_binaries["3.0"], servers=[app.port])
    yield made
    assert mode(made) == "open"
    assert records(state) == []


@pytest.fixture
def fleet(proxy: Gated) -> Fleet:
    return Fleet([proxy.proxy.endpoints[0]], frontends=[F], max_hold=120)


def mode(proxy: Gated) -> str:
    return str(proxy.status()["mode"])


def test_each_call_is_a_hold_of_its_own(proxy: Gated, fleet: Fleet) -> None:
    @fleet.suspended(F, max_hold=120)
    def migrate(table: str, *, rows: int) -> str:
        """Moves them."""
        return f"{table} {rows} {mode(proxy)} {fleet.status().holds[0].id}"

    assert (migrate.__name__, migrate.__doc__) == ("migrate", "Moves them.")
    assert mode(proxy) == "open", "nothing is held by decorating"
    first, second = migrate("a", rows=1), migrate("b", rows=2)
    assert (first[:8], second[:8]) == ("a 1 held", "b 2 held")
    assert first[9:] != second[9:] and mode(proxy) == "open"


def test_what_it_raises_comes_out_of_the_hold(proxy: Gated, fleet: Fleet) -> None:
    seen = []

    @stillgate.suspended(fleet=fleet)
    def migrate() -> None:
        seen.append(mode(proxy))
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            migrate()
        assert mode(proxy) == "open"
    assert seen == ["held", "held"]


def test_one_that_calls_itself_is_refused_inside(proxy: Gated, fleet: Fleet) -> None:
    calls = []

    @fleet.suspended(F)
    def migrate(again: bool) -> None:
        calls.append(again)
        if again:
            with pytest.raises(HeldByOther):
                migrate(False)
            # The refusal has hurt nothing.
            assert mode(proxy) == "held"

    migrate(True)
    assert calls == [True]


def test_of_two_threads_one_holds(proxy: Gated, fleet: Fleet) -> None:
    inside, go_on = threading.Event(), threading.Event()

    @fleet.suspended(F)
    def migrate() -> None:
        inside.set()
        assert go_on.wait(HANG_S)

    first = threading.Thread(target=migrate)
    first.start()
    try:
        assert inside.wait(HANG_S)
        with pytest.raises(HeldByOther):
            migrate()
        assert mode(proxy) == "held"
    finally:
        go_on.set()
        first.join()
    migrate()


def test_one_that_takes_too_long_is_told(proxy: Gated, fleet: Fleet) -> None:
    def ended() -> bool:
        """By the holder, whose deadline comes a moment after the gate's own."""
        (hold,) = stillgate.history(F)
        return any(event.event in ("expired", "resumed") for event in hold.events)

    @fleet.suspended(F, max_hold=patient(0.5))
    def migrate() -> None:
        wait_until(ended, "the deadline")

    with pytest.raises(HoldExpired):
        migrate()


def test_what_is_refused_is_not_run(proxy: Gated, fleet: Fleet) -> None:
    @fleet.suspended("nowhere")
    def elsewhere() -> None:
        raise AssertionError("it ran")

    @fleet.suspended(F, max_hold=-1)
    def backwards() -> None:
        raise AssertionError("it ran")

    with pytest.raises(CheckRefused):
        elsewhere()
    with pytest.raises(InputError):
        backwards()


def test_what_would_run_behind_its_hold_cannot_be_decorated(fleet: Fleet) -> None:
    async def coroutine() -> None:
        ...

    async def stream() -> object:
        yield

    def generator() -> Iterator[int]:
        yield 1

    for one in (coroutine, stream, generator):
        with pytest.raises(TypeError, match=one.__name__):
            fleet.suspended(F)(one)
    for other in (stream, generator, print):
        with pytest.raises(TypeError, match=other.__name__):
            aio.Fleet(fleet.endpoints).suspended(F)(other)  # type: ignore[type-var]


def test_a_block_is_one_at_a_time_and_can_be_run_again(proxy: Gated, fleet: Fleet) -> None:
    block = fleet.suspended(F)
    with block as hold:
        assert mode(proxy) == "held"
        with pytest.raises(RuntimeError, match="already"):
            block.__enter__()
        assert mode(proxy) == "held"
    assert hold.resumed is not None and hold.resumed.ok
    with block as again:
        assert again.holds[0].id != hold.holds[0].id


def test_coroutines(proxy: Gated, fleet: Fleet) -> None:
    waiting = aio.Fleet(fleet.endpoints, max_hold=120)

    @waiting.suspended(F)
    async def migrate(fails: bool = False, again: bool = False) -> str:
        """Moves it."""
        await asyncio.sleep(0)
        if again:
            with pytest.raises(HeldByOther):
                await migrate()
        if fails:
            raise ZeroDivisionError
        return f"{mode(proxy)} {(await waiting.status(F)).holds[0].id}"

    async def work() -> None:
        first, second = await migrate(), await migrate(again=True)
        assert (first[:4], second[:4]) == ("held", "held") and first != second
        with pytest.raises(ZeroDivisionError):
            await migrate(fails=True)
        assert mode(proxy) == "open"
        # Of two tasks one holds.
        inside, go_on = asyncio.Event(), asyncio.Event()

        @waiting.suspended(F)
        async def migrate_slowly() -> None:
            inside.set()
            await go_on.wait()

        slow = asyncio.ensure_future(migrate_slowly())
        await inside.wait()
        with pytest.raises(HeldByOther):
            await migrate()
        assert mode(proxy) == "held"
        go_on.set()
        await slow

    assert asyncio.iscoroutinefunction(migrate) and migrate.__doc__ == "Moves it."
    asyncio.run(asyncio.wait_for(work(), 2 * HANG_S))


def test_a_coroutine_that_is_cancelled_or_too_slow(proxy: Gated, fleet: Fleet) -> None:
    inside: list[asyncio.Event] = []

    async def migrate() -> None:
        inside[0].set()
        await asyncio.sleep(300)

    async def work() -> None:
        inside.append(asyncio.Event())
        held = aio.suspended(F, fleet=fleet.endpoints, max_hold=120)(migrate)
        task = asyncio.ensure_future(held())
        await inside[0].wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert mode(proxy) == "open"
        with pytest.raises(HoldExpired):
            await aio.Fleet(fleet.endpoints).suspended(F, max_hold=patient(0.5))(migrate)()

    asyncio.run(asyncio.wait_for(work(), 2 * HANG_S))
