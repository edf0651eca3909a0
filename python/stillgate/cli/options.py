"""Options that all verbs share, and the fleet that they name."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar

import click

from stillgate.events import FORMATS
from stillgate.fleet import Fleet

F = TypeVar("F", bound=Callable[..., Any])

frontends_argument = click.argument("frontends", metavar="[FRONTEND]...", nargs=-1)
accept_hazard_option = click.option(
    "--accept-hazard",
    is_flag=True,
    help="Overrule the table of releases that crash on resume: this build has the fix.",
)


def complete_fleet(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> List[str]:
    """Names of the inventory, for the shell. A broken inventory completes nothing."""
    from stillgate.errors import InventoryError
    from stillgate.inventory import fleet_names

    try:
        names = fleet_names(context.params.get("inventory"))
    except InventoryError:
        return []
    return [name for name in names if name.startswith(incomplete)]


_SECONDS = click.FloatRange(0.001, 3600)
_OPTIONS = [
    click.option(
        "--fleet",
        "-f",
        "fleet_name",
        metavar="NAME",
        shell_complete=complete_fleet,
        help="A fleet of the inventory.",
    ),
    click.option(
        "--endpoint",
        "-e",
        "endpoints",
        metavar="URL",
        multiple=True,
        help="unix:///path, /path, tcp://host:port or ssh://[user@]host/path; again and again.",
    ),
    click.option(
        "--inventory", metavar="FILE", help="The inventory, in place of the usual places."
    ),
    click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output."),
    click.option(
        "--connect-timeout",
        type=_SECONDS,
        metavar="SECONDS",
        help="Until a connection stands.  [default: 2]",
    ),
    click.option(
        "--greeting-timeout",
        type=_SECONDS,
        metavar="SECONDS",
        help="Until HAProxy's first word.  [default: 2]",
    ),
    click.option(
        "--reply-timeout",
        type=_SECONDS,
        metavar="SECONDS",
        help="From the command to the complete reply.  [default: 5]",
    ),
]


_HOLD_OPTIONS = [
    click.option(
        "--method",
        type=click.Choice(["auto", "gate", "maxconn"]),
        default="auto",
        show_default=True,
        help="auto: the gate where it is proven, else maxconn where that is safe.",
    ),
    click.option(
        "--accept-unproven",
        is_flag=True,
        help="Take a gate that is loaded for a proven one: every request comes through it.",
    ),
    click.option(
        "--on-expiry",
        type=click.Choice(["release", "reject"]),
        default="release",
        show_default=True,
        help="What a gate does at the deadline; reject: 503 until somebody resumes.",
    ),
    click.option(
        "--max-waiting",
        type=click.IntRange(0, 1_000_000_000),
        default=0,
        metavar="N",
        help="Above so many requests per frontend a gate answers 503; 0: no bound.",
    ),
    click.option(
        "--max-hold",
        type=click.FloatRange(0.1, 3600),
        metavar="SECONDS",
        help="How long customers may wait at most.  [default: the inventory's, else 15]",
    ),
    click.option(
        "--drain-timeout",
        type=click.FloatRange(0, 3600),
        default=5.0,
        show_default=True,
        metavar="SECONDS",
        help="How long what was let in before may take to end, or all is resumed; 0: do not wait.",
    ),
]


def hold_options(command: F) -> F:
    """Adds what a hold is to keep to."""
    for option in reversed(_HOLD_OPTIONS):
        command = option(command)
    return command


owner_option = click.option(
    "--owner",
    metavar="NAME",
    default="",
    help="Whose hold it is.  [default: user@host]",
)

_EVENT_OPTIONS = [
    click.option(
        "--on-event",
        metavar="CMD",
        help="A shell command that gets a line on its standard input for each event of a hold.",
    ),
    click.option(
        "--event-format",
        type=click.Choice(FORMATS),
        help="Of that line.  [default: the inventory's, else json]",
    ),
]


def event_options(command: F) -> F:
    """Adds who is told what happens to holds; for fleet_options, which takes them."""
    for option in reversed(_EVENT_OPTIONS):
        command = option(command)
    return command


def fleet_options(command: F) -> F:
    """Adds them; the command gets `make_fleet` (which may raise InputError) and `as_json`."""

    @functools.wraps(command)
    def wrapped(
        fleet_name: Optional[str],
        endpoints: Tuple[str, ...],
        inventory: Optional[str],
        connect_timeout: Optional[float],
        greeting_timeout: Optional[float],
        reply_timeout: Optional[float],
        **rest: Any,
    ) -> Any:
        given: Dict[str, Any] = {
            "connect_timeout": connect_timeout,
            "greeting_timeout": greeting_timeout,
            "reply_timeout": reply_timeout,
        }
        for name in ("on_event", "event_format"):
            given[name] = rest.pop(name, None)
        chosen = {name: value for name, value in given.items() if value is not None}
        if (fleet_name is None) == (not endpoints):
            raise click.UsageError("Name a fleet (--fleet) or endpoints (-e), and not both.")
        make = functools.partial(make_fleet, fleet_name, endpoints, inventory, chosen)
        return command(make_fleet=make, **rest)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def make_fleet(
    name: Optional[str],
    endpoints: Tuple[str, ...],
    inventory: Optional[str],
    chosen: Dict[str, Any],
) -> Fleet:
    """The fleet that the options name; what the command line chose comes before the inventory's."""
    if name is None:
        return Fleet(endpoints, **chosen)
    return Fleet.load(name, inventory, **chosen)
