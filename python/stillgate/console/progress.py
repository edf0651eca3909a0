"""A progress line on a terminal, for calls that take longer than half a second."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import List, Optional, Type, TypeVar

from stillgate.fleet import Fleet
from stillgate.suspension import Suspension

L = TypeVar("L", bound="_Line")

PATIENCE = 0.5  # seconds before anything is shown
STEP = 0.1  # seconds between two redraws
LOOK = 0.5  # seconds between two status calls
CLEAR = "\r\x1b[K"


class _Line:
    """Draws on standard error while its block runs, if that is a terminal."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True)

    def text(self) -> str:
        raise NotImplementedError

    def end(self) -> None:
        """Removes the line; safe to call again."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self: L) -> L:
        if sys.stderr.isatty():
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.end()

    def _draw(self) -> None:
        if self._over.wait(PATIENCE):
            return
        while not self._over.wait(STEP):
            print(f"{CLEAR}{self.text()}", end="", file=sys.stderr, flush=True)
        print(CLEAR, end="", file=sys.stderr, flush=True)


class ProgressLine(_Line):
    """The progress of a call of the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__()
        self._fleet = fleet

    def text(self) -> str:
        phase, connected, answered, in_flight = self._fleet.progress()
        if in_flight is not None:
            return f"{phase}: {in_flight} requests in flight"
        total = len(self._fleet.endpoints)
        return f"{phase}: {connected} of {total} connected, {answered} answered"


class HoldLine(_Line):
    """The progress of a hold: the seconds left, and the counts of the HAProxies."""

    def __init__(self, fleet: Fleet, hold: Suspension) -> None:
        super().__init__()
        # Its own fleet, because the hold may be in the middle of a call of that one.
        self._fleet = fleet.twin()
        self._hold = hold
        self._names = sorted({one.frontend for one in hold.report.switches})
        self._told = "in flight -, leaked -"
        self._look_at = 0.0

    def text(self) -> str:
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK
            switches = self._fleet.status(*self._names).switches
            in_flight = [one.in_flight for one in switches]
            leaked = [one.leaked for one in switches]
            self._told = f"in flight {_sum(in_flight)}, leaked {_sum(leaked)}"
        # Under maxconn clients wait in the kernel, where they are not counted.
        left = f"{self._hold.remaining:.1f} s left"
        return f"holding {', '.join(self._names)}: {left}, waiting -, {self._told}"


def _sum(numbers: List[Optional[int]]) -> str:
    known = [number for number in numbers if number is not None]
    return str(sum(known)) if len(known) == len(numbers) else "-"
