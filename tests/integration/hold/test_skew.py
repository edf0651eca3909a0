"""Aligned commits over paths of unequal length: all HAProxies switch at nearly the same instant."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.haproxy.holds import COMMIT, F, verdicts
from support.haproxy.paths import paths
from support.haproxy.tap import Tap
from support.patience import patient

if TYPE_CHECKING:
    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")
ROOT = Path(__file__).resolve().parents[3]
ONE_WAY_MS = (1, 20, 75)


def test_far_ones_are_written_to_first(haproxy: Start, tmp_path: Path) -> None:
    proxies = [haproxy("3.0") for _ in ONE_WAY_MS]
    switched: list[float] = []
    taps = [Tap(one, {COMMIT: lambda: switched.append(time.monotonic())}) for one in proxies]
    (relay,) = ROOT.glob("build/python-*/tests/bench/relay")
    try:
        targets = [tap.endpoint for tap in taps]
        with paths(relay, targets, ONE_WAY_MS, tmp_path) as endpoints:
            fleet = Fleet(endpoints)
            report = fleet.suspend(F, no_lease=True)
            assert verdicts(report) == ["held"] * 3
            spread_ms = (max(switched) - min(switched)) * 1000
            busy_ms = patient(0) * 1000
            # Sent at once they would switch 74 ms apart.
            assert len(switched) == 3 and spread_ms < 20 + busy_ms
            assert report.skew_ms is not None and report.skew_ms < 20 + busy_ms
            # And the window is no longer for it: one round trip of the longest path.
            assert report.commit_window_ms is not None
            assert 150 <= report.commit_window_ms < 250 + busy_ms
            fleet.resume(F)
    finally:
        for tap in taps:
            tap.close()
    assert [proxy.limit(F) for proxy in proxies] == [100, 100, 100]
