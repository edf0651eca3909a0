"""Builds the compiled module: a build_ext that drives CMake. All else stands in pyproject.toml."""

import os
import subprocess
import sys
from pathlib import Path
from typing import List

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
GUARD = "stillgate-guard"


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
            ["cmake", "--build", str(folder), "--target", "_core", GUARD, "-j", jobs], check=True
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        # The guard lies beside the module, which looks for it there; setuptools knows of modules
        # alone, in an editable install too.
        for built, wanted in (
            (folder / target.name, target),
            (folder / GUARD, target.parent / GUARD),
        ):
            # Only when it changed, so that building twice changes nothing the second time.
            if not wanted.exists() or wanted.read_bytes() != built.read_bytes():
                self.copy_file(str(built), str(wanted))
            if not (self.inplace or self.editable_mode):
                # What debuggers need is ten times as large as all the rest.
                subprocess.run(["strip", "--strip-debug", str(wanted)], check=True)

    def get_outputs(self) -> List[str]:
        outputs: List[str] = super().get_outputs()
        return outputs + [str(Path(one).parent / GUARD) for one in outputs]

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        sources = self.get_finalized_command("build_py").get_package_dir("stillgate")
        built = Path(self.build_lib) / "stillgate" / GUARD
        self.copy_file(str(built), str(Path(sources) / GUARD))


setup(ext_modules=[Extension("stillgate._core", sources=[])], cmdclass={"build_ext": CMakeBuild})
