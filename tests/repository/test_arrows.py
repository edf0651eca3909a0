"""Who may know whom: the table of docs/design.md, "Layout", held against includes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = "cpp/src/"

# A room is a folder, or a file that lies beside folders. room -> the rooms whose headers it may
# include (one that ends with a slash: each room below it), and the libraries. std is free for all.
# No room may know one further down in this table.
HOLD = SRC + "hold/"
SSH = SRC + "transport/ssh/"
CPP: dict[str, tuple[set[str], set[str]]] = {
    "cpp/include": (set(), set()),
    SRC + "files": (set(), {"fmt", "posix"}),
    SRC + "model": ({"cpp/include"}, {"fmt", "boost.json"}),
    SRC + "runtime_api": ({"cpp/include", SRC + "model"}, {"fmt", "boost.json"}),
    HOLD + "record": ({"cpp/include", SRC + "model", SRC + "runtime_api"}, {"fmt"}),
    HOLD + "request": ({"cpp/include"}, set()),
    HOLD + "resume_point": (set(), set()),
    HOLD + "rows": ({SRC + "runtime_api"}, set()),
    HOLD + "plan": ({"cpp/include", SRC + "runtime_api", HOLD + "record"}, set()),
    HOLD + "events": ({"cpp/include", HOLD + "record"}, {"fmt"}),
    HOLD + "survey": ({"cpp/include", SRC + "runtime_api", HOLD + "record"}, {"fmt"}),
    HOLD
    + "waits": (
        {
            "cpp/include",
            SRC + "runtime_api",
            HOLD + "record",
            HOLD + "resume_point",
            HOLD + "plan",
        },
        {"fmt"},
    ),
    HOLD
    + "guard": (
        {
            "cpp/include",
            SRC + "runtime_api",
            HOLD + "record",
            HOLD + "resume_point",
            HOLD + "waits",
        },
        {"fmt"},
    ),
    HOLD
    + "check": (
        {
            "cpp/include",
            SRC + "model",
            SRC + "runtime_api",
            HOLD + "record",
            HOLD + "request",
            HOLD + "plan",
            HOLD + "survey",
        },
        {"fmt"},
    ),
    HOLD
    + "cutover": (
        {
            "cpp/include",
            SRC + "model",
            SRC + "runtime_api",
            HOLD + "record",
            HOLD + "resume_point",
            HOLD + "rows",
            HOLD + "plan",
            HOLD + "survey",
        },
        {"fmt"},
    ),
    HOLD
    + "suspend": (
        {
            "cpp/include",
            SRC + "runtime_api",
            HOLD + "record",
            HOLD + "request",
            HOLD + "resume_point",
            HOLD + "rows",
            HOLD + "plan",
            HOLD + "events",
            HOLD + "survey",
            HOLD + "waits",
            HOLD + "check",
        },
        {"fmt"},
    ),
    HOLD
    + "resume": (
        {
            "cpp/include",
            SRC + "runtime_api",
            HOLD + "record",
            HOLD + "request",
            HOLD + "resume_point",
            HOLD + "rows",
            HOLD + "plan",
            HOLD + "survey",
            HOLD + "waits",
            HOLD + "check",
        },
        {"fmt"},
    ),
    HOLD
    + "extend_plan": (
        {
            "cpp/include",
            HOLD + "record",
            HOLD + "request",
            HOLD + "plan",
            HOLD + "rows",
            HOLD + "survey",
            HOLD + "waits",
            HOLD + "check",
        },
        {"fmt"},
    ),
    HOLD
    + "status_plan": (
        {
            "cpp/include",
            HOLD + "record",
            HOLD + "plan",
            HOLD + "survey",
            HOLD + "check",
        },
        {"fmt"},
    ),
    SSH + "base": ({"cpp/include"}, {"fmt", "boost", "posix", "openssl", "libssh2"}),
    SSH + "config": ({"cpp/include", SRC + "files"}, {"fmt", "posix"}),
    SSH
    + "host_keys": (
        {"cpp/include", SRC + "files", SSH + "base", SSH + "config"},
        {"fmt", "posix", "openssl", "libssh2"},
    ),
    SSH
    + "login": (
        {"cpp/include", SRC + "files", SSH + "base", SSH + "config", SSH + "host_keys"},
        {"fmt", "boost", "posix", "openssl", "libssh2"},
    ),
    SRC + "transport": ({"cpp/include"}, {"fmt", "boost", "posix"}),
    SSH
    + "session": (
        {"cpp/include", SRC + "transport", SSH + "base", SSH + "host_keys", SSH + "login"},
        {"fmt", "boost", "posix", "libssh2"},
    ),
    SSH
    + "transport": (
        {"cpp/include", SRC + "transport", SSH + "login", SSH + "session"},
        {"fmt", "boost", "posix"},
    ),
    SRC
    + "transport/factory": (
        {
            "cpp/include",
            SRC + "transport",
            SSH + "login",
            SSH + "session",
        },
        {"boost", "posix"},
    ),
    SRC
    + "engine": (
        {
            "cpp/include",
            SRC + "runtime_api",
            SRC + "transport",
        },
        {"fmt", "boost", "posix"},
    ),
    SRC
    + "fleet": (
        {
            "cpp/include",
            SRC + "files",
            SRC + "model",
            SRC + "runtime_api",
            SRC + "hold/",
            SRC + "engine",
        },
        {"fmt", "posix"},
    ),
    SRC
    + "guard": (
        {
            "cpp/include",
            SRC + "hold/",
            SRC + "engine",
            SRC + "fleet",
        },
        {"fmt", "posix"},
    ),
    SRC + "leash": (set(), {"posix"}),
    "cpp/bindings": ({"cpp/include"}, {"posix", "pybind11"}),
}
# The parts without I/O: no socket, no clock, no file, no thread.
PURE = (SRC + "model", SRC + "runtime_api", SRC + "hold")
IMPURE = re.compile(r"_clock::now|std::thread|std::jthread|std::mutex|std::fstream|::open\(")
IMPURE_STD = {
    "thread",
    "mutex",
    "fstream",
    "iostream",
    "filesystem",
    "condition_variable",
    "random",
}

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.MULTILINE)
POSIX = re.compile(
    r"(sys|netinet|arpa|linux)/.*|(unistd|fcntl|netdb|dirent|pwd|grp|signal|poll)\.h"
)


def cpp_files() -> list[Path]:
    files = [p for p in (ROOT / "cpp").rglob("*") if p.suffix in (".cpp", ".hpp")]
    assert len(files) > 30, "the walk has lost the sources"
    return files


def room_of(path: Path) -> str:
    """The deepest room of the table that this file, or its name without the ending, lies in."""
    name = path.relative_to(ROOT).with_suffix("").as_posix()
    rooms = [room for room in CPP if name == room or name.startswith(room + "/")]
    assert rooms, f"{name} lies in no room of the table"
    return max(rooms, key=len)


def is_meant(known: str, room: str) -> bool:
    return room == known or (known.endswith("/") and room.startswith(known))


def knows(room: str, other: str) -> bool:
    if room == other:
        return True
    return any(is_meant(known, other) for known in CPP[room][0])


def library_of(header: str) -> str:
    if header.startswith("stillgate/"):
        return "cpp/include"
    if POSIX.fullmatch(header):
        return "posix"
    if header.startswith(("boost/json", "boost/system/error_code")):
        return "boost.json"  # a parser and its errors alone: no socket, no clock
    if header.startswith("libssh2"):
        return "libssh2"
    return header.split("/")[0] if "/" in header else "std"


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def included(path: Path) -> list[tuple[str, Path | None]]:
    """Each header that this file includes, with its path where it is one of ours in cpp/src."""
    text = path.read_text()
    found: list[tuple[str, Path | None]] = []
    for header in INCLUDE.findall(text):
        beside, below_src = path.parent / header, ROOT / SRC / header
        local = beside if beside.is_file() else below_src
        found.append((header, local if f'"{header}"' in text and local.is_file() else None))
    return found


@pytest.mark.parametrize("path", cpp_files(), ids=place)
def test_includes_follow_the_table(path: Path) -> None:
    room = room_of(path)
    for header, local in included(path):
        if local is not None:
            assert knows(room, room_of(local)), f"{header} is not known here"
            continue
        library = library_of(header)
        allowed = {"std"} | {"cpp/include"} | CPP[room][1]
        assert library in allowed, f"<{header}> ({library}) is not known here"
        if room.startswith(PURE):
            assert header not in IMPURE_STD, f"<{header}> in a part without I/O"


def test_no_room_knows_one_further_down() -> None:
    order = list(CPP)
    for room, (known, _) in CPP.items():
        for other in known:
            below = [r for r in order if is_meant(other, r)]
            assert below, f"{room} may know {other}, which is no room"
            assert all(order.index(r) < order.index(room) for r in below), f"{room}: {other}"


def test_every_arrow_of_the_table_is_drawn() -> None:
    """An arrow that nobody needs any more would let the next circle in."""
    drawn = {(room_of(p), room_of(h)) for p in cpp_files() for _, h in included(p) if h is not None}
    for room, (known, _) in CPP.items():
        for other in known - {"cpp/include"}:
            used = any(a == room and is_meant(other, b) for a, b in drawn)
            assert used, f"{room} does not use {other}"


@pytest.mark.parametrize("folder", PURE)
def test_the_parts_without_io_have_none(folder: str) -> None:
    files = [p for p in (ROOT / folder).rglob("*") if p.is_file()]
    assert files
    for path in files:
        found = IMPURE.search(path.read_text())
        assert found is None, f"{path.name} uses {found and found.group()}"


def test_every_file_says_what_it_is_for() -> None:
    for path in [*cpp_files(), *(ROOT / "python").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        if not path.exists() or path.stat().st_size == 0:
            raise AssertionError(f"{path} is empty")
        first = path.read_text().splitlines()[0]
        assert first.startswith(("// ", '"""', "#!")), f"{path}: {first!r}"
