"""Fetches the real HAProxy of four Debian suites into a cache, ready to run beside each other.

    python3 tests/support/haproxy/fetch.py [LABEL...]      labels: 2.2 2.6 3.0 sid; none: these four

The label `experimental` gets what Debian prepares beyond sid, for STILLGATE_HAPROXY.

The archive is the one this machine's apt already uses, and apt's own downloader, proxies and keys
are used to reach it. A package list is believed when the archive's signature is good, a package
when its SHA256 stands in that list. Each suite's binary is given that suite's own loader and
libraries, so it runs directly (started through the loader instead, master-worker mode could not
execute itself again).

With a full cache nothing is downloaded. The cache is .cache/haproxy in the project, or
$STILLGATE_HAPROXY_CACHE.
"""

from __future__ import annotations

import fcntl
import functools
import gzip
import hashlib
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

SUITES = {"2.2": "bullseye", "2.6": "bookworm", "3.0": "trixie", "sid": "sid"}
EXPERIMENTAL = "experimental"  # lists only what differs from sid
APT_HELPER = "/usr/lib/apt/apt-helper"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
UNPACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
}
TINY_CONFIG = """\
defaults
    mode http
    timeout client 1s
    timeout server 1s
    timeout connect 1s
frontend f
    bind 127.0.0.1:65000
    default_backend b
backend b
    server s 127.0.0.1:9
"""


class CannotFetch(Exception):
    """A suite's HAProxy cannot be had; the text is the reason."""


@dataclass(frozen=True)
class Archive:
    """One archive of this machine's apt configuration."""

    uri: str
    keyring: str
    security: bool


Package = dict[str, str]


def cache_folder() -> Path:
    default = Path(__file__).resolve().parents[3] / ".cache" / "haproxy"
    return Path(os.environ.get("STILLGATE_HAPROXY_CACHE") or default).resolve()


def run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CannotFetch(f"{command[0]} is not installed") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise CannotFetch(f"{' '.join(command[:3])} ...: status {done.returncode}: {said}")
    return done.stdout


# --- the archive ----------------------------------------------------------------------


def archives() -> list[Archive]:
    wanted = "$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)\t$(SIGNED_BY)"
    found: dict[str, Archive] = {}
    for line in run(
        "apt-get", "indextargets", "--format", wanted, "Created-By: Packages"
    ).splitlines():
        uri, release, component, signed_by = (line.split("\t") + [""] * 4)[:4]
        if component == "main" and uri not in found:
            keyring = signed_by if signed_by.endswith(".gpg") else KEYRING
            found[uri] = Archive(uri, keyring, release.endswith("-security"))
    if not found:
        raise CannotFetch("apt's configuration on this machine names no archive")
    return list(found.values())


def download(files: Iterable[tuple[str, Path]]) -> None:
    arguments: list[str] = []
    for uri, target in files:
        arguments += [
            uri,
            str(target),
            "",
        ]  # the empty word is apt-helper's place for a checksum; ours is checked later
    run(APT_HELPER, "-q", "-o", "Acquire::Retries=3", "download-file", *arguments)


def signed_release(archive: Archive, suite: str, work: Path) -> str:
    """The archive's signed list of lists; raises CannotFetch where the suite is missing or the
    signature bad.
    """
    signed, plain = work / "InRelease", work / "Release"
    for old in (signed, plain):
        old.unlink(missing_ok=True)
    download([(f"{archive.uri}dists/{suite}/InRelease", signed)])
    if shutil.which("gpgv") is None:
        raise CannotFetch("gpgv is not installed")
    verdict = subprocess.run(
        ["gpgv", "--status-fd", "1", "--keyring", archive.keyring, "-o", str(plain), str(signed)],
        capture_output=True,
        text=True,
        check=False,
    )
    # gpgv fails when any one of several signatures is by a key it lacks; like apt, one good
    # signature is enough.
    if "[GNUPG:] VALIDSIG " not in verdict.stdout or "[GNUPG:] BADSIG " in verdict.stdout:
        raise CannotFetch(
            f"no good signature on {suite} of {archive.uri}: {verdict.stderr.strip()}"
        )
    return plain.read_text(encoding="utf-8")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def package_list(archive: Archive, suite: str, arch: str, work: Path) -> Iterator[Package]:
    release = signed_release(archive, suite, work)
    for suffix, unpack in UNPACKERS.items():
        name = f"main/binary-{arch}/Packages{suffix}"
        listed = re.search(rf"^ ([0-9a-f]{{64}}) +\d+ {re.escape(name)}$", release, re.MULTILINE)
        if listed:
            break
    else:
        raise CannotFetch(f"{suite} has no packages for {arch}")
    target = work / f"Packages{suffix}"
    target.unlink(missing_ok=True)
    download([(f"{archive.uri}dists/{suite}/{name}", target)])
    if sha256(target) != listed.group(1):
        raise CannotFetch(f"{suite}: the SHA256 of {name} is wrong")
    for stanza in unpack(target.read_bytes()).decode("utf-8").split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, re.MULTILINE))
        if fields:
            fields["_archive"] = archive.uri
            yield fields


def newer(left: str, right: str) -> bool:
    compare = ["dpkg", "--compare-versions", left, "gt", right]
    return subprocess.run(compare, check=False).returncode == 0


def packages_of(suite: str, work: Path) -> dict[str, Package]:
    """Every package of the suite by name, the security archive's where that one is newer."""
    if suite == EXPERIMENTAL:
        known = packages_of("sid", work)
        known["haproxy"] = _own_packages(suite, work).get("haproxy", known["haproxy"])
        return known
    return _own_packages(suite, work)


def _own_packages(suite: str, work: Path) -> dict[str, Package]:
    arch = run("dpkg", "--print-architecture").strip()
    known: dict[str, Package] = {}
    reasons: list[str] = []
    for archive in archives():
        if archive.security:
            continue
        try:
            for package in package_list(archive, suite, arch, work):
                known.setdefault(package["Package"], package)
            break
        except CannotFetch as error:
            reasons.append(str(error))
    if not known:
        raise CannotFetch(f"suite {suite}: " + "; ".join(reasons))
    for archive in archives():
        if not archive.security or suite in ("sid", EXPERIMENTAL):
            continue
        try:
            for package in package_list(archive, f"{suite}-security", arch, work):
                before = known.get(package["Package"])
                if before is None or newer(package["Version"], before["Version"]):
                    known[package["Package"]] = package
        except CannotFetch as error:  # an old suite loses its security archive before its main one
            print(f"{suite}: without its security archive: {error}", file=sys.stderr)
    return known


def closure(known: dict[str, Package]) -> list[Package]:
    """HAProxy and the libraries it needs, without what only the packaging system needs."""
    provided: dict[str, str] = {}
    for package in known.values():
        for name in re.findall(r"[a-z0-9][a-z0-9.+-]+(?= |,|$)", package.get("Provides", "")):
            provided.setdefault(name, package["Package"])
    chosen: dict[str, Package] = {}
    waiting = ["haproxy"]
    while waiting:
        name = waiting.pop()
        if name in chosen:
            continue
        if name not in known:
            raise CannotFetch(f"the suite has no package {name}")
        chosen[name] = known[name]
        needs = ", ".join(known[name].get(field, "") for field in ("Pre-Depends", "Depends"))
        for need in filter(None, (part.strip() for part in needs.split(","))):
            options = [re.split(r"[ (:]", option.strip())[0] for option in need.split("|")]
            if options[0].startswith(("lib", "zlib")):
                real = [option for option in options if option in known]
                waiting.append(real[0] if real else provided.get(options[0], options[0]))
    return list(chosen.values())


# --- the binary -----------------------------------------------------------------------


def find_loader(root: Path, interpreter: str) -> Path:
    for path in sorted(root.rglob(Path(interpreter).name)):
        if path.resolve().is_file() and root in path.resolve().parents:
            return path.resolve()
    raise CannotFetch(f"no loader {interpreter} among the libraries")


def give_own_loader(binary: Path, root: Path, final_root: Path) -> None:
    def moved(path: Path) -> str:
        return str(final_root / path.relative_to(root))

    loader = find_loader(root, run("patchelf", "--print-interpreter", str(binary)).strip())
    folders = sorted({path.parent for path in root.rglob("lib*.so.*")} | {loader.parent})
    run("patchelf", "--set-interpreter", moved(loader), str(binary))
    # RPATH and not RUNPATH: it holds for the libraries' libraries too.
    run("patchelf", "--force-rpath", "--set-rpath", ":".join(map(moved, folders)), str(binary))


def version_of(binary: Path) -> str:
    said = run(str(binary), "-v")
    match = re.search(r"version (\d+\.\d+(?:\.\d+|-dev\d+))", said)
    if not match:
        raise CannotFetch(f"{binary} -v says no version: {said.strip()}")
    return match.group(1)


def fetch(label: str, cache: Path) -> dict[str, str]:
    suite = SUITES.get(label, label)
    final = cache / suite
    with tempfile.TemporaryDirectory(prefix=f"{suite}.", dir=cache) as folder:
        work = Path(folder)
        packages = closure(packages_of(suite, work))
        files = [(p["_archive"] + p["Filename"], work / Path(p["Filename"]).name) for p in packages]
        download(files)
        unpacked = work / "unpacked"
        root = unpacked / "root"
        root.mkdir(parents=True)
        for package, (_, target) in zip(packages, files):
            if sha256(target) != package["SHA256"]:
                raise CannotFetch(f"{suite}: the SHA256 of {target.name} is wrong")
            run("dpkg-deb", "-x", str(target), str(root))
        binary = root / "usr/sbin/haproxy"
        give_own_loader(binary, root, final / "root")
        shutil.rmtree(final, ignore_errors=True)
        unpacked.chmod(0o755)
        unpacked.rename(final)
    binary = final / "root/usr/sbin/haproxy"
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as config:
        config.write(TINY_CONFIG)
        config.flush()
        run(str(binary), "-c", "-f", config.name)
    package_version = next(p["Version"] for p in packages if p["Package"] == "haproxy")
    return {
        "suite": suite,
        "version": version_of(binary),
        "path": str(binary),
        "package": package_version,
    }


# --- the cache ------------------------------------------------------------------------


def read_versions(cache: Path) -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads((cache / "versions.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def write_versions(cache: Path, versions: dict[str, dict[str, str]]) -> None:
    temporary = cache / "versions.json.new"
    temporary.write_text(json.dumps(versions, indent=2, sort_keys=True) + "\n", "utf-8")
    temporary.rename(cache / "versions.json")


def usable(entry: Optional[dict[str, str]], cache: Path) -> bool:
    """Whether the entry's binary lies in this cache and runs: a cache that was moved or half
    deleted is no cache.
    """
    if entry is None or cache not in Path(entry["path"]).parents:
        return False
    try:
        return version_of(Path(entry["path"])) == entry["version"]
    except (CannotFetch, OSError):
        return False


@contextmanager
def only_one_at_a_time(cache: Path) -> Iterator[None]:
    with open(cache / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure(labels: Iterable[str] = tuple(SUITES)) -> dict[str, dict[str, str]]:
    """The cached entries of these labels, fetched where missing; raises CannotFetch at the first
    that cannot be had.
    """
    wanted = list(labels)
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    check = functools.partial(usable, cache=cache)
    versions = read_versions(cache)
    if not all(check(versions.get(label)) for label in wanted):
        with only_one_at_a_time(cache):
            for label in wanted:
                versions = read_versions(cache)
                if not check(versions.get(label)):
                    versions[label] = fetch(label, cache)
                    write_versions(cache, versions)
    return {label: versions[label] for label in wanted}


def main(arguments: list[str]) -> int:
    labels = arguments or list(SUITES)
    unknown = [label for label in labels if label not in (*SUITES, EXPERIMENTAL)]
    if unknown:
        known = " ".join([*SUITES, EXPERIMENTAL])
        print(f"unknown label {unknown[0]}; known: {known}", file=sys.stderr)
        return 2
    failed = False
    for label in labels:
        try:
            entry = ensure([label])[label]
            print(f"{label}: {entry['suite']} {entry['version']} {entry['path']}", flush=True)
        except CannotFetch as error:
            print(f"{label}: cannot be had: {error}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
