"""Runs clang-tidy over the sources of a build folder, a dozen of them as one.

    python tests/lint/tidy.py build/python-cpython-311 cpp/src cpp/bindings

Nine tenths of what clang-tidy does for a file it does for the headers of others, and anew for each
file: twelve files in one translation unit take little longer than one. Two files whose own
names collide cannot be in one unit; they are found by the compiler and go into another.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

TOGETHER = 12
# Off in units: a unit includes sources, which the first is against; what the second finds depends
# on which files happen to be neighbours, since it looks into the functions that it can see.
CHECKS = "-bugprone-suspicious-include,-bugprone-exception-escape"
ERROR = re.compile(r"^(/[^:\n]+):\d+:\d+: (?:fatal )?error: ", re.MULTILINE)
# What g++ knows and clang does not.
FOREIGN = re.compile(r"-fprofile-\S+|-Wno-maybe-uninitialized|-Wno-tsan")


def sources(build: Path, folders: list[Path]) -> dict[tuple[str, ...], list[Path]]:
    """The sources below these folders, by the flags with which they are compiled."""
    found: dict[tuple[str, ...], list[Path]] = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = Path(entry["file"])
        if not any(path.is_relative_to(folder) for folder in folders):
            continue
        words = shlex.split(FOREIGN.sub("", entry["command"]))
        compiler = next(
            i for i, word in enumerate(words) if re.search(r"(c|g|clang)\+\+[^/]*$", word)
        )
        flags = tuple(words[compiler + 1 : words.index("-o")])  # noqa: E203
        files = found.setdefault(flags, [])
        if path not in files:
            files.append(path)
    return found


def unit(files: list[Path], folder: Path) -> Path:
    text = "".join(f'#include "{path}"\n' for path in files)
    with tempfile.NamedTemporaryFile("w", suffix=".cpp", dir=folder, delete=False) as file:
        file.write(text)
    return Path(file.name)


def strangers(files: list[Path], flags: tuple[str, ...], folder: Path) -> list[Path]:
    """Those of the files that do not compile behind those before them."""
    command = [
        "clang++",
        *flags,
        "-w",
        "-fsyntax-only",
        "-ferror-limit=0",
        str(unit(files, folder)),
    ]
    said = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    wrong = {Path(name) for name in ERROR.findall(said.stderr)}
    inside = [path for path in files if path in wrong]
    if said.returncode != 0 and not inside:
        raise SystemExit(said.stderr)
    return inside


def units(files: list[Path], flags: tuple[str, ...], folder: Path) -> Iterator[list[Path]]:
    """Divides the files into those that go together. One by itself always does."""
    # A library's own sources: beside them a finding would be of what others cannot see.
    libraries = [path for path in files if path.stem.endswith("_implementation")]
    for path in libraries:
        yield [path]
    files = [path for path in files if path not in libraries]
    while files:
        together, files = files[:TOGETHER], files[TOGETHER:]
        alone = strangers(together, flags, folder) if len(together) > 1 else []
        yield [path for path in together if path not in alone]
        if len(alone) == len(together):
            raise SystemExit(f"nothing compiles of {', '.join(map(str, together))}")
        files = files + alone


def tidy(files: list[Path], flags: tuple[str, ...], folder: Path, root: Path) -> str:
    command = ["clang-tidy", "--quiet", f"--checks={CHECKS}", f"--config-file={root}/.clang-tidy"]
    said = subprocess.run(
        [*command, str(unit(files, folder)), "--", *flags],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    return said.stdout + said.stderr if said.returncode != 0 else ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("build", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    arguments = parser.parse_args()
    root = Path.cwd()
    grouped = sources(arguments.build, [root / folder for folder in arguments.folders])
    if not grouped:
        parser.error(f"{arguments.build} compiles nothing below {arguments.folders}")
    status = 0
    with tempfile.TemporaryDirectory() as temporary:
        jobs = []
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for flags, files in grouped.items():
                for together in units(files, flags, Path(temporary)):
                    jobs.append(pool.submit(tidy, together, flags, Path(temporary), root))
            for job in concurrent.futures.as_completed(jobs):
                if said := job.result():
                    status = 1
                    print(said, flush=True)
    count = sum(len(files) for files in grouped.values())
    print(f"clang-tidy: {count} files in {len(jobs)} units", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
