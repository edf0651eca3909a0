"""How far apart HAProxies at the ends of unequal paths switch, seen where the commands arrive."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from support.haproxy.holds import COMMIT, F
from support.haproxy.paths import paths
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap

ONE_WAY_MS = (1, 20, 75)
HAPROXY = "/usr/sbin/haproxy"


@dataclass(frozen=True)
class Skew:
    """Medians over the rounds: the true spread, what the result tells of it, and the window against
    the longest round trip.
    """

    spread_ms: float
    told_ms: float
    window_ratio: float


def measure_skew(relay: Path, rounds: int) -> Skew:
    # First used here: what the fleet of a round needs is loaded before its clock runs.
    from stillgate import Fleet

    spreads, told, windows = [], [], []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sgs", dir="/tmp")))
        os.environ["STILLGATE_STATE_DIR"] = str(folder / "state")
        fleet = [stack.enter_context(HAProxy(HAPROXY)) for _ in ONE_WAY_MS]
        for _ in range(rounds):
            switched: list[float] = []
            with ExitStack() as each:
                taps = [
                    each.enter_context(
                        Tap(one, {COMMIT: lambda: switched.append(time.monotonic())})
                    )
                    for one in fleet
                ]
                targets = [tap.endpoint for tap in taps]
                ends = each.enter_context(paths(relay, targets, ONE_WAY_MS, folder))
                # Nobody waits in these holds, and then even an affected release survives.
                report = Fleet(ends).suspend(F, no_lease=True, accept_hazard=True)
                assert report.skew_ms is not None and report.commit_window_ms is not None
                spreads.append((max(switched) - min(switched)) * 1000)
                told.append(report.skew_ms)
                windows.append(report.commit_window_ms / (2 * max(ONE_WAY_MS)))
                Fleet(ends).resume(F)
    return Skew(median(spreads), median(told), median(windows))
