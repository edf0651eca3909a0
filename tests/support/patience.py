"""How long a busy machine keeps us from our work, measured while the tests run.

A test that bounds a time, or has to be done within one, says `patient(seconds)`: so many seconds,
and what the machine takes away meanwhile. On an idle machine that is next to nothing, so the bound
is as strict as it looks; on a busy one it grows with the delays that a thread of this very process
has suffered.
"""

from __future__ import annotations

import threading
import time
from collections import deque

HANG_S = 60.0  # the end of a wait for what does come; reached by what hangs alone
REST_S, WORK_S = 0.5, 0.01
REMEMBERED_S = 30.0
PIECES = 50  # of work: half a second, as the start of a command and all that it sets going
BAD_LUCK = 3  # of them as bad as the worst that was seen


class Scheduling:
    """A thread that rests and then works for a moment, and notes how much longer that took than on
    a machine of its own.
    """

    def __init__(self) -> None:
        self._delays: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._measure, name="scheduling", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def taken(self) -> float:
        """The seconds by which the machine may prolong what a test waits for, by what it has done
        lately.
        """
        with self._lock:
            delays = [delay for _, delay in self._delays] or [0.0]
        return PIECES * sum(delays) / len(delays) + BAD_LUCK * max(delays)

    def _measure(self) -> None:
        rest = 0.0
        while True:
            due = time.monotonic() + rest
            if self._over.wait(rest):
                return
            worked = time.thread_time()
            while time.thread_time() - worked < WORK_S:
                pass
            now = time.monotonic()
            with self._lock:
                self._delays.append((now, now - due - WORK_S))
                while self._delays[0][0] < now - REMEMBERED_S:
                    self._delays.popleft()
            rest = REST_S


scheduling = Scheduling()


def patient(seconds: float) -> float:
    """So many seconds on a machine with nothing else to do."""
    return seconds + scheduling.taken()
