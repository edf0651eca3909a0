"""Who may know whom: the table of docs/design.md, "Layout", held against includes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = "cpp/src/"

# folder -> the folders whose headers it may include, and the libraries. std is free for all.
CPP: dict[str, tuple[set[str], set[str]]] = {
    "cpp/include": ({"cpp/include"}, set()),
    SRC + "runtime_api": ({"cpp/include"}, {"fmt", "boost.json"}),
    SRC + "hold": ({"cpp/include", SRC + "runtime_api"}, {"fmt"}),
    SRC
    + "transport/ssh": (
        {"cpp/include", SRC + "transport"},
        {"fmt", "boost", "posix", "openssl", "libssh2"},
    ),
    SRC + "transport": ({"cpp/include", SRC + "transport/ssh"}, {"fmt", "boost", "posix"}),
    SRC
    + "engine": (
        {"cpp/include", SRC + "runtime_api", SRC + "transport"},
        {"fmt", "boost", "posix"},
    ),
    SRC
    + "fleet": (
        {"cpp/include", SRC + "runtime_api", SRC + "hold", SRC + "engine"},
        {"fmt", "posix"},
    ),
    SRC
    + "guard": (
        {
            "cpp/include",
            SRC + "runtime_api",
            SRC + "hold",
            SRC + "engine",
            SRC + "fleet",
        },
        {"fmt", "posix"},
    ),
    "cpp/bindings": ({"cpp/include"}, {"pybind11"}),
}
# The parts without I/O: no socket, no clock, no file, no thread.
PURE = (SRC + "runtime_api", SRC + "hold")
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
POSIX = re.compile(r"(sys|netinet|arpa|linux)/.*|(unistd|fcntl|netdb|dirent|pwd|signal|poll)\.h")


def cpp_files() -> list[Path]:
    files = [p for p in (ROOT / "cpp").rglob("*") if p.suffix in (".cpp", ".hpp")]
    assert len(files) > 30, "the walk has lost the sources"
    return files


def folder_of(path: Path) -> str:
    name = path.relative_to(ROOT).as_posix()
    return next(folder for folder in CPP if name.startswith(folder + "/"))


def library_of(header: str) -> str:
    if header.startswith("stillgate/"):
        return "cpp/include"
    if POSIX.fullmatch(header):
        return "posix"
    if header.startswith("boost/json"):
        return "boost.json"  # a parser alone: no socket, no clock
    if header.startswith("libssh2"):
        return "libssh2"
    return header.split("/")[0] if "/" in header else "std"


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", cpp_files(), ids=place)
def test_includes_follow_the_table(path: Path) -> None:
    folders, libraries = CPP[folder_of(path)]
    text = path.read_text()
    for header in INCLUDE.findall(text):
        local = (path.parent / header).resolve()
        if f'"{header}"' in text and local.is_file():
            target = folder_of(local)
            assert target == folder_of(path) or target in folders, f"{header} is not known here"
            continue
        library = library_of(header)
        allowed = {"std"} | folders | libraries
        assert library in allowed, f"<{header}> ({library}) is not known here"
        if folder_of(path) in PURE:
            assert header not in IMPURE_STD, f"<{header}> in a part without I/O"


@pytest.mark.parametrize("folder", PURE)
def test_the_parts_without_io_have_none(folder: str) -> None:
    for path in (ROOT / folder).iterdir():
        found = IMPURE.search(path.read_text())
        assert found is None, f"{path.name} uses {found and found.group()}"


def test_every_file_says_what_it_is_for() -> None:
    for path in [*cpp_files(), *(ROOT / "python").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        if not path.exists() or path.stat().st_size == 0:
            raise AssertionError(f"{path} is empty")
        first = path.read_text().splitlines()[0]
        assert first.startswith(("// ", '"""', "#!")), f"{path}: {first!r}"
