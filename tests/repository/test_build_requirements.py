"""What a build says where something is missing: named, with its package, and nothing compiled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEBIAN = 'ID=linuxmint\nID_LIKE="ubuntu debian"\n'
ROCKY = 'ID="rocky"\nID_LIKE="rhel centos fedora"\n'
ALPINE = "ID=alpine\n"
OTHER = "ID=guix\n"


def configure(folder: Path, *options: str, system: str = DEBIAN) -> str:
    """What CMake says of a tree that it refuses; its words wrap, so here they do not."""
    release = folder / "os-release"
    release.write_text(system)
    command = ["cmake", "-S", str(ROOT), "-B", str(folder / "build"), "-G", "Ninja"]
    command += [f"-DSTILLGATE_OS_RELEASE={release}", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert list(folder.glob("**/*.cpp.o")) == []
    return " ".join(done.stderr.split())


@pytest.mark.parametrize(
    "system, install",
    [
        (DEBIAN, "apt-get install g++ pkg-config libboost-dev libfmt-dev libssl-dev libssh2-1-dev"),
        ("ID=debian\nVERSION_CODENAME=bookworm\n", "pkg-config libboost1.81-dev libfmt-dev"),
        ("ID=ubuntu\nVERSION_CODENAME=jammy\n", "too old: install the wheel (docs/install.md)"),
        (
            ROCKY,
            "dnf install gcc-c++ pkgconf-pkg-config boost-devel fmt-devel openssl-devel "
            "libssh2-devel",
        ),
        (ALPINE, "apk add g++ pkgconf boost-dev fmt-dev openssl-dev libssh2-dev"),
        (OTHER, "the packages that Debian calls g++ pkg-config libboost-dev libfmt-dev"),
    ],
)
def test_without_a_compiler_all_packages_are_named(
    system: str, install: str, tmp_path: Path
) -> None:
    said = configure(tmp_path, "-DCMAKE_CXX_COMPILER=", system=system)
    assert "Missing: a C++20 compiler: g++ 11 or clang 14, or later" in said
    assert install in said


def test_all_that_is_missing_or_too_old_is_named_at_once(tmp_path: Path) -> None:
    old = tmp_path / "fmt"
    old.mkdir()
    (old / "fmt-config.cmake").write_text("add_library(fmt::fmt INTERFACE IMPORTED)\n")
    (old / "fmt-config-version.cmake").write_text("set(PACKAGE_VERSION 7.1.3)\n")
    (tmp_path / "libssh2.pc").write_text("Name: x\nDescription: x\nVersion: 1.9.0\n")
    said = configure(
        tmp_path,
        f"-DPKG_CONFIG_EXECUTABLE={shutil.which('env')};"
        f"PKG_CONFIG_PATH={tmp_path};{shutil.which('pkg-config')}",
        f"-Dfmt_DIR={old}",
        "-DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON",
        "-DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON",
        "-DCMAKE_DISABLE_FIND_PACKAGE_pybind11=ON",
        "-DSTILLGATE_PYTHON=ON",
    )
    assert (
        "Missing: Boost 1.75 or later fmt 8 or later: 7.1.3 is too old OpenSSL 3.0 or later "
        "libssh2 1.10 or later: 1.9.0 is too old pybind11 2.10 or later "
        "apt-get install libboost-dev libfmt-dev libssl-dev libssh2-1-dev pybind11-dev"
    ) in said


def test_another_system_is_told_in_one_line(tmp_path: Path) -> None:
    said = configure(tmp_path, "-DCMAKE_SYSTEM_NAME=Darwin")
    assert "Stillgate is for Linux; this is Darwin." in said


def hook(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    """A hook of the build's backend, called as pip calls it, with `path` alone on the PATH."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys\nfrom setuptools import build_meta\n{code}"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_pip_fetches_cmake_and_ninja_only_where_the_path_has_none(tmp_path: Path) -> None:
    ask = "print(build_meta.get_requires_for_build_wheel(), file=sys.stderr)"
    said = hook(ask, tmp_path).stderr
    assert "cmake>=3.22" in said and "ninja" in said
    old = tmp_path / "cmake"
    old.write_text("#!/bin/sh\necho cmake version 3.16.3\n")
    old.chmod(0o755)
    (tmp_path / "ninja").symlink_to(str(shutil.which("ninja")))
    said = hook(ask, tmp_path).stderr
    assert "cmake>=3.22" in said and "ninja" not in said
    old.unlink()
    old.symlink_to(str(shutil.which("cmake")))
    said = hook(ask, tmp_path).stderr
    assert "cmake" not in said and "ninja" not in said


def test_without_isolation_a_missing_program_is_named(tmp_path: Path) -> None:
    done = hook(f"build_meta.build_wheel({str(tmp_path)!r})", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "Stillgate cannot be built here. Missing: CMake 3.22 or later (package cmake) and Ninja "
        "(package ninja-build; on Alpine samurai), on the PATH: cmake>=3.22, ninja"
    )


def test_pip_on_another_system_gets_one_line(tmp_path: Path) -> None:
    code = "sys.platform = 'darwin'\nbuild_meta.get_requires_for_build_wheel()"
    assert hook(code, tmp_path).stderr.splitlines()[-1] == "Stillgate is for Linux; this is darwin."


def test_make_build_installs_what_a_build_needs_and_no_more() -> None:
    command = ["make", "-n", "-C", str(ROOT), "build"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    page = (ROOT / "docs" / "install.md").read_text()
    told = {word for line in re.findall(r"apt-get install (.+)", page) for word in line.split()}
    told |= set(re.findall(r"`(python3-\w+|pybind11-dev)`", page))
    told = {word for word in told if "-" in word or word in ("g++", "cmake")}
    match = re.search(r"install -y -qq --no-install-recommends ([^;]+);", said)
    assert match is not None
    own = {*match[1].split(), "libboost-dev"} - {"libboost1.81-dev", "python3-pybind11"}
    assert own == told
