"""How long a suspend and its resume take with many frontends at one HAProxy (docs/gate.md).

    .venv/bin/python tests/bench/frontends.py --label 3.0 --method gate --count 300
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT / "tests")
sys.path.insert(1, str(ROOT / "python"))

from stillgate import Fleet  # noqa: E402
from support.haproxy.fetch import ensure  # noqa: E402
from support.haproxy.gate import Gated  # noqa: E402
from support.haproxy.server import HAProxy  # noqa: E402

MAX_HOLD_S = 600
CONNECTIONS = 4000  # under the limit of files that most machines have, with 600 listeners


@dataclass(frozen=True)
class Binary:
    path: str
    version: str
    release: tuple[int, ...]


def binary_of(label: str) -> Binary:
    entry = ensure([label])[label]
    release = tuple(int(one) for one in entry["version"].split("-")[0].split(".")[:2])
    return Binary(entry["path"], entry["version"], release)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A suspend of many frontends of one HAProxy.")
    parser.add_argument("--label", action="append", help="which HAProxy; again and again")
    parser.add_argument("--method", action="append", choices=["maxconn", "gate"])
    parser.add_argument("--count", action="append", type=int, help="of frontends; again and again")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def measure(binary: Binary, method: Any, count: int, rounds: int) -> str:
    names = [f"f{number:03}" for number in range(count)]
    with ExitStack() as stack:

        def start(_: Binary, **more: Any) -> HAProxy:
            return stack.enter_context(HAProxy(binary.path, **more))

        if method == "gate":
            gated = Gated(start, binary, frontends=names, h2=False, global_maxconn=CONNECTIONS)
            stack.callback(gated.close)
            proxy = gated.proxy
        else:
            proxy = start(binary, frontends=names)
        fleet = Fleet(proxy.endpoints)
        suspends, resumes = [], []
        for _ in range(rounds):
            suspends.append(
                taken(proxy, lambda: fleet.suspend(*names, method=method, max_hold=MAX_HOLD_S))
            )
            resumes.append(taken(proxy, lambda: fleet.resume(*names)))
    return (
        f"{binary.version} by {method}, {count} frontends: "
        f"suspend {middle(suspends)}, resume {middle(resumes)}"
    )


@dataclass(frozen=True)
class Taken:
    """Seconds; CPU is that of this process and of HAProxy."""

    wall: float
    own: float
    haproxy: float


def taken(proxy: HAProxy, call: Callable[[], object]) -> Taken:
    began, own, its = time.monotonic(), time.process_time(), cpu_of(proxy.pid)
    call()
    return Taken(time.monotonic() - began, time.process_time() - own, cpu_of(proxy.pid) - its)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def middle(calls: Sequence[Taken]) -> str:
    wall = [one.wall for one in calls]
    return (
        f"{median(wall):.2f} s ({min(wall):.2f} to {max(wall):.2f}; CPU "
        f"{median(one.own for one in calls):.2f} s, HAProxy's "
        f"{median(one.haproxy for one in calls):.2f} s)"
    )


def main() -> None:
    asked = options()
    with tempfile.TemporaryDirectory(prefix="sgb-", dir="/tmp") as folder:
        os.environ["STILLGATE_STATE_DIR"] = folder
        for label in asked.label or ["2.2", "3.0"]:
            for method in asked.method or ["maxconn", "gate"]:
                for count in asked.count or [150, 300, 600]:
                    print(measure(binary_of(label), method, count, asked.rounds), flush=True)


if __name__ == "__main__":
    main()
