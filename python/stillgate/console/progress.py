"""What a terminal shows of calls that take longer than half a second."""

from __future__ import annotations

import sys
import threading
from typing import Callable, TypeVar

from stillgate.console.voice import Voice
from stillgate.fleet import Fleet
from stillgate.results.printing import tamed

T = TypeVar("T")

PATIENCE = 0.5  # seconds before anything is shown
STEP = 0.1  # seconds between two redraws
CLEAR = "\r\x1b[K"


class ProgressLine:
    """The progress of a call of the fleet, drawn with `voice` from begin() to end(), if standard
    error is a terminal.
    """

    def __init__(self, voice: Voice, fleet: Fleet) -> None:
        self._voice = voice
        self._fleet = fleet
        # A bare lock, which no exception of a signal leaves half taken.
        self._drawing = threading.Lock()
        self._drawing.acquire()  # pylint: disable=consider-using-with
        self._ended = False
        self._thread = threading.Thread(target=self._draw, name="stillgate-line", daemon=True)

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
            text = self._text()
            if not self._ended:
                self._voice.draw(f"{CLEAR}{tamed(text)}")
                drawn = True
            over = self._drawing.acquire(timeout=STEP)
        if drawn:
            self._voice.draw(CLEAR, last=True)

    def _text(self) -> str:
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
