"""`stillgate exec`: any runtime command, on the whole fleet."""

from __future__ import annotations

import errno
import sys
from typing import Callable, Optional

import click

from stillgate.cli.options import options_of
from stillgate.cli.outcome import show_failure
from stillgate.console.documents import exec_document, to_json
from stillgate.console.progress import with_progress
from stillgate.console.show import show_outcomes
from stillgate.console.streams import put
from stillgate.errors import InputError, StillgateError
from stillgate.files import read_plain
from stillgate.fleet import Fleet

# A command is much shorter: the engine tells by how much a payload is too long.
MOST_BYTES = 1024 * 1024


@click.command("exec")
@click.argument("command")
@click.option(
    "--payload",
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="File with the payload that follows '<<', such as a certificate; - is standard input.",
)
@click.option("--raw", is_flag=True, help="Print nothing but the answers, whole and in order.")
@options_of("exec")
def exec_(
    command: str,
    payload: Optional[str],
    raw: bool,
    make_fleet: Callable[[], Fleet],
    as_json: bool,
) -> int:
    """Send COMMAND, such as 'show info', to every endpoint at once.

    On a terminal a table shows the beginnings of answers; elsewhere they are printed whole, each
    below its endpoint's name. With --raw those that failed are told on standard error.
    """
    if raw and as_json:
        raise click.UsageError("Name --raw or --json, not both.")
    try:
        text = _read(payload)
        fleet = make_fleet()
        outcomes = with_progress(fleet, lambda quiet: fleet.execute(command, text))
    except StillgateError as error:
        return show_failure("exec", error, as_json)
    if as_json:
        put(to_json(exec_document(command, outcomes)))
    else:
        show_outcomes(outcomes, raw)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def _read(payload: Optional[str]) -> Optional[str]:
    if payload is None:
        return None
    try:
        data = _standard_input() if payload == "-" else read_plain(payload, MOST_BYTES).data
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError("bad_option", "payload: is not UTF-8 text", "payload") from error
    except OSError as error:
        words = f"payload: {payload}: {error.strerror}"
        raise InputError("bad_option", words, "payload") from error


def _standard_input() -> bytes:
    """Where a payload comes from a pipe; a file that is one, such as <(...), is not read."""
    data = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {MOST_BYTES} bytes")
    return data
