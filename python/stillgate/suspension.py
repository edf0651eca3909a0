"""A hold that this process keeps: it ends at its deadline, or with the work inside it."""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from typing import Callable, List, Optional, Protocol

from stillgate.errors import HoldExpired, StillgateError
from stillgate.report import Hold, Report

log = logging.getLogger("stillgate")

_END = b"."
_EXTENDED = b"+"


class _Core(Protocol):
    """What of the engine's fleet knows the hold's guard."""

    def guard_descriptor(self) -> int:
        ...

    def renew_guard(self) -> Optional[object]:
        ...


class GuardWatch:
    """The hold's guard, watched by whoever holds: its events go to `on_line`, and when it dies
    another one is started.
    """

    def __init__(self, core: _Core, on_line: Optional[Callable[[str], None]]) -> None:
        self._core = core
        self._on_line = on_line
        self._unread = b""

    @property
    def descriptor(self) -> int:
        """Readable where the guard says something or has died; -1: no guard is needed."""
        return self._core.guard_descriptor()

    def attend(self) -> bool:
        """Call when the descriptor is readable. False where nothing guards the hold any more."""
        try:
            said = os.read(self.descriptor, 65536)
        except OSError:
            said = b""
        if not said:
            return self._renew()
        *lines, self._unread = (self._unread + said).split(b"\n")
        for line in lines:
            words, _, document = line.partition(b" ")
            if words == b"event" and self._on_line is not None:
                self._on_line(document.decode("utf-8", "replace"))
        return True

    def _renew(self) -> bool:
        log.warning("the guard has died; starting another")
        self._unread = b""
        if self._core.renew_guard() is None:
            return True
        log.error("no other guard could be started; the hold is ended")
        return False


class Suspension:
    """What `with fleet.suspended(...)` gives. Its members may be read from any thread."""

    def __init__(
        self,
        report: Report,
        max_hold: float,
        release: Callable[[bool], Report],
        extend: Callable[[float], Report],
        guard: GuardWatch,
        at_deadline: Optional[Callable[[], object]] = None,
    ) -> None:
        self.report = report
        self.resumed: Optional[Report] = None
        """The resume's report, once there is one."""
        self._max_hold = max_hold
        self._release = release
        self._extend = extend
        self._guard = guard
        self._at_deadline = at_deadline
        begun = report.holds[0].started_at
        # The clock of the wall may be stepped; the deadline stays where it is.
        self._deadline = time.monotonic() + max_hold - max(0.0, time.time() - begun)
        self._expired = False
        self._unguarded = False
        self._failure: Optional[StillgateError] = None
        self._done = threading.Event()
        self._heard, self._told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # No daemon: an interpreter that ends without leaving the block waits for the deadline.
        self._keeper = threading.Thread(target=self._keep, name="stillgate-keeper")
        self._keeper.start()

    @property
    def holds(self) -> List[Hold]:
        return self.report.holds

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; 0 once it has passed."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def expired(self) -> bool:
        """The deadline came first: traffic flows again."""
        return self._expired

    def extend(self, seconds: float) -> Report:
        """Moves the deadline by 0.1 to 3600 seconds. Errors: those of Fleet.extend; then the
        deadline stays where it was.
        """
        report = self._extend(seconds)
        self._deadline += seconds
        self._max_hold += seconds
        os.write(self._told, _EXTENDED)
        return report

    def _keep(self) -> None:
        # On this thread in any case: a Ctrl-C interrupts calls of the main thread alone.
        try:
            self._expired = not self._ended_in_time()
        except Exception:  # pylint: disable=broad-except
            # Whatever it is, a hold that nobody watches is not left alone.
            log.exception("the hold cannot be watched any more, and is ended")
            self._expired = self._unguarded = True
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
                log.exception("what was to be called at the deadline failed")

    def _ended_in_time(self) -> bool:
        """Waits for the end of the work, and meanwhile watches the guard. False at the deadline,
        and where nothing would end the hold any more if this process died.
        """
        while self.remaining > 0:
            guard = self._guard.descriptor
            watched = [self._heard] if guard < 0 else [self._heard, guard]
            ready = select.select(watched, [], [], self.remaining)[0]
            if self._heard in ready and _END in os.read(self._heard, 64):
                return True
            if guard in ready and not self._guard.attend():
                self._unguarded = True
                return False
        return False

    def end(self) -> None:
        """Resumes, if the deadline has not done that; a Ctrl-C meanwhile is raised when it is done.
        Errors: EndpointFailed, HoldExpired.
        """
        os.write(self._told, _END)
        stopped: Optional[KeyboardInterrupt] = None
        # Not by join(): a Ctrl-C in it has Python 3.9 to 3.12 take a thread that runs for one that
        # has ended, and the interpreter would end in the middle of the resume.
        while not self._done.is_set():
            try:
                self._done.wait()
            except KeyboardInterrupt as again:
                stopped = again
        os.close(self._heard)
        os.close(self._told)
        if stopped is not None:
            raise stopped
        expired = HoldExpired(self._max_hold, self._unguarded) if self._expired else None
        if self._failure is not None:
            raise self._failure from expired
        if expired is not None:
            raise expired
