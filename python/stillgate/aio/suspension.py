"""A hold around a block or a coroutine of asyncio: cancelled at the deadline, always resumed."""

from __future__ import annotations

import asyncio
import functools
import inspect
from types import TracebackType
from typing import Any, Awaitable, Callable, List, Optional, Protocol, Tuple, Type, TypeVar, cast

import stillgate._core as _core
import stillgate.suspension as sync
from stillgate.aio.call import Parked, Undo, settled
from stillgate.errors import HoldExpired, StillgateError
from stillgate.fleet import Fleet
from stillgate.results.hold import Hold
from stillgate.results.report import Report

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
T = TypeVar("T")
Begin = Callable[[Fleet, Callable[[], object]], sync.Suspending]


class Suspension:
    """What `async with fleet.suspended(...)` gives."""

    def __init__(
        self,
        hold: sync.Suspension,
        extend: Callable[[float], Awaitable[Report]],
        apply_cutover: Callable[[float], Awaitable[Report]],
    ) -> None:
        self._hold = hold
        self._extend = extend
        self._apply_cutover = apply_cutover

    @property
    def report(self) -> Report:
        """Of the suspend."""
        return self._hold.report

    @property
    def resumed(self) -> Optional[Report]:
        """The resume's report, once there is one."""
        return self._hold.resumed

    @property
    def holds(self) -> List[Hold]:
        """The hold in effect: one, as the suspend made it."""
        return self._hold.holds

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; 0 once it has passed."""
        return self._hold.remaining

    @property
    def expired(self) -> bool:
        """The deadline came before the end of the block: traffic flows again."""
        return self._hold.expired

    async def extend(self, seconds: float) -> Report:
        """Moves the deadline by 0.1 to 3600 seconds. Errors: those of stillgate.Fleet.extend."""
        return await self._extend(seconds)

    async def apply_cutover(self, keep: float = 0.0) -> Report:
        """Applies the cutover inside the block, as stillgate.Suspension.apply_cutover does."""
        return await self._apply_cutover(keep)


class Suspending(_core.AsyncBlock):
    """What `fleet.suspended(...)` gives: for an `async with` block, which gets the `Suspension`, or
    to decorate a coroutine function. Each call of that function runs in its own hold, until it has
    returned, raised or was cancelled. If the frontends are already held, by another task or by the
    coroutine that called it, the call raises HeldByOther and the coroutine is not run.

    Other functions are refused (TypeError): they would run before anything is held.
    """

    def __init__(self, call: _Call, begin: Begin) -> None:
        super().__init__()
        self._call = call
        self._begin = begin
        self._entered: Optional[_Block] = None

    async def __aenter__(self) -> Suspension:
        if self._entered is not None:
            raise RuntimeError("this block is already running; use one suspended() for each block")
        block = _Block(self._call)
        try:
            hold = await block.enter(self._begin)
            self._entered, self.ending = block, block.ending
            return hold
        except BaseException as left:
            # A signal's, behind the hold: nothing can be awaited here.
            block.abandon(left)
            raise

    async def leaving(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        """For `__aexit__`, which has told the hold's keeper already."""
        assert self._entered is not None
        entered, self._entered = self._entered, None
        await entered.leave(error)

    def __call__(self, function: F) -> F:
        """Decorates it."""
        if not inspect.iscoroutinefunction(function):
            name = getattr(function, "__qualname__", repr(function))
            raise TypeError(f"{name} is not a coroutine function; use stillgate.Fleet")

        @functools.wraps(function)
        async def held(*arguments: Any, **options: Any) -> Any:
            async with Suspending(self._call, self._begin):
                return await function(*arguments, **options)

        return cast(F, held)


class _Call(Protocol):
    """Has a fleet make a call."""

    async def __call__(self, call: Callable[[Fleet], T], undo: Optional[Undo[T]] = None) -> T:
        ...


class _Block:
    """The task inside one hold. The deadline cancels it while it is inside."""

    def __init__(self, call: _Call) -> None:
        self._call = call
        task = asyncio.current_task()
        assert task is not None, "use 'async with' inside a task"
        self._task = task
        self._cancels_before = self._cancels()
        self._inside = False
        self._over_early = False
        self._expired = False
        self._manager: Optional[sync.Suspending] = None
        self._hold: Optional[sync.Suspension] = None
        # Started before there is a hold: later there may be no thread to be had.
        self._leaving: Parked[None] = Parked()

    async def enter(self, begin: Begin) -> Suspension:
        loop = asyncio.get_running_loop()

        def at_deadline() -> None:
            loop.call_soon_threadsafe(self._expire)

        def enter(fleet: Fleet) -> Tuple[sync.Suspending, sync.Suspension]:
            manager = begin(fleet, at_deadline)
            return manager, manager.__enter__()

        def undo(fleet: Fleet, entered: Tuple[sync.Suspending, sync.Suspension]) -> None:
            entered[1].plain = True
            try:
                entered[0].__exit__(None, None, None)
            except HoldExpired:
                pass
            except StillgateError as failure:
                raise entered[1].left_held() or failure from None

        entered = await self._call(enter, undo)
        self._manager, self._hold = entered
        hold = self._hold
        self._inside = True
        if self._over_early:
            self._expire()
        return Suspension(
            hold,
            lambda seconds: self._call(lambda fleet: hold.extend(seconds, fleet)),
            lambda keep: self._call(lambda fleet: hold.apply_cutover(keep, fleet)),
        )

    @property
    def ending(self) -> _core.Ending:
        """Of what was entered."""
        assert self._manager is not None
        return self._manager.ending

    def abandon(self, left: BaseException) -> None:
        """Resumes what was entered, if anything was, and waits for it on the spot."""
        self._leaving.give_up()
        if self._hold is not None:
            self._hold.plain = True
            self._hold.ending.abandon(left, self._hold.tell_left_held)

    async def leave(self, error: Optional[BaseException]) -> None:
        """Resumes, and then raises the first of these: the resume failed, the task was cancelled by
        something else, the block's own exception, the deadline passed.
        """
        self._inside = False
        assert self._manager is not None
        leaving = self._leaving.run(functools.partial(self._manager.__exit__, None, None, None))
        cancelled = await settled(leaving)
        failure = leaving.exception()
        if failure is not None and not isinstance(failure, HoldExpired):
            raise failure
        inside = isinstance(error, asyncio.CancelledError)
        if self._expired:
            uncancel = getattr(self._task, "uncancel", None)  # from Python 3.11 on
            elsewhere = uncancel is not None and uncancel() > self._cancels_before
            inside = inside and elsewhere
        if inside:
            return
        if cancelled:
            raise asyncio.CancelledError
        ours = self._expired and isinstance(error, asyncio.CancelledError)
        if failure is not None and (error is None or ours):
            raise failure

    def _cancels(self) -> int:
        cancelling = getattr(self._task, "cancelling", None)  # from Python 3.11 on
        return 0 if cancelling is None else int(cancelling())

    def _expire(self) -> None:
        if not self._inside:
            # After the block it has no meaning.
            self._over_early = self._manager is None
            return
        self._expired = True
        self._task.cancel()
