"""The fleet for asyncio: the same verbs, awaited::

    fleet = stillgate.aio.Fleet(["unix:///run/haproxy/admin.sock"])
    async with fleet.suspended("balanced", max_hold=15) as hold:
        await migrate()             # cancelled at the deadline, always resumed

Options, reports and errors are those of stillgate.Fleet. Each call runs on its own thread and
leaves the event loop free. A cancelled call ends within milliseconds, and has ended when
CancelledError is raised: a suspend has rolled back, a resume retries no more, an extend may or may
not have moved the deadline. `on_event` is called on the call's thread.
"""

from __future__ import annotations

import functools
import inspect
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Coroutine,
    Iterable,
    List,
    Optional,
    Tuple,
    TypeVar,
    Union,
    cast,
)

import stillgate.fleet as sync
import stillgate.past_holds as past_holds
import stillgate.suspension as sync_hold
from stillgate.aio.call import Undo, on_thread, settled_call
from stillgate.aio.suspension import Suspending, Suspension
from stillgate.errors import ReportError, TooLate
from stillgate.held_after import held_still
from stillgate.results.hold import PastHolds
from stillgate.results.lists import Outcomes
from stillgate.results.rehearsal import Rehearsal
from stillgate.results.report import Report

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")

__all__ = [
    "Fleet",
    "Suspending",
    "Suspension",
    "check",
    "execute",
    "extend",
    "history",
    "rehearse",
    "resume",
    "status",
    "suspend",
    "suspended",
]

T = TypeVar("T")


def _awaited(
    verb: Callable[Concatenate[sync.Fleet, P], T], undo: Optional[Undo[T]] = None
) -> Callable[Concatenate[Fleet, P], Coroutine[Any, Any, T]]:
    """The verb of stillgate.Fleet, with its own options. `undo` rolls it back if its caller is
    cancelled just when it has succeeded.
    """

    @functools.wraps(verb)
    async def awaited(self: Fleet, *arguments: P.args, **options: P.kwargs) -> T:
        return await self._call(lambda fleet: verb(fleet, *arguments, **options), undo)

    awaited.__module__ = __name__
    awaited.__doc__ = f"As `stillgate.Fleet.{verb.__name__}`, awaited."
    return cast("Callable[Concatenate[Fleet, P], Coroutine[Any, Any, T]]", awaited)


def _holding(
    verb: Callable[Concatenate[sync.Fleet, P], sync_hold.Suspending],
) -> Callable[Concatenate[Fleet, P], Suspending]:
    """stillgate.Fleet.suspended with its own options, except `at_deadline`: at the deadline the
    block is cancelled.
    """
    signature = inspect.signature(verb)
    kept = [one for name, one in signature.parameters.items() if name != "at_deadline"]
    signature = signature.replace(parameters=kept, return_annotation="Suspending")

    @functools.wraps(verb)
    def suspended(self: Fleet, *arguments: P.args, **options: P.kwargs) -> Suspending:
        signature.bind(self, *arguments, **options)

        def begin(fleet: sync.Fleet, at_deadline: Callable[[], object]) -> sync_hold.Suspending:
            own: Any = {**options, "at_deadline": at_deadline}
            return verb(fleet, *arguments, **own)

        return Suspending(self._call, begin)

    suspended.__signature__ = signature  # type: ignore[attr-defined]
    suspended.__module__ = __name__
    suspended.__doc__ = """As `stillgate.Fleet.suspended`, for an `async with` block or to decorate
        a coroutine function. At the deadline the block is cancelled, as by asyncio.timeout(), and
        HoldExpired is raised instead of the cancellation. If the block is cancelled by anything
        else, it ends when all is resumed.
        """
    return cast("Callable[Concatenate[Fleet, P], Suspending]", suspended)


def _take_back(fleet: sync.Fleet, report: Report) -> None:
    """Errors: StillHeld."""
    # A hazard was accepted, or there is none: otherwise there would be no hold.
    hold = report.holds[0]
    ended: Optional[Report] = None
    try:
        fleet.resume(*hold.frontends, hold=hold.id, accept_hazard=True)
    except TooLate:
        # It is over, which is all that was wanted.
        pass
    except Exception as failure:  # pylint: disable=broad-except
        ended = failure.report if isinstance(failure, ReportError) else None
        raise held_still(report, ended, str(failure)) or failure from None


class Fleet:
    """As stillgate.Fleet, with its options. Several calls may run at once; to end one early,
    cancel it.
    """

    def __init__(self, endpoints: Iterable[str], **options: Any) -> None:
        self._fleet = self._latest = sync.Fleet(endpoints, **options)

    @classmethod
    def load(cls, name: str, inventory: Optional[str] = None, **options: Any) -> Fleet:
        """The fleet of that name from an inventory file, as stillgate.Fleet.load. Errors:
        InventoryError.
        """
        made = cls.__new__(cls)
        made._fleet = made._latest = sync.Fleet.load(name, inventory, **options)
        return made

    @property
    def endpoints(self) -> List[str]:
        """Canonical URLs, in input order."""
        return self._fleet.endpoints

    @property
    def frontends(self) -> List[str]:
        """Of calls that name none."""
        return self._fleet.frontends

    @property
    def max_hold(self) -> float:
        """Seconds, of calls that name none."""
        return self._fleet.max_hold

    def progress(self) -> Tuple[str, int, int, Optional[int]]:
        """As stillgate.Fleet.progress, of the call that was started last."""
        return self._latest.progress()

    execute = _awaited(sync.Fleet.execute)
    info = _awaited(sync.Fleet.info)
    stat = _awaited(sync.Fleet.stat)
    check = _awaited(sync.Fleet.check)
    rehearse = _awaited(sync.Fleet.rehearse)
    suspend = _awaited(sync.Fleet.suspend, _take_back)
    resume = _awaited(sync.Fleet.resume)
    extend = _awaited(sync.Fleet.extend)
    cutover = _awaited(sync.Fleet.cutover)
    status = _awaited(sync.Fleet.status)

    suspended = _holding(sync.Fleet.suspended)

    async def _call(self, call: Callable[[sync.Fleet], T], undo: Optional[Undo[T]] = None) -> T:
        # Its own fleet, because a fleet makes one call at a time.
        self._latest = self._fleet.twin()
        return await settled_call(self._latest, call, undo)


# --- the same as functions ----------------------------------------------------------------

_Named = Union[str, Fleet, Iterable[str]]


def _fleet(fleet: _Named) -> Fleet:
    if isinstance(fleet, Fleet):
        return fleet
    return Fleet.load(fleet) if isinstance(fleet, str) else Fleet(fleet)


async def execute(command: str, *, fleet: _Named, payload: Optional[str] = None) -> Outcomes:
    """Fleet.execute; `fleet` is a name in the inventory, a Fleet of this module, or endpoints."""
    return await _fleet(fleet).execute(command, payload)


async def check(*frontends: str, fleet: _Named, **options: Any) -> Report:
    """Fleet.check; `fleet` is a name in the inventory, a Fleet of this module, or endpoints."""
    return await _fleet(fleet).check(*frontends, **options)


async def rehearse(*frontends: str, fleet: _Named, **options: Any) -> Rehearsal:
    """Fleet.rehearse; `fleet` is a name in the inventory, a Fleet of this module, or endpoints."""
    return await _fleet(fleet).rehearse(*frontends, **options)


async def suspend(*frontends: str, fleet: _Named, **options: Any) -> Report:
    """Fleet.suspend; `fleet` is a name in the inventory, a Fleet of this module, or endpoints."""
    return await _fleet(fleet).suspend(*frontends, **options)


async def resume(*frontends: str, fleet: _Named, **options: Any) -> Report:
    """Fleet.resume; `fleet` is a name in the inventory, a Fleet of this module, or endpoints."""
    return await _fleet(fleet).resume(*frontends, **options)


async def extend(*frontends: str, seconds: float, fleet: _Named, **options: Any) -> Report:
    """Fleet.extend; `fleet` is a name in the inventory, a Fleet of this module, or endpoints."""
    return await _fleet(fleet).extend(*frontends, seconds=seconds, **options)


async def status(*frontends: str, fleet: _Named) -> Report:
    """Fleet.status; `fleet` is a name in the inventory, a Fleet of this module, or endpoints."""
    return await _fleet(fleet).status(*frontends)


def suspended(*frontends: str, fleet: _Named, **options: Any) -> Suspending:
    """Fleet.suspended; `fleet` is a name in the inventory, a Fleet of this module, or endpoints."""
    return _fleet(fleet).suspended(*frontends, **options)


async def history(
    *frontends: str, limit: Optional[int] = None, folder: Optional[str] = None
) -> PastHolds:
    """As stillgate.history."""
    return await on_thread(lambda: past_holds.history(*frontends, limit=limit, folder=folder))
