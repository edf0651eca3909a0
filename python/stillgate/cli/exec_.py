"""`stillgate exec`: any runtime command, on the whole fleet."""

from __future__ import annotations

from typing import Callable, Optional, TextIO

import click

from stillgate.cli.options import options_of
from stillgate.cli.outcome import show_failure
from stillgate.console.documents import exec_document, to_json
from stillgate.console.progress import with_progress
from stillgate.console.show import show_outcomes
from stillgate.errors import InputError, StillgateError
from stillgate.fleet import Fleet


@click.command("exec")
@click.argument("command")
@click.option(
    "--payload",
    metavar="FILE",
    type=click.File("r", encoding="utf-8"),
    help="File with the payload that follows '<<', such as a certificate; - is standard input.",
)
@options_of("exec")
def exec_(
    command: str, payload: Optional[TextIO], make_fleet: Callable[[], Fleet], as_json: bool
) -> int:
    """Send COMMAND, such as 'show info', to every endpoint at once."""
    try:
        text = _read(payload)
        fleet = make_fleet()
        outcomes = with_progress(fleet, lambda quiet: fleet.execute(command, text))
    except StillgateError as error:
        return show_failure("exec", error, as_json)
    if as_json:
        print(to_json(exec_document(command, outcomes)))
    else:
        show_outcomes(outcomes)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def _read(payload: Optional[TextIO]) -> Optional[str]:
    if payload is None:
        return None
    try:
        return payload.read()
    except UnicodeDecodeError as error:
        raise InputError("bad_option", "payload: is not UTF-8 text", "payload") from error
    except OSError as error:
        raise InputError("bad_option", f"payload: {error.strerror}", "payload") from error
