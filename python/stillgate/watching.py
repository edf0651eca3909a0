"""What the keeper of a hold watches: the guard, and the gates."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Callable, Optional, Protocol

if TYPE_CHECKING:
    from stillgate.results.report import Report, Switch

log = logging.getLogger("stillgate")


class Watch(Protocol):
    """Something that a hold depends on. For the one thread that keeps the hold."""

    saw_others: bool
    """It was somebody's resume, or a hand, that ended the hold."""

    @property
    def descriptor(self) -> int:
        """Readable where there is something to attend to; -1: there is nothing to watch."""

    def start(self) -> None:
        """Call before all else; whoever does calls stop() later."""

    def attend(self) -> bool:
        """Call when the descriptor is readable. False where the hold is over, or would have nobody
        to end it.
        """

    def stop(self) -> None:
        """Call before the resume, which is not to wait for it."""

    def close(self) -> None:
        """Call when the resume is done."""


class _Core(Protocol):
    """What of the engine's fleet knows the hold's guard."""

    def guard_descriptor(self) -> int:
        ...

    def renew_guard(self) -> Optional[object]:
        ...


class GuardWatch:
    """The hold's guard: its events go to `on_line`, and when it dies another one is started."""

    saw_others = False

    def __init__(self, core: _Core, on_line: Optional[Callable[[str], None]]) -> None:
        self._core = core
        self._on_line = on_line
        self._unread = b""

    @property
    def descriptor(self) -> int:
        """-1: no guard is needed."""
        return self._core.guard_descriptor()

    def start(self) -> None:
        """It runs already."""

    def attend(self) -> bool:
        """False where nothing guards the hold any more."""
        try:
            said = os.read(self.descriptor, 65536)
        except OSError:
            said = b""
        if not said:
            return self._renew()
        *lines, self._unread = (self._unread + said).split(b"\n")
        for line in lines:
            words, _, document = line.partition(b" ")
            if words == b"event" and self._on_line is not None:
                self._on_line(document.decode("utf-8", "replace"))
        return True

    def stop(self) -> None:
        """The resume sends it home."""

    def close(self) -> None:
        """It is gone."""

    def _renew(self) -> bool:
        log.warning("the guard has died; starting another")
        self._unread = b""
        if self._core.renew_guard() is None:
            return True
        log.error("no other guard could be started; the hold is ended now")
        return False


class GateWatch:
    """The gates of a hold, which say nothing by themselves: `look`, a status of the fleet, is taken
    again and again on a thread of its own, and `stop_looking` ends one that is under way. The hold
    counts as over when none of those that answer holds for it any more, seen twice in a row.
    """

    EVERY_S = 0.5
    AGAIN_S = 0.1

    def __init__(
        self, suspended: Report, look: Callable[[], Report], stop_looking: Callable[[], None]
    ) -> None:
        self.saw_others = False
        self._hold = suspended.holds[0].id
        self._gates = {
            (one.endpoint, one.frontend) for one in suspended.switches if one.method == "gate"
        }
        self._look = look
        self._stop_looking = stop_looking
        self._stopping = threading.Event()
        # Its closing is the news: the reading end is readable then.
        heard, over = os.pipe2(os.O_CLOEXEC)
        self._heard, self._over = open(heard, "rb", 0), open(over, "wb", 0)
        self._thread = threading.Thread(target=self._watch, name="stillgate-gates")

    @property
    def descriptor(self) -> int:
        """-1: no gate holds."""
        return self._heard.fileno() if self._gates else -1

    def start(self) -> None:
        """Errors: RuntimeError where there can be no other thread."""
        if self._gates:
            self._thread.start()

    def attend(self) -> bool:
        """Always False."""
        self.saw_others = True
        return False

    def stop(self) -> None:
        """Returns at once."""
        self._stopping.set()
        if self._gates:
            self._stop_looking()

    def close(self) -> None:
        """Waits for its thread, which has nothing to do any more."""
        if self._thread.ident is not None:
            self._thread.join()
        self._heard.close()
        self._over.close()

    def _watch(self) -> None:
        over = False
        try:
            while not self._stopping.wait(self.AGAIN_S if over else self.EVERY_S):
                before, over = over, self._is_over(self._look())
                if before and over:
                    log.warning("the hold was ended by somebody else")
                    self._over.close()
                    return
        except Exception:  # pylint: disable=broad-except
            # The gates end the hold at its deadline all the same.
            log.exception("cannot watch any longer whether somebody else ends the hold")

    def _is_over(self, report: Report) -> bool:
        answered = [
            one
            for one in report.switches
            if one.error is None and (one.endpoint, one.frontend) in self._gates
        ]
        return bool(answered) and not any(self._is_held(one) for one in answered)

    def _is_held(self, one: Switch) -> bool:
        return one.verdict == "held" and one.hold_id == self._hold
