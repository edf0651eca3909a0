"""One call of a Fabric task: from settings and flags to a report, a table and an exit status."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    NoReturn,
    Optional,
    Sequence,
    Type,
    Union,
)

from fabric import Connection
from invoke.exceptions import Exit

from stillgate.console.documents import (
    failure_document,
    rehearsal_document,
    still_held_document,
    to_json,
)
from stillgate.console.held_command import FAILED, HeldCommand
from stillgate.console.hints import hinted, hinted_report, options_of_call
from stillgate.console.next_step import next_step
from stillgate.console.progress import with_progress
from stillgate.console.show import show_rehearsal, show_report
from stillgate.console.streams import put, say, telling
from stillgate.console.wishes import Wishes
from stillgate.cutovers import UNNAMED, add_given, cutover_named, cutover_of
from stillgate.errors import InputError, ReportError, StillgateError, StillHeld, error_of
from stillgate.fabric.dry import dry_lines
from stillgate.fabric.hosts import patience_of, urls_of
from stillgate.fabric.once_for_all_hosts import Told
from stillgate.fabric.settings import Settings, read_settings
from stillgate.fabric.values import Host
from stillgate.fleet import Fleet
from stillgate.options import BY_NAME, OPTIONS, call_names
from stillgate.ownership import is_mine
from stillgate.results.cutover import Cutover
from stillgate.results.printing import tamed
from stillgate.results.rehearsal import Rehearsal
from stillgate.results.report import Report
from stillgate.run_until import CommandResult

STOPPED = 130


class TaskFailed(Exit):  # type: ignore[misc]
    """What a task raises: Fabric ends with its status and message.

    `error` is Stillgate's exception, or None if the command inside a hold failed; `result` is then
    that command's. `report` has each endpoint and frontend that was contacted; for `hold` it is the
    last report.
    """

    def __init__(
        self,
        message: str,
        status: int,
        error: Optional[StillgateError] = None,
        report: Optional[Report] = None,
        result: Optional[CommandResult] = None,
    ) -> None:
        super().__init__(message, status)
        self.error = error
        self.report = error.report if isinstance(error, ReportError) else report
        self.result = result


class TaskCall:
    """`context` is Fabric's, or what a task has collected from it. `flags` have the names of the
    settings that they override.
    """

    def __init__(self, action: str, context: Any, flags: Mapping[str, Any], as_json: bool) -> None:
        self._action = action
        self._told = context if isinstance(context, Told) else Told(context)
        self._flags = flags
        self._as_json = as_json
        self._signals = _Signals()
        # How the command line names this fleet, for the commands in messages.
        self._there: List[str] = []

    def report(self) -> Optional[Report]:
        """All verbs except hold, with the options that were given. None in a dry run.
        Errors: TaskFailed, after everything was shown.
        """
        with self._ending():
            settings, fleet, names = self._prepared()
            if self._dry():
                self._show_dry(fleet, names, settings)
                return None
            told = settings.told(*call_names(self._action))
            return with_progress(fleet, lambda quiet: self._called(fleet, names, told, quiet))

    def _called(
        self,
        fleet: Fleet,
        names: Sequence[str],
        told: Mapping[str, Any],
        quiet: Callable[[], None],
    ) -> Report:
        def tell(report: Report) -> Report:
            if report.exit_status:
                raise error_of(report)
            quiet()
            self._show(report)
            return report

        def receive(report: Report) -> Report:
            tell(report)
            self._signals.defer()
            return report

        if self._action == "suspend":
            # The exit status says that nothing is held, so it must be true.
            return fleet.suspend_then(receive, *names, **told)
        verb: Callable[..., Report] = getattr(fleet, self._action)
        return tell(verb(*names, **told))

    def cutover(self, name: Any) -> Optional[Report]:
        """None in a dry run. Errors: TaskFailed, after everything was shown."""
        with self._ending():
            if not isinstance(name, Cutover) and (not isinstance(name, str) or not name):
                raise InputError("bad_option", "--name: name a cutover of the inventory", "name")
            settings, fleet, _ = self._prepared(name)
            if self._dry():
                self._show_dry(fleet, [], settings)
                return None
            report = fleet.cutover(name, **settings.told(*call_names("cutover")))
            self._show(report)
            return report

    def rehearse(self) -> Optional[Rehearsal]:
        """None in a dry run. Errors: TaskFailed, after everything was shown."""
        with self._ending():
            settings, fleet, names = self._prepared()
            if self._dry():
                self._show_dry(fleet, names, settings)
                return None
            told = settings.told(*call_names("rehearse"))
            found = with_progress(fleet, lambda quiet: fleet.rehearse(*names, **told))
            with telling():
                if self._as_json:
                    put(to_json(rehearsal_document(found)))
                else:
                    show_rehearsal(found)
        if found.exit_status:
            words = "stillgate: rehearse: refused, or an HAProxy does not answer"
            raise TaskFailed(words, found.exit_status, report=found.check)
        return found

    def hold(self, command: Any) -> Optional[CommandResult]:
        """Runs `command`, for /bin/sh, inside a hold. None in a dry run. Errors: TaskFailed."""
        with self._ending():
            if not isinstance(command, str) or not command.strip():
                raise InputError("bad_option", "--run: name the command to run", "run")
            settings, fleet, names = self._prepared()
            if self._dry():
                self._show_dry(fleet, names, settings, command)
                return None
            told = settings.told(*call_names("hold"))
            course = HeldCommand(
                fleet,
                ["/bin/sh", "-c", command],
                wishes=Wishes(**settings.told(*Wishes.names())),
                quiet_stdout=self._as_json,
            )
            course.run(names, told)
            self._show_course(course)
        if course.status:
            last = course.resumed or course.suspended
            told_now = [] if self._as_json else [course.next_step() or ""]
            words = "\n".join(filter(None, [_ended_words(course), *told_now]))
            raise TaskFailed(
                self._hinted(words), course.status, course.error, last, course.result
            ) from course.error
        return course.result

    def _show_course(self, course: HeldCommand) -> None:
        with telling():
            if self._as_json:
                put(to_json(course.document()))
            elif isinstance(course.error, ReportError):
                show_report(hinted_report(course.error.report, self._there))

    # --- before -----------------------------------------------------------------------

    def _prepared(
        self, cutover: Union[str, Cutover, None] = None
    ) -> tuple[Settings, Fleet, Sequence[str]]:
        """Checks all input before anything is sent. `cutover`: that of the verb of that name; else
        the settings have one or none.
        """
        connections = self._told.connections
        settings = read_settings(
            self._told.given,
            self._flags,
            self._told.environment,
            with_hosts=bool(connections),
        )
        if settings.hosts and not connections:
            connections = [self._connection(host) for host in settings.hosts]
        fleet = self._fleet(settings, connections)
        by_name = None if connections else settings.fleet
        urls = [] if by_name is not None else fleet.endpoints
        self._there = options_of_call(by_name, urls, settings.inventory if by_name else None)
        names = settings.frontends or tuple(fleet.frontends)
        if not names and self._action not in ("status", "cutover"):
            raise InputError(
                "bad_name",
                "frontends: name at least one, in the settings or by --frontend",
                "frontends",
            )
        if self._action == "extend" and "seconds" not in settings.options:
            raise InputError("bad_option", "--seconds: give a number of seconds", "seconds")
        settings = _with_given_cutover(settings, fleet, cutover)
        # That of the settings is for calls to which it applies; a flag is for this one.
        cuts_over = "cutover" in settings.options and not settings.options.get("back")
        if not cuts_over and not self._flags.get("ready_first"):
            settings = settings.without("ready_first")
        return settings, fleet, names

    def _fleet(self, settings: Settings, connections: Sequence[Connection]) -> Fleet:
        options = settings.told(*(one.name for one in OPTIONS if one.of == "fleet"))
        if connections:
            assert settings.socket is not None
            patience = patience_of(connections)
            if patience is not None:
                options.setdefault("connect_timeout", patience)
            return Fleet(urls_of(connections, settings.socket, settings.auth), **options)
        if settings.fleet is not None:
            return Fleet.load(settings.fleet, settings.inventory, **options)
        return Fleet(settings.endpoints, **options)

    def _connection(self, host: Host) -> Connection:
        """Makes a Connection as Fabric does for a task's hosts."""
        try:
            if isinstance(host, str):
                return Connection(host, config=self._told.config)
            return Connection(**{**host, "config": self._told.config})
        except (TypeError, ValueError) as error:
            raise InputError("bad_endpoint", f"host {host!r}: {error}", "hosts") from error

    def _dry(self) -> bool:
        """`fab --dry`: Fabric runs the bodies of tasks nevertheless."""
        return bool(self._told.config.run.dry)

    # --- after ------------------------------------------------------------------------

    def _show(self, report: Report) -> None:
        with telling():
            if self._as_json:
                put(to_json(report.document))
                return
            show_report(hinted_report(report, self._there))
            words = next_step(report, time.time(), is_mine)
            if words is not None:
                put(self._hinted(words))

    def _hinted(self, words: str) -> str:
        return hinted(words, self._there)

    def _show_dry(
        self, fleet: Fleet, names: Sequence[str], settings: Settings, command: str = ""
    ) -> None:
        """On standard error: a dry run has no result, and no JSON document."""
        out = sys.stderr if self._as_json else sys.stdout
        has_cutover = self._action in BY_NAME["serve"].verbs
        wanted = settings.options.get("cutover") if has_cutover else None
        if isinstance(wanted, str) and not settings.options.get("back"):
            wanted = cutover_named(fleet.cutovers, wanted)
        lines = dry_lines(self._action, fleet.endpoints, names, settings.options, command, wanted)
        for line in lines:
            say(line, out)
        say("dry run: nothing was sent", out)
        out.flush()

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Shows what went wrong, and ends the task with the exit status of the command line."""
        failed = FAILED if self._action == "hold" else None
        try:
            with self._signals:
                yield
        except ReportError as error:
            self._show(error.report)
            self._exit(str(error), failed or error.report.exit_status, error)
        except InputError as error:
            self._show_failure(error)
            self._exit(error.message, error.exit_status, error)
        except StillgateError as error:
            self._show_failure(error)
            self._exit(str(error), failed or error.exit_status, error)
        except KeyboardInterrupt as error:
            held = StillHeld.of(error)
            if held is not None:
                self._show_still_held(held, failed or held.exit_status)
            self._show_failure(StillgateError("cancelled", "stopped by a signal"))
            self._exit("stopped", STOPPED, error)

    def _show_failure(self, error: StillgateError) -> None:
        if self._as_json:
            with telling():
                put(to_json(failure_document(self._action, error)))

    def _show_still_held(self, held: StillHeld, status: int) -> NoReturn:
        with telling():
            if self._as_json:
                put(to_json(still_held_document(self._action, status, held)))
            else:
                show_report(hinted_report(held.report, self._there))
        self._exit(str(held), status, held)

    def _exit(self, message: str, status: int, cause: BaseException) -> NoReturn:
        # Fabric prints the message to standard error.
        error = cause if isinstance(cause, StillgateError) else None
        words = tamed(f"stillgate: {self._action}: {self._hinted(message)}")
        raise TaskFailed(words, status, error) from cause


def _with_given_cutover(
    settings: Settings, fleet: Fleet, cutover: Union[str, Cutover, None]
) -> Settings:
    """With the cutover of the verb, and with that of --serve under its name."""
    wanted = cutover or settings.options.get("cutover")
    given = settings.options.get("serve")
    if given:
        wanted = wanted or UNNAMED
        if isinstance(wanted, Cutover):
            words = "serve: the cutover is given already, as it is"
            raise InputError("bad_option", words, "serve")
        add_given(fleet.cutovers, cutover_of(wanted, given))
    return settings if wanted is None else settings.but(cutover=wanted)


# --- words ----------------------------------------------------------------------------


def _ended_words(course: HeldCommand) -> str:
    if course.error is not None:
        return f"stillgate: hold: {course.error}; {course.what.words()}"
    assert course.result is not None
    if course.result.ended_by_deadline:
        how = "was ended, because the hold ended or was about to end"
    else:
        how = f"ended with status {course.result.status}"
    return f"stillgate: hold: the command {how}; {course.what.words()}"


# --- signals --------------------------------------------------------------------------


class _Signals:
    """While entered in the main thread, SIGTERM and SIGHUP act as Ctrl-C, unless they have a
    handler: otherwise they would end Fabric at once, and leave everything held. After defer() they,
    and Ctrl-C, are kept until the task has ended.
    """

    def __init__(self) -> None:
        self._before: Dict[signal.Signals, Any] = {}
        self._came: List[int] = []

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) == signal.SIG_DFL:
                    self._before[number] = signal.SIG_DFL
                    signal.signal(number, _raise_interrupt)
        return self

    def defer(self) -> None:
        """The last look. Errors: KeyboardInterrupt, where a signal came before."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._before.setdefault(signal.SIGINT, signal.getsignal(signal.SIGINT))
        for number, handler in self._before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, self._note)

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
        for came in self._came:
            signal.raise_signal(came)

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self._came.append(number)


def _raise_interrupt(number: int, frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt
