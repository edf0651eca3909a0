"""What lies in a file's place and must neither be waited for, nor swallowed, nor believed."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
NOBODY = 65534
KINDS = ("FIFO", "device", "folder", "socket", "huge")


def make(path: Path, kind: str) -> Path:
    """Something in a file's place that must neither be waited for nor swallowed."""
    if kind == "FIFO":
        os.mkfifo(path, 0o600)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    else:
        path.touch(0o600)
        os.truncate(path, 2 << 30)
    return path
