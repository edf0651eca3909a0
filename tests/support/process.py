"""Processes of a test: waiting for what they do and listen to, and finding those that still run."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

from support.patience import HANG_S


def wait_until(condition: Callable[[], bool], what: str, timeout: float = HANG_S) -> None:
    """Returns as soon as the condition holds; TimeoutError with `what` where it never does.

    `timeout` ends a test that hangs, and is no bound to ask for: a busy machine takes its time.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(0.005)


def accepts(path: Path) -> bool:
    """Whether somebody listens there. The file alone is no sign: it is there from bind() on, and a
    connection is refused until listen().
    """
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def running_in_group(group: int) -> list[int]:
    """The processes of a process group that still run; zombies do not."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, pgrp = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(pgrp) == group and state != "Z":
                found.append(int(entry.name))
    return found


def state_of(pid: int) -> str:
    """As in /proc: R, S, D, T, Z; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children_of(pid: int) -> list[int]:
    """Those that run or are stopped."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(parent) == pid and state != "Z":
                found.append(int(entry.name))
    return found
