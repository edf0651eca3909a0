"""Builds the compiled module: a build_ext that drives CMake. All else stands in pyproject.toml."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
PROGRAMS = ("stillgate-guard", "stillgate-leash")
CMAKE_LEAST = (3, 22)


def cmake_version() -> Tuple[int, ...]:
    """(0,) where there is no CMake on the PATH that runs."""
    try:
        said = subprocess.run(
            ["cmake", "--version"], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return (0,)
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2])


def programs_to_fetch() -> List[str]:
    """What pip is to fetch for the build, in its isolation: what the PATH does not serve."""
    wanted = []
    if cmake_version() < CMAKE_LEAST:
        wanted.append("cmake>=3.22")
    if shutil.which("ninja") is None:
        wanted.append("ninja")
    return wanted


class CMakeBuild(build_ext):
    """Hands each extension to CMake and copies what it made where setuptools wants it."""

    def build_extension(self, ext: Extension) -> None:
        if programs_to_fetch():
            raise SystemExit(
                "Stillgate cannot be built here. Missing: CMake 3.22 or later (package cmake) and "
                "Ninja (package ninja-build; on Alpine samurai), on the PATH: "
                + ", ".join(programs_to_fetch())
            )
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        # Keyed by the interpreter: a folder configured for one Python builds for that one for ever.
        folder = ROOT / "build" / f"python-{sys.implementation.cache_tag}"
        configure = ["cmake", "-S", str(ROOT), "-B", str(folder), "-G", "Ninja"]
        configure += ["-DSTILLGATE_PYTHON=ON", f"-DPython_EXECUTABLE={sys.executable}"]
        # What pip fetched for an earlier build is gone, and the folder still names it.
        configure.append(f"-DCMAKE_MAKE_PROGRAM={shutil.which('ninja')}")
        # Five times as fast, and right for whoever builds once; a developer's folder has it off.
        if not (folder / "CMakeCache.txt").exists():
            configure.append("-DCMAKE_UNITY_BUILD=ON")
        configure += pybind11_folder() + shlex.split(os.environ.get("CMAKE_ARGS", ""))
        jobs = str(os.cpu_count() or 1)
        build = ["cmake", "--build", str(folder), "--target", "_core", *PROGRAMS, "-j", jobs]
        for command in (configure, build):
            # CMake has said why; a traceback below it would hide that.
            if subprocess.run(command, check=False).returncode != 0:
                raise SystemExit("Stillgate could not be built: the reason stands above.")
        target.parent.mkdir(parents=True, exist_ok=True)
        # The programs lie beside the module, and are looked for there; setuptools knows of modules
        # alone, in an editable install too.
        for name in (target.name, *PROGRAMS):
            built, wanted = folder / name, target.parent / name
            # Only when it changed, so that building twice changes nothing the second time.
            if not wanted.exists() or wanted.read_bytes() != built.read_bytes():
                self.copy_file(str(built), str(wanted))
            if not (self.inplace or self.editable_mode):
                # What debuggers need is ten times as large as all the rest.
                subprocess.run(["strip", "--strip-debug", str(wanted)], check=True)

    def get_outputs(self) -> List[str]:
        outputs: List[str] = super().get_outputs()
        folders = [Path(one).parent for one in outputs]
        return outputs + [str(folder / name) for folder in folders for name in PROGRAMS]

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        sources = self.get_finalized_command("build_py").get_package_dir("stillgate")
        for name in PROGRAMS:
            built = Path(self.build_lib) / "stillgate" / name
            self.copy_file(str(built), str(Path(sources) / name))


def pybind11_folder() -> List[str]:
    """pip's own lies where CMake does not look. One that the folder was configured with, and that
    is still there, comes first: another place would compile all bindings again.
    """
    try:
        import pybind11
    except ImportError:
        return []
    return [f"-Dpybind11_ROOT={Path(pybind11.get_cmake_dir()).parents[2]}"]


if sys.platform != "linux":
    raise SystemExit(f"Stillgate is for Linux; this is {sys.platform}.")
setup(
    license="Apache-2.0",
    ext_modules=[Extension("stillgate._core", sources=[])],
    cmdclass={"build_ext": CMakeBuild},
    setup_requires=programs_to_fetch(),
)
