"""A password that an sshd of a test's own takes for every user."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_name("shadow.cpp")


def taking(password: str, folder: Path) -> Mapping[str, str]:
    """What such an sshd has in its environment."""
    compiled = folder / "shadow.so"
    options = "-shared -fPIC -O1 -fno-exceptions -nodefaultlibs -lc"
    subprocess.run(["g++", SOURCE, *options.split(), "-o", compiled], check=True)
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],
        input=password,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    return {"LD_PRELOAD": str(compiled), "SHADOW_HASH": hashed, "SHADOW_PASSWORD": password}
