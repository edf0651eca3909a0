"""A hold that this process keeps: it ends at its deadline, or with the work inside it."""

from __future__ import annotations

import threading
import time
from typing import Callable, List, Optional

from stillgate.errors import HoldExpired, StillgateError
from stillgate.report import Hold, Report


class Suspension:
    """What `with fleet.suspended(...)` gives. Its members may be read from any thread."""

    def __init__(self, report: Report, max_hold: float, release: Callable[[bool], Report]) -> None:
        self.report = report
        self.resumed: Optional[Report] = None
        """The resume's report, once there is one."""
        self._max_hold = max_hold
        self._release = release
        begun = report.holds[0].started_at
        # The clock of the wall may be stepped; the deadline stays where it is.
        self._deadline = time.monotonic() + max_hold - max(0.0, time.time() - begun)
        self._expired = False
        self._failure: Optional[StillgateError] = None
        self._over = threading.Event()
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
        self._expired = not self._over.wait(self.remaining)
        try:
            self.resumed = self._release(self._expired)
        except StillgateError as error:
            self._failure = error

    def end(self) -> None:
        """Resumes, if the deadline has not done that; a Ctrl-C meanwhile is raised when it is done.
        Errors: EndpointFailed, HoldExpired.
        """
        self._over.set()
        stopped: Optional[KeyboardInterrupt] = None
        while self._keeper.is_alive():
            try:
                self._keeper.join()
            except KeyboardInterrupt as again:
                stopped = again
        if stopped is not None:
            raise stopped
        expired = HoldExpired(self._max_hold) if self._expired else None
        if self._failure is not None:
            raise self._failure from expired
        if expired is not None:
            raise expired
