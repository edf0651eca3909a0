"""What is shown of a hold while its command runs: a screen with keys, or a line a second."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from types import FrameType
from typing import Iterator, Optional, Sequence, Tuple

from stillgate.clock import wall
from stillgate.console.documents import to_line
from stillgate.console.keyboard import Keyboard, goes_by_lines, in_foreground
from stillgate.console.live_drawing import HEAD_LINES, Signs, live_lines
from stillgate.console.live_keys import Keys
from stillgate.console.live_state import LiveState
from stillgate.console.looker import Looker
from stillgate.console.progress import CLEAR, PATIENCE
from stillgate.console.streams import descriptor_of
from stillgate.console.voice import Voice
from stillgate.fleet import Fleet
from stillgate.results.printing import tamed
from stillgate.results.report import Report
from stillgate.suspension import Suspension

FRAME = 0.25  # seconds between two drawings
KEY = 0.05  # seconds for which a key is waited for, and between two looks at whose terminal it is
TOLD = 3.0  # seconds for which the bottom line says what came of a key
LEAST_LINES, LEAST_COLUMNS = 12, 40  # of a terminal on which it is drawn whole
LEFT = "the screen is left; the command and the hold go on, and Ctrl-C ends both"


class HoldView:
    """Looks at a hold from begin() to end(), and shows nothing of it. What others show of it is
    said by `voice`, on threads of their own: nothing waits for it.
    """

    def __init__(self, voice: Voice, fleet: Fleet, hold: Suspension) -> None:
        self._voice = voice
        self._hold = hold
        # Of its own, because the hold may be in the middle of a call of that one.
        self._fleet = fleet.twin()
        names = sorted({one.frontend for one in hold.report.switches})
        self._looker = Looker(self._fleet, names, after=PATIENCE)
        rates = {(one.endpoint, one.frontend): one.rate for one in hold.report.switches}
        self._state = LiveState({at: rate for at, rate in rates.items() if rate is not None})
        # A bare lock, which no exception of a signal leaves half taken.
        self._showing = threading.Lock()
        self._showing.acquire()  # pylint: disable=consider-using-with
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="stillgate-screen", daemon=True)

    def begin(self) -> None:
        """Where no thread can be had, nothing is shown: the hold does without."""
        try:
            self._looker.start()
            self._thread.start()
        except RuntimeError:
            self.end()

    def end(self) -> None:
        """Stops, and waits for nothing; safe to call again."""
        if not self._ended:
            self._ended = True
            self._showing.release()

    def close(self) -> None:
        """Waits until `voice` has got the last of it."""
        self.end()
        self._looker.close()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def leaving_at_a_stop(self) -> Iterator[None]:
        """Ctrl-Z gives the shell a terminal as it was."""
        yield

    def _run(self) -> None:
        if not self._is_over(PATIENCE):
            self._show()

    def _show(self) -> None:
        """Until it is over. Each look is kept for `stillgate report`, shown or not."""
        while not self._is_over(FRAME):
            while not self._looker.news.empty():
                self._looker.news.get()

    def _is_over(self, within: float = 0.0) -> bool:
        return self._showing.acquire(timeout=within)


class HoldLines(HoldView):
    """Where nothing can be drawn: a line a look, or a JSON document a line."""

    def __init__(self, voice: Voice, fleet: Fleet, hold: Suspension, as_json: bool) -> None:
        super().__init__(voice, fleet, hold)
        self._as_json = as_json

    def _show(self) -> None:
        while not self._is_over(FRAME):
            while not self._looker.news.empty():
                news = self._looker.news.get()
                if isinstance(news, Report) and not self._ended:
                    # A reader that is slow gets fewer: nothing piles up here.
                    self._voice.draw(f"{self._line(news)}\n")

    def _line(self, report: Report) -> str:
        now = time.time()
        self._state.see(report, now)
        if self._as_json:
            return tamed(to_line(self._state.document(now)))
        return tamed(f"stillgate: {wall(now)} {self._state.totals(now)}")


class HoldScreen(HoldView):
    """The time, who waits, a row per HAProxy: on the last lines of the terminal, below what the
    command writes there; on a small terminal it is one line. While another job has the terminal,
    or the command drives it itself (a pager), there is no screen, and no key is taken.
    """

    def __init__(
        self,
        voice: Voice,
        fleet: Fleet,
        hold: Suspension,
        keyboard: Optional[Keyboard] = None,
    ) -> None:
        super().__init__(voice, fleet, hold)
        self._keyboard = keyboard
        self._keys = Keys(fleet.max_hold, of_command=True, heard=keyboard is not None)
        self._extend_by = fleet.max_hold
        self._told_until = 0.0
        self._signs = Signs(getattr(sys.stderr, "encoding", None))
        self._colours = "NO_COLOR" not in os.environ
        number = descriptor_of(sys.stderr)
        self._terminal = -1 if number is None else number
        # A terminal that never goes by lines shows nothing by that.
        self._tells_by_lines = goes_by_lines(self._terminal)
        # A handler of a signal hides it, in the main thread.
        self._drawing = threading.RLock()
        self._region: Optional[Region] = None
        self._drawn = False
        self._stopping = False
        self._away = False

    @contextmanager
    def leaving_at_a_stop(self) -> Iterator[None]:
        # Only the main thread hears of it.
        main = threading.current_thread() is threading.main_thread()
        if not main or signal.getsignal(signal.SIGTSTP) != signal.SIG_DFL:
            yield
            return
        signal.signal(signal.SIGTSTP, self._stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)

    def _stop(self, number: int, frame: Optional[FrameType]) -> None:
        self._away = True
        self._hide()
        self._voice.settle()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # It goes on.
        signal.signal(number, self._stop)
        self._away = False

    def _hide(self) -> None:
        """The terminal is as it was before, until it is drawn again."""
        with self._drawing:
            if self._keyboard is not None:
                self._keyboard.give_back()
            if self._region is not None:
                self._voice.draw(self._region.leave(), last=True)
            elif self._drawn:
                self._voice.draw(CLEAR, last=True)
            self._region, self._drawn = None, False

    def _show(self) -> None:
        if self._draw_until_left():
            self._voice.say(f"stillgate: {LEFT}")
            super()._show()

    def _draw_until_left(self) -> bool:
        """False where it is over before."""
        next_frame = 0.0
        try:
            while not self._is_over():
                while not self._looker.news.empty():
                    self._take(self._looker.news.get())
                if not self._is_free():
                    self._hide()
                elif time.monotonic() >= next_frame:
                    next_frame = time.monotonic() + FRAME
                    self._draw()
                key = self._key()
                if key and self._press(key):
                    return True
                if key:
                    next_frame = 0.0
            return False
        finally:
            self._hide()
            if self._keyboard is not None:
                self._keyboard.end()

    def _is_free(self) -> bool:
        """Whether nobody else has the terminal."""
        if self._away or not in_foreground(self._terminal):
            return False
        if self._keyboard is not None:
            return self._keyboard.is_ours()
        return goes_by_lines(self._terminal) or not self._tells_by_lines

    def _key(self) -> str:
        if self._keyboard is None or not self._is_free():
            # Over at once when it is over.
            if self._is_over(KEY):
                self._showing.release()
            return ""
        return self._keyboard.read(KEY)

    def _take(self, news: object) -> None:
        if isinstance(news, Report):
            self._state.see(news, time.time())
            if time.monotonic() > self._told_until:
                self._keys.rest(self._state)
        elif isinstance(news, str):
            self._tell(news)

    def _press(self, key: str) -> bool:
        """Whether the screen is to be left."""
        if self._stopping:
            return False
        self._told_until = 0.0
        action = self._keys.press(key, self._state)
        if action == "resume":
            self._stopping = True
            self._tell("resume: the command is being ended")
            # As Ctrl-C does it.
            os.kill(os.getpid(), signal.SIGINT)
        elif action == "extend":
            self._tell("extend: under way")
            self._looker.call(self._extend)
        return action == "quit"

    def _extend(self) -> str:
        self._hold.extend(self._extend_by, self._fleet)
        return f"extended by {self._extend_by:g} s"

    def _tell(self, words: str) -> None:
        self._keys.tell(words)
        self._told_until = time.monotonic() + TOLD

    def _draw(self) -> None:
        if self._state.report is None:
            return
        with self._drawing:
            if self._away:
                return
            size = _size_of(self._terminal)
            if self._region is not None and self._region.size != size:
                self._voice.draw(self._region.leave(), last=True)
                self._region = None
            if self._region is None and size[1] >= LEAST_LINES and size[0] >= LEAST_COLUMNS:
                height = HEAD_LINES + len(self._state.rows()) + 1
                self._region = Region(size, min(size[1] // 2, height))
                self._voice.draw(self._region.enter(), last=True)
            if self._ended:
                return
            now = time.time()
            if self._region is None:
                words = self._keys.line if self._keys.asking else self._state.totals(now)
                self._voice.draw(CLEAR + tamed(words)[: max(size[0] - 1, 0) or None])
                self._drawn = True
                return
            shape = (size[0], self._region.height)
            lines = live_lines(self._state, now, shape, self._signs, self._keys.line, self._colours)
            self._voice.draw(self._region.show(lines))


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


def _size_of(terminal: int) -> Tuple[int, int]:
    """Columns and lines; zeros where nobody knows."""
    try:
        return tuple(os.get_terminal_size(terminal))  # type: ignore[return-value]
    except (OSError, ValueError):
        return (0, 0)
