"""A progress line on a terminal, for calls that take longer than half a second."""

from __future__ import annotations

import sys
import threading
import time
from typing import Callable, List, Optional, TypeVar

from stillgate.console.voice import Voice
from stillgate.fleet import Fleet
from stillgate.results.printing import tamed
from stillgate.suspension import Suspension

T = TypeVar("T")

PATIENCE = 0.5  # seconds before anything is shown
STEP = 0.1  # seconds between two redraws
LOOK = 0.5  # seconds between two status calls
CLEAR = "\r\x1b[K"


class _Line:
    """Draws with `voice` from begin() to end(), if standard error is a terminal."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        # A bare lock, which no exception of a signal leaves half taken.
        self._drawing = threading.Lock()
        self._drawing.acquire()  # pylint: disable=consider-using-with
        self._ended = False
        self._thread = threading.Thread(target=self._draw, name="stillgate-line", daemon=True)

    def text(self) -> str:
        raise NotImplementedError

    def begin(self) -> None:
        if sys.stderr.isatty():
            self._thread.start()

    def end(self) -> None:
        """Stops drawing, and waits for nothing; safe to call again."""
        if not self._ended:
            self._ended = True
            self._drawing.release()

    def close(self) -> None:
        """Waits until `voice` has got the line's removal."""
        self.end()
        if self._thread.is_alive():
            self._thread.join()

    def _draw(self) -> None:
        drawn = False
        over = self._drawing.acquire(timeout=PATIENCE)
        while not over:
            text = self.text()
            if not self._ended:
                self._voice.draw(f"{CLEAR}{tamed(text)}")
                drawn = True
            over = self._drawing.acquire(timeout=STEP)
        if drawn:
            self._voice.draw(CLEAR, last=True)


class ProgressLine(_Line):
    """The progress of a call of the fleet."""

    def __init__(self, voice: Voice, fleet: Fleet) -> None:
        super().__init__(voice)
        self._fleet = fleet

    def text(self) -> str:
        phase, connected, answered, in_flight = self._fleet.progress()
        if in_flight is not None:
            return f"{phase}: {in_flight} requests in flight"
        total = len(self._fleet.endpoints)
        return f"{phase}: {connected} of {total} connected, {answered} answered"


def with_progress(fleet: Fleet, call: Callable[[Callable[[], None]], T]) -> T:
    """`call(quiet)`, with a line that shows the progress of the fleet's call. After `quiet()`, and
    after the end, the line is gone and standard error is free for other output.
    """
    with Voice() as voice:
        line = ProgressLine(voice, fleet)
        line.begin()

        def quiet() -> None:
            line.close()
            voice.close()

        try:
            return call(quiet)
        finally:
            line.close()


class HoldLine(_Line):
    """The progress of a hold: the seconds left, and the counts of the HAProxies."""

    def __init__(self, voice: Voice, fleet: Fleet, hold: Suspension) -> None:
        super().__init__(voice)
        # Of its own, because the hold may be in the middle of a call of that one.
        self._fleet = fleet.twin()
        self._hold = hold
        self._names = sorted({one.frontend for one in hold.report.switches})
        self._told = "in flight -, leaked -"
        self._look_at = 0.0

    def close(self) -> None:
        # It may be in the middle of a question that nobody answers.
        self.end()
        self._fleet.stop()
        super().close()

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
