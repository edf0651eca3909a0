"""`stillgate resume`: let through again wherever it can be reached."""

from __future__ import annotations

from typing import Any, Callable, Tuple

import click

from stillgate.cli.options import (
    accept_hazard_option,
    event_options,
    fleet_options,
    frontends_argument,
    owner_option,
)
from stillgate.cli.outcome import carry_out
from stillgate.fleet import Fleet

LARGEST_LIMIT = 2**31 - 1


@click.command()
@frontends_argument
@click.option(
    "--ramp",
    type=click.FloatRange(0, 3600),
    default=0.0,
    metavar="SECONDS",
    help="Raise the limits over that time, in place of opening at once.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, LARGEST_LIMIT),
    metavar="N",
    help="Restore this limit, in place of the recorded one.",
)
@click.option(
    "--wait-up",
    is_flag=True,
    help="Release nothing before every backend has a server that is up; give up after --retry-for.",
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
@event_options
@owner_option
@click.option("--hold", metavar="ID", help="End this hold, whosever it is, and no other.")
@click.option("--force", is_flag=True, help="End somebody else's hold; wants --reason.")
@click.option("--reason", metavar="TEXT", default="", help="Why --force overrules the holder.")
@fleet_options
def resume(
    frontends: Tuple[str, ...], make_fleet: Callable[[], Fleet], as_json: bool, **options: Any
) -> int:
    """Let FRONTEND through again wherever it can be reached, with the limit that stood before.
    Before its deadline a hold is ended by its holder alone.
    """
    return carry_out(
        "resume", make_fleet, as_json, lambda fleet: fleet.resume(*frontends, **options)
    )
