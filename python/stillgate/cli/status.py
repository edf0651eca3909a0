"""`stillgate status`: what is held, by whom, and how many requests leaked."""

from __future__ import annotations

import time
from typing import Callable, Tuple

import click

from stillgate.cli.options import frontends_argument, options_of
from stillgate.cli.outcome import carry_out
from stillgate.fleet import Fleet

EVERY = 1.0  # seconds between two refreshes of --watch


@click.command()
@frontends_argument
@click.option("--watch", is_flag=True, help="Refresh every second, until Ctrl-C.")
@options_of("status")
def status(
    frontends: Tuple[str, ...], watch: bool, make_fleet: Callable[[], Fleet], as_json: bool
) -> int:
    """Show what is held, by whom and since when.

    Without FRONTEND: all frontends.
    """

    def look() -> int:
        return carry_out(
            "status", make_fleet, as_json, lambda fleet, tell: tell(fleet.status(*frontends))
        )

    code = look()
    while watch:
        time.sleep(EVERY)
        if not as_json:
            click.clear()
        code = look()
    return code
