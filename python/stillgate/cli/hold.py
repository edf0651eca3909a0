"""`stillgate hold -- COMMAND`: suspend, run COMMAND, resume, whatever COMMAND does."""

from __future__ import annotations

import shlex
import sys
from typing import Any, Callable, List, Mapping, Tuple

import click

from stillgate.cli.options import frontends_argument, options_of
from stillgate.cli.outcome import say_next_step, show_failure, show_refusal
from stillgate.console.documents import SCHEMA, to_json
from stillgate.console.dry_cutover import dry_run_words
from stillgate.console.dry_hold import dry_run_document, dry_run_of
from stillgate.console.held_command import FAILED, HeldCommand
from stillgate.console.progress import with_progress
from stillgate.console.show import show_report
from stillgate.console.streams import put, say
from stillgate.console.wishes import Wishes
from stillgate.errors import InputError, StillgateError
from stillgate.fleet import Fleet
from stillgate.options import call_names
from stillgate.run_until import check_runnable


class _WithCommand(click.Command):
    """Everything after `--` is COMMAND, whatever it looks like."""

    def parse_args(self, ctx: click.Context, args: List[str]) -> List[str]:
        at = args.index("--") if "--" in args else len(args)
        behind = at + 1
        ctx.meta["stillgate.run_until"] = args[behind:]
        return super().parse_args(ctx, args[:at])

    def collect_usage_pieces(self, ctx: click.Context) -> List[str]:
        return [*super().collect_usage_pieces(ctx), "-- COMMAND [ARG]..."]


@click.command(cls=_WithCommand)
@frontends_argument
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check, and show what would be sent to each HAProxy, in order; hold nothing, run nothing.",
)
@options_of("hold")
@click.pass_context
def hold(
    context: click.Context,
    frontends: Tuple[str, ...],
    make_fleet: Callable[[], Fleet],
    as_json: bool,
    dry_run: bool,
    **options: Any,
) -> int:
    """Hold FRONTEND, run COMMAND, and resume however COMMAND ends.

    \b
    Exit status: COMMAND's own; 123 COMMAND and --on-failure failed; 124 the deadline ended
    COMMAND; 125 Stillgate failed or refused; 126 and 127 COMMAND could not be run, and nothing
    was held; 2 wrong usage. With --json, COMMAND's standard output goes to standard error.

    \b
    COMMAND has STILLGATE_HOLD_ID, STILLGATE_DEADLINE (when it must be over, RFC 3339) and
    STILLGATE_SECONDS (the time until then) in its environment.

    \b
    Everything that COMMAND starts ends before the hold does, daemons too, and also if Stillgate is
    stopped (Ctrl-Z) or killed. Not reached: work handed to others (systemd-run, at, docker), a
    statement that a database server still runs, unless it ends that itself (--postgres).
    """
    argv: List[str] = context.meta["stillgate.run_until"]
    if not argv:
        raise click.UsageError("Write COMMAND after ' -- '.")
    unfit = check_runnable(argv)
    if unfit is not None:
        why = "cannot be run" if unfit == 126 else "is not found"
        message = f"command: {argv[0]} {why}; nothing was held"
        show_failure("hold", InputError("bad_option", message, "command"), as_json)
        return unfit
    try:
        wishes = Wishes(**{name: options.pop(name) for name in Wishes.names()})
        if dry_run:
            return _show_dry(make_fleet(), frontends, shlex.join(argv), options, as_json)
        course = HeldCommand(make_fleet(), argv, wishes=wishes, quiet_stdout=as_json, talk=True)
        try:
            course.run(frontends, options)
        except KeyboardInterrupt:
            # What was done is true whether or not somebody waits for the look.
            if not course.was_stopped_looking:
                raise
    except StillgateError as error:
        return show_failure("hold", error, as_json)
    if as_json:
        put(to_json(course.document()))
        return course.status
    for words in course.last_words():
        say(f"stillgate: {words}", sys.stderr)
    if course.error is not None:
        show_refusal(course.error)
    say_next_step(course.next_step())
    return course.status


def _show_dry(
    fleet: Fleet,
    frontends: Tuple[str, ...],
    command: str,
    options: Mapping[str, Any],
    as_json: bool,
) -> int:
    """Returns the exit status."""
    told = {name: options[name] for name in call_names("check") if name in options}
    report = with_progress(fleet, lambda quiet: fleet.check(*frontends, **told))
    haproxies = dry_run_of(report, command, options) if report.ok else []
    if as_json:
        document = {"schema": SCHEMA, "action": "hold", **dry_run_document(haproxies, report)}
        put(to_json(document))
    elif report.ok:
        for line in dry_run_words(haproxies, report.cutover.unshown if report.cutover else ()):
            say(line)
    else:
        show_report(report)
    return 0 if report.ok else FAILED
