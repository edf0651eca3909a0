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


class _Core(Protocol):
    """What of the engine's fleet knows the hold's guard."""

    def guard_descriptor(self) -> int: ...

    def renew_guard(self) -> Optional[object]: ...


class Suspension:
    """What `with fleet.suspended(...)` gives. Its members may be read from any thread."""

    def __init__(
        self,
        report: Report,
        max_hold: float,
        release: Callable[[bool], Report],
        core: _Core,
    ) -> None:
        self.report = report
        self.resumed: Optional[Report] = None
        """The resume's report, once there is one."""
        self._max_hold = max_hold
        self._release = release
        self._core = core
        begun = report.holds[0].started_at
        # The clock of the wall may be stepped; the deadline stays where it is.
        self._deadline = time.monotonic() + max_hold - max(0.0, time.time() - begun)
        self._expired = False
        self._failure: Optional[StillgateError] = None
        self._guard_lost = False
        self._done = threading.Event()
        self._over, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
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

    def _keep(self) -> None:
        # On this thread in any case: a Ctrl-C interrupts calls of the main thread alone.
        self._expired = not self._ended_in_time()
        try:
            self.resumed = self._release(self._expired)
        except StillgateError as error:
            self._failure = error
        finally:
            self._done.set()

    def _ended_in_time(self) -> bool:
        """Waits for the end of the work, and meanwhile watches the guard. False at the deadline,
        and where nothing would end the hold any more if this process died.
        """
        while self.remaining > 0:
            guard = self._core.guard_descriptor()
            watched = [self._over] if guard < 0 else [self._over, guard]
            ready = select.select(watched, [], [], self.remaining)[0]
            if self._over in ready:
                return True
            if guard in ready and not self._guard_lives(guard):
                self._guard_lost = True
                return False
        return False

    def _guard_lives(self, guard: int) -> bool:
        try:
            said = os.read(guard, 65536)
        except OSError:
            said = b""
        if said:
            return True
        log.warning("the guard died; starting another")
        error = self._core.renew_guard()
        if error is not None:
            log.error("no other guard could be started; the hold is ended")
        return error is None

    def end(self) -> None:
        """Resumes, if the deadline has not done that; a Ctrl-C meanwhile is raised when it is done.
        Errors: EndpointFailed, HoldExpired.
        """
        os.write(self._wake, b".")
        stopped: Optional[KeyboardInterrupt] = None
        # Not by join(): a Ctrl-C in it has Python 3.9 to 3.12 take a thread that runs for one that
        # has ended, and the interpreter would end in the middle of the resume.
        while not self._done.is_set():
            try:
                self._done.wait()
            except KeyboardInterrupt as again:
                stopped = again
        os.close(self._over)
        os.close(self._wake)
        if stopped is not None:
            raise stopped
        expired = HoldExpired(self._max_hold) if self._expired else None
        if self._failure is not None:
            raise self._failure from expired
        if expired is not None:
            raise expired
