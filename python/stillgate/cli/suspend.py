"""`stillgate suspend`: hold at every endpoint, or at none."""

from __future__ import annotations

from typing import Any, Callable, Tuple

import click

from stillgate.cli.options import frontends_argument, options_of
from stillgate.cli.outcome import carry_out
from stillgate.fleet import Fleet


@click.command()
@frontends_argument
@options_of("suspend")
def suspend(
    frontends: Tuple[str, ...], make_fleet: Callable[[], Fleet], as_json: bool, **options: Any
) -> int:
    """Hold FRONTEND at every endpoint, or at none."""
    return carry_out(
        "suspend", make_fleet, as_json, lambda fleet: fleet.suspend(*frontends, **options)
    )
