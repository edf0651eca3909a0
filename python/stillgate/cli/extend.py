"""`stillgate extend`: move the deadline of a hold."""

from __future__ import annotations

from typing import Any, Callable, Tuple

import click

from stillgate.cli.options import options_of
from stillgate.cli.outcome import carry_out
from stillgate.fleet import Fleet
from stillgate.options import BY_NAME, Seconds


class _Seconds(click.FloatRange):
    """The last of the names, because frontends may be left out."""

    name = "seconds"


@click.command()
@click.argument("names", metavar="[FRONTEND]... SECONDS", nargs=-1, required=True)
@options_of("extend")
@click.pass_context
def extend(
    context: click.Context,
    names: Tuple[str, ...],
    make_fleet: Callable[[], Fleet],
    as_json: bool,
    **options: Any,
) -> int:
    """Move the deadline of a hold by SECONDS.

    Before the deadline only the holder may.
    """
    *frontends, last = names
    kind = BY_NAME["seconds"].kind
    assert isinstance(kind, Seconds)
    seconds = _Seconds(kind.least, kind.most).convert(last, None, context)
    return carry_out(
        "extend",
        make_fleet,
        as_json,
        lambda fleet, tell: tell(fleet.extend(*frontends, seconds=seconds, **options)),
    )
