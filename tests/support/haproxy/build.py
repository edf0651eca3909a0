"""Builds an HAProxy from a source tree on this machine, for STILLGATE_HAPROXY; downloads nothing.

    python3 tests/support/haproxy/build.py TREE [FOLDER]   prints the binary's path

The tree itself stays as it is. FOLDER gets the binary as haproxy-VERSION; without one it is
.cache/haproxy/built in the project. It needs make, a C compiler, and the development files of
OpenSSL, PCRE2 and Lua (Debian: libssl-dev libpcre2-dev liblua5.4-dev).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a program

from support.haproxy.fetch import CannotFetch, cache_folder, version_of  # noqa: E402

# What Debian builds with, as far as the tests need it.
OPTIONS = ("TARGET=linux-glibc", "USE_LUA=1", "USE_OPENSSL=1", "USE_PCRE2=1", "USE_NS=1")


def build(tree: Path, folder: Path) -> Path:
    """Errors: CannotFetch, with the last lines that make printed."""
    if not (tree / "src" / "haproxy.c").is_file():
        raise CannotFetch(f"{tree} is no source tree of HAProxy")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="haproxy-build-") as work:
        copy = Path(work) / "tree"
        shutil.copytree(tree, copy, ignore=shutil.ignore_patterns(".git"), symlinks=True)
        command = ["make", "-j2", *OPTIONS, "haproxy"]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise CannotFetch(f"{tree}: make: status {done.returncode}\n{last}")
        target = folder / f"haproxy-{version_of(copy / 'haproxy')}"
        shutil.move(copy / "haproxy", target)
    return target


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(arguments[1]) if len(arguments) == 2 else cache_folder() / "built"
    try:
        print(build(Path(arguments[0]).resolve(), folder.resolve()))
    except CannotFetch as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
