"""Awaits a call of the fleet: it runs on its own thread, and has ended when the await ends."""

from __future__ import annotations

import asyncio
import logging
import threading
from queue import SimpleQueue
from typing import Callable, Generic, List, Optional, TypeVar

from stillgate.errors import StillHeld
from stillgate.fleet import Fleet
from stillgate.held_after import tell_held

T = TypeVar("T")
Undo = Callable[[Fleet, T], None]
log = logging.getLogger("stillgate")


async def settled_call(
    fleet: Fleet, call: Callable[[Fleet], T], undo: Optional[Undo[T]] = None
) -> T:
    """Runs `call(fleet)`. If cancelled, it stops the fleet and waits for the call to end. If the
    call succeeded nevertheless, its caller would never know, so `undo` rolls it back.
    """
    work = _Work(fleet, call, undo)
    try:
        return await asyncio.shield(work.begin())
    except BaseException as error:
        if not work.raised(error):
            # Cancelled; or a signal's exception or the end of the loop, which nothing can be
            # awaited behind.
            work.abandon()
            if isinstance(error, asyncio.CancelledError):
                await settled(work.over)
            else:
                work.gone.wait()
            tell_held(error, work.left_held())
        raise


class _Work(Generic[T]):
    """A call of the fleet on a thread of its own, which has what came of it until the loop has
    taken it over: where nobody is there to do so, the thread itself takes it back.
    """

    def __init__(
        self, fleet: Fleet, call: Callable[[Fleet], T], undo: Optional[Undo[T]] = None
    ) -> None:
        self._fleet = fleet
        self._call = call
        self._undo = undo
        self._loop = asyncio.get_running_loop()
        self._result: asyncio.Future[T] = self._loop.create_future()
        self.over: asyncio.Future[None] = self._loop.create_future()
        """When there is nothing more to come of it; only of what was abandoned."""
        self.gone = threading.Event()
        """The same for who cannot await."""
        self._deciding = threading.Lock()
        self._begun = False
        self._abandoned = False
        self._made: List[T] = []
        self._error: Optional[BaseException] = None
        self._untaken: Optional[BaseException] = None

    def begin(self) -> asyncio.Future[T]:
        threading.Thread(target=self._work, name="stillgate-call").start()
        return self._result

    def raised(self, error: BaseException) -> bool:
        return error is self._error

    def left_held(self) -> Optional[StillHeld]:
        """What of it could not be rolled back."""
        return StillHeld.of(self._untaken) or StillHeld.of(self._error)

    def abandon(self) -> None:
        """Nobody waits for the result any more; its end is `over`."""
        with self._deciding:
            self._abandoned = True
            late = self.gone.is_set()
            if not self._begun:
                self._settle_over()
                self.gone.set()
                return
            if late:
                self.gone.clear()
        self._fleet.stop()
        if late:
            threading.Thread(target=self._end, name="stillgate-call").start()

    def _work(self) -> None:
        with self._deciding:
            if self._abandoned:
                return
            self._begun = True
        try:
            self._made.append(self._call(self._fleet))
        except KeyboardInterrupt as stopped:
            self._error = Stopped()
            tell_held(self._error, StillHeld.of(stopped))
        except BaseException as raised:  # pylint: disable=broad-except
            self._error = raised
        self._end()

    def _end(self) -> None:
        with self._deciding:
            abandoned = self._abandoned or not self._in_loop(self._settle)
            if not abandoned:
                self.gone.set()
                return
        self._take_back()
        self._in_loop(self._settle_over)
        self.gone.set()

    def _take_back(self) -> None:
        if self._undo is None or not self._made:
            return
        try:
            self._undo(self._fleet.twin(), self._made[0])
        except BaseException as failure:  # pylint: disable=broad-except
            self._untaken = failure
            log.error("a cancelled call could not be rolled back", exc_info=failure)

    def _in_loop(self, call: Callable[[], None]) -> bool:
        """False where the loop is closed, and nobody waits any more."""
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            return False
        return True

    def _settle(self) -> None:
        if self._error is not None:
            if not self._result.done():
                self._result.set_exception(self._error)
        elif not self._result.done():
            self._result.set_result(self._made[0])

    def _settle_over(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


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


class Parked(Generic[T]):
    """A thread that waits for its one call. It is not one of the loop's own: a block may keep them
    all busy, and must be resumed nevertheless.
    """

    def __init__(self) -> None:
        """Errors: RuntimeError, where there can be no other thread."""
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[T] = self._loop.create_future()
        self._given: SimpleQueue[Optional[Callable[[], T]]] = SimpleQueue()
        # A block that is never left does not keep the interpreter from its end.
        threading.Thread(target=self._work, name="stillgate-leave", daemon=True).start()

    def run(self, call: Callable[[], T]) -> asyncio.Future[T]:
        self._given.put(call)
        return self._future

    def give_up(self) -> None:
        """There will be no call."""
        self._given.put(None)

    def _work(self) -> None:
        call = self._given.get()
        if call is None:
            return
        result: Optional[T] = None
        error: Optional[BaseException] = None
        try:
            result = call()
        except KeyboardInterrupt:
            error = Stopped()
        except BaseException as raised:  # pylint: disable=broad-except
            error = raised
        try:
            self._loop.call_soon_threadsafe(self._settle, result, error)
        except RuntimeError:
            pass  # the loop is closed; nothing waits for it

    def _settle(self, result: Optional[T], error: Optional[BaseException]) -> None:
        if self._future.done():
            return
        if error is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(result)  # type: ignore[arg-type]


def on_thread(call: Callable[[], T]) -> asyncio.Future[T]:
    """Errors: RuntimeError, where there can be no other thread."""
    return Parked[T]().run(call)
