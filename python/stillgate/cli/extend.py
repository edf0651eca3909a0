"""`stillgate extend`: move the deadline of a hold."""

from __future__ import annotations

from typing import Any, Callable, Tuple

import click

from stillgate.cli.options import event_options, fleet_options, owner_option
from stillgate.cli.outcome import carry_out
from stillgate.fleet import Fleet


class _Seconds(click.FloatRange):
    """The last of the names, because frontends may be left out."""

    name = "seconds"


@click.command()
@click.argument("names", metavar="[FRONTEND]... SECONDS", nargs=-1, required=True)
@owner_option
@click.option("--hold", metavar="ID", help="Extend this hold, whosever it is, and no other.")
@click.option("--force", is_flag=True, help="Extend somebody else's hold; wants --reason.")
@click.option("--reason", metavar="TEXT", default="", help="Why --force overrules the holder.")
@event_options
@fleet_options
@click.pass_context
def extend(
    context: click.Context,
    names: Tuple[str, ...],
    make_fleet: Callable[[], Fleet],
    as_json: bool,
    **options: Any,
) -> int:
    """Move the deadline of the hold of FRONTEND by SECONDS. Only its holder may."""
    *frontends, last = names
    seconds = _Seconds(0.1, 3600).convert(last, None, context)
    return carry_out(
        "extend",
        make_fleet,
        as_json,
        lambda fleet: fleet.extend(*frontends, seconds=seconds, **options),
    )
