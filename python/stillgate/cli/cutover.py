"""`stillgate cutover`: change what serves, on every HAProxy or on none."""

from __future__ import annotations

from typing import Any, Callable

import click

from stillgate.cli.options import options_of
from stillgate.cli.outcome import carry_out
from stillgate.fleet import Fleet


@click.command()
@click.argument("name", metavar="NAME")
@options_of("cutover")
def cutover(name: str, make_fleet: Callable[[], Fleet], as_json: bool, **options: Any) -> int:
    """Change what serves, on every HAProxy or on none.

    NAME is a cutover of the inventory:

    \b
        [fleet.production.cutover.green]
        servers = { "app/green1" = "ready", "app/blue1" = "maint" }
        weights = { "app/green1" = 100 }
        maps = { "/etc/haproxy/release.map" = { active = "app_green" } }

    Nothing is changed where a server, map or key is missing, or where a backend would have no
    server that is up. What cannot be had everywhere is undone everywhere.
    """
    return carry_out(
        "cutover", make_fleet, as_json, lambda fleet, tell: tell(fleet.cutover(name, **options))
    )
