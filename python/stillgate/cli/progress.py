"""A progress line on a terminal, for calls that take longer than half a second."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Optional, Type

from stillgate.fleet import Fleet

PATIENCE = 0.5  # seconds before anything is shown
STEP = 0.1  # seconds between two looks
CLEAR = "\r\x1b[K"


class ProgressLine:
    """Draws on standard error while its block runs; the call itself runs without the GIL."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True)

    def __enter__(self) -> None:
        if sys.stderr.isatty():
            self._thread.start()

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _draw(self) -> None:
        if self._over.wait(PATIENCE):
            return
        total = len(self._fleet.endpoints)
        while not self._over.wait(STEP):
            phase, connected, answered = self._fleet.progress()
            line = f"{phase}: {connected} of {total} connected, {answered} answered"
            print(f"{CLEAR}{line}", end="", file=sys.stderr, flush=True)
        print(CLEAR, end="", file=sys.stderr, flush=True)
