"""Who is killed in the cutover of `resume --cutover` or of suspended(), between two HAProxies: all
of them come to one side inside the hold, whose deadline would else open one to each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Cutover, Fleet
from support.command import COMMAND, run
from support.haproxy.blue_green import ASKS, BACKEND, FIRST, LAST, NEW_CODE, SERVE, SERVERS, serving
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F, deadline_in, verdicts
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")
# Its block forks a child that outlives it, with a copy of all that was open then.
SUSPENDED = f"""
import os, sys, stillgate
fleet = stillgate.Fleet(sys.argv[3:])
green = stillgate.Cutover("given", {SERVERS!r})
with fleet.suspended("{F}", max_hold=float(sys.argv[1]), cutover=green):
    if os.fork() == 0:
        os.close(1), os.close(2)
        os._exit(len(os.read(int(sys.argv[2]), 1)))
"""


class Dies:
    """A caller that is killed when the second HAProxy has the change and the first has not."""

    _signal, _status = signal.SIGKILL, -signal.SIGKILL

    def __init__(self, proxies: list[HAProxy], tap: Tap) -> None:
        self._second = proxies[1]
        self._process: subprocess.Popen[str]
        tap.hook(FIRST, self._kill)
        # What else is on its way from the dead does not arrive either.
        tap.hook(LAST, lambda: False)

    def _kill(self) -> bool:
        # HAProxy 3.0 carries out but the first of what it has not read when its sender dies.
        wait_until(lambda: serving(self._second) == NEW_CODE, "the change of the second")
        self._process.send_signal(self._signal)
        return False

    def run(self, words: list[str], *given: int) -> str:
        """Returns what was told; whoever continues it has come to its end. It gets the descriptors
        that are given.
        """
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=given
        ) as self._process:
            try:
                _, told = self._process.communicate(timeout=HANG_S)
            finally:
                self._process.kill()
        assert self._process.returncode == self._status, told
        return told


class Stops(Dies):
    """One that somebody stops at that moment, and nobody but its leash continues."""

    _signal, _status = signal.SIGSTOP, 0


@pytest.fixture(params=["gate", "maxconn"], name="proxies")
def held_by(
    request: pytest.FixtureRequest,
    haproxy: Start,
    haproxy_binaries: dict[str, Binary],
    tmp_path: Path,
) -> list[HAProxy]:
    lines = BACKEND.splitlines()
    if request.param == "maxconn":
        return [haproxy("3.0", extra=lines) for _ in range(2)]
    version = haproxy_binaries["3.0"].version
    return [
        haproxy("3.0", **gate_options(F, tmp_path / name, version, extra=lines))
        for name in ("first", "second")
    ]


@pytest.fixture(name="tap")
def tapped(proxies: list[HAProxy]) -> Iterator[Tap]:
    with Tap(proxies[0], {}) as tap:
        yield tap


def urls(proxies: list[HAProxy], tap: Tap) -> list[str]:
    return [tap.endpoint, proxies[1].endpoints[0]]


Struck = Callable[[list[HAProxy], Tap, type[Dies]], str]


def ends(proxies: list[HAProxy], tap: Tap) -> list[str]:
    return [word for url in urls(proxies, tap) for word in ("-e", url)]


def in_hold(proxies: list[HAProxy], tap: Tap, kind: type[Dies]) -> str:
    hold = [*COMMAND, "hold", F, "--max-hold", str(patient(30.0)), *SERVE, *ends(proxies, tap)]
    return kind(proxies, tap).run([*hold, "--", "true"])


def in_resume(proxies: list[HAProxy], tap: Tap, kind: type[Dies]) -> str:
    Fleet(urls(proxies, tap)).suspend(F, max_hold=patient(30.0))
    return kind(proxies, tap).run([*COMMAND, "resume", F, *SERVE, *ends(proxies, tap)])


def in_suspended(proxies: list[HAProxy], tap: Tap, kind: type[Dies]) -> str:
    until, over = os.pipe()
    words = [sys.executable, "-c", SUSPENDED, str(patient(30.0)), str(until), *urls(proxies, tap)]
    try:
        return kind(proxies, tap).run(words, until)
    finally:
        os.close(over)
        os.close(until)


@pytest.mark.parametrize("struck", [in_hold, in_resume, in_suspended])
def test_nobody_stops_a_caller_between_two(
    struck: Struck, proxies: list[HAProxy], tap: Tap
) -> None:
    """Until the deadline the one would have the new code, and from there on the other the old."""
    told = struck(proxies, tap, Stops)
    assert [serving(one) for one in proxies] == [NEW_CODE, NEW_CODE], told


@pytest.mark.parametrize("struck", [in_resume, in_suspended])
def test_all_come_to_one_side_though_the_caller_is_killed_between_two(
    struck: Struck, proxies: list[HAProxy], tap: Tap
) -> None:
    told = struck(proxies, tap, Dies)
    assert [serving(one) for one in proxies] == [NEW_CODE, NEW_CODE], told
    assert "killed in the cutover, which was completed" in told
    # Nobody has let anything go.
    back = Fleet(urls(proxies, tap)).resume(F, force=True, reason="it stands")
    assert verdicts(back) == ["resumed", "resumed"]


def test_a_hold_ends_with_its_cutover_and_then_a_ramp(haproxy: Start) -> None:
    proxy = haproxy("3.0", extra=BACKEND.splitlines())
    with Tap(proxy, {}) as tap:
        hold = ("--method", "maxconn", "--ramp", "0.3", *SERVE, "-e", tap.endpoint)
        done = run("hold", F, *hold, "--", "true")
        limits = [line for line in tap.lines if line.startswith(f"set maxconn frontend {F} ")]
        assert done.returncode == 0, done.stderr
        assert tap.lines.index(LAST) < tap.lines.index(limits[1])
    assert serving(proxy) == NEW_CODE and proxy.limit(F) == 100
    # 0, the steps of the ramp, and the old limit.
    assert len(limits) > 3, limits


@pytest.mark.parametrize("answers", [True, False])
def test_a_hold_that_is_about_to_end_is_extended_for_a_resume_everywhere_or_nowhere(
    answers: bool, proxies: list[HAProxy], tap: Tap, state: Path
) -> None:
    """Else one would open to the old code while the other is cut over. Also by maxconn, whose guard
    has to follow before the old deadline.
    """
    fleet = Fleet(urls(proxies, tap), reply_timeout=0.3)
    deadlines: list[float] = []

    def note() -> None:
        deadlines.append(deadline_in(state))

    def swallow() -> bool:
        return False

    # Whoever extends asks again what is held, behind the proof.
    if not answers:
        tap.hook(ASKS, lambda: tap.hook("show info", swallow))
    tap.hook(FIRST, note)
    # Less is left than it takes, and more than an extension needs.
    before = fleet.suspend(F, max_hold=2.9).holds[0].deadline
    assert before is not None
    report = fleet.resume(F, cutover=Cutover("given", SERVERS))
    assert report.cutover is not None and report.cutover.state == "applied"
    assert deadlines == [pytest.approx(before + (5 if answers else 0), abs=0.01)]
    assert [serving(one) for one in proxies] == [NEW_CODE, NEW_CODE]
