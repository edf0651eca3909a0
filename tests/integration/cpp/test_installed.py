"""docs/examples/deploy.cpp, built against what `cmake --install` installs, holds a real HAProxy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Mapping, Optional

import pytest

if TYPE_CHECKING:
    from conftest import Start

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build" / f"python-{sys.implementation.cache_tag}"
VERSION = (ROOT / "VERSION").read_text().strip()
F = "balanced"
CMAKE = """
cmake_minimum_required(VERSION 3.22)
project(deploy LANGUAGES CXX)
find_package(stillgate REQUIRED)
foreach(kind static shared)
  add_executable(deploy-${kind} %s)
endforeach()
target_link_libraries(deploy-static PRIVATE stillgate::stillgate)
target_link_libraries(deploy-shared PRIVATE stillgate::shared)
"""


def run(*command: str, cwd: Path = ROOT, environment: Optional[Mapping[str, str]] = None) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with the example in its bin, as a program that came with it lies."""
    folder = tmp_path_factory.mktemp("cpp")
    prefix = folder / "moved"
    run("cmake", "--install", str(BUILD), "--prefix", str(prefix))
    (folder / "CMakeLists.txt").write_text(CMAKE % (ROOT / "docs" / "examples" / "deploy.cpp"))
    run("cmake", "-S", ".", "-B", "b", f"-DCMAKE_PREFIX_PATH={prefix}", cwd=folder)
    run("cmake", "--build", "b", cwd=folder)
    (prefix / "bin").mkdir()
    for kind in ("static", "shared"):
        (folder / "b" / f"deploy-{kind}").rename(prefix / "bin" / f"deploy-{kind}")
    return prefix


@pytest.mark.parametrize("kind", ["static", "shared"])
def test_the_example_holds_with_the_guard_in_libexec(
    kind: str, prefix: Path, haproxy: Start, tmp_path: Path
) -> None:
    """By maxconn, which is refused where no guard is found."""
    proxy = haproxy("3.0")
    (library,) = prefix.glob("lib*/**/libstillgate.so")
    environment = {"STILLGATE_STATE_DIR": str(tmp_path), "LD_LIBRARY_PATH": str(library.parent)}
    limit = f"echo show stat | socat - unix-connect:{proxy.sockets[0]} | grep ^{F},FRONTEND"
    guard = "readlink /proc/[0-9]*/exe 2>/dev/null | grep stillgate-guard || true"
    said = run(
        str(prefix / "bin" / f"deploy-{kind}"),
        F,
        f"unix://{proxy.sockets[0]}",
        f"{limit}; {guard}",
        environment=environment,
    )
    columns = said.splitlines()[0].split(",")
    assert columns[6] == "0", "held while COMMAND ran"
    assert str(prefix / "libexec" / "stillgate" / "stillgate-guard") in said
    assert said.splitlines()[-1] == "migrated, held to the end"


def test_a_program_that_throws_releases(prefix: Path, haproxy: Start, tmp_path: Path) -> None:
    """And pkg-config knows what it takes."""
    proxy = haproxy("3.0")
    (library,) = prefix.glob("lib*/**/libstillgate.so")
    (tmp_path / "throws.cpp").write_text(
        """
        #include <iostream>
        #include <stillgate/held_fleet.hpp>
        #include <stillgate/version.hpp>
        int main(int, char** words) {
          auto fleet = stillgate::Fleet::create({*stillgate::Endpoint::parse(words[1])});
          try {
            auto hold = fleet->hold({"balanced"});
            auto moved = *std::move(hold);
            std::cout << moved.held();
            throw 1;
          } catch (int) {
          }
          const auto status = fleet->status({"balanced"});
          std::cout << (status->switches.front().verdict == stillgate::Verdict::open);
          std::cout << STILLGATE_VERSION_MAJOR << STILLGATE_VERSION_MINOR
                    << STILLGATE_VERSION_PATCH;
        }"""
    )
    told = {"PKG_CONFIG_PATH": str(library.parent / "pkgconfig")}
    flags = run(
        *("pkg-config", f"--define-variable=prefix={prefix}", "--cflags", "--libs", "stillgate"),
        environment=told,
    )
    assert run("pkg-config", "--modversion", "stillgate", environment=told).strip() == VERSION
    assert "fmt" not in flags and "ssh2" not in flags, "what it needs itself is its own"
    run("sh", "-c", f"g++ -std=c++20 throws.cpp -o throws {flags}", cwd=tmp_path)
    said = run(
        *(str(tmp_path / "throws"), f"unix://{proxy.sockets[0]}"),
        environment={
            "LD_LIBRARY_PATH": str(library.parent),
            "STILLGATE_STATE_DIR": str(tmp_path),
        },
    )
    assert said == "11" + VERSION.replace(".", "")


def test_the_shared_library_exports_what_the_headers_declare(prefix: Path) -> None:
    (library,) = prefix.glob("lib*/**/libstillgate.so")
    major, minor, _ = VERSION.split(".")
    assert f"SONAME               libstillgate.so.{major}.{minor}\n" in run(
        "objdump", "-p", str(library)
    )
    names = [
        line.split(maxsplit=2)[2].split("@")[0]
        for line in run("nm", "-D", "-C", "--defined-only", str(library)).splitlines()
    ]
    foreign = re.compile(r"(?!STILLGATE$|(typeinfo for |vtable for )?stillgate::)")
    assert [name for name in names if foreign.match(name)] == []
    parts = re.compile(r"stillgate::(engine|files|fleet|hold|runtime_api|transport|ssh)::")
    assert [name for name in names if parts.match(name)] == []
    assert any(name.startswith("stillgate::Fleet::hold(") for name in names)
