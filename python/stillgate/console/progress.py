"""What a terminal shows of calls that take longer than half a second, and of a hold."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Callable, Optional, Sequence, Tuple, TypeVar

from stillgate.clock import wall
from stillgate.console.documents import to_line
from stillgate.console.live_drawing import HEAD_LINES, Signs, live_lines
from stillgate.console.live_keys import Keys, read_key
from stillgate.console.live_state import LiveState
from stillgate.console.voice import Voice
from stillgate.errors import StillgateError
from stillgate.fleet import Fleet
from stillgate.results.printing import tamed
from stillgate.suspension import Suspension

T = TypeVar("T")

PATIENCE = 0.5  # seconds before anything is shown
STEP = 0.1  # seconds between two redraws
LOOK = 1.0  # seconds between two looks at a hold
FRAME = 0.25  # seconds between two drawings of it
TOLD = 3.0  # seconds for which the bottom line says what came of a key
KEY = 0.1  # seconds for which a key is waited for
LEAST_LINES, LEAST_COLUMNS = 12, 40  # of a terminal on which it is drawn whole
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


class HoldScreen(_Line):
    """How a hold goes: the time, who waits, a row per HAProxy. On the last lines of the terminal,
    below what the command writes there; on a small terminal it is one line. `keys` is where keys
    come from, if they are to be heard.
    """

    def __init__(
        self, voice: Voice, fleet: Fleet, hold: Suspension, keys: Optional[int] = None
    ) -> None:
        super().__init__(voice)
        self._from = keys
        self._keys = Keys(fleet.max_hold, of_command=True)
        self._extend_by = fleet.max_hold
        self._told_until = 0.0
        # Of its own, because the hold may be in the middle of a call of that one.
        self._fleet = fleet.twin()
        self._hold = hold
        self._names = sorted({one.frontend for one in hold.report.switches})
        rates = {(one.endpoint, one.frontend): one.rate for one in hold.report.switches}
        self._state = LiveState({at: rate for at, rate in rates.items() if rate is not None})
        self._signs = Signs(getattr(sys.stderr, "encoding", None))
        self._colours = "NO_COLOR" not in os.environ
        self._look_at = 0.0

    def close(self) -> None:
        # It may be in the middle of a question that nobody answers.
        self.end()
        self._fleet.stop()
        super().close()

    def text(self) -> str:
        self._look()
        return self._state.totals(time.time())

    def _look(self) -> None:
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK
        self._state.see(self._fleet.look(*self._names), time.time())

    def _draw(self) -> None:
        if self._drawing.acquire(timeout=PATIENCE):
            return
        region: Optional[Region] = None
        over = False
        while not over:
            self._look()
            size = _terminal_size()
            if region is not None and region.size != size:
                self._voice.draw(region.leave(), last=True)
                region = None
            if region is None and size[1] >= LEAST_LINES and size[0] >= LEAST_COLUMNS:
                haproxies = len(self._state.rows())
                height = HEAD_LINES + haproxies + (self._from is not None)
                region = Region(size, min(size[1] // 2, height))
                self._voice.draw(region.enter(), last=True)
            if not self._ended:
                self._show(region)
            over = self._pause()
        self._voice.draw(CLEAR if region is None else region.leave(), last=True)

    def _pause(self) -> bool:
        """Whether the hold is over. Hears the keys meanwhile."""
        if self._from is None:
            return self._drawing.acquire(timeout=FRAME)
        key = read_key(self._from, KEY)
        if key is None:
            self._from = None
        if self._drawing.acquire(timeout=0):
            return True
        if key:
            self._press(key)
        elif time.monotonic() > self._told_until:
            self._keys.rest(self._state)
        return False

    def _press(self, key: str) -> None:
        self._told_until = 0.0
        action = self._keys.press(key, self._state)
        if action == "resume":
            self._tell("resume: the command is being ended")
            # As Ctrl-C does it.
            os.kill(os.getpid(), signal.SIGINT)
        elif action == "extend":
            try:
                self._hold.extend(self._extend_by, self._fleet)
            except (StillgateError, KeyboardInterrupt) as error:
                self._tell(str(error))
                return
            self._tell(f"extended by {self._extend_by:g} s")
            self._look_at = 0.0

    def _tell(self, words: str) -> None:
        self._keys.tell(words)
        self._told_until = time.monotonic() + TOLD

    def _show(self, region: Optional[Region]) -> None:
        now = time.time()
        if region is None:
            self._voice.draw(f"{CLEAR}{tamed(self._state.totals(now))}")
            return
        size = (region.size[0], region.height)
        last = "" if self._from is None else self._keys.line
        lines = live_lines(self._state, now, size, self._signs, last, self._colours)
        self._voice.draw(region.show(lines))


class HoldLines(HoldScreen):
    """The same where nothing can be drawn: a line a look, or a JSON document a line."""

    def __init__(self, voice: Voice, fleet: Fleet, hold: Suspension, as_json: bool) -> None:
        super().__init__(voice, fleet, hold)
        self._as_json = as_json

    def begin(self) -> None:
        self._thread.start()

    def _draw(self) -> None:
        over = False
        while not over:
            self._look()
            report = self._state.report
            if report is not None and not self._ended:
                if self._as_json:
                    self._voice.say(to_line(report.document))
                else:
                    now = time.time()
                    self._voice.say(f"stillgate: {wall(now)} {self._state.totals(now)}")
            over = self._drawing.acquire(timeout=LOOK)


class Region:
    """The last lines of a terminal, which what is written above does not move."""

    def __init__(self, size: Tuple[int, int], height: int) -> None:
        self.size = size
        self.height = height
        self._first = size[1] - height + 1

    def enter(self) -> str:
        """Moves up what is there, and keeps the place where the next word goes."""
        up = "\x1bD" * self.height + f"\x1b[{self.height}A"
        return f"{up}\x1b7\x1b[1;{self._first - 1}r\x1b8"

    def show(self, lines: Sequence[str]) -> str:
        drawn = [f"\x1b[{self._first + i};1H\x1b[2K{line}" for i, line in enumerate(lines)]
        return f"\x1b7{''.join(drawn)}\x1b[0m\x1b8"

    def leave(self) -> str:
        """The region is whole again; the next word goes where it would have gone."""
        gone = [f"\x1b[{self._first + i};1H\x1b[2K" for i in range(self.height)]
        return f"\x1b7{''.join(gone)}\x1b[r\x1b8"


def _terminal_size() -> Tuple[int, int]:
    """Columns and lines; zeros where nobody knows."""
    try:
        return tuple(os.get_terminal_size(sys.stderr.fileno()))  # type: ignore[return-value]
    except (AttributeError, OSError, ValueError):
        return (0, 0)
