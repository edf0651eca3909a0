"""The options of Fabric's tasks: flags, and the settings under `stillgate:`, checked.

Nothing here knows Fabric: settings, environment and flags come as plain values.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from stillgate.errors import InputError
from stillgate.fabric.values import (
    Host,
    Place,
    Socket,
    changes,
    choice,
    hosts,
    names,
    seconds,
    socket,
    switch,
    text,
    text_or_nothing,
    texts,
    wanted_cutover,
    whole,
    wrong,
)
from stillgate.options import BY_NAME, OPTIONS, Choice, Flag, Option, Seconds, Text, Whole

Reader = Callable[[Place, Any], Any]


@dataclass(frozen=True)
class Settings:
    """One task's settings and flags.

    At most one of `fleet` (a name in the inventory), `endpoints` and `hosts` is set; exactly one if
    Fabric gave no hosts. `options` are the options of stillgate.options that were given; for the
    others Stillgate's defaults count.
    """

    fleet: Optional[str] = None
    endpoints: Tuple[str, ...] = ()
    hosts: Tuple[Host, ...] = ()
    socket: Optional[Socket] = None
    auth: Optional[str] = None
    inventory: Optional[str] = None
    frontends: Tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def but(self, **options: Any) -> Settings:
        """With these options, too."""
        return replace(self, options={**self.options, **options})

    def without(self, name: str) -> Settings:
        """As if that option had not been given."""
        left = {key: value for key, value in self.options.items() if key != name}
        return replace(self, options=left)

    def told(self, *names_of: str) -> Dict[str, Any]:
        """Those of these options that were given."""
        return {name: self.options[name] for name in names_of if name in self.options}


def _reader(option: Option) -> Reader:
    kind = option.kind
    if isinstance(kind, Seconds):
        return seconds(kind.least, kind.most)
    if isinstance(kind, Whole):
        return whole(kind.least, kind.most)
    if isinstance(kind, Choice):
        return choice(*kind.words)
    if isinstance(kind, Flag):
        return switch
    if isinstance(kind, Text):
        return text_or_nothing if kind.may_be_empty else text
    return names if kind.commas else texts


# Keys that name a fleet; the last three are Fabric's own.
PLACES = ("fleet", "endpoints", "inventory", "frontends", "hosts", "socket", "auth")
_READERS: Dict[str, Reader] = {
    **{one.name: _reader(one) for one in OPTIONS if one.fabric in ("both", "setting")},
    "hosts": hosts,
    "socket": socket,
    "auth": choice("password", "keyboard-interactive"),
}
_FLAG_READERS: Dict[str, Reader] = {
    **{one.name: _reader(one) for one in OPTIONS if one.fabric in ("both", "flag")},
    "cutover": wanted_cutover,
    "serve": changes,
}
KEYS = tuple(_READERS)


def read_settings(
    given: Any,
    flags: Optional[Mapping[str, Any]] = None,
    environment: Optional[Mapping[str, str]] = None,
    *,
    with_hosts: bool = False,
) -> Settings:
    """`given` is the setting `stillgate:` (None if it is missing). `flags` come before it, as typed
    text or as values; a flag that is None, False or empty was not given. `environment` has
    variables by their whole names, which end in a key. Fabric itself reads them for keys that exist
    in its configuration, so only the others are read here. `with_hosts`: Fabric gave hosts, and
    they come before everything that names a fleet.

    Errors: InputError, which names the key, the variable or the flag.
    """
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise wrong(
            Place("setting stillgate", "stillgate", False), "must have keys and values", given
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
    places = {key: values.pop(key) for key in PLACES if key in values}
    return _consistent(Settings(**places, options=values), with_hosts)


def _consistent(settings: Settings, with_hosts: bool) -> Settings:
    places = (settings.fleet, settings.endpoints, settings.hosts)
    if not with_hosts and sum(bool(one) for one in places) != 1:
        raise InputError(
            "bad_option",
            "settings under stillgate: name exactly one of 'fleet' (of the inventory), 'endpoints' "
            "and 'hosts'; or give hosts by -H",
            "fleet",
        )
    if (with_hosts or settings.hosts) and settings.socket is None:
        raise InputError(
            "bad_option",
            "setting stillgate.socket: name HAProxy's stats socket on the hosts, such as "
            "/run/haproxy/admin.sock",
            "socket",
        )
    grace, most = (settings.options.get(name) for name in ("grace", "max_hold"))
    if grace is not None and most is not None and grace >= most:
        raise InputError(
            "bad_option", f"grace: {grace:g} s must be less than max_hold, {most:g} s", "grace"
        )
    return settings


def _key_of(variable: str) -> str:
    return variable.lower().rpartition("stillgate_")[2]


def _flag(key: str) -> str:
    return f"--{BY_NAME[key].word}"


def _unknown(place: str, key: str) -> InputError:
    near = difflib.get_close_matches(key.replace("-", "_"), KEYS, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"expected {', '.join(KEYS)}"
    return InputError("bad_option", f"{place}: unknown; {hint}", key)
