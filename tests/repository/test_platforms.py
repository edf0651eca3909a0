"""What Debian 12's libraries forgive and newer do not; `make platforms` compiles with those."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CXX = [
    path
    for folder in ("cpp", "tests")
    for ending in ("cpp", "hpp")
    for path in sorted((ROOT / folder).rglob(f"*.{ending}"))
]


def saying(words: str) -> set[Path]:
    return {path.relative_to(ROOT) for path in CXX if words in path.read_text()}


def test_who_joins_includes_it() -> None:
    """fmt 11 has `join` in a header of its own."""
    joining = saying("fmt::join")
    assert len(joining) > 5
    assert joining - saying("#include <fmt/ranges.h>") == set()


def test_json_errors_are_those_of_boost_system() -> None:
    """Boost 1.88 took away the name that boost::json had for them."""
    assert len(saying("boost::system::error_code")) > 5
    assert saying("json::error_code") == set()


def test_what_is_compiled_by_itself_is_a_source() -> None:
    """CMake says nothing of a name in this list that is no file."""
    text = (ROOT / "CMakeLists.txt").read_text()
    (listed,) = re.findall(
        r"set_source_files_properties\(\n(.*?)  PROPERTIES SKIP_UNITY_BUILD", text, re.DOTALL
    )
    names = listed.split()
    assert names == sorted(set(names)) and len(names) > 20
    assert [name for name in names if not (ROOT / name).is_file()] == []


def test_the_scripts_of_make_platforms_parse() -> None:
    scripts = sorted((ROOT / "tests" / "platforms").glob("*.sh"))
    assert len(scripts) == 10
    for script in scripts:
        subprocess.run(["bash", "-n", str(script)], check=True)
