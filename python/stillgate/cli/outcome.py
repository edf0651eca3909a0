"""Shows how a call ended: tables and sentences for people, a JSON document for programs."""

from __future__ import annotations

import io
import sys
import time
from operator import attrgetter
from typing import Callable, List, Optional

import click

from stillgate.console.documents import failure_document, still_held_document, to_json
from stillgate.console.held_command import FAILED
from stillgate.console.hints import hinted, hinted_report
from stillgate.console.next_step import next_step
from stillgate.console.progress import with_progress
from stillgate.console.show import show_report
from stillgate.console.streams import put, say, takes_words
from stillgate.errors import InputError, ReportError, StillgateError, StillHeld
from stillgate.fleet import Fleet
from stillgate.ownership import is_mine
from stillgate.results.report import Report

HOLDING = ("suspend", "hold")  # what was held is taken back
VERBS = (
    "exec",
    "check",
    "rehearse",
    "suspend",
    "resume",
    "extend",
    "cutover",
    "status",
    "hold",
    "history",
    "report",
)


Tell = Callable[[Report], int]
# How the fleet of this call was named, for the commands in messages.
_there: List[str] = []


def note_call(there: List[str]) -> None:
    """These options go with each command that is suggested."""
    _there[:] = there


def carry_out(
    action: str,
    make_fleet: Callable[[], Fleet],
    as_json: bool,
    call: Callable[[Fleet, Tell], int],
    show: Callable[[Report], None] = show_report,
    end: Callable[[Report], int] = attrgetter("exit_status"),
) -> int:
    """Calls, shows, and turns whatever came of it into the exit status. `call` has the report told
    by what it gets, and returns what that returns. `show` is for
    what is no JSON, `end` says the exit status.
    """
    done: List[int] = []

    def tell_all(report: Report) -> int:
        done.append(end(report))
        if as_json:
            put(to_json(report.document))
        else:
            show(hinted_report(report, _there))
            if show is show_report:
                show_next_step(report)
        return done[-1]

    try:
        fleet = make_fleet()

        def work(quiet: Callable[[], None]) -> int:
            def tell(report: Report) -> int:
                quiet()
                return tell_all(report)

            return call(fleet, tell)

        return with_progress(fleet, work)
    except ReportError as error:
        return tell_all(error.report)
    except StillgateError as error:
        return show_failure(action, error, as_json)
    except KeyboardInterrupt:
        # What was done is true whether or not it could be told; a hold was taken back.
        if not done or action not in ("resume", "extend"):
            raise
        return done[0]


def show_next_step(report: Report) -> None:
    """What is true of the traffic now, and what to type next, with the fleet as it was given."""
    words = next_step(report, time.time(), is_mine)
    if words is not None:
        put(hinted(words, _there))


def say_next_step(words: Optional[str]) -> None:
    """The same on standard error, of a hold."""
    if words is not None:
        say(hinted(words, _there), sys.stderr)


def show_refusal(error: StillgateError) -> None:
    """Writes errors to standard error, if standard output is for JSON or for COMMAND."""
    if isinstance(error, ReportError):
        show_report(hinted_report(error.report, _there), sys.stderr)
    else:
        say(f"stillgate: {hinted(error.message, _there)}", sys.stderr)


def show_failure(action: str, error: StillgateError, as_json: bool) -> int:
    """Returns the exit status."""
    if as_json:
        put(to_json(failure_document(action, error)))
    else:
        say(f"stillgate: {hinted(error.message, _there)}", sys.stderr)
    return error.exit_status


def json_verb(arguments: List[str]) -> Optional[str]:
    """The verb whose caller expects a JSON document, found in the bare arguments: after wrong usage
    no option has been parsed.
    """
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" not in before:
        return None
    return before[0] if before[0] in VERBS else None


def show_usage(error: click.ClickException, verb: Optional[str]) -> int:
    """Shows wrong usage, always for people; returns the exit status."""
    told = io.StringIO()
    error.show(told)
    say(told.getvalue().rstrip("\n"), sys.stderr)
    if verb is not None:
        parameter = getattr(error, "param", None)
        field = getattr(parameter, "name", None) or getattr(error, "option_name", None) or ""
        wrong = InputError("bad_option", error.format_message(), field.lstrip("-"))
        put(to_json(failure_document(verb, wrong)))
    return error.exit_code


def show_still_held(action: str, held: StillHeld, as_json: bool) -> int:
    """A call that was stopped, and whose hold could not be ended again; returns the exit status."""
    status = FAILED if action == "hold" else held.exit_status
    if takes_words(sys.stderr):
        show_report(hinted_report(held.report, _there), sys.stderr)
    if as_json and takes_words(sys.stdout):
        put(to_json(still_held_document(action, status, held)))
    return status


def show_stopped(verb: Optional[str], called: str = "") -> None:
    """Ctrl-C, SIGTERM or SIGHUP ended the call `called`: it ends now, be it untold."""
    if takes_words(sys.stderr):
        # What is still held would have been shown in place of this.
        words = "stopped" + ("; nothing is held, traffic flows" if called in HOLDING else "")
        # At a terminal it stands behind a ^C.
        say(f"\n{words}" if sys.stderr.isatty() else words, sys.stderr)
    if verb is not None and takes_words(sys.stdout):
        put(to_json(failure_document(verb, StillgateError("cancelled", "stopped by a signal"))))
