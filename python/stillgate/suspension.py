"""A hold that this process keeps: it ends at its deadline, or with the work inside it."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import select
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    List,
    Optional,
    Protocol,
    Sequence,
    Type,
    TypeVar,
    cast,
)

import stillgate._core as _core
import stillgate.clock as clock
from stillgate.errors import (
    EndpointFailed,
    HoldExpired,
    ReportError,
    StillgateError,
    StillHeld,
    TooLate,
)
from stillgate.events import Teller
from stillgate.held_after import held_still, tell_held
from stillgate.reserve import Reserve
from stillgate.results.hold import Hold
from stillgate.results.report import Report, undone_after_all

if TYPE_CHECKING:
    from stillgate.watching import Watch

MORE_TIME = 5.0  # seconds that a hold which is about to end is given for its cutover
STALE = 1.0  # seconds after an expired hold: its cutover is not looked after any more
ENOUGH = 2.0  # seconds left for a cutover: with less the hold is extended before it
F = TypeVar("F", bound=Callable[..., Any])
log = logging.getLogger("stillgate")


class AnyFleet(Protocol):
    """A fleet, as far as a hold needs it."""

    def extend(self, *frontends: str, seconds: float, hold: Optional[str] = None) -> Report:
        ...


class Calls(Protocol):
    """What a hold has done by its fleet."""

    def prepare(self) -> None:
        """Before anything is held, on the caller's own thread: a signal ends it."""

    def suspend(self, leashed: bool) -> Report:
        """`leashed`: with a leash that continues the cutover that was asked for, should this
        process be killed in it. Errors: StillgateError, and then nothing is held.
        """

    def stop(self) -> None:
        """Ends a suspend that is under way early."""

    def watches(self, report: Report) -> Sequence[Watch]:
        """What to watch while it holds."""

    def release(self, at_deadline: bool, plain: bool, cut_over: bool) -> Report:
        """`plain`: nothing keeps it from its end. `cut_over`: after the cutover that was asked for.
        Errors: StillgateError.
        """

    def look_after(self, released: Report) -> Report:
        """The report of the release; not ok where the cutover was lost after it."""

    def extend(
        self, hold: str, by: float, fleet: Optional[AnyFleet], keep: Optional[float] = None
    ) -> Report:
        """`fleet` makes the call, where somebody wants to stop() it. With `keep` everywhere or
        nowhere, and over so many seconds before the old deadline.
        """

    def mark(self, hold: str, what: str, words: str) -> None:
        """A step of the hold's timeline, which is now. Waits for nothing."""

    cut: Optional[Report]
    """What came of the last apply_cutover(), also where a signal's exception came out of it."""

    def apply_cutover(
        self, hold: str, keep: float, fleet: Optional[AnyFleet], dry_run: bool = False
    ) -> Report:
        """The cutover that was asked for, inside the hold; so likewise."""

    def take_cutover_back(self) -> Optional[Report]:
        """Nothing where it could not be restored everywhere."""

    def told(self) -> Dict[str, Any]:
        """What another process needs to make apply_cutover()'s call, as JSON can say it."""


class Suspension:
    """What `with fleet.suspended(...)` gives. Its members may be read from any thread.

    A separate thread makes the hold, keeps it and ends it: a signal raises only in the main thread,
    so it never comes between a hold and its owner.
    """

    report: Report
    """Of the suspend."""

    def __init__(
        self,
        calls: Calls,
        teller: Teller,
        max_hold: float,
        at_deadline: Optional[Callable[[], object]] = None,
    ) -> None:
        self.resumed: Optional[Report] = None
        """The resume's report, once there is one."""
        self.over_at: Optional[float] = None
        """The clock.boot_time() at which the release had come to its end."""
        self.is_looking = False
        """All is over, but for the look after the cutover; also where a signal has ended that."""
        self.on_move: Callable[[], object] = lambda: None
        """Called when the deadline has moved, by whatever thread; it must not wait."""
        self.plain = False
        """Nothing was begun inside it, so that nothing keeps it from its end."""
        self.cut_over = True
        """Whether the end of the block applies the cutover that was asked for."""
        self.cutover: Optional[Report] = None
        """The report of apply_cutover(), once there is one."""
        self.leashed = True
        """Whether a leash continues its cutover, should this process be killed in it."""
        self.ending = _core.Ending(calls.stop)
        self._calls = calls
        self._teller = teller
        self._max_hold = max_hold
        self._at_deadline = at_deadline
        self._watches: Sequence[Watch] = ()
        self._deadline = 0.0
        # The same instant as the HAProxies have it, in seconds since the epoch.
        self._stored_deadline = 0.0
        self._moving = threading.Lock()
        self._expired = False
        self._unguarded = False
        self._left_well = False
        self._unwatched: Optional[BaseException] = None
        self._unmade: Optional[BaseException] = None
        self._reserve: Optional[Reserve] = None
        self._failure: Optional[BaseException] = None
        self._late: Optional[TooLate] = None
        # A bare lock, which no exception of a signal leaves half taken.
        self._unsettled = threading.Lock()
        self._unsettled.acquire()  # pylint: disable=consider-using-with
        self._proven = False
        self._process = os.getpid()
        # No daemon: an interpreter that ends without leaving the block waits for the deadline.
        self._keeper = threading.Thread(target=self._keep, name="stillgate-keeper")

    @property
    def holds(self) -> List[Hold]:
        """The hold in effect: one, as the suspend made it."""
        return self.report.holds

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; 0 once it has passed."""
        return max(0.0, self._deadline - clock.boot_time())

    @property
    def expired(self) -> bool:
        """The deadline, or somebody else's resume, came before the end of the block: traffic flows
        again."""
        return self._expired

    def extend(self, seconds: float, fleet: Optional[AnyFleet] = None) -> Report:
        """Moves the deadline by 0.1 to 3600 seconds. `fleet` makes the call, if the caller wants to
        stop() it. Errors: those of Fleet.extend; then the deadline is unchanged.
        """
        return self._extend(seconds, fleet, None)

    def _extend(self, by: float, fleet: Optional[AnyFleet], keep: Optional[float]) -> Report:
        report = self._calls.extend(self.holds[0].id, by, fleet, keep)
        deadline = report.holds[0].deadline
        if deadline is not None:
            self._move(deadline)
        self.ending.wake()
        return report

    def mark(self, what: str, words: str) -> None:
        """Notes for the timeline of `stillgate report` that `what` (one word) is done now. Waits
        for nothing, and fails nothing.
        """
        self._calls.mark(self.holds[0].id, what, words)

    def apply_cutover(self, keep: float = 0.0, fleet: Optional[AnyFleet] = None) -> Report:
        """Applies the cutover that suspended() was given, now, on every HAProxy or on none, in
        place of the end of the block: if it cannot be had, the block can still undo its work, and
        then the old code serves again. Where the hold has not enough time left for the cutover and,
        afterwards, `keep` seconds (0 to 3600), it is extended, if all HAProxies can have that
        before `keep` seconds are left of it. Without an answer the call ends then, too. `fleet`
        makes the call, if the caller wants to stop() it.

        Errors: CheckRefused (nothing was changed), EndpointFailed (undone, or unknown), InputError
        (none was asked for).
        """
        self.cut_over = False
        try:
            if self._proven:
                # Extended, if it has to be, by the proof: nothing is to come between that and this.
                return self._calls.apply_cutover(self.holds[0].id, keep, fleet)
            return self._in_time(keep, fleet, dry_run=False)
        finally:
            self.cutover = self._calls.cut
            if self.cutover is not None and self.cutover.cutover is not None:
                self.mark("cutover", self.cutover.cutover.state)

    def prove_cutover(self, keep: float = 0.0) -> None:
        """Asks all HAProxies whether apply_cutover() is possible now, and waits for a first check
        that has not finished. Extends the hold where it must, and changes nothing else: call
        apply_cutover() next, which does not extend it again. Errors: those of apply_cutover().
        """
        try:
            self._in_time(keep, None, dry_run=True)
        except StillgateError:
            self.cutover = self._calls.cut
            raise
        self._proven = True

    def told(self) -> Dict[str, Any]:
        """what another process needs to continue the cutover, as JSON can say it."""
        return {**self._calls.told(), "hold": self.holds[0].id}

    def take_cutover_back(self) -> Optional[EndpointFailed]:
        """One more attempt, for an apply_cutover() whose state is `unknown`, to restore the old
        values everywhere. Returns what apply_cutover() would have raised, had it undone that
        itself; None if it is unknown still.
        """
        back = self._calls.take_cutover_back()
        if back is None or self.cutover is None:
            return None
        self.cutover = undone_after_all(self.cutover, back)
        return EndpointFailed(self.cutover)

    def _in_time(self, keep: float, fleet: Optional[AnyFleet], dry_run: bool) -> Report:
        """It is extended here, where its deadline is known: else it would end in the middle. Only
        where that leaves the time for it: an HAProxy that gets it too late opens, with what the
        block has done undone nowhere.
        """
        hold = self.holds[0].id
        extended = self.remaining - keep < ENOUGH and self._extend_for_cutover(keep, fleet)
        try:
            return self._calls.apply_cutover(hold, keep, fleet, dry_run)
        except ReportError as late:
            if late.code != "cutover_too_late" or extended:
                raise
            if not self._extend_for_cutover(keep, fleet):
                raise late
            return self._calls.apply_cutover(hold, keep, fleet, dry_run)

    def _extend_for_cutover(self, keep: float, fleet: Optional[AnyFleet]) -> bool:
        try:
            self._extend(MORE_TIME + keep, fleet, keep)
        except StillgateError:
            return False
        return True

    def _move(self, stored: float) -> None:
        """It moves only away. By its distance: the clock of the wall may be stepped."""
        with self._moving:
            by = stored - self._stored_deadline
            if by <= 0:
                return
            self._stored_deadline = stored
            self._deadline += by
            self._max_hold += by
        self.on_move()

    def begin(self) -> None:
        """Returns when all is held. Whatever it raises, the caller leaves `ending`.
        Errors: those of Fleet.suspend.
        """
        self._calls.prepare()
        self._teller.start()
        self._keeper.start()
        self._unsettled.acquire()  # pylint: disable=consider-using-with
        if self._unmade is not None:
            raise self._unmade
        self.mark("block", "the block began")

    def _keep(self) -> None:
        try:
            if self.ending.keep():
                self._keep_hold()
        finally:
            # A signal may keep the block's own thread from closing it.
            self._teller.end()

    def _keep_hold(self) -> None:
        try:
            made = self._make()
            self._unsettled.release()
            if made:
                self._keep_until_over()
        finally:
            self.ending.done()
        if self._expired and self._at_deadline is not None:
            try:
                self._at_deadline()
            except Exception:  # pylint: disable=broad-except
                log.exception("at_deadline raised")

    def _make(self) -> bool:
        """Whether all is held, and can be watched."""
        try:
            self.report = self._calls.suspend(self.leashed)
        except BaseException as failure:  # pylint: disable=broad-except
            self._unmade = failure
            return False
        try:
            begun = self.report.holds[0].started_at
            # The clock of the wall may be stepped; the deadline stays where it is.
            self._deadline = clock.boot_time() + self._max_hold - max(0.0, time.time() - begun)
            self._stored_deadline = self.report.holds[0].deadline or 0.0
            self._reserve = Reserve(len({one.endpoint for one in self.report.switches}))
            self._watches = self._calls.watches(self.report)
            # Before the work begins: Thread.start() never returns if its thread dies on its first
            # steps, for want of memory.
            for watch in self._watches:
                watch.start()
        except BaseException as failure:  # pylint: disable=broad-except
            # Out of descriptors or threads: what nobody keeps is not left held.
            self._unmade = failure
            self.plain = True
            self._release(False)
            return False
        self.ending.made()
        return True

    def _keep_until_over(self) -> None:
        try:
            self._expired = not self._ended_in_time()
        except BaseException as failure:  # pylint: disable=broad-except
            # Whatever it is, a hold that nobody watches is not left alone.
            self._expired = self._unguarded = True
            self._unwatched = failure
        self._release(self._expired and not self._unguarded)
        if self._unwatched is not None:
            self._log_failure("the hold could no longer be watched, and was ended", self._unwatched)

    def _release(self, at_deadline: bool) -> None:
        """Raises nothing: this thread has nobody who would hear it."""
        try:
            if self._reserve is not None:
                self._reserve.use()
            self._stop_watching()
            plain = self._expired or self.plain
            cut_over = self.cut_over and self._left_well and not plain
            self.resumed = self._calls.release(at_deadline, plain, cut_over)
        except TooLate as late:
            # It has ended by itself, sooner than anybody here saw.
            self.resumed, self._late = late.report, late
            self._expired = True
        except BaseException as failure:  # pylint: disable=broad-except
            self._failure = failure
        self.over_at = clock.boot_time()

    def left_held(self) -> Optional[StillHeld]:
        """What could not be ended; for who has not entered the block."""
        failure = self._failure
        if isinstance(failure, ReportError) and not isinstance(failure, StillHeld):
            # Of a cutover that could not be had: no frontend was touched.
            ended = failure.report if failure.report.switches else None
            return held_still(self.report, ended, str(failure))
        return StillHeld.of(failure) or StillHeld.of(self._unmade)

    def tell_left_held(self, left: BaseException) -> None:
        """Has that exception say it."""
        tell_held(left, self.left_held())

    def _stop_watching(self) -> None:
        for watch in self._watches:
            try:
                watch.stop()
            except Exception as failure:  # pylint: disable=broad-except
                # Nothing comes between a hold and its resume.
                self._log_failure("the watch of the hold could not be stopped", failure)

    def _log_failure(self, words: str, failure: BaseException) -> None:
        self._teller.tell(lambda: log.error(words, exc_info=failure))

    def _ended_in_time(self) -> bool:
        """Waits for the end of the work, and watches the hold meanwhile. False at the deadline, if
        somebody else has ended the hold, and if nothing would end it should this process die.
        """
        left = self.ending.descriptor
        while self.remaining > 0:
            # A new guard has another descriptor.
            watched = {one.descriptor: one for one in self._watches if one.descriptor >= 0}
            ready = _readable([left, *watched], min(self.remaining, clock.LOOK))
            if self.ending.look():
                self._left_well = not self.ending.failed()
                return True
            if not all(watched[found].attend() for found in ready if found in watched):
                self._unguarded = True
                return False
            # A hold by both methods is over with the first.
            alive = [one.deadline for one in self._watches if one.descriptor >= 0]
            self._move(min(alive, default=0.0))
        return False

    def finish(self) -> None:
        """After the end: waits for listeners, looks after a cutover, and raises what failed.
        Errors: EndpointFailed, HoldExpired.
        """
        if os.getpid() != self._process:
            return
        for watch in self._watches:
            watch.close()
        self._teller.close()
        expired = (
            HoldExpired(self._max_hold, self._unguarded, self._ended_by_others(), self._late)
            if self._expired
            else None
        )
        if self._failure is not None:
            if expired is None:
                tell_held(self._failure, self.left_held())
                raise self._failure
            raise self._failure from expired
        if self.resumed is not None and self._is_to_be_looked_after():
            self.is_looking = True
            looked = self._calls.look_after(self.resumed)
            self.is_looking = False
            if looked is not self.resumed:
                raise EndpointFailed(looked) from expired
        if expired is not None:
            raise expired

    def _is_to_be_looked_after(self) -> bool:
        """Not the cutover of a block that ended long after its deadline: who has wanted what
        since then, nobody knows.
        """
        late = self._expired and clock.boot_time() - (self.over_at or 0.0) > STALE
        return _applied(self.resumed, self.cutover) and not late

    def _ended_by_others(self) -> bool:
        """A guard ends when it sees that; the resume then finds nothing held."""
        return any(watch.saw_others for watch in self._watches) or (
            self._unguarded
            and self.resumed is not None
            and all(one.verdict == "open" or one.ended for one in self.resumed.switches)
        )


def _applied(*reports: Optional[Report]) -> bool:
    """Whether the cutover was, in the hold or with its release."""
    cutovers = [one.cutover for one in reports if one is not None]
    return any(one is not None and one.state == "applied" for one in cutovers)


def _readable(descriptors: Sequence[int], seconds: float) -> List[int]:
    """Those of them that are, within that time; their numbers may be of any size."""
    poll = select.poll()
    for one in descriptors:
        poll.register(one, select.POLLIN)
    return [one for one, _ in poll.poll(seconds * 1000)]


class Suspending(_core.Block):
    """What `fleet.suspended(...)` gives: for a `with` block, which gets the `Suspension`, or to
    decorate a function. Each call of that function runs in its own hold, until it has returned or
    raised. If the frontends are already held, by another thread or by the function that called it,
    the call raises HeldByOther and the function is not run.

    To use its hold, a function has a `with` block inside instead. Coroutine functions (use
    `stillgate.aio`) and generator functions are refused (TypeError), because they run after the
    call has returned.
    """

    def __init__(
        self, begin: Callable[[], Suspension], begin_apart: Callable[[], Suspension]
    ) -> None:
        super().__init__()
        self._begin = begin
        # Calls may come from several threads, and a fleet makes one call at a time.
        self._begin_apart = begin_apart
        self._entered: Optional[Suspension] = None
        # False: whoever enters it has a leash of its own, which continues the cutover.
        self.leashed = True

    def __enter__(self) -> Suspension:
        if self._entered is not None:
            raise RuntimeError(
                "this block is being run already; each wants a suspended() of its own"
            )
        hold = self._begin()
        self._entered, self.ending = hold, hold.ending
        hold.leashed = self.leashed
        try:
            hold.begin()
            return hold
        except BaseException as left:
            # A signal's, perhaps: who has not entered the block does not leave it.
            hold.plain = True
            hold.ending.abandon(left, hold.tell_left_held)
            self._entered = None
            with suppress(StillgateError):
                hold.finish()
            raise

    def left(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        """For `__exit__`, when all is released again."""
        assert self._entered is not None
        entered, self._entered = self._entered, None
        entered.finish()

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
            with Suspending(self._begin_apart, self._begin_apart):
                return function(*arguments, **options)

        return cast(F, held)
