"""Who is killed in a release, and which code meets which schema then: until the first change of the
cutover the command has its undo, whoever is there to run it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.app import App
from support.command import COMMAND, run
from support.haproxy.blue_green import (
    ASKS,
    BACKEND,
    FIRST,
    LAST,
    NEW_CODE,
    OLD_CODE,
    SERVE,
    serving,
)
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")


def resume(tap: Tap, *ends: str) -> subprocess.CompletedProcess[str]:
    words = ["resume", F, "--force", "-e", tap.endpoint, *ends, "--reason", "it stands"]
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)


class Release:
    """`stillgate hold` whose command makes the file `migrated`, and then waits for `go`. Its undo
    removes the file and leaves `undone`, with what the first HAProxy had for a limit at that time.
    """

    def __init__(
        self, folder: Path, *options: str, then: str = "", undo: str = "", undoes: bool = True
    ) -> None:
        self.begun, self.migrated, self.go = folder / "begun", folder / "migrated", folder / "go"
        self.undoing, self.undone = folder / "undoing", folder / "undone"
        work = f"echo $$ >{self.begun}; touch {self.migrated}; until test -e {self.go}; "
        work += f"do sleep 0.01; done; {then or 'true'}"
        # Not before the command is gone.
        undo = f"kill -0 $(cat {self.begun}) && exit 9; touch {self.undoing}; {undo or 'true'}; "
        undo += f"rm {self.migrated}; touch {self.undone}"
        words = ["hold", F, *options, *(["--on-failure", undo] if undoes else [])]
        words += ["--", "sh", "-c", work]
        self.process = subprocess.Popen(
            [*COMMAND, *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )

    def wait_for(self, file: Path) -> None:
        wait_until(lambda: file.exists() or self.process.poll() is not None, f"the file {file}")
        assert file.exists(), self.process.communicate()[1]

    def kill(self) -> None:
        self.process.kill()

    def end(self) -> str:
        _, told = self.process.communicate(timeout=HANG_S)
        return told


@pytest.fixture(params=["gate", "maxconn"], name="proxy")
def held_by(
    request: pytest.FixtureRequest,
    haproxy: Start,
    haproxy_binaries: dict[str, Binary],
    tmp_path: Path,
) -> HAProxy:
    lines = BACKEND.splitlines()
    if request.param == "maxconn":
        return haproxy("3.0", extra=lines)
    binary = haproxy_binaries["3.0"]
    return haproxy("3.0", **gate_options(F, tmp_path / "gate", binary.version, extra=lines))


@pytest.mark.parametrize("moment", ["command", "proof", "undo"])
def test_the_undo_is_run_though_the_holder_is_killed(
    moment: str, proxy: HAProxy, tmp_path: Path
) -> None:
    """Still inside the hold, which the gate or the guard ends at its deadline."""
    with Tap(proxy, {}) as tap:
        fails = "exit 1" if moment == "undo" else ""
        hold = ("--max-hold", str(patient(30.0)), *SERVE, "-e", tap.endpoint)
        release = Release(tmp_path, *hold, then=fails, undo="sleep 0.3" if fails else "")
        release.wait_for(release.migrated)
        if moment == "proof":
            tap.hook("show servers state", release.kill)
        if moment != "command":
            release.go.touch()
        if moment == "undo":
            release.wait_for(release.undoing)
        if moment != "proof":
            release.kill()
        release.end()
        assert release.process.returncode == -signal.SIGKILL
        wait_until(release.undone.exists, "the undo")
        assert not release.migrated.exists() and serving(proxy) == OLD_CODE
        # Nobody has let anything go before it.
        limit = subprocess.run(
            [*COMMAND, "resume", F, "--force", "-e", tap.endpoint, "--reason", "it is undone"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert limit.returncode == 0 and "resumed" in limit.stdout, limit.stderr


def test_the_undo_is_run_in_time_though_the_holder_is_stopped(
    proxy: HAProxy, tmp_path: Path
) -> None:
    """And whoever continues it later does not cut over."""
    undo_time = patient(3.0)
    hold = ["--max-hold", str(undo_time + patient(3.0)), "--undo-time", str(undo_time), *SERVE]
    release = Release(tmp_path, *hold, "-e", proxy.endpoints[0])
    release.wait_for(release.migrated)
    os.kill(release.process.pid, signal.SIGSTOP)
    release.go.touch()
    wait_until(release.undone.exists, "the undo")
    os.kill(release.process.pid, signal.SIGCONT)
    told = release.end()
    assert not release.migrated.exists() and serving(proxy) == OLD_CODE
    assert release.process.returncode in (124, 125), told
    assert "migration done, undo done, cutover" in told and "applied" not in told
    limits = [row["slim"] for row in proxy.stat() if row["svname"] == "FRONTEND"]
    assert "0" not in limits


def killed_in_the_cutover(moment: str, tap: Tap, release: Release) -> str:
    """Before its first change, with the first one, or when all of them are read back. Returns what
    was told; whoever continues it has come to its end.
    """
    if moment == "before":
        # The proof asks once, and then the cutover itself.
        tap.hook(ASKS, lambda: tap.hook(ASKS, release.kill))
    elif moment == "first":
        tap.hook(FIRST, release.kill)
    else:
        tap.hook(LAST, lambda: tap.hook(ASKS, release.kill))
    release.go.touch()
    told = release.end()
    assert release.process.returncode == -signal.SIGKILL, told
    return told


@pytest.mark.parametrize(
    ("moment", "undoes"),
    [("before", True), ("first", True), ("read", True), ("first", False)],
    ids=["before", "first", "read", "no on-failure"],
)
def test_the_cutover_is_completed_though_the_holder_is_killed_in_it(
    moment: str, undoes: bool, proxy: HAProxy, tmp_path: Path
) -> None:
    """Whatever of it was on its way leads to the new code; so does whoever continues it."""
    with Tap(proxy, {}) as tap:
        hold = ("--max-hold", str(patient(30.0)), *SERVE, "-e", tap.endpoint)
        release = Release(tmp_path, *hold, undoes=undoes)
        release.wait_for(release.migrated)
        if moment == "first":
            # HAProxy 3.0 drops what else it has from a client that is gone.
            tap.hook(LAST, lambda: False)
        told = killed_in_the_cutover(moment, tap, release)
        assert serving(proxy) == NEW_CODE, told
        assert "the cutover, which was completed" in told
        assert release.migrated.exists() and not release.undone.exists()
        # Nobody has let anything go.
        back = resume(tap)
        assert back.returncode == 0 and "resumed" in back.stdout, back.stderr


@pytest.mark.parametrize("moment", ["before", "first"])
def test_what_cannot_be_completed_is_taken_back_and_the_command_undone(
    moment: str, haproxy: Start, tmp_path: Path
) -> None:
    """One HAProxy never hears of the last change."""
    proxies = [haproxy("3.0", extra=BACKEND.splitlines()) for _ in range(2)]
    with Tap(proxies[0], {}) as tap:

        def swallow() -> bool:
            tap.hook(LAST, swallow)
            return False

        swallow()
        ends = ("-e", tap.endpoint, "-e", proxies[1].endpoints[0])
        undo_time = patient(8.0)
        hold = ("--method", "maxconn", "--max-hold", str(3 * undo_time), "--retry-for", "1")
        undo = f"echo $STILLGATE_CUTOVER >{tmp_path}/told"
        told_more = ("--undo-time", str(undo_time), *SERVE, *ends)
        release = Release(tmp_path, *hold, *told_more, undo=undo)
        release.wait_for(release.migrated)
        told = killed_in_the_cutover(moment, tap, release)
        assert release.undone.exists() and not release.migrated.exists(), told
        assert [serving(proxy) for proxy in proxies] == [OLD_CODE, OLD_CODE]
        assert (tmp_path / "told").read_text() == "undone\n"
        assert [proxy.limit(F) for proxy in proxies] == [0, 0]
        assert resume(tap, *ends[2:]).returncode == 0


def test_a_cutover_is_completed_though_the_holder_is_killed_while_it_undoes_it(
    haproxy: Start, tmp_path: Path
) -> None:
    """One HAProxy did not hear of the last change, and the first undoing of it is lost, too."""
    proxies = [haproxy("3.0", extra=BACKEND.splitlines()) for _ in range(2)]
    with Tap(proxies[0], {}) as tap:

        def swallow() -> bool:
            tap.hook(LAST, swallow)
            return False

        def kill() -> bool:
            wait_until(lambda: serving(proxies[1]) == OLD_CODE, "the undoing at the second")
            release.kill()
            tap.hook(LAST, lambda: True)
            return False

        swallow()
        tap.hook("set server app/green state maint", kill)
        ends = ("-e", tap.endpoint, "-e", proxies[1].endpoints[0])
        hold = ("--method", "maxconn", "--max-hold", str(patient(40.0)), "--retry-for", "0.3")
        release = Release(tmp_path, *hold, "--undo-time", str(patient(10.0)), *SERVE, *ends)
        release.go.touch()
        told = release.end()
        assert release.process.returncode == -signal.SIGKILL, told
        assert "the cutover, which was completed" in told
        assert [serving(proxy) for proxy in proxies] == [NEW_CODE, NEW_CODE]
        assert release.migrated.exists() and not release.undone.exists()
        assert [proxy.limit(F) for proxy in proxies] == [0, 0]
        assert resume(tap, *ends[2:]).returncode == 0


@pytest.mark.parametrize("mended", [True, False])
def test_one_that_stays_away_in_the_cutover_keeps_all_held_until_it_is_back(
    mended: bool, haproxy: Start, tmp_path: Path
) -> None:
    """It was told to serve the new code, and its path is gone before that could be read."""
    proxies = [haproxy("3.0", extra=BACKEND.splitlines()) for _ in range(2)]
    with Tap(proxies[0], {}) as tap:
        ends = ["-e", tap.endpoint, "-e", proxies[1].endpoints[0]]
        undo_time = patient(3.0)
        hold = ["--method", "maxconn", "--max-hold", str(undo_time + 3.0), "--retry-for", "1"]
        release = Release(tmp_path, *hold, "--undo-time", str(undo_time), *SERVE, *ends)
        release.wait_for(release.migrated)
        # The first reading behind the change.
        tap.hook(LAST, lambda: tap.hook("show servers state", tap.cut))
        release.go.touch()
        release.wait_for(release.undone)
        assert [serving(proxy) for proxy in proxies] == [NEW_CODE, OLD_CODE]
        assert [proxy.limit(F) for proxy in proxies] == [0, 0]
        if mended:
            tap.mend()
        told = release.end()
    state, code = ("undone", OLD_CODE) if mended else ("unknown", NEW_CODE)
    assert serving(proxies[0]) == code, told
    assert f"migration done, undo done, cutover {state}, traffic" in told
    assert "all stay held until it is" in told and release.process.returncode == 125
    assert ("cutover_unsure" in told, "--back" in told) == (not mended, not mended), told


def status_of(proxy: HAProxy) -> int:
    """Of a request that it answers, sooner or later."""
    with closing(HTTPConnection("127.0.0.1", proxy.ports[F], timeout=HANG_S)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().status


def test_one_that_stays_away_rejects_until_it_is_restored_where_that_is_asked_for(
    haproxy: Start, haproxy_binaries: dict[str, Binary], tmp_path: Path, app: App
) -> None:
    """Nobody knows which code it has: a gate with --on-expiry reject answers 503 at its deadline,
    and all others go on with the old code.
    """
    version = haproxy_binaries["3.0"].version
    proxies = [
        haproxy(
            "3.0",
            **gate_options(
                F, tmp_path / name, version, servers=[app.port], extra=BACKEND.splitlines()
            ),
        )
        for name in ("first", "second")
    ]
    with Tap(proxies[0], {}) as tap:
        ends = ["-e", tap.endpoint, "-e", proxies[1].endpoints[0]]
        undo_time = patient(3.0)
        hold = ["--on-expiry", "reject", "--max-hold", str(undo_time + 3.0), "--retry-for", "1"]
        release = Release(tmp_path, *hold, "--undo-time", str(undo_time), *SERVE, *ends)
        release.wait_for(release.migrated)
        tap.hook(LAST, lambda: tap.hook(ASKS, tap.cut))
        release.go.touch()
        told = release.end()
        assert release.process.returncode == 125, told
        assert "migration done, undo done, cutover unknown, traffic" in told
        assert [serving(proxy) for proxy in proxies] == [NEW_CODE, OLD_CODE]
        assert [status_of(proxy) for proxy in proxies] == [503, 200], told
        tap.mend()
        back = run("cutover", "given", "--back", *ends)
        assert back.returncode == 0, back.stderr
        assert [status_of(proxy) for proxy in proxies] == [503, 200]
        again = run("resume", F, *ends)
        assert again.returncode in (0, 5), again.stderr
        assert [status_of(proxy) for proxy in proxies] == [200, 200]
    assert [serving(proxy) for proxy in proxies] == [OLD_CODE, OLD_CODE]
