"""`stillgate history`: who held what, when, how long, and how it ended."""

from __future__ import annotations

import sys
from typing import List, Optional, Tuple

import click

from stillgate.cli.options import frontends_argument
from stillgate.cli.outcome import show_failure
from stillgate.console.documents import history_document, to_json
from stillgate.console.show import show_history
from stillgate.console.streams import put, say
from stillgate.errors import StillgateError
from stillgate.options import EVENT_FORMATS
from stillgate.past_holds import fold, read_events, read_lines, select

UNREADABLE = "journal_failed"


@click.command()
@frontends_argument
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=20,
    show_default=True,
    metavar="N",
    help="The latest N holds, or with --events the latest N events.",
)
@click.option("--events", "as_events", is_flag=True, help="Print the events, oldest first.")
@click.option(
    "--format",
    "line_format",
    type=click.Choice(EVENT_FORMATS),
    help="Format of the lines of --events.  [default: json]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def history(
    frontends: Tuple[str, ...],
    limit: int,
    as_events: bool,
    line_format: Optional[str],
    as_json: bool,
) -> int:
    """Show who held what from this machine, when and how long.

    Without FRONTEND: all. Shows how each hold ended. Reads the history beside the journal, and
    contacts no HAProxy.
    """
    if as_events and as_json:
        raise click.UsageError("--events prints lines, not one JSON document; use --format json.")
    if line_format is not None and not as_events:
        raise click.UsageError("--format needs --events.")
    try:
        if as_events:
            lines, skipped = read_lines(frontends, line_format or "json")
            _tell_skipped(skipped)
            _print_lines(lines[-limit:], line_format)
            return 0
        read = read_events()
    except OSError as error:
        words = f"history: {error.filename}: {error.strerror}"
        return show_failure("history", StillgateError(UNREADABLE, words), as_json)
    _tell_skipped(read.skipped)
    holds = select(fold(read.events), frontends, limit)
    if as_json:
        put(to_json(history_document(holds)))
    else:
        show_history(holds)
    return 0


def _tell_skipped(skipped: int) -> None:
    if skipped:
        words = "1 line was" if skipped == 1 else f"{skipped} lines were"
        say(f"stillgate: history: {words} cut short, and skipped", sys.stderr)


def _print_lines(lines: List[str], line_format: Optional[str]) -> None:
    for line in lines:
        put(line)
        if line_format == "journald":
            # Each is several lines.
            put("")
