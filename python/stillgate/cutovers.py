"""Cutovers by their names: those of the inventory, and one that is given on the spot."""

from __future__ import annotations

from typing import Dict, Iterable, Mapping, TypeVar

from stillgate.errors import InputError
from stillgate.results.cutover import Cutover

STATES = ("ready", "drain", "maint")
UNNAMED = "given"
V = TypeVar("V")


def cutover_of(name: str, changes: Iterable[str]) -> Cutover:
    """From `BACKEND/SERVER=ready`, `BACKEND/SERVER=WEIGHT` and `FILE:KEY=VALUE`; the engine checks
    the names. Errors: InputError.
    """
    servers: Dict[str, str] = {}
    weights: Dict[str, int] = {}
    maps: Dict[str, Dict[str, str]] = {}
    for text in changes:
        place, equals, value = text.partition("=")
        file, colon, key = place.partition(":")
        if not equals or not place:
            raise _wrong(text, "write BACKEND/SERVER=VALUE or FILE:KEY=VALUE")
        if colon:
            entries: Dict[str, str] = maps.setdefault(file, {})
            _set_once(entries, key, value, text)
        elif value in STATES:
            _set_once(servers, place, value, text)
        elif value.isascii() and value.isdigit():
            _set_once(weights, place, int(value), text)
        else:
            raise _wrong(text, f"a server is {', '.join(STATES)} or has a weight")
    return Cutover(name, servers, weights, maps)


def add_given(cutovers: Dict[str, Cutover], given: Cutover) -> None:
    """`cutovers` are the inventory's. Errors: InputError."""
    if given.name in cutovers:
        words = f"serve: the inventory has a cutover '{given.name}'; give this one another name"
        raise InputError("bad_option", words, "serve")
    cutovers[given.name] = given


def cutover_named(cutovers: Mapping[str, Cutover], name: str) -> Cutover:
    """Errors: InputError, with those that there are."""
    if name in cutovers:
        return cutovers[name]
    known = ", ".join(sorted(cutovers)) or "none"
    words = f"cutover: the fleet has no cutover '{name}'; it has: {known}"
    raise InputError("bad_option", words, "cutover")


def _set_once(values: Dict[str, V], key: str, value: V, text: str) -> None:
    if key in values:
        raise _wrong(text, "is given twice")
    values[key] = value


def _wrong(text: str, why: str) -> InputError:
    return InputError("bad_option", f"serve: '{text}': {why}", "serve")
