"""What Fabric's tasks are told: the settings under `stillgate:` and the flags before them, checked.

Nothing here knows Fabric: settings and flags come as plain values.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, fields
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from stillgate.errors import InputError

LARGEST_LIMIT = 2**31 - 1
MOST_WAITING = 10**9
LONGEST = 3600.0  # seconds
TIMEOUTS = ("connect_timeout", "greeting_timeout", "reply_timeout")


@dataclass(frozen=True)
class Settings:
    """One task's settings and flags; None is what nobody told, and Stillgate's own default holds.

    Exactly one of `fleet`, a name in the inventory, and `endpoints` is there. Times are seconds.
    """

    fleet: Optional[str] = None
    endpoints: Tuple[str, ...] = ()
    inventory: Optional[str] = None
    frontends: Tuple[str, ...] = ()
    method: Optional[str] = None
    accept_unproven: Optional[bool] = None
    on_expiry: Optional[str] = None
    max_waiting: Optional[int] = None
    max_hold: Optional[float] = None
    drain_timeout: Optional[float] = None
    no_lease: Optional[bool] = None
    accept_hazard: Optional[bool] = None
    reason: Optional[str] = None
    ramp: Optional[float] = None
    limit: Optional[int] = None
    wait_up: Optional[bool] = None
    retry_for: Optional[float] = None
    grace: Optional[float] = None
    connect_timeout: Optional[float] = None
    greeting_timeout: Optional[float] = None
    reply_timeout: Optional[float] = None

    def told(self, *names: str) -> Dict[str, Any]:
        """Those of these options that somebody told: the others are left to the function called."""
        pairs = ((name, getattr(self, name)) for name in names)
        return {name: value for name, value in pairs if value is not None}


def read_settings(given: Any, flags: Optional[Mapping[str, Any]] = None) -> Settings:
    """`given` is what stands under `stillgate:` (None where nothing does); `flags` come before it,
    as the texts that were typed or as values. A flag that is None, False or empty was not given.

    Errors: InputError, which names the key or the flag.
    """
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise _wrong("setting stillgate", "must hold keys and values", given, "stillgate")
    values: Dict[str, Any] = {}
    for key, value in given.items():
        if key not in _READERS:
            raise _unknown(str(key))
        if value is not None:
            values[key] = _READERS[key](_Place(f"setting stillgate.{key}", key, False), value)
    for key, value in (flags or {}).items():
        if value is None or value is False or value in ([], ()):
            continue
        values[key] = _READERS[key](_Place(_flag(key), key, True), value)
    return _consistent(Settings(**values))


def _consistent(settings: Settings) -> Settings:
    if (settings.fleet is None) == (not settings.endpoints):
        raise InputError(
            "bad_option",
            "settings under stillgate: name a 'fleet' of the inventory or 'endpoints', "
            "and not both",
            "fleet",
        )
    grace, most = settings.grace, settings.max_hold
    if grace is not None and most is not None and grace >= most:
        raise InputError(
            "bad_option", f"grace: {grace:g} s leave nothing of max_hold, {most:g} s", "grace"
        )
    return settings


# --- one value ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """Where a value stands, in words; only what was typed may be the text of a number."""

    words: str
    key: str
    typed: bool


def _text(place: _Place, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(place.words, "must be a text", value, place.key)
    return value


def _text_or_nothing(place: _Place, value: Any) -> str:
    return "" if value == "" else _text(place, value)


def _texts(place: _Place, value: Any) -> Tuple[str, ...]:
    several = isinstance(value, (list, tuple)) and len(value) > 0
    if not several or not all(isinstance(one, str) and one for one in value):
        raise _wrong(place.words, "must be a list of texts", value, place.key)
    return tuple(value)


def _text_or_texts(place: _Place, value: Any) -> Tuple[str, ...]:
    return (_text(place, value),) if isinstance(value, str) else _texts(place, value)


def _switch(place: _Place, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(place.words, "must be true or false", value, place.key)
    return value


def _number(place: _Place, value: Any, what: str) -> float:
    if place.typed and isinstance(value, str):
        try:
            value = float(value)
        except ValueError as error:
            raise _wrong(place.words, f"must be {what}", value, place.key) from error
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _wrong(place.words, f"must be {what}", value, place.key)
    return value


def _seconds(least: float) -> Callable[[_Place, Any], float]:
    def read(place: _Place, value: Any) -> float:
        found = float(_number(place, value, "a number of seconds"))
        if not least <= found <= LONGEST:
            what = f"must be from {least:g} to {LONGEST:g} seconds"
            raise _wrong(place.words, what, value, place.key)
        return found

    return read


def _whole(least: int, most: int) -> Callable[[_Place, Any], int]:
    def read(place: _Place, value: Any) -> int:
        what = f"a whole number from {least} to {most}"
        found = _number(place, value, what)
        if found != int(found) or not least <= found <= most:
            raise _wrong(place.words, f"must be {what}", value, place.key)
        return int(found)

    return read


def _choice(*words: str) -> Callable[[_Place, Any], str]:
    def read(place: _Place, value: Any) -> str:
        if value not in words:
            raise _wrong(place.words, f"must be one of {', '.join(words)}", value, place.key)
        return str(value)

    return read


_READERS: Dict[str, Callable[[_Place, Any], Any]] = {
    "fleet": _text,
    "endpoints": _texts,
    "inventory": _text,
    "frontends": _text_or_texts,
    "method": _choice("auto", "gate", "maxconn"),
    "accept_unproven": _switch,
    "on_expiry": _choice("release", "reject"),
    "max_waiting": _whole(0, MOST_WAITING),
    "max_hold": _seconds(0.1),
    "drain_timeout": _seconds(0),
    "no_lease": _switch,
    "accept_hazard": _switch,
    "reason": _text_or_nothing,
    "ramp": _seconds(0),
    "limit": _whole(1, LARGEST_LIMIT),
    "wait_up": _switch,
    "retry_for": _seconds(0),
    "grace": _seconds(0),
    **{name: _seconds(0.001) for name in TIMEOUTS},
}
KEYS = tuple(_READERS)
assert set(KEYS) == {one.name for one in fields(Settings)}


def _flag(key: str) -> str:
    # The flag names one frontend at a time, as `--frontend a --frontend b`.
    return "--" + {"frontends": "frontend"}.get(key, key).replace("_", "-")


def _wrong(place: str, what: str, value: Any, key: str) -> InputError:
    return InputError("bad_option", f"{place}: {what}, not {value!r}", key)


def _unknown(key: str) -> InputError:
    near = difflib.get_close_matches(key.replace("-", "_"), KEYS, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(KEYS)}"
    return InputError("bad_option", f"setting stillgate.{key}: unknown; {hint}", key)
