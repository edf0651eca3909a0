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
from stillgate.files import read_plain, written_by_others
from stillgate.options import BY_NAME, OPTIONS, Choice, Option, Seconds, Text, Texts
from stillgate.results.cutover import Cutover

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "stillgate.toml"
MOST_BYTES = 4 * 1024 * 1024  # some 50,000 endpoints
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
    cutovers: Dict[str, Cutover] = field(default_factory=dict)


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
    return _Reader(inventory).entry(name)


def fleet_names(inventory: Optional[str] = None) -> List[str]:
    """The names of all fleets of the file. Errors: InventoryError."""
    return sorted(_Reader(inventory).fleets())


class _Reader:
    """One file, parsed, with the places of its keys: TOML parsers give places for syntax errors
    only.

    Whoever can write it runs any command as its reader: by `on_event`, and by an ssh_config.
    """

    def __init__(self, given: Optional[str]) -> None:
        self.path = path = find_inventory(given)
        try:
            if not given and path == Path(FILE_NAME):
                # Nobody has named it: whoever put it there chose it.
                self._refuse_distrusted(f"its folder, {Path.cwd()}, ", Path.cwd(), os.stat("."))
            file = read_plain(path, MOST_BYTES)
            self._refuse_distrusted("", path, file.status)
            self.text = file.data.decode("utf-8")
        except OSError as error:
            raise InventoryError(f"cannot be read: {error.strerror}", str(path)) from error
        except UnicodeDecodeError as error:
            raise InventoryError("is not UTF-8", str(path)) from error
        try:
            self.document: Dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise self._syntax_error(str(error)) from error

    def _refuse_distrusted(self, what: str, path: Path, status: os.stat_result) -> None:
        distrust = written_by_others(path, status)
        if distrust:
            raise InventoryError(f"{what}is refused: {distrust}", str(self.path))

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
        table = dict(fleets[name])
        cutovers = self._cutovers(table.pop("cutover", {}), name)
        for key in table:
            if key not in KEYS:
                near = difflib.get_close_matches(key, KEYS, 1)
                hint = (
                    f"; did you mean '{near[0]}'?"
                    if near
                    else f"; expected {', '.join(KEYS)}, cutover"
                )
                raise self._error(f"unknown key '{key}'{hint}", key, name)
        endpoints = self._endpoints(table.pop("endpoints", []), name)
        said = {key: self._value(KEYS[key], value, name) for key, value in table.items()}
        if not endpoints:
            raise self._error("'endpoints' must name at least one", "endpoints", name)
        return Entry(name, endpoints, said.pop("frontends", []), said, cutovers)

    def _endpoints(self, value: Any, fleet: str) -> List[str]:
        """A list of URLs, or a table of them by their short names."""
        if not isinstance(value, dict):
            return self._texts(value, "endpoints", fleet)
        for name, url in value.items():
            if not isinstance(url, str):
                words = (
                    f"'endpoints' must be a list of URLs, or a table NAME = URL; '{name}' has none"
                )
                raise self._error(words, name, fleet)
        return [f"{name}={url}" for name, url in value.items()]

    def _cutovers(self, tables: Any, fleet: str) -> Dict[str, Cutover]:
        if not isinstance(tables, dict):
            words = f"write cutovers under [fleet.{fleet}.cutover.NAME]"
            raise self._error(words, "cutover", fleet)
        return {name: self._cutover(name, table, fleet) for name, table in tables.items()}

    def _cutover(self, name: str, table: Any, fleet: str) -> Cutover:
        """Names and values are HAProxy's: the engine checks them, before anything is sent."""
        kinds = {"servers": str, "weights": int, "maps": dict}
        place = f"{fleet}.cutover.{name}"
        if not isinstance(table, dict):
            words = f"write its servers, weights and maps under [fleet.{place}]"
            raise self._error(words, name, fleet)
        for key, values in table.items():
            if key not in kinds:
                words = f"unknown key '{key}' of the cutover '{name}'; expected {', '.join(kinds)}"
                raise self._error(words, key, place)
            self._check_values(key, values, kinds[key], place)
            if key == "maps":
                for file, entries in values.items():
                    self._check_values(file, entries, str, place)
        if not any(table.values()):
            words = f"the cutover '{name}' names no server, no weight and no entry of a map"
            raise self._error(words, name, fleet)
        return Cutover(name, **table)

    def _check_values(self, key: str, values: Any, kind: type, place: str) -> None:
        words = {str: "text", int: "a whole number", dict: "a table of keys and values"}
        if not isinstance(values, dict):
            raise self._error(f"'{key}' must be a table", key, place)
        for name, value in values.items():
            if not isinstance(value, kind) or isinstance(value, bool):
                raise self._error(f"'{name}' of '{key}' must be {words[kind]}", name, place)

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
