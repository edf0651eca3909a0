"""Builds the compiled module: a build_ext that drives CMake. All else stands in pyproject.toml."""

import os
import subprocess
import sys
from pathlib import Path
from typing import List

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
PROGRAMS = ("stillgate-guard", "stillgate-leash")


class CMakeBuild(build_ext):
    """Hands each extension to CMake and copies what it made where setuptools wants it."""

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        # Keyed by the interpreter: a folder configured for one Python builds for that one for ever.
        folder = ROOT / "build" / f"python-{sys.implementation.cache_tag}"
        configure = ["cmake", "-S", str(ROOT), "-B", str(folder), "-G", "Ninja"]
        configure += ["-DSTILLGATE_PYTHON=ON", f"-DPython_EXECUTABLE={sys.executable}"]
        subprocess.run(configure, check=True)
        jobs = str(os.cpu_count() or 1)
        subprocess.run(
            ["cmake", "--build", str(folder), "--target", "_core", *PROGRAMS, "-j", jobs],
            check=True,
        )
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


setup(ext_modules=[Extension("stillgate._core", sources=[])], cmdclass={"build_ext": CMakeBuild})
