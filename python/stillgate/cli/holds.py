"""`stillgate check`, `suspend` and `resume`."""

from __future__ import annotations

from typing import Callable, Optional, Tuple

import click

from stillgate.cli.options import fleet_options
from stillgate.cli.outlet import show_failure
from stillgate.cli.progress import ProgressLine
from stillgate.cli.tables import show_report
from stillgate.errors import ReportError, StillgateError
from stillgate.fleet import Fleet
from stillgate.report import Report
from stillgate.serialize import report_document, to_json

LARGEST_LIMIT = 2**31 - 1

frontends_argument = click.argument("frontends", metavar="[FRONTEND]...", nargs=-1)
accept_hazard_option = click.option(
    "--accept-hazard",
    is_flag=True,
    help="Overrule the table of releases that crash on resume: this build has the fix.",
)


def _carry_out(
    action: str, make_fleet: Callable[[], Fleet], as_json: bool, call: Callable[[Fleet], Report]
) -> int:
    """Calls, shows, and turns whatever came of it into the exit status."""
    try:
        fleet = make_fleet()
        with ProgressLine(fleet):
            report = call(fleet)
    except ReportError as error:
        report = error.report
    except StillgateError as error:
        return show_failure(action, error, as_json)
    if as_json:
        print(to_json(report_document(report)))
    else:
        show_report(report)
    return report.exit_status


@click.command()
@frontends_argument
@accept_hazard_option
@fleet_options
def check(
    frontends: Tuple[str, ...],
    accept_hazard: bool,
    make_fleet: Callable[[], Fleet],
    as_json: bool,
) -> int:
    """Tell all that would stop or endanger a hold of FRONTEND; change nothing."""
    return _carry_out(
        "check",
        make_fleet,
        as_json,
        lambda fleet: fleet.check(*frontends, accept_hazard=accept_hazard),
    )


@click.command()
@frontends_argument
@click.option(
    "--no-lease", is_flag=True, help="Accept that nothing ends the hold if its owner dies."
)
@accept_hazard_option
@click.option("--reason", metavar="TEXT", default="", help="Told to whoever finds the hold.")
@fleet_options
def suspend(
    frontends: Tuple[str, ...],
    no_lease: bool,
    accept_hazard: bool,
    reason: str,
    make_fleet: Callable[[], Fleet],
    as_json: bool,
) -> int:
    """Hold FRONTEND at every endpoint, or at none."""
    return _carry_out(
        "suspend",
        make_fleet,
        as_json,
        lambda fleet: fleet.suspend(
            *frontends, no_lease=no_lease, accept_hazard=accept_hazard, reason=reason
        ),
    )


@click.command()
@frontends_argument
@click.option(
    "--limit",
    type=click.IntRange(1, LARGEST_LIMIT),
    metavar="N",
    help="Restore this limit, in place of the recorded one.",
)
@accept_hazard_option
@click.option(
    "--retry-for",
    type=click.FloatRange(0, 3600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to try again what cannot be reached.",
)
@fleet_options
def resume(
    frontends: Tuple[str, ...],
    limit: Optional[int],
    accept_hazard: bool,
    retry_for: float,
    make_fleet: Callable[[], Fleet],
    as_json: bool,
) -> int:
    """Let FRONTEND through again wherever it can be reached, with the limit that stood before."""
    return _carry_out(
        "resume",
        make_fleet,
        as_json,
        lambda fleet: fleet.resume(
            *frontends, limit=limit, accept_hazard=accept_hazard, retry_for=retry_for
        ),
    )
