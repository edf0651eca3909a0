"""The demo's second part: the method maxconn on one HAProxy, under the same kinds of clients."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from demo.kinds import Contrast, Hold
from demo.stage import FRONTEND, frontend, start_loads, typed, undisturbed, wait_for_loads
from support.app import App
from support.fabric.fab import Fab
from support.haproxy.server import HAProxy

BEFORE, HELD, AFTER = 1.5, 1.0, 0.5  # seconds


def contrast(binary: str) -> Contrast:
    stack = ExitStack()
    try:
        app = stack.enter_context(App())
        proxy = stack.enter_context(HAProxy(binary, frontends=[frontend()], servers=[app.port]))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sg-demo-"))
        fab = Fab(Path(folder))
        fab.write(endpoints=proxy.endpoints, frontends=[FRONTEND])
        pid = proxy.worker_pid
        loads = start_loads(stack, [proxy], path="/")
        wait_for_loads(loads, time.monotonic() + BEFORE)
        # Steady keep-alive clients pass, so the backend never falls silent.
        options = ("--method", "maxconn", "--no-lease", "--drain-timeout", "0")
        typed(fab, "suspend", *options)
        held = time.monotonic()
        time.sleep(HELD)
        resuming = time.monotonic()
        typed(fab, "resume")
        wait_for_loads(loads, time.monotonic() + AFTER)
        records = [record for load in loads for record in load.stop()]
        same = proxy.alive() and proxy.worker_pid == pid
        return Contrast(Hold(held, resuming), records, app.arrivals(), same)
    finally:
        with undisturbed():
            stack.close()
