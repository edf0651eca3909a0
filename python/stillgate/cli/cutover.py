"""`stillgate cutover`: change what serves, on every HAProxy or on none."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

import click

from stillgate.cli.options import options_of
from stillgate.cli.outcome import carry_out
from stillgate.console.dry_cutover import dry_cutover_of, dry_run_words
from stillgate.console.show import show_report
from stillgate.console.streams import say
from stillgate.fleet import Fleet
from stillgate.results.report import Report


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
    show: Callable[[Report], None] = show_report
    if options["dry_run"]:
        show = partial(_show_dry, options["ready_first"] > 0)
    return carry_out(
        "cutover",
        make_fleet,
        as_json,
        lambda fleet, tell: tell(fleet.cutover(name, **options)),
        show,
    )


def _show_dry(ready_first: bool, report: Report) -> None:
    """What is there, and what would be sent."""
    show_report(report)
    if report.ok and report.cutover is not None:
        for line in dry_run_words(dry_cutover_of(report.cutover, ready_first)):
            say(line)
