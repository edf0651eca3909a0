"""The command `stillgate`: its verbs, its exit status, and what a signal does to it."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, List, Optional

import click

from stillgate import _core, _version
from stillgate.cli.check import check
from stillgate.cli.completion import completion
from stillgate.cli.cutover import cutover
from stillgate.cli.exec_ import exec_
from stillgate.cli.extend import extend
from stillgate.cli.gate import gate
from stillgate.cli.history import history
from stillgate.cli.hold import hold
from stillgate.cli.outcome import json_verb, show_still_held, show_stopped, show_usage
from stillgate.cli.rehearse import rehearse
from stillgate.cli.report import report
from stillgate.cli.resume import resume
from stillgate.cli.signals import raise_at_signals
from stillgate.cli.status import status
from stillgate.cli.suspend import suspend
from stillgate.console.streams import failure_of, guard_streams, say, say_untold
from stillgate.errors import StillHeld
from stillgate.gate import LUA_SOURCE
from stillgate.run_until import leash_program

STOPPED = 130
UNTOLD = 1
ACTING = ("suspend", "resume", "extend", "cutover", "hold")


class _Stoppable(click.Group):
    """Click would write a line to standard error at a signal, wherever that may lead."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:
            raise click.Abort() from stopped


def _show_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    """Two installations may lie beside each other: whose files these are has to be seen."""
    if not asked or ctx.resilient_parsing:
        return
    say(f"stillgate, version {_version()}")
    files = {
        "module": _core.__file__,
        "guard": _core.guard_program(),
        "leash": leash_program(),
        "gate.lua": str(LUA_SOURCE),
    }
    for name, path in files.items():
        say(f"{name}: {path}" + ("" if os.path.exists(path) else " (is not there)"))
    ctx.exit()


@click.group(
    cls=_Stoppable,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version, and which files it uses.",
)
def cli() -> None:
    """Hold all requests at every HAProxy of a fleet, and release them.

    \b
    Exit status: 0 done; 1 an endpoint failed (suspend: all rolled back); 2 wrong usage;
    3 refused by the check, nothing changed; 4 already held; 5 resume: the hold had ended before;
    130 stopped; 1 if it was stopped and could not release again.
    status --exit-code: 0 all open, 10 held, 11 something is unknown, 12 overdue.
    hold: COMMAND's own status, or 124 to 127: see 'stillgate hold --help'.
    """


for command in (
    exec_,
    check,
    rehearse,
    suspend,
    resume,
    extend,
    cutover,
    status,
    hold,
    history,
    report,
    gate,
    completion,
):
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
    except BaseException as error:
        held = StillHeld.of(error)
        is_stop = isinstance(error, (click.Abort, KeyboardInterrupt))
        if held is None and not is_stop:
            raise
        if held is None:
            show_stopped(verb, arguments[0] if arguments else "")
            return STOPPED
        if not is_stop:
            traceback.print_exc()
        return show_still_held(arguments[0], held, verb is not None)
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
