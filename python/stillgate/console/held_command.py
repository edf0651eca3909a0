"""Runs a command inside a hold: suspend, run, undo where it failed, resume, and the result."""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any, Dict, List, Mapping, Optional, Sequence

from stillgate.clock import boot_time
from stillgate.console.documents import What, hold_document
from stillgate.console.hold_screen import HoldLines, HoldScreen, HoldView
from stillgate.console.keyboard import Keyboard, controlling_keyboard, is_terminal, own_keyboard
from stillgate.console.next_step import after_hold
from stillgate.console.progress import ProgressLine
from stillgate.console.sentences import rejecting_words, resumed_words
from stillgate.console.show import get_ready_to_show
from stillgate.console.streams import open_nowhere, say
from stillgate.console.voice import Voice
from stillgate.console.wishes import Wishes
from stillgate.continuing import CONTINUES, command_environment, undo_argv, will
from stillgate.errors import HoldExpired, InputError, ReportError, StillgateError
from stillgate.fleet import Fleet
from stillgate.options import Progress
from stillgate.postgres import knows_check_interval
from stillgate.results.report import Report
from stillgate.run_until import ENDED_BY_DEADLINE, CommandResult, Leash
from stillgate.suspension import Suspension

FAILED = (
    125  # Stillgate itself failed, as for env(1) and timeout(1); other statuses are the command's
)
UNDO_FAILED = 123  # the command failed, and so did --on-failure, or it could not be run any more
GRACE = 2.0  # seconds, by default; less if the hold is shorter than twice that
UNDO_SHARE = 3  # of the time of a hold, one part in so many is kept for --on-failure, by default
LOOK = 0.1  # seconds
STOPPED = (
    "this process was stopped for so long that --on-failure had to be run; the cutover was not "
    "begun"
)
TO_RELEASE = 0.5  # seconds of a hold that are kept for its end
STANDARD_ERROR = 2


class HeldCommand:
    """One hold, from its suspend to its resume. With `quiet_stdout` the command's standard output
    goes to standard error; with `talk` our own messages do, too.
    """

    def __init__(
        self,
        fleet: Fleet,
        argv: Sequence[str],
        *,
        wishes: Wishes = Wishes(),
        quiet_stdout: bool = False,
        talk: bool = False,
    ) -> None:
        self._fleet = fleet
        self._argv = argv
        self._wishes = wishes
        self._quiet_stdout = quiet_stdout
        self._talk = talk
        self._voice: Optional[Voice] = None
        self._held: Optional[Suspension] = None
        self._command: Optional[Leash] = None
        self._undoing: Optional[Leash] = None
        self._nothing: Optional[int] = None  # in place of standard input, which keys come from
        self._over = threading.Event()
        self._kept = False
        self._has_cutover = self._rejects = False
        self._not_cut: Optional[StillgateError] = None
        self._undo_time = 0.0  # kept of the hold for --on-failure
        self._failed = "the command failed"
        self._check_interval = False
        self.result: Optional[CommandResult] = None
        self.undone: Optional[CommandResult] = None
        self._undo_missed = False
        self._held_s: Optional[float] = None
        self.error: Optional[StillgateError] = None

    def run(self, frontends: Sequence[str], options: Mapping[str, Any]) -> None:
        """Raises only wrong input (InputError) and what a signal's handler raises. For all other
        failures see `status`, `error` and `document`. `options` are those of Fleet.suspended.
        """
        self._has_cutover = options.get("cutover") is not None
        self._rejects = options.get("on_expiry") == "reject"
        max_hold = options.get("max_hold")
        self._wishes.check(self._fleet.max_hold if max_hold is None else max_hold)
        get_ready_to_show()
        self._ask_postgres()
        # What was printed before comes before what the command prints.
        sys.stdout.flush()
        try:
            with ExitStack() as around:
                keyboard = self._hear_keys(around)
                self._command = around.enter_context(self._leash(self._argv))
                self._undoing = around.enter_context(self._leash(self._undo_argv()))
                with Voice() as voice:
                    self._voice = voice
                    told = {**options, "at_deadline": self._end_all}
                    self._hold(voice, frontends, told, keyboard)
        except InputError:
            raise
        except HoldExpired as error:
            # No news if the end of the hold has ended the command, or was waited for.
            ended = self.result is not None and self.result.ended_by_deadline
            if not ended and not self._kept and self._not_cut is None:
                self.error = error
        except StillgateError as error:
            self.error = error

    def _hear_keys(self, around: ExitStack) -> Optional[Keyboard]:
        """Where they come from. Without being asked for only where they cannot be the command's:
        what it reads is no terminal, and nothing else at this terminal reads our output.
        """
        at_terminal = is_terminal(sys.stdin)
        if self._wishes.keys:
            keyboard = own_keyboard()
            if keyboard is None:
                words = "keys: there is no terminal to read from, or this is in its background"
                raise InputError("bad_option", words, "keys")
            if at_terminal:
                # Both cannot have what is typed.
                self._nothing = open_nowhere()
                around.callback(os.close, self._nothing)
        elif self._shown == "screen" and not at_terminal and is_terminal(sys.stdout):
            keyboard = controlling_keyboard()
        else:
            return None
        if keyboard is not None:
            around.callback(keyboard.end)
        return keyboard

    @property
    def _shown(self) -> Progress:
        at_screen = is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"
        return self._wishes.progress or ("screen" if at_screen else "lines")

    def _view(self, voice: Voice, held: Suspension, keyboard: Optional[Keyboard]) -> HoldView:
        if self._shown == "screen":
            return HoldScreen(voice, self._fleet, held, keyboard)
        if self._shown == "lines":
            return HoldLines(voice, self._fleet, held, as_json=self._quiet_stdout)
        return HoldView(voice, self._fleet, held)

    def _ask_postgres(self) -> None:
        if not self._wishes.postgres:
            return
        self._check_interval, why = knows_check_interval(os.environ)
        if why:
            say(
                "stillgate: postgres: client_connection_check_interval is left out, because the "
                f"server that PGHOST, PGSERVICE and so on name could not be asked: {why}",
                sys.stderr,
            )

    def _undo_argv(self) -> List[str]:
        if self._wishes.on_failure is None and not self._has_cutover:
            return []
        # Without a command it only continues a cutover.
        return undo_argv(self._wishes.on_failure or "")

    def _leash(self, argv: Sequence[str]) -> Leash:
        """Started before anything is held: it costs no time of the hold."""
        stdout = STANDARD_ERROR if self._quiet_stdout else None
        leash = Leash(argv, stdin=self._nothing, stdout=stdout)
        try:
            if argv:
                leash.start()
        except OSError as error:
            leash.__exit__(None, None, None)
            raise _leash_failed("could not be started", error) from error
        return leash

    def _end_all(self) -> None:
        """The hold is over. From another thread."""
        for leash in (self._command, self._undoing):
            if leash is not None:
                leash.end()
        self._over.set()

    def _moved(self) -> None:
        for leash in (self._command, self._undoing):
            if leash is not None:
                leash.moved()

    def _hold(
        self,
        voice: Voice,
        frontends: Sequence[str],
        options: Mapping[str, Any],
        keyboard: Optional[Keyboard],
    ) -> None:
        """Nothing in the hold waits for its output."""
        view: Optional[HoldView] = None
        begun: Optional[float] = None
        progress = ProgressLine(voice, self._fleet)
        progress.begin()
        try:
            hold = self._fleet.suspended(*frontends, **options)
            # This one's leash knows --on-failure, too.
            hold.leashed = False
            with hold as held:
                progress.close()
                self._held = held
                begun = boot_time() - max(0.0, time.time() - held.holds[0].started_at)
                held.on_move = self._moved
                self._tell(_held_words(held.report))
                for words in held.report.cutover.unshown if held.report.cutover else []:
                    self._tell(f"note: {words}")
                view = self._view(voice, held, keyboard)
                voice.settle()
                view.begin()
                with view.leaving_at_a_stop():
                    self._course(held)
                view.end()
        finally:
            if begun is not None and self._held is not None:
                self._held_s = (self._held.over_at or boot_time()) - begun
            progress.close()
            if view is not None:
                view.close()

    # --- inside the hold ------------------------------------------------------------------

    def _course(self, held: Suspension) -> None:
        """What happens inside the hold, in its order. What follows is the release."""
        held.cut_over = False
        try:
            self.result = self._migrate(held)
            done = self.result.status == 0 and self._cut_over(held)
            if done and not self._has_cutover:
                self._disarm()
        except StillgateError:
            # It was not run.
            raise
        except BaseException:
            # Ctrl-C has ended it half-way; but new code that serves already needs the new schema.
            if self._cutover_state() != "applied":
                self._undo(held)
            else:
                self._disarm()
            raise
        if not done and not self._undo(held):
            self._keep(held)

    def _cut_over(self, held: Suspension) -> bool:
        """Whether what is to serve does, or nothing was asked for. Else it is undone everywhere:
        the old code would meet the new schema, so that the migration has failed, too.
        """
        if not self._has_cutover:
            return True
        try:
            # What may take long is over before nobody would undo the migration any more.
            held.prove_cutover(self._undo_time)
            if not self._arm_to_continue(held):
                raise StillgateError("cutover_too_late", STOPPED)
            held.apply_cutover(self._undo_time)
            self._disarm()
        except StillgateError as error:
            if self._wishes.on_failure is None:
                self._disarm()
            self.error = self._not_cut = error
            self._failed = "the cutover could not be had"
            return False
        return True

    def _migrate(self, held: Suspension) -> CommandResult:
        assert self._command is not None
        held.mark("command", "it began")
        if self._wishes.on_failure is not None:
            share = held.remaining / UNDO_SHARE
            self._undo_time = share if self._wishes.undo_time is None else self._wishes.undo_time
            self._arm(held)
        try:
            done = self._run(self._command, held, self._undo_time, self._wishes.grace)
        except BaseException:
            held.mark("command_ended", "stopped")
            raise
        held.mark("command_ended", _ended_words(done))
        return done

    def _undo(self, held: Suspension) -> bool:
        """Whether the database is as it was before."""
        if self._wishes.on_failure is None:
            return False
        assert self._undoing is not None
        if (held.expired or held.remaining <= 0) and self._disarm():
            self._undo_missed = True
            return False
        self._tell(f"{self._failed}; running --on-failure, {held.remaining:.1f} s left")
        self._arm(held)
        held.mark("undo", "--on-failure began")
        self.undone = self._run(self._undoing, held, 0.0, None)
        held.mark("undo_ended", _ended_words(self.undone))
        if self.undone.status == 0 and self._cutover_state() == "unknown":
            self._bring_back(held)
        return self.undone.status == 0

    def _arm(self, held: Suspension) -> None:
        """From now on the leash undoes the command, should this process be killed. It gets the time
        that is there in any case.
        """
        assert self._undoing is not None
        if not self._undoing.is_waiting():
            # It has done so, because this process was stopped: what is left is to hear of it.
            return
        seconds = min(held.remaining, self._undo_time)
        grace = min(GRACE, seconds / 2)
        self._undoing.arm(
            lambda: held.remaining,
            # Without a cutover a command that has succeeded is to stay.
            share=seconds if self._has_cutover else 0.0,
            grace=grace,
            gently=self._wishes.signal == "INT",
            environment=self._environment(held, seconds, held.remaining, grace),
            after=self._command,
        )

    def _arm_to_continue(self, held: Suspension) -> bool:
        """From now on a change may be on its way: should this process be killed, the leash
        continues the cutover. False if it has begun to undo the command, because this process was
        stopped.
        """
        assert self._undoing is not None
        grace = min(GRACE, self._undo_time / 2)
        pg = self._check_interval if self._wishes.postgres else None
        try:
            testament = will(held.told(), held.remaining, grace, pg)
        except OSError as error:
            if self._wishes.on_failure is None:
                # Nobody undoes the command: the old code would meet what it has done.
                return True
            words = f"the leash could not get the cutover to continue: {error.strerror}"
            raise StillgateError("leash_failed", f"{words}; nothing was cut over") from error
        try:
            self._undoing.arm(
                lambda: held.remaining,
                # A process that is stopped may still write: it is continued in place of that.
                share=0.0,
                awake=True,
                grace=grace,
                gently=self._wishes.signal == "INT",
                environment={CONTINUES: "1"},
                after=self._command,
                stdin=testament,
            )
        finally:
            os.close(testament)
        return self._undoing.is_waiting()

    def _disarm(self) -> bool:
        """False if the leash has begun to undo the command, because this process was stopped."""
        if self._undoing is None or not self._undo_argv():
            return True
        return self._undoing.disarm()

    def _bring_back(self, held: Suspension) -> None:
        """The old schema is there again, and one HAProxy may have the new code: nothing is released
        before it can be asked, or the hold is about to end.
        """
        self._tell(
            "the cutover is not undone everywhere; all stay held until it is, for at most "
            f"{max(held.remaining - TO_RELEASE, 0.0):.1f} s"
        )
        while held.remaining > TO_RELEASE and not self._over.wait(LOOK):
            back = held.take_cutover_back()
            if back is not None:
                self.error = self._not_cut = back
                return

    def _keep(self, held: Suspension) -> None:
        if not self._wishes.keep_on_failure or held.expired:
            return
        self._kept = True
        self._tell(_keep_words(self._failed, held))
        while not self._over.wait(LOOK):
            pass

    def _run(
        self, leash: Leash, held: Suspension, kept: float, grace: Optional[float]
    ) -> CommandResult:
        """Until `kept` seconds before the hold's end."""

        def left() -> float:
            return held.remaining - kept

        seconds = left()
        grace = min(GRACE, seconds / 2) if grace is None else grace
        told = self._environment(held, seconds, seconds, grace)
        gently = self._wishes.signal == "INT"
        try:
            return leash.run(left, grace=grace, gently=gently, environment=told)
        except OSError as error:
            raise _leash_failed("has ended", error) from error

    def _environment(
        self, held: Suspension, seconds: float, until: float, grace: float
    ) -> Dict[str, str]:
        """What a command gets: it has so many seconds, `until` so many from now."""
        statements = seconds - grace if self._wishes.postgres else None
        return command_environment(
            held.holds[0].id,
            seconds,
            until,
            self._cutover_state(),
            statements,
            self._check_interval,
        )

    def _tell(self, words: str) -> None:
        if self._talk and self._voice is not None:
            self._voice.say(words)

    # --- what came of it ------------------------------------------------------------------

    @property
    def was_stopped_looking(self) -> bool:
        """A signal has ended the look after the cutover: all the rest is done."""
        return self._held is not None and self._held.is_looking

    @property
    def status(self) -> int:
        """The exit status: the command's own, 123 if the undo did not work either, 124 at the
        deadline, 125 if Stillgate failed.
        """
        if isinstance(self.error, HoldExpired):
            return ENDED_BY_DEADLINE
        if self.result is None or self.error is not self._not_cut:
            return FAILED
        if self.what.undo in ("failed", "ended", "missed"):
            return UNDO_FAILED
        return self.result.status if self._not_cut is None else FAILED

    @property
    def what(self) -> What:
        """The four words."""
        undo = "missed" if self._undo_missed else _word_of(self.undone)
        return What(_word_of(self.result), undo, self._cutover_state(), self._traffic())

    def _cutover_state(self) -> str:
        cut = self.cutover.cutover if self.cutover else None
        return cut.state if cut else "none"

    def _traffic(self) -> str:
        if self._held is None:
            return "none"
        if self._held.expired:
            return "expired"
        verdicts = [one.verdict for one in self.resumed.switches] if self.resumed else ["unknown"]
        return next((word for word in ("held", "unknown") if word in verdicts), "released")

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

    @property
    def cutover(self) -> Optional[Report]:
        """None if none was begun."""
        return self._held.cutover if self._held is not None else None

    def document(self) -> Dict[str, Any]:
        return hold_document(
            self.status,
            self.result,
            self.undone,
            self.what,
            self.suspended,
            self.cutover,
            self.resumed,
            self.error,
        )

    def last_words(self) -> List[str]:
        """For people, when no table follows."""
        words = []
        if self.resumed is not None and self.resumed.ok:
            words.append(resumed_words(self.resumed, self._held_s))
        if self._not_cut is not None and self.what.undo == "none":
            words.append(
                "the command succeeded and the cutover did not: the old code meets what the "
                "command has done; undo that, or bring the new code up (stillgate cutover)"
            )
        if self._not_cut is not None and self.error is not self._not_cut:
            # What the release met is told instead of it.
            words.append(str(self._not_cut))
        if self.result is not None and self.result.ended_by_deadline:
            words.append("the command was ended, because the hold ended or was about to end")
        if self._rejects and self.resumed is not None:
            left = rejecting_words(self.resumed.switches, self.what.cutover == "unknown")
            words += [] if left is None else [left]
        if self._held is not None and self.status != 0:
            words.append(self.what.words())
        return words

    def next_step(self) -> Optional[str]:
        """The very last line for people: what is true of the traffic now, and what to type."""
        return after_hold(self.status, self.suspended, self.resumed, time.time())


def _leash_failed(what: str, error: OSError) -> StillgateError:
    why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    words = f"the leash (it ends the command before the hold ends) {what}: {why}"
    return StillgateError("leash_failed", f"{words}; the command was not run")


def _word_of(result: Optional[CommandResult]) -> str:
    """What became of a command."""
    if result is None:
        return "none"
    if result.ended_by_deadline:
        return "ended"
    return "failed" if result.status else "done"


def _ended_words(result: CommandResult) -> str:
    if result.ended_by_deadline:
        return "ended, because the hold ended or was about to end"
    return f"with status {result.status}"


def _keep_words(failed: str, held: Suspension) -> str:
    hold = held.holds[0]
    names = sorted({one.frontend for one in held.report.switches})
    there = [f"--hold={hold.id}"]
    for url in dict.fromkeys(one.endpoint for one in held.report.switches):
        there += ["-e", url]
    release, more = (
        shlex.join(["stillgate", *words, *there])
        for words in (["resume", *names], ["extend", "60", *names])
    )
    return (
        f"{failed}; {', '.join(names)} stays held for {held.remaining:.1f} s more, so "
        f"that you can repair it. To let the traffic go now (or Ctrl-C here): {release}\n"
        f"For 60 s more: {more}"
    )


def _held_words(report: Report) -> str:
    window = report.commit_window_ms
    within = "" if window is None else f", commit window {window:.2f} ms"
    drained = "" if report.drain_ms is None else f", drained in {report.drain_ms:.0f} ms"
    count = len(report.switches)
    return f"held: {count} switch{'' if count == 1 else 'es'}{within}{drained}"
