"""Awaits a call of the fleet: it runs on its own thread, and has ended when the await ends."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from typing import Callable, Optional, TypeVar

from stillgate.fleet import Fleet

T = TypeVar("T")
Undo = Callable[[Fleet, T], None]
log = logging.getLogger("stillgate")


async def settled_call(
    fleet: Fleet, call: Callable[[Fleet], T], undo: Optional[Undo[T]] = None
) -> T:
    """Runs `call(fleet)`. If cancelled, it stops the fleet and waits for the call to end. If the
    call succeeded nevertheless, its caller would never know, so `undo` rolls it back.
    """
    work = on_thread(functools.partial(call, fleet))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        fleet.stop()
        await settled(work)
        if undo is not None and work.exception() is None:
            undoing = on_thread(functools.partial(undo, fleet.twin(), work.result()))
            await settled(undoing)
            if undoing.exception() is not None:
                log.error(
                    "a cancelled call could not be rolled back; run 'stillgate status'",
                    exc_info=undoing.exception(),
                )
        raise


async def settled(work: asyncio.Future[T]) -> int:
    """Waits for its end, even if cancelled meanwhile; returns how often it was cancelled."""
    cancelled = 0
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError:
            cancelled += 1
    return cancelled


class Stopped(Exception):
    """A call that stop() ended: a KeyboardInterrupt in a task would end the event loop."""


def on_thread(call: Callable[[], T]) -> asyncio.Future[T]:
    """Not on one of the loop's own threads: a block may keep them all busy, and must be resumed
    nevertheless.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: Optional[T], error: Optional[BaseException]) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result: Optional[T] = None
        error: Optional[BaseException] = None
        try:
            result = call()
        except KeyboardInterrupt:
            error = Stopped()
        except BaseException as raised:  # pylint: disable=broad-except
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            pass  # the loop is closed; nothing waits for it

    threading.Thread(target=work, name="stillgate-call").start()
    return future
