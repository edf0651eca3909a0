"""`stillgate resume`: release at every endpoint that can be reached."""

from __future__ import annotations

from typing import Any, Callable, Tuple

import click

from stillgate.cli.options import frontends_argument, options_of
from stillgate.cli.outcome import carry_out
from stillgate.fleet import Fleet


@click.command()
@frontends_argument
@options_of("resume")
def resume(
    frontends: Tuple[str, ...], make_fleet: Callable[[], Fleet], as_json: bool, **options: Any
) -> int:
    """Release FRONTEND at every endpoint that can be reached.

    Restores the old limit. Before its deadline only the holder ends a hold.

    Exit status 5: the hold had ended before (its deadline, somebody else, by hand), so requests met
    the work half done. It says so once; the next resume is well.

    With --cutover it looks for a second after the release whether a reload has lost the cutover.
    Then it applies it again, and ends with status 1.
    """
    return carry_out(
        "resume",
        make_fleet,
        as_json,
        lambda fleet, tell: fleet.resume_then(tell, *frontends, **options),
    )
