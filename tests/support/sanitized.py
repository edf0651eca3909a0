"""Runs tests with a sanitized `stillgate`: the compiled module and the guard of a build folder.

    python tests/support/sanitized.py build/asan -m pytest tests/integration/ssh/test_keys.py

The interpreter knows nothing of sanitizers, so their library is loaded before all else, into that
command alone. What they find is in files BUILD/found.*, because a guard has no terminal; that there
is one is a failure.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Who starts others without having been asked to is not to hand the library on.
FIRST = "import os\nos.environ.pop('LD_PRELOAD', None)\n"
# Not instrumented, and synchronised by means that are not seen.
RACES = "called_from_lib:libcrypto.so\n"


def library(name: str) -> str:
    command = ["g++", f"-print-file-name={name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def package(build: Path) -> Path:
    """A folder for PYTHONPATH: the package as it is, with that build's module."""
    folder = build / "package"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "stillgate").mkdir(parents=True)
    for entry in (ROOT / "python/stillgate").iterdir():
        if entry.suffix != ".so" and entry.name not in ("__pycache__", "stillgate-guard"):
            (folder / "stillgate" / entry.name).symlink_to(entry)
    for built in build.glob("_core.*.so"):
        (folder / "stillgate" / built.name).symlink_to(built)
    (folder / "sitecustomize.py").write_text(FIRST)
    return folder


def command(build: Path) -> Path:
    """Starts `stillgate` with the sanitizer of that build."""
    linked = subprocess.run(
        ["ldd", str(build / "stillgate-guard")], check=True, capture_output=True, text=True
    ).stdout
    runtime = "libtsan.so" if "libtsan" in linked else "libasan.so"
    loaded = f"{library(runtime)}:{library('libstdc++.so')}"
    lines = [
        "#!/bin/sh",
        f"export LD_PRELOAD={loaded} PYTHONPATH={package(build)} PYTHONMALLOC=malloc",
        f'exec {shlex.quote(sys.executable)} -m stillgate "$@"',
    ]
    script = build / "stillgate"
    script.write_text("\n".join([*lines, ""]))
    script.chmod(0o755)
    return script


def main() -> int:
    build = Path(sys.argv[1]).resolve()
    for old in build.glob("found.*"):
        old.unlink()
    (build / "races").write_text(RACES)
    found = f"log_path={build}/found"
    environment = {
        **os.environ,
        "STILLGATE_COMMAND": str(command(build)),
        "STILLGATE_GUARD": str(build / "stillgate-guard"),
        # Leaks are looked for by the unit tests: here the search, which stops the other threads,
        # now and then ends by a fault of its own and takes the command's status with it.
        "ASAN_OPTIONS": f"{found}:detect_leaks=0",
        "UBSAN_OPTIONS": f"{found}:print_stacktrace=1",
        "TSAN_OPTIONS": f"{found}:suppressions={build}/races:ignore_noninstrumented_modules=1",
    }
    status = subprocess.run([sys.executable, *sys.argv[2:]], env=environment).returncode
    reports = sorted(build.glob("found.*"))
    for report in reports:
        print(f"--- {report}", report.read_text("utf-8", "replace"), sep="\n")
    return status or (1 if reports else 0)


if __name__ == "__main__":
    sys.exit(main())
