"""One function opens files and one writes words, in each language: whoever goes past it would hang
at a FIFO, fill the memory, or let others steer the terminal.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CPP = sorted(path for path in (ROOT / "cpp").rglob("*") if path.suffix in (".cpp", ".hpp"))
PYTHON = sorted((ROOT / "python" / "stillgate").rglob("*.py"))

# What opens a file, and what of it is not a file of anybody's making.
OPENS = re.compile(r"\bif?stream\b|\bofstream\b|\bfopen\(|(?<!\w)::open\(|\bopenat\(")
KERNELS = {
    "cpp/src/files/file.cpp": "the one",
    "cpp/src/fleet/guard/surroundings.cpp": "/proc",
    "cpp/src/fleet/shell.cpp": "/dev/null",
    "cpp/src/guard/standby.cpp": "/proc/self/exe",
    "cpp/src/leash/family.cpp": "/proc",
    "cpp/src/leash/group.cpp": "/proc and cgroup's files",
    "cpp/src/transport/ssh/login/secret.cpp": "/dev/tty",
}
PYTHON_OPENS = {"open", "read_text", "read_bytes", "File"}
PYTHON_KERNELS = {
    "cli/patch.py": "the copies of haproxy.cfg, and their folder",
    "continuing.py": "/dev/null",
    "files.py": "the one",
    "console/keyboard.py": "/dev/tty",
    "console/streams.py": "/dev/null",
    "gate/__init__.py": "the package's own file",
    "reserve.py": "/dev/null",
    "run_until.py": "/proc",
    "watching.py": "descriptors of its own",
}
WORDS = {"print", "echo", "secho", "write"}
VOICES = {
    "cli/patch.py": "haproxy.cfg, and its diff byte by byte",
    "console/live_screen.py": "those lines, and where they go on the screen",
    "console/streams.py": "the one",
    "console/voice.py": "what it gets has passed the one",
    "continuing.py": "a pipe of its own, and words that are tamed",
    "files.py": "files",
    "run_until.py": "messages to the leash",
    "watching.py": "a descriptor of its own",
}


def code_of(path: Path) -> str:
    """Without comments."""
    return re.sub(r"//.*", "", path.read_text())


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def calls(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name):
                found.add(called.id)
            elif isinstance(called, ast.Attribute):
                # rich's own, which has each text tamed
                if not (isinstance(called.value, ast.Name) and called.value.id == "out"):
                    found.add(called.attr)
    return found


def test_cpp_opens_files_in_one_place() -> None:
    opening = {place(path) for path in CPP if OPENS.search(code_of(path))}
    assert opening == set(KERNELS)


def test_python_opens_files_in_one_place() -> None:
    package = ROOT / "python" / "stillgate"
    opening = {p.relative_to(package).as_posix() for p in PYTHON if PYTHON_OPENS & calls(p)}
    assert opening == set(PYTHON_KERNELS)


def test_python_writes_words_in_one_place() -> None:
    package = ROOT / "python" / "stillgate"
    writing = {p.relative_to(package).as_posix() for p in PYTHON if WORDS & calls(p)}
    assert writing == set(VOICES)
