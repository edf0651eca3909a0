"""What Fabric's tasks are told: the settings under `stillgate:` and the flags before them, checked.

Nothing here knows Fabric: settings, environment and flags come as plain values.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from stillgate.errors import InputError
from stillgate.events import FORMATS
from stillgate.fabric.values import (
    Host,
    Place,
    Socket,
    choice,
    hosts,
    names,
    seconds,
    socket,
    switch,
    text,
    text_or_nothing,
    texts,
    whole,
    wrong,
)

LARGEST_LIMIT = 2**31 - 1
MOST_WAITING = 10**9
TIMEOUTS = ("connect_timeout", "greeting_timeout", "reply_timeout")
EVENTS = ("on_event", "event_format")


@dataclass(frozen=True)
class Settings:
    """One task's settings and flags; None is what nobody told, and Stillgate's own default holds.

    At most one of `fleet`, a name in the inventory, `endpoints` and `hosts` is there, and exactly
    one where Fabric gave no hosts. Times are seconds.
    """

    fleet: Optional[str] = None
    endpoints: Tuple[str, ...] = ()
    hosts: Tuple[Host, ...] = ()
    socket: Optional[Socket] = None
    auth: Optional[str] = None
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
    on_event: Optional[str] = None
    event_format: Optional[str] = None
    connect_timeout: Optional[float] = None
    greeting_timeout: Optional[float] = None
    reply_timeout: Optional[float] = None
    # Flags alone: of one call, and never a habit.
    seconds: Optional[float] = None
    hold: Optional[str] = None
    force: Optional[bool] = None

    def told(self, *keys: str) -> Dict[str, Any]:
        """Those of these options that somebody told: the others are left to the function called."""
        pairs = ((key, getattr(self, key)) for key in keys)
        return {key: value for key, value in pairs if value is not None}


_READERS: Dict[str, Callable[[Place, Any], Any]] = {
    "fleet": text,
    "endpoints": texts,
    "hosts": hosts,
    "socket": socket,
    "auth": choice("password", "keyboard-interactive"),
    "inventory": text,
    "frontends": names,
    "method": choice("auto", "gate", "maxconn"),
    "accept_unproven": switch,
    "on_expiry": choice("release", "reject"),
    "max_waiting": whole(0, MOST_WAITING),
    "max_hold": seconds(0.1),
    "drain_timeout": seconds(0),
    "no_lease": switch,
    "accept_hazard": switch,
    "reason": text_or_nothing,
    "ramp": seconds(0),
    "limit": whole(1, LARGEST_LIMIT),
    "wait_up": switch,
    "retry_for": seconds(0),
    "grace": seconds(0),
    "on_event": text,
    "event_format": choice(*FORMATS),
    **{name: seconds(0.001) for name in TIMEOUTS},
}
_FLAG_READERS: Dict[str, Callable[[Place, Any], Any]] = {
    **_READERS,
    "seconds": seconds(0.1),
    "hold": text,
    "force": switch,
}
KEYS = tuple(_READERS)
assert set(_FLAG_READERS) == {one.name for one in fields(Settings)}


def read_settings(
    given: Any,
    flags: Optional[Mapping[str, Any]] = None,
    environment: Optional[Mapping[str, str]] = None,
    *,
    with_hosts: bool = False,
) -> Settings:
    """`given` is what stands under `stillgate:` (None where nothing does); `flags` come before it,
    as the texts that were typed or as values. A flag that is None, False or empty was not given.
    `environment` has variables by their whole names, which end in a key: Fabric itself takes them
    for keys that stand somewhere already, so only the others are taken from here. `with_hosts`:
    Fabric gave hosts, and they come before all that names a fleet.

    Errors: InputError, which names the key, the variable or the flag.
    """
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise wrong(
            Place("setting stillgate", "stillgate", False), "must hold keys and values", given
        )
    texts_typed = {_key_of(name): (name, said) for name, said in (environment or {}).items()}
    values: Dict[str, Any] = {}
    for key, value in given.items():
        if key not in _READERS:
            raise _unknown(f"setting stillgate.{key}", str(key))
        if value is not None and value != texts_typed.get(key, ("", None))[1]:
            values[key] = _READERS[key](Place(f"setting stillgate.{key}", key, False), value)
            texts_typed.pop(key, None)
    for key, (name, said) in texts_typed.items():
        if key not in _READERS:
            raise _unknown(name, key)
        if said:
            values[key] = _READERS[key](Place(name, key, True), said)
    for key, value in (flags or {}).items():
        if value is None or value is False or value in ([], ()):
            continue
        values[key] = _FLAG_READERS[key](Place(_flag(key), key, True), value)
    return _consistent(Settings(**values), with_hosts)


def _consistent(settings: Settings, with_hosts: bool) -> Settings:
    places = (settings.fleet, settings.endpoints, settings.hosts)
    if not with_hosts and sum(bool(one) for one in places) != 1:
        raise InputError(
            "bad_option",
            "settings under stillgate: name a 'fleet' of the inventory, 'endpoints' or 'hosts', "
            "and one of them alone; or give hosts by -H",
            "fleet",
        )
    if (with_hosts or settings.hosts) and settings.socket is None:
        raise InputError(
            "bad_option",
            "setting stillgate.socket: tell where HAProxy's stats socket lies on the hosts, such "
            "as /run/haproxy/admin.sock",
            "socket",
        )
    grace, most = settings.grace, settings.max_hold
    if grace is not None and most is not None and grace >= most:
        raise InputError(
            "bad_option", f"grace: {grace:g} s leave nothing of max_hold, {most:g} s", "grace"
        )
    return settings


def _key_of(variable: str) -> str:
    return variable.lower().rpartition("stillgate_")[2]


def _flag(key: str) -> str:
    # The flag names one frontend at a time, as `--frontend a --frontend b`.
    return "--" + {"frontends": "frontend"}.get(key, key).replace("_", "-")


def _unknown(place: str, key: str) -> InputError:
    near = difflib.get_close_matches(key.replace("-", "_"), KEYS, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(KEYS)}"
    return InputError("bad_option", f"{place}: unknown; {hint}", key)
