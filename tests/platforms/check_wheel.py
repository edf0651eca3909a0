"""Checks that wheels need the C library and OpenSSL 3 alone, and none newer than their names say:
check_wheel.py WHEEL...
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import List, Tuple

ALLOWED = re.compile(r"(libc|libm)\.so\.6|libcrypto\.so\.3|ld-linux-[\w-]+\.so\.\d")
# Of the other libraries, what their first release of that soname has.
OPENSSL = "OPENSSL_3.0.0"


def objdump(path: Path) -> str:
    command = ["objdump", "-p", str(path)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def faults_of(said: str, glibc: Tuple[int, ...]) -> List[str]:
    """What of objdump's words must not be; `glibc` is the newest C library that may be needed."""
    found = [
        f"needs {name}"
        for name in re.findall(r"^ +NEEDED +(\S+)", said, re.MULTILINE)
        if not ALLOWED.fullmatch(name)
    ]
    for version in sorted(set(re.findall(r" (GLIBC_[\d.]+|OPENSSL_\S+|GLIBCXX_\S+)$", said, re.M))):
        name, _, number = version.partition("_")
        if name == "GLIBC":
            if tuple(int(part) for part in number.split(".")) > glibc:
                found.append(f"needs {version}")
        elif version != OPENSSL:
            found.append(f"needs {version}")
    found += [line.strip() for line in re.findall(r"^ +R(?:UN)?PATH .*$", said, re.MULTILINE)]
    return found


def check(wheel: Path) -> List[str]:
    tag = re.search(r"-manylinux_(\d+)_(\d+)_\w+\.whl$", wheel.name)
    if tag is None:
        return [f"{wheel.name}: its name does not say which C library it needs"]
    glibc = (int(tag[1]), int(tag[2]))
    found: List[str] = []
    programs = 0
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
                programs += 1
                found += [
                    f"{wheel.name}: {path.name} {one}" for one in faults_of(objdump(path), glibc)
                ]
    if programs != 3:
        found.append(f"{wheel.name}: has {programs} of module, guard and leash")
    return found


if __name__ == "__main__":
    bad = [fault for name in sys.argv[1:] for fault in check(Path(name))]
    print("\n".join(bad) or f"{len(sys.argv) - 1} wheels need the C library and OpenSSL 3 alone")
    sys.exit(1 if bad else 0)
