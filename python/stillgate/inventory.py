"""The inventory: fleets by name, from stillgate.toml."""

from __future__ import annotations

import difflib
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from stillgate.errors import InventoryError
from stillgate.options import BY_NAME, OPTIONS, Choice, Option, Seconds, Text, Texts

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "stillgate.toml"
KEYS = {one.name: one for one in OPTIONS if one.inventory}
_VARIABLE = BY_NAME["inventory"].variable
# Parts without keys: comments, and strings that are not quoted keys.
_VALUE = re.compile(r"""#.*|("(?:\\.|[^"\\])*"|'[^']*')(?!["']?\s*[=.])""")
_PLACE = re.compile(r"^(.*) \(at (?:line (\d+), column (\d+)|end of document)\)$", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """One fleet of the file. `options` are the options of Fleet that it sets."""

    name: str
    endpoints: List[str]
    frontends: List[str]
    options: Dict[str, Any] = field(default_factory=dict)


def find_inventory(given: Optional[str] = None) -> Path:
    """The file in use: `given`, else $STILLGATE_INVENTORY, ./stillgate.toml,
    ~/.config/stillgate/stillgate.toml, /etc/stillgate/stillgate.toml. The first two must exist.
    """
    if given:
        return Path(given)
    named = os.environ.get(_VARIABLE)
    if named:
        return Path(named)
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    places = [Path(FILE_NAME), config / "stillgate" / FILE_NAME, Path("/etc/stillgate") / FILE_NAME]
    for place in places:
        # A folder without search permission has no inventory, such as that of the user who called
        # sudo.
        if os.path.exists(place):
            return place
    looked = ", ".join(str(place) for place in places)
    raise InventoryError("no inventory found; name endpoints, or write an inventory", looked)


def load_fleet(name: str, inventory: Optional[str] = None) -> Entry:
    """One fleet by its name. Errors: InventoryError."""
    reader = _Reader(find_inventory(inventory))
    return reader.entry(name)


def fleet_names(inventory: Optional[str] = None) -> List[str]:
    """The names of all fleets of the file. Errors: InventoryError."""
    return sorted(_Reader(find_inventory(inventory)).fleets())


class _Reader:
    """One file, parsed, with the places of its keys: TOML parsers give places for syntax errors
    only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.text = path.read_text("utf-8")
        except OSError as error:
            raise InventoryError(f"cannot be read: {error.strerror}", str(path)) from error
        except UnicodeDecodeError as error:
            raise InventoryError("is not UTF-8", str(path)) from error
        try:
            self.document: Dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise self._syntax_error(str(error)) from error

    def fleets(self) -> Mapping[str, Any]:
        for key in self.document:
            if key != "fleet":
                raise self._error(f"unknown key '{key}'; write fleets under [fleet.NAME]", key)
        fleets = self.document.get("fleet", {})
        if not isinstance(fleets, dict) or not all(isinstance(f, dict) for f in fleets.values()):
            raise self._error("write fleets under [fleet.NAME]", "fleet")
        return fleets

    def entry(self, name: str) -> Entry:
        fleets = self.fleets()
        if name not in fleets:
            known = ", ".join(sorted(fleets)) or "none"
            raise InventoryError(
                f"no fleet '{name}'; fleets there: {known}", str(self.path), field="fleet"
            )
        table = fleets[name]
        for key in table:
            if key not in KEYS:
                near = difflib.get_close_matches(key, KEYS, 1)
                hint = f"; did you mean '{near[0]}'?" if near else f"; expected {', '.join(KEYS)}"
                raise self._error(f"unknown key '{key}'{hint}", key, name)
        said = {key: self._value(KEYS[key], value, name) for key, value in table.items()}
        endpoints = said.pop("endpoints", [])
        if not endpoints:
            raise self._error("'endpoints' must name at least one", "endpoints", name)
        return Entry(name, endpoints, said.pop("frontends", []), said)

    def _value(self, option: Option, value: Any, fleet: str) -> Any:
        key, kind = option.name, option.kind
        if isinstance(kind, Texts):
            return self._texts(value, key, fleet)
        if isinstance(kind, Seconds):
            return self._seconds(kind, value, key, fleet)
        assert isinstance(kind, (Choice, Text)), f"{key} cannot be set in an inventory"
        if not isinstance(value, str):
            raise self._error(f"'{key}' must be text", key, fleet)
        if isinstance(kind, Choice) and value not in kind.words:
            raise self._error(f"'{key}' must be one of {', '.join(kind.words)}", key, fleet)
        return value

    def _texts(self, value: Any, key: str, fleet: str) -> List[str]:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._error(f"'{key}' must be a list of strings", key, fleet)
        for one in value:
            if value.count(one) > 1:
                raise self._error(f"'{key}' names '{one}' twice", key, fleet)
        return value

    def _seconds(self, kind: Seconds, value: Any, key: str, fleet: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._error(f"'{key}' must be a number of seconds", key, fleet)
        if not kind.least <= value <= kind.most:
            words = f"'{key}' must be from {kind.least:g} to {kind.most:g} seconds"
            raise self._error(words, key, fleet)
        return float(value)

    def _syntax_error(self, message: str) -> InventoryError:
        place = _PLACE.match(message)
        if place is None:
            return InventoryError(message, str(self.path))
        if place.group(2) is None:
            lines = self.text.splitlines() or [""]
            return InventoryError(place.group(1), str(self.path), len(lines), len(lines[-1]) + 1)
        return InventoryError(
            place.group(1), str(self.path), int(place.group(2)), int(place.group(3))
        )

    def _error(self, message: str, key: str, fleet: Optional[str] = None) -> InventoryError:
        """With the key's place: in the fleet's table if one is named, else anywhere."""
        word = re.compile(rf"(?<![\w-]){re.escape(key)}(?![\w-])")
        inside = fleet is None
        # For `fleet.NAME.KEY = ...` and `NAME = { KEY = ... }`, which have no table of their own.
        beside: Tuple[Optional[int], Optional[int]] = (None, None)
        for number, line in enumerate(self.text.splitlines(), 1):
            header = re.match(r"\s*\[\s*(.+?)\s*\]", line)
            if header and fleet is not None:
                inside = header.group(1).replace('"', "").replace("'", "") == f"fleet.{fleet}"
            found = word.search(_VALUE.sub(lambda one: " " * len(one.group()), line))
            if found and inside:
                return InventoryError(message, str(self.path), number, found.start() + 1, key)
            named = fleet is not None and re.search(rf"\b{re.escape(fleet)}\b", line)
            if found and named and beside == (None, None):
                beside = (number, found.start() + 1)
        line_number, column = beside
        return InventoryError(message, str(self.path), line_number, column, key)
