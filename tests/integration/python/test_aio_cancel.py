"""What a cancellation leaves of each call of asyncio's, on real HAProxies: no hold, no thread."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Optional

import pytest

from stillgate import EndpointFailed, Fleet, HoldExpired, TooLate, aio
from support.app import App
from support.haproxy.holds import COMMIT, F, connected, records
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Start

PROMPT_S = 0.5  # a cancellation takes milliseconds
RESUMING = f"set maxconn frontend {F} 100"


@pytest.fixture
def real(haproxy: Start, app: App, state: Path) -> Iterator[HAProxy]:
    """Open in the end, and nothing on record of it."""
    proxy: HAProxy = haproxy("3.0", servers=[app.port])
    yield proxy
    assert proxy.limit(F) == 100
    assert records(state) == []
    # What was awaited has its result a moment before its thread ends.
    wait_until(lambda: threads() == [], "the end of the calls' threads")


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("stillgate")]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


class Pause:
    """Stops a line on its way to the HAProxy, from then on that it is there until told to end. With
    `done` it has been carried out, and only its answer does not come.
    """

    def __init__(self, tap: Tap, line: str, done: Optional[HAProxy] = None) -> None:
        self._line = line
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._reached = asyncio.Event()
        self._ended = threading.Event()
        self._passes = False
        tap.hook(line, self._stop)

    def _stop(self) -> bool:
        if self._done is not None:
            self._done.cli(self._line)
        self._loop.call_soon_threadsafe(self._reached.set)
        self._ended.wait(HANG_S)
        return self._passes

    async def reached(self) -> None:
        await asyncio.wait_for(self._reached.wait(), 10)

    def end(self, passing: bool) -> None:
        self._passes = passing
        self._ended.set()


async def cancelled(task: asyncio.Task[Any]) -> None:
    with pytest.raises(asyncio.CancelledError):
        await task


@contextmanager
def frozen(proxy: HAProxy) -> Iterator[None]:
    os.kill(proxy.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(proxy.pid, signal.SIGCONT)


VERBS: dict[str, Callable[[aio.Fleet], Coroutine[Any, Any, object]]] = {
    "execute": lambda fleet: fleet.execute("show info"),
    "info": lambda fleet: fleet.info(),
    "stat": lambda fleet: fleet.stat(),
    "check": lambda fleet: fleet.check(F),
    "suspend": lambda fleet: fleet.suspend(F, method="maxconn", max_hold=300),
    "resume": lambda fleet: fleet.resume(F, retry_for=60),
    "extend": lambda fleet: fleet.extend(F, seconds=1),
    "status": lambda fleet: fleet.status(F),
    "suspended": lambda fleet: fleet.suspended(F, max_hold=300).__aenter__(),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_call_ends_at_once_where_nobody_answers(real: HAProxy, verb: str) -> None:
    async def work() -> None:
        fleet = aio.Fleet(real.endpoints, greeting_timeout=300)
        task = asyncio.ensure_future(VERBS[verb](fleet))
        while connected(os.getpid()) == before:
            await asyncio.sleep(0.005)
        began = time.monotonic()
        task.cancel()
        await cancelled(task)
        assert time.monotonic() - began < patient(PROMPT_S)

    before = connected_with_a_loop()
    with frozen(real):
        run(work())


def connected_with_a_loop() -> int:
    async def count() -> int:
        return connected(os.getpid())

    return asyncio.run(count())


def test_a_resume_that_is_cancelled_leaves_the_rest_to_the_next(real: HAProxy) -> None:
    async def work() -> None:
        fleet = aio.Fleet(real.endpoints, greeting_timeout=patient(0.2))
        await fleet.suspend(F, method="maxconn", max_hold=300)
        with frozen(real):
            task = asyncio.ensure_future(fleet.resume(F, retry_for=60))
            await asyncio.sleep(0)
            wait_until(lambda: fleet.progress()[0] != "", "the call's first phase")
            task.cancel()
            await cancelled(task)
        assert real.limit(F) == 0
        assert (await fleet.resume(F)).switches[0].verdict == "resumed"

    run(work())


@pytest.mark.parametrize("moment", ["show info", COMMIT])
@pytest.mark.parametrize("times", [1, 3])
def test_a_suspend_is_rolled_back(real: HAProxy, moment: str, times: int) -> None:
    async def work() -> None:
        with Tap(real, {}) as tap:
            pause = Pause(tap, moment, done=real)
            fleet = aio.Fleet([tap.endpoint])
            task = asyncio.ensure_future(fleet.suspend(F, method="maxconn", max_hold=300))
            await pause.reached()
            # Whoever cancels again, the rollback comes to its end.
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0)
            await cancelled(task)
            assert real.limit(F) == 100
            pause.end(passing=False)

    run(work())


@pytest.mark.parametrize("moment", ["show info", COMMIT])
def test_a_block_that_is_being_entered(real: HAProxy, moment: str) -> None:
    entered = []

    async def block(fleet: aio.Fleet) -> None:
        async with fleet.suspended(F, method="maxconn", max_hold=300):
            entered.append(True)

    async def work() -> None:
        with Tap(real, {}) as tap:
            pause = Pause(tap, moment, done=real)
            task = asyncio.ensure_future(block(aio.Fleet([tap.endpoint])))
            await pause.reached()
            task.cancel()
            await cancelled(task)
            assert real.limit(F) == 100 and not entered
            pause.end(passing=False)

    run(work())


def test_a_suspend_that_came_to_its_end_just_before(real: HAProxy) -> None:
    """Its caller would never learn of the hold: it is taken back."""

    async def work() -> None:
        fleet = aio.Fleet(real.endpoints)
        task = asyncio.ensure_future(fleet.suspend(F, method="maxconn", max_hold=300))
        await asyncio.sleep(0)
        # The loop stands still until the call is over, so that both come at once.
        wait_until(lambda: "stillgate-call" not in threads(), "the end of the call")
        assert real.limit(F) == 0
        task.cancel()
        await cancelled(task)
        assert real.limit(F) == 100

    run(work())


def test_a_block(real: HAProxy) -> None:
    async def work() -> None:
        entered = asyncio.Event()

        async def block() -> None:
            async with aio.Fleet(real.endpoints).suspended(F, method="maxconn", max_hold=300):
                entered.set()
                await asyncio.sleep(300)

        task = asyncio.ensure_future(block())
        await entered.wait()
        task.cancel()
        await cancelled(task)
        assert real.limit(F) == 100

    run(work())


def test_a_block_that_extends_its_hold(real: HAProxy) -> None:
    async def work() -> None:
        with Tap(real, {}) as tap:

            async def block(extending: asyncio.Future[Pause]) -> None:
                fleet = aio.Fleet([tap.endpoint], reply_timeout=300)
                async with fleet.suspended(F, method="maxconn", max_hold=300) as hold:
                    extending.set_result(Pause(tap, "show stat -1 3 -1"))
                    await hold.extend(5)

            extending: asyncio.Future[Pause] = asyncio.get_running_loop().create_future()
            task = asyncio.ensure_future(block(extending))
            pause = await extending
            await pause.reached()
            began = time.monotonic()
            task.cancel()
            await cancelled(task)
            assert real.limit(F) == 100 and time.monotonic() - began < patient(PROMPT_S)
            pause.end(passing=False)

    run(work())


def test_a_block_that_is_being_left(real: HAProxy) -> None:
    """The cancellation comes out when all is resumed, not before."""

    async def work() -> None:
        with Tap(real, {}) as tap:
            pause = Pause(tap, RESUMING)

            async def block() -> None:
                async with aio.Fleet([tap.endpoint]).suspended(F, method="maxconn", max_hold=300):
                    pass

            task = asyncio.ensure_future(block())
            await pause.reached()
            task.cancel()
            await asyncio.sleep(0.03)
            assert not task.done() and real.limit(F) == 0
            pause.end(passing=True)
            await cancelled(task)
            assert real.limit(F) == 100

    run(work())


def test_the_deadline_and_somebody_else_at_once(real: HAProxy) -> None:
    """HoldExpired must not swallow the other's cancellation."""

    async def block() -> None:
        async with aio.Fleet(real.endpoints).suspended(F, method="maxconn", max_hold=patient(0.3)):
            try:
                await asyncio.sleep(300)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                raise

    async def work() -> None:
        await cancelled(asyncio.ensure_future(block()))
        with pytest.raises(HoldExpired):
            async with aio.Fleet(real.endpoints).suspended(
                F, method="maxconn", max_hold=patient(0.3)
            ):
                await asyncio.sleep(300)
        # No cancellation of ours is left to strike later.
        await asyncio.sleep(0)

    run(work())


def test_the_deadline_and_somebody_else_in_one_cancellation(real: HAProxy) -> None:
    """From Python 3.11 on a task knows how many cancelled it."""

    async def block(entered: asyncio.Event) -> None:
        async with aio.Fleet(real.endpoints).suspended(F, method="maxconn", max_hold=patient(0.3)):
            entered.set()
            await asyncio.sleep(300)

    async def work() -> None:
        entered = asyncio.Event()
        task = asyncio.ensure_future(block(entered))
        await entered.wait()
        # The loop stands still until the deadline has come, and its cancellation waits there.
        wait_until(lambda: "stillgate-keeper" not in threads(), "the deadline")
        task.cancel()
        kind = asyncio.CancelledError if sys.version_info >= (3, 11) else HoldExpired
        with pytest.raises(kind):
            await task

    run(work())


def test_a_resume_that_fails_is_told_in_place_of_the_cancellation(
    haproxy: Start, app: App, state: Path
) -> None:
    proxy = haproxy("3.0", servers=[app.port])

    async def block(entered: asyncio.Event) -> None:
        async with aio.Fleet(proxy.endpoints).suspended(F, method="maxconn", max_hold=300):
            entered.set()
            await asyncio.sleep(300)

    async def work() -> None:
        entered = asyncio.Event()
        task = asyncio.ensure_future(block(entered))
        await entered.wait()
        proxy.kill()
        task.cancel()
        with pytest.raises(EndpointFailed):
            await task

    run(work())
    proxy.restart()
    # Where the guard has not yet held the new process, the restart ended the hold, which is told.
    with suppress(TooLate):
        Fleet(proxy.endpoints).resume(F)
    assert records(state) == []
