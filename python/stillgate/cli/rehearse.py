"""`stillgate rehearse`: what a hold would do to the traffic of now."""

from __future__ import annotations

from typing import Any, Callable, Tuple

import click

from stillgate.cli.options import frontends_argument, options_of
from stillgate.cli.outcome import show_failure
from stillgate.console.documents import rehearsal_document, to_json
from stillgate.console.progress import with_progress
from stillgate.console.show import show_rehearsal
from stillgate.console.streams import put
from stillgate.errors import StillgateError
from stillgate.fleet import Fleet


@click.command()
@frontends_argument
@options_of("rehearse")
def rehearse(
    frontends: Tuple[str, ...], make_fleet: Callable[[], Fleet], as_json: bool, **options: Any
) -> int:
    """Watch the traffic, foresee a hold, and hold nothing.

    Says how many requests would wait, what would be full first, how long the drain and the servers
    would take, and the longest hold that it advises. Begins with the check. The exit status is the
    check's, whatever is advised.
    """
    try:
        fleet = make_fleet()
        rehearsal = with_progress(fleet, lambda quiet: fleet.rehearse(*frontends, **options))
    except StillgateError as error:
        return show_failure("rehearse", error, as_json)
    if as_json:
        put(to_json(rehearsal_document(rehearsal)))
    else:
        show_rehearsal(rehearsal)
    return rehearsal.exit_status
