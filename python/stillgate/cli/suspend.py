"""`stillgate suspend`: hold at every endpoint, or at none."""

from __future__ import annotations

from typing import Any, Callable, Tuple

import click

from stillgate.cli.options import (
    accept_hazard_option,
    event_options,
    fleet_options,
    frontends_argument,
    hold_options,
    owner_option,
)
from stillgate.cli.outcome import carry_out
from stillgate.fleet import Fleet


@click.command()
@frontends_argument
@click.option(
    "--no-lease", is_flag=True, help="Accept that nothing ends the hold if you do not resume."
)
@hold_options
@accept_hazard_option
@owner_option
@click.option("--reason", metavar="TEXT", default="", help="Told to whoever finds the hold.")
@event_options
@fleet_options
def suspend(
    frontends: Tuple[str, ...], make_fleet: Callable[[], Fleet], as_json: bool, **options: Any
) -> int:
    """Hold FRONTEND at every endpoint, or at none."""
    return carry_out(
        "suspend", make_fleet, as_json, lambda fleet: fleet.suspend(*frontends, **options)
    )
