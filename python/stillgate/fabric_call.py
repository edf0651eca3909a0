"""One call of a Fabric task: from settings and flags to a report, a table and an exit status."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Any, Callable, Iterator, List, Mapping, NoReturn, Optional, Sequence

from fabric import Connection
from invoke.exceptions import Exit

from stillgate.cli.held_command import FAILED, HeldCommand
from stillgate.cli.progress import ProgressLine
from stillgate.cli.tables import show_report
from stillgate.command import CommandResult
from stillgate.errors import InputError, ReportError, StillgateError, error_of
from stillgate.fabric_settings import TIMEOUTS, Settings, read_settings
from stillgate.fleet import Fleet
from stillgate.report import Report
from stillgate.serialize import failure_document, report_document, to_json

STOPPED = 130
GATE_OPTIONS = ("method", "accept_unproven", "on_expiry", "max_waiting")


class TaskCall:
    """`flags` stand under the names of the settings that they come before."""

    def __init__(self, action: str, context: Any, flags: Mapping[str, Any], as_json: bool) -> None:
        self._action = action
        self._context = context
        self._flags = flags
        self._as_json = as_json

    def report(self, *options: str) -> Optional[Report]:
        """check, suspend, resume, status, with those of these options that somebody told. None in
        a dry run. Errors: Exit, with everything told.
        """
        with self._ending():
            settings, fleet, names = self._prepared()
            if self._dry():
                self._show_dry(fleet, names, settings)
                return None
            with ProgressLine(fleet):
                verb: Callable[..., Report] = getattr(fleet, self._action)
                report = verb(*names, **settings.told(*options))
            if report.exit_status:
                raise error_of(report)
            try:
                self._show(report)
            except KeyboardInterrupt:
                # The status says that nothing is held, so nothing may be.
                if self._action == "suspend":
                    fleet.resume(*names, hold=report.holds[0].id)
                raise
        return report

    def hold(self, command: Any) -> Optional[CommandResult]:
        """Runs `command`, for /bin/sh, inside a hold. None in a dry run. Errors: Exit."""
        with self._ending():
            if not isinstance(command, str) or not command.strip():
                raise InputError("bad_option", "--run: tell the command to run", "run")
            settings, fleet, names = self._prepared()
            if self._dry():
                self._show_dry(fleet, names, settings, command)
                return None
            told = settings.told(
                *GATE_OPTIONS, "max_hold", "drain_timeout", "accept_hazard", "reason"
            )
            course = HeldCommand(
                fleet,
                ["/bin/sh", "-c", command],
                grace=settings.grace,
                quiet_stdout=self._as_json,
            )
            course.run(names, told)
            self._show_course(course)
        if course.status:
            raise Exit(_ended_words(course), course.status) from course.error
        return course.result

    def _show_course(self, course: HeldCommand) -> None:
        if self._as_json:
            print(to_json(course.document()), flush=True)
        elif isinstance(course.error, ReportError):
            show_report(course.error.report)

    # --- before -----------------------------------------------------------------------

    def _prepared(self) -> tuple[Settings, Fleet, Sequence[str]]:
        """All that can be wrong in the input is, before anything is sent."""
        if isinstance(self._context, Connection):
            raise InputError(
                "bad_option",
                "hosts: one call reaches all endpoints, so these tasks take no hosts (-H); "
                "name a fleet or endpoints in the settings under stillgate:",
                "hosts",
            )
        settings = read_settings(self._context.config.get("stillgate"), self._flags)
        timeouts = settings.told(*TIMEOUTS)
        if settings.fleet is None:
            fleet = Fleet(settings.endpoints, **timeouts)
        else:
            fleet = Fleet.load(settings.fleet, settings.inventory, **timeouts)
        names = settings.frontends or tuple(fleet.frontends)
        if not names and self._action != "status":
            raise InputError(
                "bad_name", "frontends: none is named, by settings or --frontend", "frontends"
            )
        return settings, fleet, names

    def _dry(self) -> bool:
        """`fab --dry`: Fabric runs the bodies of tasks all the same."""
        return bool(self._context.config.run.dry)

    # --- after ------------------------------------------------------------------------

    def _show(self, report: Report) -> None:
        if self._as_json:
            print(to_json(report_document(report)), flush=True)
        else:
            show_report(report)

    def _show_dry(
        self, fleet: Fleet, names: Sequence[str], settings: Settings, command: str = ""
    ) -> None:
        """Not a result, so it leaves standard output to a document that does not come."""
        out = sys.stderr if self._as_json else sys.stdout
        for line in _dry_lines(self._action, fleet.endpoints, names, settings, command):
            print(line, file=out)
        print("dry run: nothing was sent", file=out, flush=True)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Tells what went wrong, and ends the task with the status that the command line has."""
        failed = FAILED if self._action == "hold" else None
        try:
            with _stoppable():
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
            self._show_failure(StillgateError("cancelled", "stopped by a signal"))
            self._exit("stopped", STOPPED, error)

    def _show_failure(self, error: StillgateError) -> None:
        if self._as_json:
            print(to_json(failure_document(self._action, error)), flush=True)

    def _exit(self, message: str, status: int, cause: BaseException) -> NoReturn:
        # Fabric prints the message to standard error.
        raise Exit(f"stillgate: {self._action}: {message}", status) from cause


# --- words ----------------------------------------------------------------------------


def _dry_lines(
    action: str,
    endpoints: Sequence[str],
    names: Sequence[str],
    settings: Settings,
    command: str,
) -> List[str]:
    """What would be sent where, and what would be run."""
    recorded = settings.limit is None or action == "hold"
    limit = "<the limit on record>" if recorded else str(settings.limit)
    # Which method it will be, only the HAProxies can tell.
    shut = {"maxconn": "set maxconn frontend {} 0", "gate": "shut the gate of {}"}.get(
        settings.method or "auto", "shut the gate of {0}, or set maxconn frontend {0} 0"
    )
    opened = f"open the gate of {{0}}, or set maxconn frontend {{0}} {limit}"
    closing = [shut.format(name) for name in names]
    opening = [opened.format(name) for name in names]

    def each(commands: Sequence[str]) -> List[str]:
        return [f"{endpoint}: {one}" for endpoint in endpoints for one in commands]

    if action == "suspend":
        return each(closing)
    if action == "resume":
        return each(opening)
    if action == "hold":
        return [*each(closing), f"run: {command}", *each(opening)]
    return each([" ".join([action, *names]) + " (reads only)"])


def _ended_words(course: HeldCommand) -> str:
    if course.error is not None:
        return f"stillgate: hold: {course.error}"
    assert course.result is not None
    if course.result.ended_by_deadline:
        return "stillgate: hold: the command was ended, because the hold was about to end"
    return f"stillgate: hold: the command ended with status {course.result.status}"


# --- signals --------------------------------------------------------------------------


def _raise_interrupt(number: int, frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and SIGHUP as Ctrl-C, where nobody has other plans for them: Fabric would be ended on
    the spot, and leave everything held.
    """
    changed = []
    try:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) == signal.SIG_DFL:
                    changed.append(number)
                    signal.signal(number, _raise_interrupt)
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
