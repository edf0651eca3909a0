"""Whether a hold is ours: a bare resume from here ends it before its deadline."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import stillgate._core as _core
from stillgate.results.hold import Hold


def is_mine(hold: Hold) -> bool:
    """By its owner, or because it began on this machine and is in its state folder."""
    return hold.owner == _this_user() or (_holds() / f"{hold.id}.hold").exists()


def _holds() -> Path:
    return Path(_core.state_directory()) / "holds"


def _this_user() -> str:
    """As the engine names the owner of a hold, who is not named otherwise."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = f"uid{os.geteuid()}"
    return f"{user}@{socket.gethostname() or 'localhost'}"
