"""What a real HAProxy needs in its configuration to have the gate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

GATE = Path(__file__).resolve().parents[2] / "python" / "stillgate" / "gate" / "gate.lua"


def gate_lines(frontend: str) -> tuple[str, ...]:
    """Of an http frontend whose name has letters and digits alone."""
    found = "{ var(txn.stillgate) -m found }"
    return (
        f'bind "abns@${{STILLGATE_PROBE}}-{frontend}" name stillgate',
        "http-request set-var(txn.stillgate) str(wait) unless "
        f"{{ var(proc.stillgate_guard_{frontend}) -m str open }} "
        "!{ stopping } !{ so_name stillgate }",
        f"http-request lua.stillgate if {found}",
        "http-request deny deny_status 503 hdr Retry-After 1 if "
        f"{found} !{{ var(txn.stillgate) -m str go }}",
    )


def gate_options(folder: Path) -> dict[str, Any]:
    """Options of HAProxy(): the Lua file, with that folder for its state. Its name makes the probe's
    address, so that each HAProxy of a machine wants one of its own.
    """
    folder.mkdir(exist_ok=True)
    os.chmod(folder, 0o777)
    return {
        "extra_global": [
            f"setenv STILLGATE_STATE {folder}",
            f"setenv STILLGATE_PROBE sg-{folder.parent.name}-{folder.name}",
            f"lua-load {GATE}",
        ],
        "extra_defaults": ["option abortonclose"],
        "extra": ["backend stillgate", "stick-table type string len 8000 size 100 store gpt0"],
    }
