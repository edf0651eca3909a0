"""`status --watch`: a screen that shows the fleet once a second, and takes keys; where there is no
terminal, a line a second.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import Callable, Iterator, Optional, Sequence, Union

from stillgate.clock import wall
from stillgate.console.documents import to_line
from stillgate.console.keyboard import read_key, single_keys
from stillgate.console.live_drawing import Signs, live_lines
from stillgate.console.live_keys import Keys
from stillgate.console.live_state import LiveState
from stillgate.console.looker import EVERY, Looker, failed_words
from stillgate.console.sentences import resumed_words
from stillgate.console.streams import put, say
from stillgate.errors import StillgateError
from stillgate.fleet import Fleet
from stillgate.past_holds import arrivals_before
from stillgate.results.report import Report

FRAME = 0.2  # seconds between two drawings
HOME, TO_LINE_END, BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
# Where a terminal has no second screen, nothing is left of it either.
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", f"{HOME}{BELOW}\x1b[?25h\x1b[?1049l"


def watch(fleet: Fleet, frontends: Sequence[str], as_json: bool) -> int:
    """Until Ctrl-C, or the key q. Returns the exit status."""
    if not as_json and sys.stdout.isatty():
        return _Screen(fleet, frontends).run()
    state = LiveState()
    while True:
        begun = time.monotonic()
        now = time.time()
        _look(fleet, frontends, state)
        if as_json:
            put(to_line(state.document(now)))
        else:
            put(f"{wall(now)} {state.totals(now)}")
        sys.stdout.flush()
        time.sleep(max(0.0, begun + EVERY - time.monotonic()))


def _look(fleet: Fleet, frontends: Sequence[str], state: LiveState) -> None:
    report = fleet.look(*frontends)
    state.know_arrivals(arrivals_before(report))
    state.see(report, time.time())


class _Screen:
    def __init__(self, fleet: Fleet, frontends: Sequence[str]) -> None:
        self._fleet = fleet
        self._frontends = frontends
        self._state = LiveState()
        self._keys = Keys(fleet.max_hold)
        self._signs = Signs(sys.stdout.encoding)
        self._colours = "NO_COLOR" not in os.environ
        self._told = False

    def run(self) -> int:
        with Looker(self._fleet, self._frontends) as looker:
            first = looker.news.get()
            if isinstance(first, StillgateError):
                raise first
            self._take(first)
            try:
                with _alternate_screen(), single_keys() as keys:
                    self._show(looker, keys)
            finally:
                # What it was last stays to be read.
                say(self._state.totals(time.time()))
        return 0

    def _show(self, looker: Looker, keys: Optional[int]) -> None:
        while True:
            self._draw()
            pressed = read_key(keys, FRAME)
            if pressed is None:
                keys = None
            while not looker.news.empty():
                self._take(looker.news.get())
            action = self._keys.press(pressed, self._state) if pressed else None
            if pressed:
                self._told = False
            if action == "quit":
                return
            if action is not None:
                self._keys.tell(f"{action}: under way")
                self._told = True
                looker.call(self._call(action))

    def _take(self, news: Union[Report, StillgateError, str]) -> None:
        if isinstance(news, Report):
            self._state.know_arrivals(arrivals_before(news))
            self._state.see(news, time.time())
            if not self._told:
                self._keys.rest(self._state)
        else:
            self._keys.tell(news if isinstance(news, str) else failed_words(news))
            self._told = True

    def _call(self, action: str) -> Callable[[], str]:
        """Of that very hold, and no other that came meanwhile."""
        hold = self._state.hold
        assert hold is not None
        mine, fleet, by = hold, self._fleet.twin(), self._fleet.max_hold

        def resume() -> str:
            report = fleet.resume(*mine.frontends, hold=mine.id)
            return resumed_words(report, time.time() - mine.started_at)

        def extend() -> str:
            report = fleet.extend(*mine.frontends, seconds=by, hold=mine.id)
            deadline = report.holds[0].deadline
            return f"extended by {by:g} s" + (f", until {wall(deadline)}" if deadline else "")

        return resume if action == "resume" else extend

    def _draw(self) -> None:
        size = os.get_terminal_size(sys.stdout.fileno())
        lines = live_lines(
            self._state,
            time.time(),
            (size.columns, size.lines),
            self._signs,
            self._keys.line,
            self._colours,
        )
        text = HOME + "\r\n".join(line + TO_LINE_END for line in lines) + BELOW
        print(text, end="", flush=True)


@contextmanager
def _alternate_screen() -> Iterator[None]:
    print(ENTER, end="", flush=True)
    try:
        yield
    finally:
        print(LEAVE, end="", flush=True)
