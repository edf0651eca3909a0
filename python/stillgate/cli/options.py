"""Makes click options from the table, and the fleet that they name."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar

import click

from stillgate.cli.outcome import note_call
from stillgate.console.hints import options_of_call
from stillgate.cutovers import UNNAMED, add_given, cutover_of
from stillgate.errors import InputError
from stillgate.fleet import Fleet
from stillgate.options import OPTIONS, Choice, Flag, Option, Seconds, Texts, Whole, of_verb
from stillgate.results.cutover import Cutover

F = TypeVar("F", bound=Callable[..., Any])
_OF_FLEET = [one.name for one in OPTIONS if one.of == "fleet"]

frontends_argument = click.argument("frontends", metavar="[FRONTEND]...", nargs=-1)


def complete_fleet(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> List[str]:
    """Fleet names for completion. A broken inventory completes nothing; no name steers a terminal,
    or is several lines.
    """
    from stillgate.errors import InventoryError
    from stillgate.inventory import fleet_names

    try:
        names = fleet_names(context.params.get("inventory"))
    except InventoryError:
        return []
    return [name for name in names if name.startswith(incomplete) and name.isprintable()]


def options_of(verb: str) -> Callable[[F], F]:
    """Adds all options of the verb, in the order of the table. The command gets `make_fleet` (which
    may raise InputError), `as_json`, and the options of the call by their names.
    """

    def add(command: F) -> F:
        @functools.wraps(command)
        def wrapped(
            fleet: Optional[str],
            endpoints: Tuple[str, ...],
            inventory: Optional[str],
            json: bool,
            **rest: Any,
        ) -> Any:
            given = {name: rest.pop(name, None) for name in _OF_FLEET}
            chosen = {name: value for name, value in given.items() if value is not None}
            if (fleet is None) == (not endpoints):
                raise click.UsageError("Name a fleet (--fleet) or endpoints (-e), not both.")
            note_call(options_of_call(fleet, endpoints, inventory))
            given_here = _take_given_cutover(rest)
            make = functools.partial(make_fleet, fleet, endpoints, inventory, chosen, given_here)
            return command(make_fleet=make, as_json=json, **rest)

        for option in reversed(of_verb(verb)):
            if not option.argument:
                wrapped = _as_click(option, verb)(wrapped)
        return wrapped  # type: ignore[return-value]

    return add


def make_fleet(
    name: Optional[str],
    endpoints: Tuple[str, ...],
    inventory: Optional[str],
    chosen: Dict[str, Any],
    given_here: Optional[Cutover] = None,
) -> Fleet:
    """The fleet that the options name; the command line comes before the inventory. With the
    cutover `given_here`, which may have no name of the inventory's.
    """
    if name is None:
        made = Fleet(endpoints, **chosen)
    else:
        made = Fleet.load(name, inventory, **chosen)
    if given_here is not None:
        add_given(made.cutovers, given_here)
    return made


def _take_given_cutover(options: Dict[str, Any]) -> Optional[Cutover]:
    """From --serve, under the name that the verb gets, or that it gets by this."""
    changes = options.pop("serve", ())
    if not changes:
        return None
    key = "cutover" if "cutover" in options else "name"
    options[key] = options[key] or UNNAMED
    try:
        return cutover_of(options[key], changes)
    except InputError as error:
        raise click.BadOptionUsage("serve", error.message) from error


def _as_click(option: Option, verb: str) -> Callable[[F], F]:
    names = [f"--{option.word}", *([f"-{option.letter}"] if option.letter else []), option.name]
    told = option.help_of(verb)
    words = option.default_words
    default = option.default
    if option.inventory:
        # An option that is not on the command line is left to the inventory.
        words = "" if default is None else f"the inventory's, else {_plain(default)}"
        default = None
    if words:
        told += f"  [default: {words}]"
    complete = complete_fleet if option.name == "fleet" else None
    rest = {"default": default, "show_default": bool(default), **_type_of(option)}
    return click.option(*names, help=told, shell_complete=complete, **rest)


def _type_of(option: Option) -> Dict[str, Any]:
    """The click type of an option."""
    kind = option.kind
    if isinstance(kind, Seconds):
        return {"type": click.FloatRange(kind.least, kind.most), "metavar": "SECONDS"}
    if isinstance(kind, Whole):
        return {"type": click.IntRange(kind.least, kind.most), "metavar": "N"}
    if isinstance(kind, Choice):
        return {"type": click.Choice(kind.words)}
    if isinstance(kind, Flag):
        return {"is_flag": True, "default": False}
    return {"metavar": kind.metavar, "multiple": isinstance(kind, Texts)}


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
