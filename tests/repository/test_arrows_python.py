"""Who may know whom in python/stillgate: a table of its rooms, and no circle of modules."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "python" / "stillgate"

# A room is a folder or a file of the package; it may import what stands behind it, for the type
# checker alone and inside a function, too. Lower rooms come first, so that nothing runs back up.
ROOMS: dict[str, set[str]] = {
    "_core": set(),
    "files": set(),
    "gate": set(),
    "reserve": set(),
    "clock": set(),
    "options": set(),
    "postgres": set(),
    "run_until": {"_core", "clock"},
    "results": {"_core"},
    "errors": {"_core", "results"},
    "cutovers": {"errors", "results"},
    "events": set(),
    "tables": {"clock", "results"},
    "watching": {"results"},
    "held_after": {"_core", "errors", "results", "tables"},
    "suspension": {
        *("_core", "clock", "errors", "events", "held_after", "reserve", "results", "watching"),
    },
    "inventory": {"errors", "files", "options", "results"},
    "past_holds": {"_core", "clock", "files", "results", "tables"},
    "ownership": {"_core", "results"},
    "measured": {"_core", "files", "results"},
    "hold_report": {"results"},
    "forecast": {"results"},
    "rehearsing": {"_core", "errors", "forecast", "results"},
    # A program of its own, which the leash starts.
    "continuing": {"_core", "clock", "postgres", "results"},
    "cutover_leash": {"clock", "continuing", "errors", "run_until"},
    "look_after": {"clock", "errors", "results"},
    "fleet": {
        *(
            "_core",
            "cutover_leash",
            "cutovers",
            "errors",
            "events",
            "held_after",
            "inventory",
            "look_after",
            "measured",
            "options",
        ),
        *("past_holds", "rehearsing", "results", "suspension", "tables", "watching"),
    },
    "aio": {"_core", "errors", "fleet", "held_after", "past_holds", "results", "suspension"},
    # The package's face, which imports a room when one of its names is first used.
    "__init__": {"aio", "errors", "fleet", "past_holds", "results", "suspension"},
    "console": {
        *("clock", "errors", "fleet", "gate", "continuing", "hold_report", "options", "past_holds"),
        *("postgres", "results", "run_until", "suspension", "tables"),
    },
    "cli": {
        *(
            "__init__",
            "_core",
            "console",
            "cutovers",
            "errors",
            "files",
            "fleet",
            "gate",
            "hold_report",
            "inventory",
            "measured",
            "options",
        ),
        *("ownership", "past_holds", "results", "run_until"),
    },
    "fabric": {
        *("console", "cutovers", "errors", "fleet", "options", "ownership", "results"),
        *("run_until",),
    },
    "__main__": {"cli"},
}
# Who alone may import what is not Python's own, or takes long.
LIBRARIES: dict[str, set[str]] = {
    "asyncio": {"aio"},
    "click": {"cli"},
    "fabric": {"fabric"},
    "invoke": {"fabric"},
    "rich": {"results", "tables"},
    "tomli": {"inventory"},
    "tomllib": {"inventory"},
    "typing_extensions": {"aio"},
}
# What stands in a room and is yet free of its library.
FREE = {"fabric/settings.py": {"fabric", "invoke"}, "fabric/values.py": {"fabric", "invoke"}}

STANDARD: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())  # from 3.10 on


def name_of(path: Path) -> str:
    parts = ("stillgate", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(path: Path) -> set[str]:
    """Modules by their whole names, wherever in the file they are imported."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: imports are by whole names"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in MODULES or alias.name == "_core" else node.module)
    return found


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def is_ours(module: str) -> bool:
    return module.split(".")[0] == "stillgate"


def graph() -> dict[str, set[str]]:
    return {
        name: {one for one in imports_of(path) if one in MODULES} for name, path in MODULES.items()
    }


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """What can be reached from itself, grouped: Tarjan's strongly connected components."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for other in sorted(arrows[node]):
            if other not in order:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], order[other])
        if lowest[node] == order[node]:
            at = stack.index(node)
            group, stack[at:] = stack[at:], []
            if len(group) > 1 or node in arrows[node]:
                found.append(sorted(group))

    for node in sorted(arrows):
        if node not in order:
            visit(node)
    return found


def test_the_table_runs_one_way() -> None:
    lower: set[str] = set()
    for room, known in ROOMS.items():
        assert known <= lower, f"{room} knows {known - lower}, which stands above it"
        lower.add(room)


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_table(module: str) -> None:
    room = room_of(module)
    for other in imports_of(MODULES[module]):
        if is_ours(other):
            known = {room} | ROOMS[room]
            assert room_of(other) in known, f"{room} does not know {room_of(other)}"
            continue
        library = other.split(".")[0]
        if library in LIBRARIES:
            assert room in LIBRARIES[library], f"{room} does not know {library}"
        else:
            assert not STANDARD or library in STANDARD, f"{library} is not in the table"


def test_the_table_has_no_arrow_too_many() -> None:
    drawn: dict[str, set[str]] = {room: set() for room in ROOMS}
    for module, path in MODULES.items():
        drawn[room_of(module)] |= {room_of(one) for one in imports_of(path) if is_ours(one)}
    for room, known in ROOMS.items():
        assert known - drawn[room] == set(), f"{room} imports less than it may"


@pytest.mark.parametrize("file, libraries", FREE.items())
def test_what_is_free_of_its_rooms_library(file: str, libraries: set[str]) -> None:
    assert {one.split(".")[0] for one in imports_of(PACKAGE / file)} & libraries == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = graph()
    assert len(arrows) > 30, "the walk has lost the sources"
    assert circles(arrows) == []


def test_a_circle_is_found() -> None:
    arrows: dict[str, set[str]] = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e"}}
    assert circles(arrows) == [["b", "c"], ["e"]]
