"""What is said on standard error around a hold: by a thread of its own, because a terminal that is
stopped (Ctrl-S), or a pipe that nobody reads, must not keep a hold from its release.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from queue import SimpleQueue
from types import TracebackType
from typing import Optional, Type, Union

from stillgate.console.streams import descriptor_of, lead_nowhere, takes_words
from stillgate.results.printing import tamed

LOOK = 0.01  # seconds between two looks at whether it can be written at all


class Voice:
    """Everything comes out in order and nothing is lost: the end of the block waits for it, as long
    as it takes, until a signal's exception ends that. Only that thread writes meanwhile.
    """

    def __init__(self) -> None:
        self._words: SimpleQueue[Union[str, threading.Lock, None]] = SimpleQueue()
        self._busy = False
        # Who does not wait for it any more does not wait at the end of Python either.
        self._thread = threading.Thread(target=self._run, name="stillgate-voice", daemon=True)

    def say(self, words: str) -> None:
        """A line; returns at once."""
        self._words.put(tamed(words) + "\n")

    def draw(self, text: str, last: bool = False) -> None:
        """What the next drawing overwrites; left out, unless it is the `last`, while another is
        still being written. Returns at once.
        """
        if last or not (self._busy or not self._words.empty()):
            self._words.put(text)

    def settle(self) -> None:
        """Waits until all is written that can be written at all."""
        told = threading.Lock()
        told.acquire()  # pylint: disable=consider-using-with
        self._words.put(told)
        while not told.acquire(timeout=LOOK):
            if not takes_words(sys.stderr):
                return

    def close(self) -> None:
        """Waits until all is written."""
        told = threading.Lock()
        told.acquire()  # pylint: disable=consider-using-with
        self._words.put(told)
        told.acquire()  # pylint: disable=consider-using-with

    def __enter__(self) -> Voice:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.settle()
        self._words.put(None)

    def _run(self) -> None:
        while (words := self._words.get()) is not None:
            if isinstance(words, str):
                self._busy = True
                _write(words)
                self._busy = False
            else:
                words.release()


def _write(text: str) -> None:
    """Past the stream's own buffer, whose lock would keep the end of Python waiting."""
    number = descriptor_of(sys.stderr)
    if number is None:
        print(text, end="", file=sys.stderr, flush=True)
        return
    left = memoryview(text.encode(sys.stderr.encoding or "utf-8", "backslashreplace"))
    while left:
        try:
            written = os.write(number, left)
            left = left[written:]
        except BlockingIOError:
            select.select([], [number], [])
        except OSError:
            # A command that inherits it is not to meet that again.
            lead_nowhere(number)
            return
