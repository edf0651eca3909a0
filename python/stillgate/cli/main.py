"""The command `stillgate`: its verbs, its exit status, and what a signal does to it."""

from __future__ import annotations

import os
import sys
from typing import Any, List, Optional

import click

from stillgate import _version
from stillgate.cli.check import check
from stillgate.cli.completion import completion
from stillgate.cli.exec_ import exec_
from stillgate.cli.extend import extend
from stillgate.cli.gate import gate
from stillgate.cli.history import history
from stillgate.cli.hold import hold
from stillgate.cli.outcome import json_verb, show_stopped, show_usage
from stillgate.cli.resume import resume
from stillgate.cli.signals import raise_at_signals
from stillgate.cli.status import status
from stillgate.cli.suspend import suspend
from stillgate.console.streams import failure_of, guard_streams, say_untold

STOPPED = 130
UNTOLD = 1
ACTING = ("suspend", "resume", "extend", "hold")


class _Stoppable(click.Group):
    """Click would write a line to standard error at a signal, wherever that may lead."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:
            raise click.Abort() from stopped


@click.group(
    cls=_Stoppable,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(_version(), prog_name="stillgate")
def cli() -> None:
    """Hold all requests at every HAProxy of a fleet, and release them.

    \b
    Exit status: 0 done; 1 an endpoint failed (suspend: all rolled back); 2 wrong usage;
    3 refused by the check, nothing changed; 4 already held; 5 resume: the hold had ended before;
    130 stopped.
    hold: COMMAND's own status, or 124 to 127: see 'stillgate hold --help'.
    """


for command in (exec_, check, suspend, resume, extend, status, hold, history, gate, completion):
    cli.add_command(command)


def main(arguments: Optional[List[str]] = None) -> int:
    """Returns the exit status."""
    raise_at_signals()
    guard_streams()
    arguments = sys.argv[1:] if arguments is None else arguments
    status = STOPPED
    try:
        status = _run(arguments)
        return _told(status, arguments)
    except KeyboardInterrupt:
        # Another one, while it was being told.
        return status


def _refuse_what_is_no_text(arguments: List[str]) -> None:
    """HAProxies, records and JSON are UTF-8. COMMAND gets its arguments as they are."""
    is_hold = bool(arguments) and arguments[0] == "hold" and "--" in arguments
    for one in arguments[: arguments.index("--")] if is_hold else arguments:
        try:
            one.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(one).decode(errors="backslashreplace")
            raise click.UsageError(f"'{shown}' is not valid UTF-8.") from None


def _run(arguments: List[str]) -> int:
    verb = json_verb(arguments)
    try:
        _refuse_what_is_no_text(arguments)
        status = cli.main(arguments, prog_name="stillgate", standalone_mode=False)
    except click.ClickException as error:
        return show_usage(error, verb)
    except (click.Abort, KeyboardInterrupt):
        show_stopped(verb)
        return STOPPED
    return status if isinstance(status, int) else 0


def _told(status: int, arguments: List[str]) -> int:
    """A verb that changed something keeps its exit status even if its output could not be
    written; a verb that only shows something has failed then."""
    failure = failure_of(sys.stdout)
    failure_of(sys.stderr)
    if failure is None:
        return status
    say_untold(failure)
    acts = bool(arguments) and arguments[0] in ACTING
    return status if status or acts else UNTOLD


if __name__ == "__main__":
    sys.exit(main())
