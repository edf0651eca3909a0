"""A commit that comes to HAProxy when its suspend has given it up: held, and nobody's."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.haproxy.guards import guards
from support.haproxy.holds import COMMIT, F, records, remembered
from support.haproxy.tap import Tap
from support.haproxy.versions import REMEMBERING
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

MAX_HOLD_S = 4
RELEASE = f"set maxconn frontend {F} 100"


@pytest.mark.parametrize("stop", ["interrupted", "not answered"])
@pytest.mark.parametrize("label", REMEMBERING)
def test_the_guard_opens_what_comes_late(
    haproxy: Start, state: Path, label: str, stop: str
) -> None:
    # On a busy machine the commit is held up for longer than HAProxy's 10 s for an idle connection.
    proxy = haproxy(label, extra_global=["stats timeout 5m"])
    on_its_way, let_go = threading.Event(), threading.Event()

    def hold_up() -> None:
        on_its_way.set()
        let_go.wait(HANG_S)

    with Tap(proxy, {COMMIT: hold_up}) as tap:
        command = [sys.executable, "-m", "stillgate", "suspend", F, "--method", "maxconn"]
        command += ["--max-hold", str(patient(MAX_HOLD_S)), "-e", tap.endpoint]
        if stop == "not answered":
            command += ["--reply-timeout", str(patient(0.5))]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as suspending:
            assert on_its_way.wait(HANG_S)
            if stop == "interrupted":
                suspending.send_signal(signal.SIGINT)
            said = suspending.communicate(timeout=60)[1]
        assert suspending.returncode == (130 if stop == "interrupted" else 1), said
        assert proxy.limit(F) == 100 and not remembered(proxy) and records(state) == []
        # Nothing is left of it but this; whoever suspends next would find an open frontend.
        released = tap.lines.count(RELEASE)
        let_go.set()
        # It does so only where it has found a limit of 0, which may be there for an instant.
        wait_until(lambda: tap.lines.count(RELEASE) > released, "the guard to release it")
        wait_until(lambda: proxy.limit(F) == 100, "the limit to be there again")
    wait_until(lambda: guards(state) == [], "the guards to leave")
    assert proxy.limit(F) == 100
