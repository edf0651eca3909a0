"""A resume frozen between its question and its command: whoever holds by then is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from stillgate.options import Method
from support.haproxy.gate import Gated
from support.haproxy.holds import F
from support.haproxy.tap import Tap
from support.patience import HANG_S
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

HINT = f"get var proc.stillgate_lock_{F}"
END = f"get var proc.stillgate_ended_{F}"
OLD_S = 0.5  # an answer that is older than the half of it decides nothing


def is_stopped(pid: int) -> bool:
    """Each of its threads."""
    tasks = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(task.rpartition(")")[2].split()[0] == "T" for task in tasks)


@pytest.mark.parametrize("method", ["maxconn", "gate"])
@pytest.mark.parametrize("behind", ["the survey", "the last question"])
def test_a_resume_that_was_frozen_opens_no_later_hold(
    gated: Callable[..., Gated],
    haproxy_binaries: dict[str, Binary],
    state: Path,
    method: Method,
    behind: str,
) -> None:
    # On a busy machine it is frozen for longer than HAProxy's 10 s for an idle connection.
    one = gated(haproxy_binaries["3.0"], extra_global=["stats timeout 5m"])
    fleet = Fleet(one.proxy.endpoints)
    (first,) = fleet.suspend(F, method=method, max_hold=600).holds
    frozen = threading.Event()
    resuming: list[subprocess.Popen[str]] = []
    made = threading.Event()

    def freeze() -> None:
        assert made.wait(HANG_S)
        pid = resuming[0].pid
        os.kill(pid, signal.SIGSTOP)
        # On a busy machine a thread of it may still take the answer to the line that waits here.
        wait_until(lambda: is_stopped(pid), "the stop of the resume")
        frozen.set()

    def freeze_later() -> None:
        tap.hook(HINT, freeze)

    # The survey ends with its mark, and the last question has the hint.
    hook = freeze if behind == "the survey" else freeze_later
    with Tap(one.proxy, {END: hook}) as tap:
        command = [sys.executable, "-m", "stillgate", "resume", F, "--json", "-e", tap.endpoint]
        resuming.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        made.set()
        try:
            assert frozen.wait(HANG_S)
            since = time.monotonic()
            fleet.resume(F)
            (later,) = fleet.suspend(F, method=method, max_hold=600).holds
            time.sleep(max(0.0, OLD_S - (time.monotonic() - since)))
        finally:
            os.kill(resuming[0].pid, signal.SIGCONT)
        said = resuming[0].communicate(timeout=HANG_S)[0]
    (held,) = fleet.status(F).switches
    assert (held.verdict, held.hold_id) == ("held", later.id), said
    assert (resuming[0].returncode, first.id != later.id) == (4, True), said
    assert json.loads(said)["switches"][0]["error"]["code"] == "not_the_holder"
    fleet.resume(F)
