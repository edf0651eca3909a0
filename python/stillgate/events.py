"""Events of holds: passes a line to a caller's function."""

from __future__ import annotations

import json
import logging
import threading
from queue import SimpleQueue
from typing import Any, Callable, Dict, Optional

Listener = Callable[[Dict[str, Any]], object]
log = logging.getLogger("stillgate")


def to_listener(listener: Optional[Listener]) -> Optional[Callable[[str], None]]:
    """What the engine calls with each line. An exception of the listener is logged; it ends no
    hold.
    """
    if listener is None:
        return None
    given = listener

    def told(line: str) -> None:
        try:
            given(json.loads(line))
        except Exception:
            log.exception("on_event raised; the hold continues")

    return told


class Teller:
    """Makes calls on a thread of its own, one after the other: whoever keeps a hold waits for no
    listener and no handler of logs, which may write to a terminal that is stopped.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Optional[Callable[[], object]]] = SimpleQueue()
        # A bare lock, which no exception of a signal leaves half taken.
        self._talking = threading.Lock()
        self._talking.acquire()  # pylint: disable=consider-using-with
        # Who is stopped in close() does not wait for it any more.
        self._thread = threading.Thread(target=self._run, name="stillgate-teller", daemon=True)

    def start(self) -> None:
        """Errors: RuntimeError where there can be no other thread."""
        self._thread.start()

    def tell(self, call: Callable[[], object]) -> None:
        """Returns at once."""
        self._calls.put(call)

    def telling(self, listener: Optional[Callable[[str], None]]) -> Optional[Callable[[str], None]]:
        """What a line is given to, so that `listener` gets it here."""
        if listener is None:
            return None
        given = listener
        return lambda line: self.tell(lambda: given(line))

    def end(self) -> None:
        """Has its thread end after the calls that it was given, and does not wait for it."""
        self._calls.put(None)

    def close(self) -> None:
        """Waits until all calls are made; a signal's exception ends the waiting."""
        if self._thread.ident is not None:
            self.end()
            self._talking.acquire()  # pylint: disable=consider-using-with

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except BaseException:  # pylint: disable=broad-except
                log.exception("a listener or a log handler failed")
        self._talking.release()
