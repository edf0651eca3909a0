"""Watches a hold for the thread that keeps it: its guard, and its gates."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Callable, Optional, Protocol

if TYPE_CHECKING:
    from stillgate.results.report import Report, Switch

log = logging.getLogger("stillgate")


def _at_once(call: Callable[[], object]) -> object:
    return call()


class Watch(Protocol):
    """Something that a hold depends on. Used only by the thread that keeps the hold."""

    saw_others: bool
    """True if somebody else's resume, or somebody by hand, has ended the hold."""
    deadline: float
    """The hold's, in seconds since the epoch, as it was seen last: `extend` may have moved it."""

    @property
    def descriptor(self) -> int:
        """Readable when there is news; -1: nothing to watch."""

    def start(self) -> None:
        """Call first; then stop() must be called later."""

    def attend(self) -> bool:
        """Call when the descriptor is readable. False if the hold is over, or if nothing would end
        it any more.
        """

    def stop(self) -> None:
        """Call before the resume, which must not wait for it."""

    def close(self) -> None:
        """Call when the resume is done."""


class _Core(Protocol):
    """The part of the engine's fleet that knows the hold's guard."""

    def guard_descriptor(self) -> int:
        ...

    def renew_guard(self) -> Optional[object]:
        ...


class GuardWatch:
    """The hold's guard: its events go to `on_line`, and when it dies another one is started. What
    there is to log goes by `tell`: the keeper of the hold waits for no handler of logs.
    """

    saw_others = False

    def __init__(
        self,
        core: _Core,
        deadline: float,
        on_line: Optional[Callable[[str], None]],
        tell: Callable[[Callable[[], object]], object] = _at_once,
    ) -> None:
        self.deadline = deadline
        self._core = core
        self._on_line = on_line
        self._tell = tell
        self._unread = b""

    @property
    def descriptor(self) -> int:
        """-1: no guard is needed."""
        return self._core.guard_descriptor()

    def start(self) -> None:
        """The guard runs already."""

    def attend(self) -> bool:
        """False if nothing guards the hold any more."""
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
            if words == b"deadline":
                self.deadline = int(document) / 1000
        return True

    def stop(self) -> None:
        """The resume ends the guard."""

    def close(self) -> None:
        """The guard has ended."""

    def _renew(self) -> bool:
        self._tell(lambda: log.warning("the guard has died; starting another"))
        self._unread = b""
        if self._core.renew_guard() is None:
            return True
        self._tell(lambda: log.error("no other guard could be started; the hold is ended"))
        return False


class GateWatch:
    """The gates of a hold. They report nothing by themselves, so a thread calls `look`, a status of
    the fleet, every EVERY_S seconds; `stop_looking` ends a running call. The hold counts as over
    when no gate that answers holds any more, twice in a row. Its deadline has moved when all of
    them say so.
    """

    EVERY_S = 0.5
    AGAIN_S = 0.1

    def __init__(
        self, suspended: Report, look: Callable[[], Report], stop_looking: Callable[[], None]
    ) -> None:
        self.saw_others = False
        self.deadline = suspended.holds[0].deadline or 0.0
        self._hold = suspended.holds[0].id
        self._gates = {
            (one.endpoint, one.frontend) for one in suspended.switches if one.method == "gate"
        }
        self._look = look
        self._stop_looking = stop_looking
        self._stopping = threading.Event()
        # Closing it is the signal: the reading end becomes readable.
        heard, over = os.pipe2(os.O_CLOEXEC)
        self._heard, self._over = open(heard, "rb", 0), open(over, "wb", 0)
        self._thread = threading.Thread(target=self._watch, name="stillgate-gates")

    @property
    def descriptor(self) -> int:
        """-1: no gate holds."""
        return self._heard.fileno() if self._gates else -1

    def start(self) -> None:
        """Errors: RuntimeError if no thread can be started."""
        if self._gates:
            self._thread.start()

    def attend(self) -> bool:
        if self._heard.read(1):
            return True
        self.saw_others = True
        return False

    def stop(self) -> None:
        """Returns at once."""
        self._stopping.set()
        if self._gates:
            self._stop_looking()

    def close(self) -> None:
        """Waits for its thread to end."""
        if self._thread.ident is not None:
            self._thread.join()
        self._heard.close()
        self._over.close()

    def _watch(self) -> None:
        over = False
        try:
            while not self._stopping.wait(self.AGAIN_S if over else self.EVERY_S):
                seen = self._look()
                self._note_deadline(seen)
                before, over = over, self._is_over(seen)
                if before and over:
                    self._over.close()
                    log.warning("the hold was ended by somebody else")
                    return
        except Exception:  # pylint: disable=broad-except
            # The gates end the hold at its deadline all the same.
            log.exception("cannot watch any longer whether somebody else ends the hold")

    def _note_deadline(self, report: Report) -> None:
        """One that was not extended opens at the old deadline: the silent one, perhaps."""
        held = {(one.endpoint, one.frontend) for one in report.switches if self._is_held(one)}
        told = [one.deadline for one in report.holds if one.id == self._hold and one.deadline]
        if told and told[0] > self.deadline and self._gates <= held:
            self.deadline = told[0]
            self._over.write(b".")

    def _is_over(self, report: Report) -> bool:
        answered = [
            one
            for one in report.switches
            if one.error is None and (one.endpoint, one.frontend) in self._gates
        ]
        return bool(answered) and not any(self._is_held(one) for one in answered)

    def _is_held(self, one: Switch) -> bool:
        return one.verdict == "held" and one.hold_id == self._hold
