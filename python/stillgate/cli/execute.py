"""`stillgate exec`: any runtime command, on the whole fleet."""

from __future__ import annotations

import sys
from typing import Callable, Optional

import click

from stillgate.cli.options import fleet_options
from stillgate.cli.progress import ProgressLine
from stillgate.cli.tables import show_outcomes
from stillgate.errors import StillgateError
from stillgate.fleet import Fleet
from stillgate.serialize import exec_document, failure_document, to_json


@click.command("exec")
@click.argument("command")
@click.option(
    "--payload",
    metavar="FILE",
    type=click.File("r", encoding="utf-8"),
    help="What follows '<<' in HAProxy's syntax, such as a certificate; - is standard input.",
)
@fleet_options
def exec_(
    command: str, payload: Optional[click.File], make_fleet: Callable[[], Fleet], as_json: bool
) -> int:
    """Send COMMAND, such as 'show info', to every endpoint at once."""
    try:
        text = None if payload is None else payload.read()  # type: ignore[attr-defined]
        fleet = make_fleet()
        with ProgressLine(fleet):
            outcomes = fleet.execute(command, text)
    except StillgateError as error:
        if as_json:
            print(to_json(failure_document("exec", error)))
        else:
            print(f"stillgate: {error.message}", file=sys.stderr)
        return error.exit_status
    if as_json:
        print(to_json(exec_document(command, outcomes)))
    else:
        show_outcomes(outcomes)
    return 0 if all(outcome.ok for outcome in outcomes) else 1
