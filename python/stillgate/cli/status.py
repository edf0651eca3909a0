"""`stillgate status`: what is held, by whom, and how many requests leaked."""

from __future__ import annotations

import time
from typing import Callable, Optional, Tuple

import click

from stillgate.cli.options import frontends_argument, options_of
from stillgate.cli.outcome import carry_out, show_failure, show_next_step
from stillgate.console.live_screen import watch as watch_fleet
from stillgate.console.metrics import is_overdue, is_stopped, metrics_text
from stillgate.console.show import show_report
from stillgate.console.streams import put
from stillgate.errors import StillgateError
from stillgate.fleet import Fleet
from stillgate.results.report import Report, Switch

FAILED = 1  # an endpoint did: what the metrics and the state tell themselves
OPEN, STOPPED, HELD, UNKNOWN, OVERDUE = 0, 9, 10, 11, 12


def state_of(report: Report, now: float) -> int:
    """The exit status of --exit-code: that of the worst switch, the overdue before the unknown."""
    holds = {hold.id: hold for hold in report.holds}

    def of_switch(switch: Switch) -> int:
        if is_overdue(switch, holds.get(switch.hold_id or ""), now):
            return OVERDUE
        if switch.verdict == "open" and is_stopped(switch):
            return STOPPED
        return {"open": OPEN, "held": HELD}.get(switch.verdict, UNKNOWN)

    return max(map(of_switch, report.switches), default=OPEN)


@click.command()
@frontends_argument
@click.option(
    "--watch",
    is_flag=True,
    help="Look every second, until Ctrl-C: on a terminal a screen with keys, else a line a look, "
    "with --json a document a line.",
)
@click.option(
    "--format",
    "text_format",
    type=click.Choice(["prometheus"]),
    help="Print metrics (OpenMetrics text). An endpoint that does not answer is in them, as "
    "stillgate_up 0, and not in the exit status.",
)
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit with what is so: 0 all open, 9 a frontend is disabled, 10 held, 11 something is "
    "unknown, 12 overdue.",
)
@options_of("status")
@click.pass_context
def status(
    context: click.Context,
    frontends: Tuple[str, ...],
    watch: bool,
    text_format: Optional[str],
    exit_code: bool,
    make_fleet: Callable[[], Fleet],
    as_json: bool,
) -> int:
    """Show what is held, by whom and since when.

    Without FRONTEND: all frontends.
    """
    if text_format is not None and as_json:
        raise click.UsageError("Name --format or --json, not both.")
    if watch and (text_format is not None or exit_code):
        raise click.UsageError("--watch does not end: it has no --format and no --exit-code.")
    name: Optional[str] = context.params["fleet"]

    def show(report: Report) -> None:
        if text_format is None:
            show_report(report)
            show_next_step(report)
        else:
            put(metrics_text(report, name, time.time()), end="")

    def end(report: Report) -> int:
        if report.exit_status not in (0, FAILED):
            return report.exit_status
        if exit_code:
            return state_of(report, time.time())
        return report.exit_status if text_format is None else 0

    def look() -> int:
        return carry_out(
            "status",
            make_fleet,
            as_json,
            lambda fleet, tell: tell(fleet.status(*frontends)),
            show=show,
            end=end,
        )

    if not watch:
        return look()
    try:
        return watch_fleet(make_fleet(), frontends, as_json)
    except StillgateError as error:
        return show_failure("status", error, as_json)
