"""A guard that dies while it starts its standby leaves one that knows the hold."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from stillgate import Fleet
from support.haproxy.guards import active, guards, standby
from support.haproxy.holds import F
from support.haproxy.versions import SAFE
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

SOURCE = Path(__file__).parents[2] / "support" / "die_at_fork.cpp"


@pytest.mark.parametrize("label", SAFE)
def test_a_guard_that_dies_as_it_starts_its_standby_leaves_it_the_hold(
    label: str, haproxy: Start, state: Path, tmp_path: Path
) -> None:
    library, order = tmp_path / "die_at_fork.so", tmp_path / "die"
    subprocess.run(["g++", "-shared", "-fPIC", "-O1", SOURCE, "-o", library], check=True)
    proxy = haproxy(label, maxconn=300)
    fleet = Fleet(proxy.endpoints)
    with mock.patch.dict(os.environ, LD_PRELOAD=str(library), DIE_AT_FORK=str(order)):
        fleet.suspend(F, method="maxconn", max_hold=600)
    first, second = active(state), standby(state)
    order.touch()
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: first not in guards(state), "the guard to die")
    wait_until(lambda: fleet.status(F).holds[0].guards == 2, "another pair")
    assert proxy.limit(F) == 0 and not order.exists()
    fleet.resume(F)
    assert proxy.limit(F) == 300
