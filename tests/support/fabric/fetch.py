"""Fetches Fabric 3 from a newer Debian suite into a cache: pure Python, and not installed.

    python3 tests/support/fabric/fetch.py

Debian 12 has Fabric 2.6. A process that finds the folder first on its PYTHONPATH has Fabric 3 with
the Invoke and the Paramiko of the same suite, on this machine's interpreter and its other packages.
How the archive is reached and believed is haproxy/fetch.py's. A suite whose Fabric does not run
here is passed over for the next.

With a full cache nothing is downloaded. The cache is .cache/fabric in the project, or
$STILLGATE_FABRIC_CACHE.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.haproxy.fetch import (  # noqa: E402
    CannotFetch,
    download,
    only_one_at_a_time,
    packages_of,
    run,
    sha256,
)

SUITES = ("sid", "forky")
PACKAGES = ("python3-fabric", "python3-invoke", "python3-paramiko")
INSIDE = "usr/lib/python3/dist-packages"


def cache_folder() -> Path:
    default = Path(__file__).resolve().parents[3] / ".cache" / "fabric"
    return Path(os.environ.get("STILLGATE_FABRIC_CACHE") or default).absolute()


def versions_of(folder: Optional[Path] = None) -> dict[str, str]:
    """Of Fabric, Paramiko and Invoke, by their own word: in that folder, or this machine's."""
    environment = dict(os.environ)
    if folder is not None:
        environment["PYTHONPATH"] = str(folder)
    command = [sys.executable, "-m", "fabric", "--version"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = dict(re.findall(r"^(\w+) (\d\S*)$", done.stdout, re.MULTILINE))
    if done.returncode != 0 or "Fabric" not in found:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise CannotFetch(f"fab --version: status {done.returncode}: {''.join(last)}")
    return found


def fetch(suite: str, cache: Path) -> Path:
    with tempfile.TemporaryDirectory(prefix=f"{suite}.", dir=cache) as folder:
        work = Path(folder)
        known = packages_of(suite, work)
        missing = [name for name in PACKAGES if name not in known]
        if missing:
            raise CannotFetch(f"{suite} has no package {missing[0]}")
        chosen = [known[name] for name in PACKAGES]
        files = [(p["_archive"] + p["Filename"], work / Path(p["Filename"]).name) for p in chosen]
        download(files)
        unpacked = work / "unpacked"
        for package, (_, target) in zip(chosen, files):
            if sha256(target) != package["SHA256"]:
                raise CannotFetch(f"{suite}: the SHA256 of {target.name} is wrong")
            run("dpkg-deb", "-x", str(target), str(unpacked))
        found = versions_of(unpacked / INSIDE)
        if not found["Fabric"].startswith("3."):
            raise CannotFetch(f"{suite} has Fabric {found['Fabric']}, not 3")
        unpacked.chmod(0o755)
        shutil.rmtree(cache / suite, ignore_errors=True)
        unpacked.rename(cache / suite)
    return cache / suite / INSIDE


def cached(cache: Path) -> Optional[Path]:
    """A folder that still runs: a cache that is half deleted is no cache."""
    for suite in SUITES:
        folder = cache / suite / INSIDE
        try:
            if folder.is_dir() and versions_of(folder)["Fabric"].startswith("3."):
                return folder
        except CannotFetch:
            continue
    return None


def ensure() -> Path:
    """What to put on the PYTHONPATH; raises CannotFetch with every suite's reason."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with only_one_at_a_time(cache):
        folder = cached(cache)
        reasons = []
        for suite in SUITES if folder is None else ():
            try:
                return fetch(suite, cache)
            except CannotFetch as error:
                reasons.append(f"{suite}: {error}")
    if folder is None:
        raise CannotFetch("; ".join(reasons))
    return folder


def main() -> int:
    try:
        folder = ensure()
        found = versions_of(folder)
    except CannotFetch as error:
        print(f"Fabric 3: cannot be had: {error}", file=sys.stderr)
        return 1
    others = ", ".join(f"{name} {found[name]}" for name in sorted(found) if name != "Fabric")
    print(f"Fabric 3: {found['Fabric']} ({others}) {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
