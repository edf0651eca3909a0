"""The parts of `make release` that need no chroot: its check of wheels, its notes."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAID = """
Dynamic Section:
  NEEDED               libcrypto.so.3
  NEEDED               libc.so.6
  NEEDED               ld-linux-x86-64.so.2

Version References:
  required from libcrypto.so.3:
    0x00000000 0x00 12 OPENSSL_3.0.0
  required from libc.so.6:
    0x06969196 0x00 14 GLIBC_2.36
    0x09691a75 0x00 02 GLIBC_2.2.5
"""


def script(name: str) -> ModuleType:
    path = ROOT / "tests" / "platforms" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_wheel_that_needs_more_is_named() -> None:
    faults_of = script("check_wheel").faults_of
    assert faults_of(SAID, (2, 36)) == []
    assert faults_of(SAID, (2, 35)) == ["needs GLIBC_2.36"]
    assert faults_of(SAID.replace("3.0.0", "3.2.0"), (2, 36)) == ["needs OPENSSL_3.2.0"]
    more = SAID.replace(
        "  NEEDED               libc",
        "  RUNPATH    /build\n  NEEDED   libfmt.so.9\n  NEEDED libc",
        1,
    )
    assert faults_of(more, (2, 36))[0] == "needs libfmt.so.9"
    assert faults_of(more, (2, 36))[1].startswith("RUNPATH")


def test_a_wheel_says_which_c_library_it_needs() -> None:
    (fault,) = script("check_wheel").check(Path("stillgate-0.1.0-cp311-cp311-linux_x86_64.whl"))
    assert "does not say which C library" in fault


def test_the_notes_are_the_section_of_the_version() -> None:
    section = script("notes").section
    text = "# Changelog\n\n## 0.2.0, unreleased\n\n- two\n\n## 0.1.0, 2026-01-02\n\n- one\n"
    assert section(text, "0.2.0") == "- two\n"
    assert section(text, "0.1.0") == "- one\n"
    with pytest.raises(LookupError):
        section(text, "0.1")
    assert section((ROOT / "CHANGELOG.md").read_text(), (ROOT / "VERSION").read_text().strip())


def test_a_package_of_debian_becomes_a_wheel_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the older kind, which has its requirements in a file of its own, and with links in it."""
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    (site / "odd").mkdir(parents=True)
    elsewhere.mkdir()
    (site / "odd" / "__init__.py").write_text("said = 'here'\n")
    (elsewhere / "odd.h").write_text("// of the system\n")
    (site / "odd" / "include").symlink_to(elsewhere)
    info = site / "odd-1.2.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.2\n\nText\n")
    (info / "requires.txt").write_text('other>=3\n\n[:python_version < "3.8"]\nolder\n')
    monkeypatch.syspath_prepend(str(site))
    made = script("wheels_of").make("odd", tmp_path)
    assert made.name == "odd-1.2-py3-none-any.whl"
    with zipfile.ZipFile(made) as archive:
        names = set(archive.namelist())
        recorded = archive.read("odd-1.2.dist-info/RECORD").decode().splitlines()
    assert {"odd/__init__.py", "odd/include/odd.h", "odd-1.2.dist-info/WHEEL"} < names
    assert {line.split(",")[0] for line in recorded} == names
    # As pip reads it: in no other place, and with what it requires.
    monkeypatch.setattr(sys, "path", [str(made)])
    found = importlib.metadata.distribution("odd")
    assert found.metadata["Version"] == "1.2"
    assert found.metadata.get_all("Requires-Dist") == [
        "other>=3",
        'older; python_version < "3.8"',
    ]
    (site / "odd" / "part.so").write_bytes(b"")
    monkeypatch.setattr(sys, "path", [str(site)])
    with pytest.raises(SystemExit, match="not pure Python"):
        script("wheels_of").make("odd", tmp_path)


def test_the_page_has_a_wheel_for_each_python_from_the_oldest_on() -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    told = [
        int(minor) for minor in re.findall(r"^\| 3\.(\d+) \| \w+ .* \| 2\.\d\d \|$", page, re.M)
    ]
    project = (ROOT / "pyproject.toml").read_text()
    oldest = re.search(r'^requires-python = ">=3\.(\d+)"', project, re.M)
    assert oldest is not None
    assert told == list(range(int(oldest[1]), told[-1] + 1)) and len(told) > 5
