"""What a real HAProxy is given to have the gate: the very lines that `stillgate gate` prints."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

from stillgate import gate
from support.haproxy.server import Frontend

_numbers = itertools.count(1)
GATE = Path(gate.__file__).parent / "gate.lua"


def gate_options(frontend: str, folder: Path, version: str, **options: Any) -> dict[str, Any]:
    """Options of HAProxy() for one gated frontend, on top of these. `folder` is made for its state.
    They are for one HAProxy: the address of its probe is no other's on this machine.
    `lines` False leaves the frontend without its lines; `behind` are lines of its own behind them.
    """
    folder.mkdir(exist_ok=True)
    os.chmod(folder, 0o777)
    found = gate.lines(
        frontend,
        version=version,
        folder=str(folder),
        lua_file=str(GATE),
        probe=f"sg-{os.getpid()}-{next(_numbers)}",
        exempt=None,
    )
    own = tuple(found.frontend) if options.pop("lines", True) else ()
    limits = {name: options.pop(name) for name in ("maxconn", "backlog") if name in options}
    behind = tuple(options.pop("behind", ()))
    return {
        **options,
        "frontends": [
            Frontend(
                frontend,
                lines=(*own, *behind),
                backend_lines=tuple(found.backends),
                **limits,
            )
        ],
        "extra_global": [*found.global_, *options.get("extra_global", ())],
        "extra_defaults": [*found.defaults, *options.get("extra_defaults", ())],
        "extra": [*found.backend, *options.get("extra", ())],
    }
