"""Checks one value of Fabric's settings or flags; the refusal names its place.

Nothing here knows Fabric.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Tuple, Union

from stillgate.errors import InputError
from stillgate.results.cutover import Cutover

# One of Fabric's hosts: text, or keyword arguments of its Connection.
Host = Union[str, Mapping[str, Any]]
# The path of HAProxy's stats socket: on all hosts, or by a host's name.
Socket = Union[str, Mapping[str, str]]


@dataclass(frozen=True)
class Place:
    """Where a value comes from, in words. Only typed text may stand for a number."""

    words: str
    key: str
    typed: bool


def wrong(place: Place, what: str, value: Any) -> InputError:
    return InputError("bad_option", f"{place.words}: {what}, not {value!r}", place.key)


def text(place: Place, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise wrong(place, "must be text", value)
    return value


def text_or_nothing(place: Place, value: Any) -> str:
    return "" if value == "" else text(place, value)


def texts(place: Place, value: Any) -> Tuple[str, ...]:
    if place.typed and isinstance(value, str):
        value = value.split()
    several = isinstance(value, (list, tuple)) and len(value) > 0
    if not several or not all(isinstance(one, str) and one for one in value):
        raise wrong(place, "must be a list of strings", value)
    return tuple(value)


def changes(place: Place, value: Any) -> Tuple[str, ...]:
    """Of a cutover; one text is one change, because a map's value may have blanks."""
    return texts(place, [value] if isinstance(value, str) else value)


def wanted_cutover(place: Place, value: Any) -> Union[str, Cutover]:
    """By its name; a caller in Python may have one as it is."""
    return value if isinstance(value, Cutover) else text(place, value)


def names(place: Place, value: Any) -> Tuple[str, ...]:
    """Several in one text are separated by commas, as for `fab -H`."""
    if isinstance(value, str):
        value = [one.strip() for one in text(place, value).split(",")]
    return texts(place, value)


def hosts(place: Place, value: Any) -> Tuple[Host, ...]:
    if isinstance(value, str):
        return names(place, value)
    if not isinstance(value, (list, tuple)) or not value:
        raise wrong(place, "must be a list of hosts", value)
    for one in value:
        named = one.get("host") if isinstance(one, Mapping) else one
        if not isinstance(named, str) or not named.strip():
            raise wrong(
                place, "must be a list of strings, or of keys and values with a 'host'", value
            )
    return tuple(value)


def socket(place: Place, value: Any) -> Socket:
    said = dict(value) if isinstance(value, Mapping) else {"": value}
    for name, one in said.items():
        fit = isinstance(one, str) and one.startswith(("/", "tcp://"))
        if not fit or not isinstance(name, str):
            what = "must be an absolute path, or tcp://address:port, or one of them for each host"
            raise wrong(place, what, value)
    return said if isinstance(value, Mapping) else str(value)


def switch(place: Place, value: Any) -> bool:
    if place.typed and isinstance(value, str):
        value = {"1": True, "true": True, "0": False, "false": False}.get(value.lower(), value)
    if not isinstance(value, bool):
        raise wrong(place, "must be true or false", value)
    return value


def _number(place: Place, value: Any, what: str) -> float:
    if place.typed and isinstance(value, str):
        try:
            value = float(value)
        except ValueError as error:
            raise wrong(place, f"must be {what}", value) from error
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise wrong(place, f"must be {what}", value)
    return value


def seconds(least: float, most: float) -> Callable[[Place, Any], float]:
    def read(place: Place, value: Any) -> float:
        found = float(_number(place, value, "a number of seconds"))
        if not least <= found <= most:
            raise wrong(place, f"must be from {least:g} to {most:g} seconds", value)
        return found

    return read


def whole(least: int, most: int) -> Callable[[Place, Any], int]:
    def read(place: Place, value: Any) -> int:
        what = f"a whole number from {least} to {most}"
        found = _number(place, value, what)
        if found != int(found) or not least <= found <= most:
            raise wrong(place, f"must be {what}", value)
        return int(found)

    return read


def choice(*words: str) -> Callable[[Place, Any], str]:
    def read(place: Place, value: Any) -> str:
        if value not in words:
            raise wrong(place, f"must be one of {', '.join(words)}", value)
        return str(value)

    return read
