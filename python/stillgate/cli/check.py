"""`stillgate check`: everything that would stop or endanger a hold."""

from __future__ import annotations

from typing import Any, Callable, Tuple

import click

from stillgate.cli.options import frontends_argument, options_of
from stillgate.cli.outcome import carry_out
from stillgate.fleet import Fleet


@click.command()
@frontends_argument
@options_of("check")
def check(
    frontends: Tuple[str, ...], make_fleet: Callable[[], Fleet], as_json: bool, **options: Any
) -> int:
    """Report what would stop or endanger a hold; change nothing."""
    return carry_out(
        "check", make_fleet, as_json, lambda fleet, tell: tell(fleet.check(*frontends, **options))
    )
