"""Looks at a fleet once a second, on a thread of its own."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Callable, Optional, Sequence, Type, Union

from stillgate.errors import ReportError, StillgateError
from stillgate.fleet import Fleet
from stillgate.results.report import Report

EVERY = 1.0  # seconds between two looks


class Looker:
    """Looks once a second on a thread of its own, so that keys are heard meanwhile; and makes the
    calls that keys ask for between two looks. What comes of both is in `news`.
    """

    def __init__(self, fleet: Fleet, frontends: Sequence[str], after: float = 0.0) -> None:
        """The first look comes `after` seconds."""
        self.news: SimpleQueue[Union[Report, StillgateError, str]] = SimpleQueue()
        self._fleet = fleet
        self._frontends = frontends
        self._after = after
        self._calls: SimpleQueue[Optional[Callable[[], str]]] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="stillgate-looks", daemon=True)

    def call(self, call: Callable[[], str]) -> None:
        self._calls.put(call)

    def start(self) -> None:
        """Errors: RuntimeError, where no thread can be had."""
        self._thread.start()

    def close(self) -> None:
        """Ends a look that is under way."""
        self._calls.put(None)
        self._fleet.stop()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> Looker:
        self.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def _run(self) -> None:
        with suppress(Empty):
            if self._after and self._calls.get(timeout=self._after) is None:
                return
        while True:
            begun = time.monotonic()
            try:
                self.news.put(self._fleet.look(*self._frontends))
            except KeyboardInterrupt:
                return
            except StillgateError as error:
                self.news.put(error)
            except (MemoryError, OSError, RuntimeError):
                # The work inside a hold may have used up all there is: nothing is seen this time.
                pass
            try:
                # Also after a look that took longer, at an HAProxy that does not answer.
                call = self._calls.get(timeout=max(0.0, begun + EVERY - time.monotonic()))
            except Empty:
                continue
            if call is None:
                return
            # What it changes is seen at once.
            self._make(call)

    def _make(self, call: Callable[[], str]) -> None:
        try:
            self.news.put(call())
        except (MemoryError, OSError, RuntimeError) as error:
            self.news.put(str(error))
        except StillgateError as error:
            self.news.put(failed_words(error))
        except KeyboardInterrupt:
            self.news.put("stopped")


def failed_words(error: StillgateError) -> str:
    if isinstance(error, ReportError):
        where = next((one for one in error.report.switches if one.error), None)
        if where is not None:
            return f"{where.endpoint_name or where.endpoint}: {error.message}"
    return error.message
