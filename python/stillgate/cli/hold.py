"""`stillgate hold -- COMMAND`: suspend, run COMMAND, resume, whatever COMMAND does."""

from __future__ import annotations

import sys
from typing import Any, Callable, List, Optional, Tuple

import click

from stillgate.cli.holds import accept_hazard_option, frontends_argument
from stillgate.cli.options import fleet_options, hold_options
from stillgate.cli.outlet import show_failure, show_refusal
from stillgate.cli.progress import HoldLine, ProgressLine
from stillgate.command import CommandResult, check_runnable, run_until
from stillgate.errors import HoldExpired, InputError, ReportError, StillgateError
from stillgate.fleet import Fleet
from stillgate.report import Report
from stillgate.serialize import hold_document, to_json
from stillgate.suspension import Suspension

FAILED = 125  # Stillgate itself, as env(1) and timeout(1) have it
EXPIRED = 124


class _WithCommand(click.Command):
    """What stands behind `--` is COMMAND, whatever it looks like."""

    def parse_args(self, ctx: click.Context, args: List[str]) -> List[str]:
        at = args.index("--") if "--" in args else len(args)
        behind = at + 1
        ctx.meta["stillgate.command"] = args[behind:]
        return super().parse_args(ctx, args[:at])

    def collect_usage_pieces(self, ctx: click.Context) -> List[str]:
        return [*super().collect_usage_pieces(ctx), "-- COMMAND [ARG]..."]


@click.command(cls=_WithCommand)
@frontends_argument
@hold_options
@click.option(
    "--grace",
    type=click.FloatRange(0, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="COMMAND gets SIGTERM so long before the deadline, and SIGKILL shortly before it.",
)
@accept_hazard_option
@click.option("--reason", metavar="TEXT", default="", help="Told to whoever finds the hold.")
@fleet_options
@click.pass_context
def hold(
    context: click.Context,
    frontends: Tuple[str, ...],
    grace: float,
    make_fleet: Callable[[], Fleet],
    as_json: bool,
    **options: Any,
) -> int:
    """Hold FRONTEND, run COMMAND, and resume on every way out.

    \b
    Exit status: COMMAND's own; 124 the deadline ended it; 125 Stillgate itself failed (nothing was
    run, or what the last lines say is still held); 126 and 127 COMMAND could not be run, and
    nothing was held. With --json, COMMAND's standard output goes to standard error.
    """
    argv: List[str] = context.meta["stillgate.command"]
    if not argv:
        raise click.UsageError("Write the command behind ' -- '.")
    unfit = check_runnable(argv)
    if unfit is not None:
        why = "cannot be run" if unfit == 126 else "is not found"
        message = f"command: {argv[0]} {why}; nothing was held"
        _fail(InputError("bad_option", message, "command"), as_json)
        return unfit
    try:
        fleet = make_fleet()
    except StillgateError as error:
        _fail(error, as_json)
        return FAILED
    return _Course(fleet, argv, grace, as_json).run(frontends, options)


def _fail(error: StillgateError, as_json: bool) -> None:
    show_failure("hold", error, as_json)


class _Course:
    """One hold, from its suspend to its resume."""

    def __init__(self, fleet: Fleet, argv: List[str], grace: float, as_json: bool) -> None:
        self._fleet = fleet
        self._argv = argv
        self._grace = grace
        self._as_json = as_json
        self._hold: Optional[Suspension] = None
        self._result: Optional[CommandResult] = None

    def run(self, frontends: Tuple[str, ...], options: Any) -> int:
        error: Optional[StillgateError] = None
        try:
            with ProgressLine(self._fleet) as line:
                with self._fleet.suspended(*frontends, **options) as held:
                    line.end()
                    self._hold = held
                    self._say_held(held.report)
                    self._work(held)
        except StillgateError as caught:
            error = caught
        status = self._status(error)
        self._show(status, error)
        return status

    def _work(self, held: Suspension) -> None:
        with HoldLine(self._fleet, held):
            self._result = run_until(
                self._argv,
                held.remaining,
                grace=self._grace,
                stdout=sys.stderr if self._as_json else None,
            )

    def _status(self, error: Optional[StillgateError]) -> int:
        if isinstance(error, HoldExpired):
            return EXPIRED
        if error is not None or self._result is None:
            return FAILED
        return self._result.status

    def _say_held(self, report: Report) -> None:
        window = report.commit_window_ms
        within = "" if window is None else f", commit window {window:.2f} ms"
        drained = "" if report.drain_ms is None else f", drained in {report.drain_ms:.0f} ms"
        print(f"held: {len(report.switches)} switches{within}{drained}", file=sys.stderr)

    def _show(self, status: int, error: Optional[StillgateError]) -> None:
        suspended = self._hold.report if self._hold else None
        if suspended is None and isinstance(error, ReportError):
            suspended = error.report
        resumed = self._hold.resumed if self._hold else None
        if resumed is None and self._hold and isinstance(error, ReportError):
            resumed = error.report
        if self._as_json:
            if suspended is None:
                assert error is not None
                show_failure("hold", error, True)
            else:
                print(to_json(hold_document(status, suspended, resumed, error)))
            return
        if resumed is not None and resumed.ok:
            leaked = [one.leaked for one in resumed.switches if one.leaked is not None]
            print(f"resumed; leaked {sum(leaked) if leaked else 'unknown'}", file=sys.stderr)
        if error is not None:
            show_refusal(error)
        elif self._result and self._result.ended_by_deadline:
            print("stillgate: the deadline ended the command", file=sys.stderr)
