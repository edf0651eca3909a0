"""`stillgate suspend`: hold at every endpoint, or at none."""

from __future__ import annotations

import sys
from typing import Any, Callable, Tuple

import click

from stillgate.cli.options import frontends_argument, options_of
from stillgate.cli.outcome import Tell, carry_out
from stillgate.cli.signals import let_go
from stillgate.fleet import Fleet
from stillgate.results.report import Report


@click.command()
@frontends_argument
@options_of("suspend")
def suspend(
    frontends: Tuple[str, ...], make_fleet: Callable[[], Fleet], as_json: bool, **options: Any
) -> int:
    """Hold FRONTEND at every endpoint, or at none."""

    def call(fleet: Fleet, tell: Tell) -> int:
        def receive(report: Report) -> int:
            status = tell(report)
            sys.stdout.flush()
            let_go()
            return status

        return fleet.suspend_then(receive, *frontends, **options)

    return carry_out("suspend", make_fleet, as_json, call)
