"""A cutover that is unknown where the hold rejects at its deadline: the lost HAProxy answers 503.

So no request meets the wrong code, until somebody has restored and resumed it.
"""

from __future__ import annotations

import http.client
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import pytest

from stillgate import Fleet
from support.app import App
from support.command import COMMAND
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F, findings
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")
SERVE = ("--serve", "app/green=ready", "--serve", "app/blue=maint")
LAST = "set server app/blue state maint"
ASKS = "show servers state"


@pytest.fixture
def pair(haproxy: Start, haproxy_version: Binary, app: App, tmp_path: Path) -> list[HAProxy]:
    """Each answer tells by which server."""
    backend = [
        "backend app",
        "mode http",
        "http-response set-header x-code %s",
        f"server blue 127.0.0.1:{app.port}",
        f"server green 127.0.0.1:{app.port} disabled",
    ]

    version, found = haproxy_version.version, []
    for number in range(2):
        lines: dict[str, Any] = {"behind": ["use_backend app"], "extra": backend}
        settings = gate_options(F, tmp_path / f"gate{number}", version, **lines)
        found.append(haproxy(haproxy_version.label, **settings))
    return found


def answer(proxy: HAProxy) -> tuple[int, Optional[str]]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.ports[F], timeout=HANG_S)
    try:
        connection.request("GET", "/")
        reply = connection.getresponse()
        reply.read()
        return reply.status, reply.getheader("x-code")
    finally:
        connection.close()


def stillgate(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)


def test_one_whose_cutover_is_unknown_answers_503_until_it_is_restored_and_resumed(
    pair: list[HAProxy], tmp_path: Path
) -> None:
    away, other = pair
    migrated = tmp_path / "migrated"
    with Tap(away, {}) as tap:
        # The first reading behind the change.
        tap.hook(LAST, lambda: tap.hook(ASKS, tap.cut))
        ends = ["-e", tap.endpoint, "-e", other.endpoints[0]]
        undo_time = patient(1.5)
        hold = ["--max-hold", str(undo_time + patient(1.5)), "--undo-time", str(undo_time)]
        hold += ["--retry-for", "1", "--on-expiry", "reject", "--on-failure", f"rm {migrated}"]
        done = stillgate("hold", F, *hold, *SERVE, *ends, "--", "touch", str(migrated))
        assert done.returncode == 125, done.stderr
        assert "migration done, undo done, cutover unknown" in done.stderr
        assert f"{F} at tap: if still held at the deadline, 503 is answered there" in done.stderr
        assert not migrated.exists()
        tap.mend()
        alone = Fleet(away.endpoints)
        wait_until(lambda: "rejecting" in findings(alone.status(F)), "the deadline")
        assert [answer(away)[0], answer(other)] == [503, (200, "blue")]
        # What the call has told to type.
        mended = stillgate("cutover", "given", "--back", *ends)
        assert mended.returncode == 0, mended.stderr
        assert answer(away)[0] == 503
        (told,) = re.findall(r"cutover NAME --back\); then: stillgate (.*)", done.stderr)
        resumed = stillgate(*shlex.split(told))
        assert resumed.returncode == 0, resumed.stderr
        assert [answer(away), answer(other)] == [(200, "blue")] * 2
