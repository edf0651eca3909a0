"""Runs a command inside a hold: suspend, run, resume, and the result."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence

from stillgate.console.documents import hold_document
from stillgate.console.progress import HoldLine, ProgressLine
from stillgate.console.voice import Voice
from stillgate.errors import HoldExpired, InputError, ReportError, StillgateError
from stillgate.fleet import Fleet
from stillgate.results.report import Report
from stillgate.run_until import ENDED_BY_DEADLINE, CommandResult, Leash
from stillgate.suspension import Suspension

FAILED = (
    125  # Stillgate itself failed, as for env(1) and timeout(1); other statuses are the command's
)
GRACE = 2.0  # seconds, by default; less if the hold is shorter than twice that
STANDARD_ERROR = 2


def check_grace(grace: Optional[float], max_hold: Optional[float]) -> None:
    """Errors: InputError, if no time would be left for the command."""
    if grace is not None and max_hold is not None and grace >= max_hold:
        words = f"grace: {grace:g} s must be less than max_hold, {max_hold:g} s"
        raise InputError("bad_option", words, "grace")


class HeldCommand:
    """One hold, from its suspend to its resume. `options` are those of Fleet.suspended; `grace` is
    the seconds before the end at which the command gets SIGTERM. With `quiet_stdout` its standard
    output goes to standard error; with `talk` our own messages do, too.
    """

    def __init__(
        self,
        fleet: Fleet,
        argv: Sequence[str],
        *,
        grace: Optional[float] = None,
        quiet_stdout: bool = False,
        talk: bool = False,
    ) -> None:
        self._fleet = fleet
        self._argv = argv
        self._grace = grace
        self._quiet_stdout = quiet_stdout
        self._talk = talk
        self._held: Optional[Suspension] = None
        self.result: Optional[CommandResult] = None
        self.error: Optional[StillgateError] = None

    def run(self, frontends: Sequence[str], options: Mapping[str, Any]) -> None:
        """Raises only wrong input (InputError) and what a signal's handler raises. For all other
        failures see `status`, `error` and `document`.
        """
        max_hold = options.get("max_hold")
        check_grace(self._grace, self._fleet.max_hold if max_hold is None else max_hold)
        # What was printed before comes before what the command prints.
        sys.stdout.flush()
        try:
            with self._leash() as leash, Voice() as voice:
                self._hold(voice, frontends, {**options, "at_deadline": leash.end}, leash)
        except InputError:
            raise
        except HoldExpired as error:
            # HoldExpired is no news if the end of the hold has ended the command.
            if self.result is None or not self.result.ended_by_deadline:
                self.error = error
        except StillgateError as error:
            self.error = error

    def _leash(self) -> Leash:
        """Started before anything is held: it costs no time of the hold."""
        leash = Leash(self._argv, stdout=STANDARD_ERROR if self._quiet_stdout else None)
        try:
            leash.start()
        except OSError as error:
            raise _leash_failed("could not be started", error) from error
        return leash

    def _hold(
        self, voice: Voice, frontends: Sequence[str], options: Mapping[str, Any], leash: Leash
    ) -> None:
        """Nothing in the hold waits for its output."""
        line: Optional[HoldLine] = None
        progress = ProgressLine(voice, self._fleet)
        progress.begin()
        try:
            with self._fleet.suspended(*frontends, **options) as held:
                progress.close()
                self._held = held
                if self._talk:
                    voice.say(_held_words(held.report))
                line = HoldLine(voice, self._fleet, held)
                voice.settle()
                line.begin()
                self._work(held, leash)
                line.end()
        finally:
            progress.close()
            if line is not None:
                line.close()

    def _work(self, held: Suspension, leash: Leash) -> None:
        left = held.remaining
        grace = min(GRACE, left / 2) if self._grace is None else self._grace
        try:
            held.on_move = leash.moved
            self.result = leash.run(lambda: held.remaining, grace=grace)
        except OSError as error:
            raise _leash_failed("has ended", error) from error

    @property
    def status(self) -> int:
        """The exit status: the command's own, 124 at the deadline, 125 if Stillgate failed."""
        if isinstance(self.error, HoldExpired):
            return ENDED_BY_DEADLINE
        if self.error is not None or self.result is None:
            return FAILED
        return self.result.status

    @property
    def suspended(self) -> Optional[Report]:
        """None if the suspend gave no report."""
        if self._held is not None:
            return self._held.report
        return self.error.report if isinstance(self.error, ReportError) else None

    @property
    def resumed(self) -> Optional[Report]:
        """None if nothing was held."""
        if self._held is None:
            return None
        if self._held.resumed is not None:
            return self._held.resumed
        return self.error.report if isinstance(self.error, ReportError) else None

    def document(self) -> Dict[str, Any]:
        return hold_document(self.status, self.result, self.suspended, self.resumed, self.error)

    def last_words(self) -> List[str]:
        """For people, when no table follows."""
        words = []
        if self.resumed is not None and self.resumed.ok:
            leaked = [one.leaked for one in self.resumed.switches if one.leaked is not None]
            words.append(f"resumed; leaked {sum(leaked) if leaked else 'unknown'}")
        if self.result is not None and self.result.ended_by_deadline:
            words.append("the command was ended, because the hold ended or was about to end")
        return words


def _leash_failed(what: str, error: OSError) -> StillgateError:
    why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    words = f"the leash (it ends the command before the hold ends) {what}: {why}"
    return StillgateError("leash_failed", f"{words}; the command was not run")


def _held_words(report: Report) -> str:
    window = report.commit_window_ms
    within = "" if window is None else f", commit window {window:.2f} ms"
    drained = "" if report.drain_ms is None else f", drained in {report.drain_ms:.0f} ms"
    count = len(report.switches)
    return f"held: {count} switch{'' if count == 1 else 'es'}{within}{drained}"
