"""What the bench's peers in Python share: the endpoints, and the line printed per round."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Round:
    """One round of a peer. `window_ms` runs from the first byte of a command to the last answer."""

    total_ms: float
    window_ms: float
    cpu_us: float
    ok: int


def cpu_us(who: int = resource.RUSAGE_SELF) -> float:
    """User and system time so far."""
    used = resource.getrusage(who)
    return 1e6 * (used.ru_utime + used.ru_stime)


def raise_file_limit() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def obey(kinds: dict[str, Callable[[list[str]], Round]]) -> None:
    """Reads the kind of each round from stdin and prints what came of it."""
    raise_file_limit()
    endpoints = Path(sys.argv[1]).read_text(encoding="utf-8").split()
    for line in sys.stdin:
        done = kinds[line.strip()](endpoints)
        figures = {
            "total_ms": done.total_ms,
            "window_ms": done.window_ms,
            "cpu_us_per_endpoint": done.cpu_us / len(endpoints),
            "ok": done.ok,
        }
        print(json.dumps(figures), flush=True)
