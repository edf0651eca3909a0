"""A hold that this process keeps: it ends at its deadline, or with the work inside it."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import select
import threading
import time
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ContextManager,
    List,
    Optional,
    Protocol,
    Sequence,
    Type,
    TypeVar,
    cast,
)

from stillgate.errors import HoldExpired, StillgateError
from stillgate.results.hold import Hold
from stillgate.results.report import Report

if TYPE_CHECKING:
    from stillgate.watching import Watch

F = TypeVar("F", bound=Callable[..., Any])
log = logging.getLogger("stillgate")

_END = b"."
_EXTENDED = b"+"


class AnyFleet(Protocol):
    """A fleet, as far as a hold needs it."""

    def extend(self, *frontends: str, seconds: float, hold: Optional[str] = None) -> Report:
        ...


class Suspension:
    """What `with fleet.suspended(...)` gives. Its members may be read from any thread."""

    def __init__(
        self,
        report: Report,
        max_hold: float,
        release: Callable[[bool], Report],
        extend: Callable[[float, Optional[AnyFleet]], Report],
        watches: Sequence[Watch],
        at_deadline: Optional[Callable[[], object]] = None,
    ) -> None:
        self.report = report
        self.resumed: Optional[Report] = None
        """The resume's report, once there is one."""
        self._max_hold = max_hold
        self._release = release
        self._extend = extend
        self._watches = watches
        self._at_deadline = at_deadline
        begun = report.holds[0].started_at
        # The wall clock may be stepped; the deadline must not move with it.
        self._deadline = time.monotonic() + max_hold - max(0.0, time.time() - begun)
        self._expired = False
        self._unguarded = False
        self._failure: Optional[StillgateError] = None
        self._done = threading.Event()
        self._closing = threading.Lock()
        self._closed = False
        self._heard, self._told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._process = os.getpid()
        # No daemon: an interpreter that ends without leaving the block waits for the deadline.
        self._keeper = threading.Thread(target=self._keep, name="stillgate-keeper")
        self._keeper.start()

    @property
    def holds(self) -> List[Hold]:
        """The hold in effect: one, as the suspend made it."""
        return self.report.holds

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; 0 once it has passed."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def expired(self) -> bool:
        """The deadline, or somebody else's resume, came before the end of the block: traffic flows
        again."""
        return self._expired

    def extend(self, seconds: float, fleet: Optional[AnyFleet] = None) -> Report:
        """Moves the deadline by 0.1 to 3600 seconds. `fleet` makes the call, if the caller wants to
        stop() it. Errors: those of Fleet.extend; then the deadline is unchanged.
        """
        report = self._extend(seconds, fleet)
        self._deadline += seconds
        self._max_hold += seconds
        with self._closing:
            if not self._closed:
                os.write(self._told, _EXTENDED)
        return report

    def _keep(self) -> None:
        # Always on this thread: a Ctrl-C interrupts calls of the main thread only.
        try:
            for watch in self._watches:
                watch.start()
            self._expired = not self._ended_in_time()
        except Exception:  # pylint: disable=broad-except
            # Whatever failed, a hold that nothing watches must not stay.
            log.exception("the hold can no longer be watched, and is ended now")
            self._expired = self._unguarded = True
        self._stop_watching()
        try:
            self.resumed = self._release(self._expired and not self._unguarded)
        except StillgateError as error:
            self._failure = error
        finally:
            self._done.set()
        if self._expired and self._at_deadline is not None:
            try:
                self._at_deadline()
            except Exception:  # pylint: disable=broad-except
                log.exception("at_deadline raised")

    def _stop_watching(self) -> None:
        for watch in self._watches:
            try:
                watch.stop()
            except Exception:  # pylint: disable=broad-except
                # Nothing comes between a hold and its resume.
                log.exception("the watch of the hold could not be stopped")

    def _ended_in_time(self) -> bool:
        """Waits for the end of the work, and watches the hold meanwhile. False at the deadline, if
        somebody else has ended the hold, and if nothing would end it should this process die.
        """
        while self.remaining > 0:
            # A new guard has another descriptor.
            watched = {one.descriptor: one for one in self._watches if one.descriptor >= 0}
            ready = select.select([self._heard, *watched], [], [], self.remaining)[0]
            if self._heard in ready and _END in os.read(self._heard, 64):
                return True
            if not all(watched[found].attend() for found in ready if found in watched):
                self._unguarded = True
                return False
        return False

    def end(self) -> None:
        """Resumes, unless the deadline has done that. A Ctrl-C meanwhile is raised afterwards.
        Errors: EndpointFailed, HoldExpired.
        """
        if os.getpid() != self._process:
            # A child that was forked inside the block leaves it, too; the hold is not the child's.
            return
        os.write(self._told, _END)
        stopped: Optional[KeyboardInterrupt] = None
        # Not join(): after a Ctrl-C in it, Python 3.9 to 3.12 believe that the running thread has
        # ended, and the interpreter would end in the middle of the resume.
        while not self._done.is_set():
            try:
                self._done.wait()
            except KeyboardInterrupt as again:
                stopped = again
        for watch in self._watches:
            watch.close()
        with self._closing:
            self._closed = True
            os.close(self._heard)
            os.close(self._told)
        if stopped is not None:
            raise stopped
        expired = (
            HoldExpired(self._max_hold, self._unguarded, self._ended_by_others())
            if self._expired
            else None
        )
        if self._failure is not None:
            raise self._failure from expired
        if expired is not None:
            raise expired

    def _ended_by_others(self) -> bool:
        """A guard ends when it sees that; the resume then finds nothing held."""
        return any(watch.saw_others for watch in self._watches) or (
            self._unguarded
            and self.resumed is not None
            and all(one.verdict == "open" for one in self.resumed.switches)
        )


class Suspending(ContextManager[Suspension]):
    """What `fleet.suspended(...)` gives: for a `with` block, which gets the `Suspension`, or to
    decorate a function. Each call of that function runs in its own hold, until it has returned or
    raised. If the frontends are already held, by another thread or by the function that called it,
    the call raises HeldByOther and the function is not run.

    To use its hold, a function has a `with` block inside instead. Coroutine functions (use
    `stillgate.aio`) and generator functions are refused (TypeError), because they run after the
    call has returned.
    """

    def __init__(
        self,
        begin: Callable[[], ContextManager[Suspension]],
        begin_apart: Callable[[], ContextManager[Suspension]],
    ) -> None:
        self._begin = begin
        # Calls may come from several threads, and a fleet makes one call at a time.
        self._begin_apart = begin_apart
        self._entered: Optional[ContextManager[Suspension]] = None

    def __enter__(self) -> Suspension:
        if self._entered is not None:
            raise RuntimeError("this block is already running; use one suspended() for each block")
        entered = self._begin()
        hold = entered.__enter__()
        self._entered = entered
        return hold

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        assert self._entered is not None
        entered, self._entered = self._entered, None
        entered.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """Decorates it."""
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a coroutine function; use stillgate.aio")
        if inspect.isgeneratorfunction(function):
            raise TypeError(
                f"{function.__qualname__} is a generator function; use 'with' inside it"
            )

        @functools.wraps(function)
        def held(*arguments: Any, **options: Any) -> Any:
            with self._begin_apart():
                return function(*arguments, **options)

        return cast(F, held)
