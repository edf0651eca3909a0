"""The fleet for asyncio: the same verbs, awaited.

    fleet = stillgate.aio.Fleet(["unix:///run/haproxy/admin.sock"])
    async with fleet.suspended("balanced", max_hold=15) as hold:
        await migrate()                     # cancelled at the deadline, resumed on every way out

Options, reports and errors are those of stillgate.Fleet. Each call works on a thread of its own and
leaves the event loop free. A call that is cancelled ends within milliseconds: a suspend rolls back
what it did, and a resume stops trying again.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any, AsyncIterator, Callable, Iterable, List, Optional, TypeVar

from stillgate import fleet as sync
from stillgate.errors import HoldExpired
from stillgate.report import Hold, Outcome, Report
from stillgate.suspension import Suspension as SyncSuspension

T = TypeVar("T")


class Fleet:
    """As stillgate.Fleet. Several calls may be under way at once."""

    def __init__(self, endpoints: Iterable[str], **options: Any) -> None:
        self._fleet = sync.Fleet(endpoints, **options)

    @classmethod
    def load(cls, name: str, inventory: Optional[str] = None, **options: Any) -> Fleet:
        """The fleet of that name from an inventory file. Errors: InventoryError."""
        made = cls.__new__(cls)
        made._fleet = sync.Fleet.load(name, inventory, **options)
        return made

    @property
    def endpoints(self) -> List[str]:
        """Canonical URLs, in input order."""
        return self._fleet.endpoints

    async def execute(self, command: str, payload: Optional[str] = None) -> List[Outcome]:
        """As stillgate.Fleet.execute."""
        return await self._call(lambda fleet: fleet.execute(command, payload))

    async def check(self, *frontends: str, **options: Any) -> Report:
        """As stillgate.Fleet.check."""
        return await self._call(lambda fleet: fleet.check(*frontends, **options))

    async def suspend(self, *frontends: str, **options: Any) -> Report:
        """As stillgate.Fleet.suspend; cancelled, it leaves nothing held."""

        def undo(fleet: sync.Fleet, report: Report) -> None:
            hazard = bool(options.get("accept_hazard", False))
            fleet.resume(*frontends, hold=report.holds[0].id, accept_hazard=hazard)

        return await self._call(lambda fleet: fleet.suspend(*frontends, **options), undo)

    async def resume(self, *frontends: str, **options: Any) -> Report:
        """As stillgate.Fleet.resume."""
        return await self._call(lambda fleet: fleet.resume(*frontends, **options))

    async def extend(self, *frontends: str, seconds: float, **options: Any) -> Report:
        """As stillgate.Fleet.extend."""
        return await self._call(lambda fleet: fleet.extend(*frontends, seconds=seconds, **options))

    async def status(self, *frontends: str) -> Report:
        """As stillgate.Fleet.status."""
        return await self._call(lambda fleet: fleet.status(*frontends))

    @asynccontextmanager
    async def suspended(self, *frontends: str, **options: Any) -> AsyncIterator[Suspension]:
        """As stillgate.Fleet.suspended. At the deadline the block is cancelled, as by
        asyncio.timeout(), and HoldExpired is raised in place of the cancellation.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None, "an async with block always runs in a task"
        block = _Block(task)
        options["at_deadline"] = lambda: loop.call_soon_threadsafe(block.expire)
        held: List[Any] = []

        def enter(fleet: sync.Fleet) -> SyncSuspension:
            manager = fleet.suspended(*frontends, **options)
            hold = manager.__enter__()
            held.append(manager)
            return hold

        def leave(*unused: object) -> None:
            held[0].__exit__(None, None, None)

        hold = await self._call(enter, leave)
        try:
            yield Suspension(hold)
        except asyncio.CancelledError:
            block.over = True
            if not block.cancelled:
                await _in_thread(leave)
                raise
            uncancel = getattr(task, "uncancel", None)  # from Python 3.11 on
            if uncancel is not None:
                uncancel()
        except BaseException:
            block.over = True
            await _in_thread(_leave_quietly, leave)
            raise
        block.over = True
        await _in_thread(leave)

    async def _call(
        self,
        call: Callable[[sync.Fleet], T],
        undo: Optional[Callable[[sync.Fleet, T], None]] = None,
    ) -> T:
        # Of its own: one call at a time is what a fleet can do.
        fleet = self._fleet.twin()
        work = asyncio.ensure_future(_in_thread(call, fleet))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            fleet.stop()
            await asyncio.wait({work})
            # What came to its end just before is nobody's, if it is not taken back.
            if undo is not None and work.exception() is None:
                await asyncio.shield(_in_thread(undo, fleet.twin(), work.result()))
            raise


class Suspension:
    """What `async with fleet.suspended(...)` gives."""

    def __init__(self, hold: SyncSuspension) -> None:
        self._hold = hold

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
        return self._hold.holds

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; 0 once it has passed."""
        return self._hold.remaining

    @property
    def expired(self) -> bool:
        """The deadline came first: traffic flows again."""
        return self._hold.expired

    async def extend(self, seconds: float) -> Report:
        """Moves the deadline by 0.1 to 3600 seconds. Errors: those of stillgate.Fleet.extend."""
        return await _in_thread(self._hold.extend, seconds)


class _Block:
    """The task inside the hold, which the deadline cancels if it still is inside."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self.over = False
        self.cancelled = False

    def expire(self) -> None:
        if not self.over:
            self.cancelled = True
            self._task.cancel()


def _leave_quietly(leave: Callable[[], None]) -> None:
    """The block's own exception comes before the end of its time."""
    try:
        leave()
    except HoldExpired:
        pass


class _Stopped(Exception):
    """A call that stop() ended: a KeyboardInterrupt in a task would end the event loop."""


async def _in_thread(call: Callable[..., T], *arguments: Any) -> T:
    def work() -> T:
        try:
            return call(*arguments)
        except KeyboardInterrupt as stop:
            raise _Stopped from stop

    return await asyncio.get_running_loop().run_in_executor(None, work)
