"""The .deb's own files against those that they repeat; `make release` builds and installs it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEBIAN = ROOT / "debian"


def field(name: str) -> str:
    found = re.search(rf"^{name}:(.*(?:\n .*)*)", (DEBIAN / "control").read_text(), re.M)
    assert found is not None, name
    return found[1]


def test_it_is_the_version_that_version_says() -> None:
    first = (DEBIAN / "changelog").read_text().splitlines()[0]
    assert first.startswith(f"stillgate ({(ROOT / 'VERSION').read_text().strip()}) ")


def test_it_needs_what_the_build_asks_for_and_no_older() -> None:
    asked = dict(re.findall(r"([\w.-]+) \(>= ([\d.]+)\)", field("Build-Depends")))
    requirements = (ROOT / "cpp" / "requirements.cmake").read_text()
    packages = dict(re.findall(r'^set\(packages_(\w+) "" (\S+)', requirements, re.M))
    least = re.findall(r"^ *stillgate_require\((\w+) \S+ \S+ \S+ ([\d.]+)\)", requirements, re.M)
    assert len(least) == 5
    for subject, version in least:
        assert asked[packages[subject]] == version
    listed = re.search(r"^cmake_minimum_required\(VERSION ([\d.]+)\)", cmake(), re.M)
    assert listed is not None and asked["cmake"] == listed[1]
    project = (ROOT / "pyproject.toml").read_text()
    for name, version in re.findall(r'"(click|rich)>=([\d.]+)"', project):
        assert asked[f"python3-{name}"] == version


def cmake() -> str:
    return (ROOT / "CMakeLists.txt").read_text()


def test_every_program_goes_where_the_module_looks_for_it() -> None:
    programs = re.findall(r"stillgate-\w+", (ROOT / "setup.py").read_text())
    rules = (DEBIAN / "rules").read_text()
    moved = re.search(r"mv (.*) \$\(CURDIR\)/\$\(ROOT\)/usr/libexec/stillgate/", rules)
    assert moved is not None and moved[1].split() == sorted(set(programs))
    # CMake hands the module this prefix with libexec/stillgate below it.
    assert "-DCMAKE_INSTALL_PREFIX=/usr" in rules and "-DCMAKE_INSTALL_LIBEXECDIR=libexec" in rules
    assert '"${CMAKE_INSTALL_FULL_LIBEXECDIR}/stillgate"' in cmake()


def test_its_documents_are_there() -> None:
    for name in ("docs", "examples"):
        for line in (DEBIAN / name).read_text().split():
            assert list(ROOT.glob(line)), line
