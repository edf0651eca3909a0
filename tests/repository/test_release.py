"""The parts of `make release` that need no chroot: its check of wheels, its notes."""

from __future__ import annotations

import importlib.util
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
