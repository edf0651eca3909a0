"""A guard that would end with whoever starts it: refused before anything is held, or moved away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stillgate import Fleet
from support.app import App
from support.haproxy.guards import guards
from support.haproxy.holds import F, records
from support.haproxy.server import HAProxy
from support.haproxy.versions import SAFE
from support.namespaces import (
    CI_VARIABLES,
    PID_NAMESPACE,
    children_of,
    container,
    in_unit,
    inside,
    need_namespaces,
)
from support.patience import HANG_S
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

REFUSED = 3
CODE = "guard_shares_fate"
ACCEPT = "STILLGATE_ACCEPT_SHARED_FATE"
CLI = [sys.executable, "-m", "stillgate"]
SERVICE = "12:name=systemd:/system.slice/deploy.service\n0::/system.slice/deploy.service\n"


@pytest.fixture(autouse=True)
def elsewhere(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where the tests do not run: nothing is accepted, and no runner is told of."""
    need_namespaces()
    for name in (ACCEPT, *CI_VARIABLES):
        monkeypatch.delenv(name, raising=False)


Placed = Callable[[list[str]], list[str]]


@pytest.fixture
def somewhere() -> Iterator[Placed]:
    """Puts a command where no PID 1 takes a guard along, wherever the tests run."""
    with container(os.environ) as first:
        yield lambda command: inside(first, *command)


@dataclass
class Ended:
    status: int
    report: dict[str, Any]

    @property
    def codes(self) -> set[str]:
        """Of its errors."""
        return {one["error"]["code"] for one in self.report["switches"] if one["error"]}

    def findings(self, level: str) -> list[str]:
        return [
            one["message"]
            for switch in self.report["switches"]
            for one in switch["findings"]
            if (one["code"], one["level"]) == (CODE, level)
        ]


def suspend(proxy: HAProxy, *options: str, verb: str = "suspend") -> list[str]:
    where = ["-e", proxy.endpoints[0], "--method", "maxconn", "--max-hold", "600", "--json"]
    return [*CLI, verb, F, *where, *options]


def run(command: list[str], **options: Any) -> Ended:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=HANG_S, check=False, **options
    )
    print(done.stdout, done.stderr)
    return Ended(done.returncode, json.loads(done.stdout))


def as_child(command: list[str]) -> list[str]:
    """The only child of a shell, which stays because something is left to do."""
    return [*PID_NAMESPACE, "sh", "-c", '"$@"; exit $?', "sh", *command]


def as_first(command: list[str]) -> list[str]:
    return [*PID_NAMESPACE, *command]


def untouched(proxy: HAProxy, state: Path) -> bool:
    return proxy.limit(F) == 100 and records(state) == [] and not guards(state)


def end(proxy: HAProxy, state: Path) -> None:
    Fleet(proxy.endpoints).resume(F)
    wait_until(lambda: not guards(state), "the guards to leave")
    assert untouched(proxy, state)


# --- the first process of a container ---


@pytest.mark.parametrize("placed", [as_first, as_child], ids=["as PID 1", "as child of PID 1"])
@pytest.mark.parametrize("label", SAFE)
def test_where_pid_1_would_take_the_guard_along_nothing_is_held(
    label: str, placed: Any, haproxy: Start, app: App, state: Path
) -> None:
    proxy = haproxy(label, servers=[app.port])
    ended = run(placed(suspend(proxy)))
    assert (ended.status, ended.codes) == (REFUSED, {CODE})
    assert ended.findings("refusal") and untouched(proxy, state)
    for way_out in ("hold --", "--accept-shared-fate", "PID 1"):
        assert way_out in ended.findings("refusal")[0]


def test_the_python_interface_refuses_it_too(haproxy: Start, app: App, state: Path) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    script = f"""
import stillgate
try:
    stillgate.Fleet({proxy.endpoints!r}).suspend({F!r}, method="maxconn")
except stillgate.CheckRefused as error:
    assert error.code == {CODE!r}, error
else:
    raise SystemExit("not refused")
stillgate.Fleet({proxy.endpoints!r}).suspend({F!r}, method="maxconn", accept_shared_fate=True)
stillgate.Fleet({proxy.endpoints!r}).resume({F!r})
with stillgate.Fleet({proxy.endpoints!r}).suspended({F!r}, method="maxconn") as hold:
    found = [one.code for switch in hold.report.switches for one in switch.findings]
    assert {CODE!r} in found, found
"""
    done = subprocess.run(as_first([sys.executable, "-c", script]), timeout=HANG_S, check=False)
    assert done.returncode == 0 and untouched(proxy, state)


@pytest.mark.parametrize("how", ["option", "variable"])
def test_who_is_told_to_go_on_does_and_says_so(
    how: str, haproxy: Start, app: App, state: Path
) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    options = ["--accept-shared-fate"] if how == "option" else []
    variables = {**os.environ, ACCEPT: "1"} if how == "variable" else None
    ended = run(as_first(suspend(proxy, *options)), env=variables)
    assert (ended.status, ended.codes) == (0, set())
    assert len(ended.findings("warning")) == 1 and proxy.limit(F) == 0
    end(proxy, state)


def test_a_hold_without_a_guard_is_not_concerned(haproxy: Start, app: App, state: Path) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    ended = run(as_first(suspend(proxy, "--no-lease")))
    assert ended.status == 0 and not ended.findings("warning")
    end(proxy, state)


def test_a_holder_that_stays_holds_and_is_told(haproxy: Start, app: App, state: Path) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    command = suspend(proxy, verb="hold") + ["--", "true"]
    done = subprocess.run(
        as_first(command), stdout=subprocess.PIPE, text=True, timeout=HANG_S, check=False
    )
    assert done.returncode == 0
    told = Ended(0, json.loads(done.stdout)["suspend"]).findings("warning")
    assert len(told) == 1 and "nothing ends the hold" in told[0]
    wait_until(lambda: untouched(proxy, state), "the guards to leave")


@pytest.mark.parametrize("label", SAFE)
def test_who_kills_pid_1_leaves_it_held_as_the_warning_says(
    label: str, haproxy: Start, app: App, state: Path, tmp_path: Path
) -> None:
    proxy = haproxy(label, servers=[app.port])
    begun = tmp_path / "begun"
    command = suspend(proxy, verb="hold") + ["--", "sh", "-c", f"touch {begun}; sleep 1000"]
    with subprocess.Popen(as_child(command), stdout=subprocess.DEVNULL) as running:
        wait_until(begun.exists, "COMMAND inside the hold")
        assert proxy.limit(F) == 0 and len(guards(state)) == 2
        (first,) = children_of(running.pid)
        os.kill(first, signal.SIGKILL)
    wait_until(lambda: not guards(state), "the death of all")
    # It has seen the ends of their connections, for it answers what came behind them.
    assert proxy.limit(F) == 0 and len(records(state)) == 1
    end(proxy, state)


def test_a_check_tells_it_beforehand(haproxy: Start, app: App, state: Path) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    where = ["-e", proxy.endpoints[0], "--method", "maxconn", "--json"]
    ended = run(as_child([*CLI, "check", F, *where]))
    assert (ended.status, ended.codes) == (0, set())
    assert len(ended.findings("warning")) == 1 and untouched(proxy, state)
    assert "hold --" in ended.findings("warning")[0]


def test_a_gate_is_not_concerned(gated: Any, haproxy_binaries: Any, app: App, state: Path) -> None:
    gate = gated(haproxy_binaries["3.0"], servers=[app.port])
    command = [*CLI, "suspend", F, "-e", gate.proxy.endpoints[0], "--json"]
    ended = run(as_first(command))
    assert ended.status == 0 and not ended.findings("warning")
    assert ended.report["switches"][0]["lease"] == "haproxy"
    Fleet(gate.proxy.endpoints).resume(F)


# --- an entered container ---


@pytest.mark.parametrize("label", SAFE)
def test_who_enters_a_container_leaves_a_guard_behind(
    label: str, haproxy: Start, app: App, state: Path
) -> None:
    proxy = haproxy(label, servers=[app.port])
    with container(os.environ) as first:
        ended = run(inside(first, *suspend(proxy)))
        assert (ended.status, ended.codes) == (0, set())
        assert not ended.findings("warning") and len(guards(state)) == 2
        end(proxy, state)


def test_an_init_outlives_what_it_starts(haproxy: Start, app: App, state: Path) -> None:
    """PID 1 is called `init`, and our parent's parent."""
    proxy = haproxy("3.0", servers=[app.port])
    command = suspend(proxy)
    first = 'printf init >/proc/self/comm; "$@"; echo $? >&2; read gone'
    with subprocess.Popen(
        [*PID_NAMESPACE, "sh", "-c", first, "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None and running.stdin is not None
        assert running.stderr.readline() == "0\n"
        assert len(guards(state)) == 2
        end(proxy, state)
        running.stdin.close()


def test_a_jobs_container_ends_with_the_job(haproxy: Start, app: App, state: Path) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    variables = {**os.environ, "GITLAB_CI": "true"}
    with container(os.environ) as first:
        ended = run(inside(first, *suspend(proxy)), env=variables)
    assert (ended.status, ended.codes) == (REFUSED, {CODE})
    assert "GITLAB_CI" in ended.findings("refusal")[0] and untouched(proxy, state)


# --- a unit of systemd ---


class FakeSystemd:
    """`systemctl` and `systemd-run` on a PATH of the test's own, which write down their calls."""

    def __init__(self, folder: Path, *, kill_mode: str, moves: bool) -> None:
        self.folder = folder
        self._calls = folder / "calls"
        fails = "echo 'Failed to start transient scope unit: Access denied' >&2; exit 1"
        runs = 'while [ "$1" != -- ]; do shift; done; shift; STILLGATE_MOVED=1 exec "$@"'
        self._write("systemctl", f"echo KillMode={kill_mode}")
        self._write("systemd-run", runs if moves else fails)

    def _write(self, name: str, what: str) -> None:
        program = self.folder / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >>{self._calls}\n{what}\n')
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}


def moved(state: Path) -> list[bool]:
    return [
        b"STILLGATE_MOVED=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        for pid in guards(state)
    ]


def test_systemd_run_moves_a_guard_out_of_a_service(
    haproxy: Start, app: App, state: Path, tmp_path: Path, somewhere: Placed
) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    systemd = FakeSystemd(tmp_path, kill_mode="control-group", moves=True)
    ended = run(somewhere(in_unit(tmp_path, SERVICE, suspend(proxy))), env=systemd.environment)
    assert (ended.status, ended.codes) == (0, set())
    assert not ended.findings("warning") and moved(state) == [True, True]
    asked, tried, started = systemd.calls
    assert asked == "systemctl show --property=KillMode -- deploy.service"
    way = "systemd-run --scope --collect --quiet --no-ask-password --"
    assert tried == f"{way} true"
    assert started.startswith(f"{way} /") and started.endswith("stillgate-guard")
    end(proxy, state)


def test_a_service_of_a_user_is_left_by_the_users_manager(
    haproxy: Start, app: App, state: Path, tmp_path: Path, somewhere: Placed
) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    systemd = FakeSystemd(tmp_path, kill_mode="mixed", moves=True)
    unit = "0::/user.slice/user-7.slice/user@7.service/app.slice/deploy.service/inner\n"
    ended = run(somewhere(in_unit(tmp_path, unit, suspend(proxy))), env=systemd.environment)
    assert ended.status == 0 and moved(state) == [True, True]
    assert systemd.calls[0] == "systemctl --user show --property=KillMode -- deploy.service"
    assert systemd.calls[2].startswith("systemd-run --user --scope ")
    end(proxy, state)


@pytest.mark.parametrize("accepted", [False, True], ids=["refused", "accepted"])
def test_where_it_cannot_be_moved_nothing_is_held(
    accepted: bool, haproxy: Start, app: App, state: Path, tmp_path: Path, somewhere: Placed
) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    systemd = FakeSystemd(tmp_path, kill_mode="control-group", moves=False)
    options = ["--accept-shared-fate"] if accepted else []
    ended = run(
        somewhere(in_unit(tmp_path, SERVICE, suspend(proxy, *options))), env=systemd.environment
    )
    told = ended.findings("warning" if accepted else "refusal")
    assert len(told) == 1
    for word in ("deploy.service", "KillMode=control-group", "Access denied"):
        assert word in told[0]
    if accepted:
        assert ended.status == 0 and moved(state) == [False, False]
        end(proxy, state)
    else:
        assert (ended.status, ended.codes) == (REFUSED, {CODE}) and untouched(proxy, state)


def test_without_systemds_programs_nothing_is_held(
    haproxy: Start, app: App, state: Path, tmp_path: Path, somewhere: Placed
) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    variables = {**os.environ, "PATH": str(tmp_path)}
    unshare = in_unit(tmp_path, SERVICE, ["env", f"PATH={tmp_path}", *suspend(proxy)])
    ended = run(somewhere(unshare), env={**variables, "PATH": os.environ["PATH"]})
    assert (ended.status, ended.codes) == (REFUSED, {CODE}) and untouched(proxy, state)


@pytest.mark.parametrize(
    "cgroup",
    [
        "0::/user.slice/user-7.slice/session-3.scope\n",
        "0::/user.slice/user-7.slice/user@7.service/app.slice/terminal.scope\n",
        "0::/\n",
        "5:name=systemd:/docker/0123\n",
    ],
)
def test_outside_of_a_service_systemd_is_not_asked(
    cgroup: str, haproxy: Start, app: App, state: Path, tmp_path: Path, somewhere: Placed
) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    systemd = FakeSystemd(tmp_path, kill_mode="control-group", moves=True)
    ended = run(somewhere(in_unit(tmp_path, cgroup, suspend(proxy))), env=systemd.environment)
    assert ended.status == 0 and systemd.calls == [] and moved(state) == [False, False]
    end(proxy, state)


def test_a_service_that_leaves_processes_alone_is_not_left(
    haproxy: Start, app: App, state: Path, tmp_path: Path, somewhere: Placed
) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    systemd = FakeSystemd(tmp_path, kill_mode="process", moves=True)
    ended = run(somewhere(in_unit(tmp_path, SERVICE, suspend(proxy))), env=systemd.environment)
    assert ended.status == 0 and len(systemd.calls) == 1 and moved(state) == [False, False]
    end(proxy, state)


# --- a job of a runner ---


def test_a_runner_does_not_find_the_guard_by_its_environment(
    haproxy: Start, app: App, state: Path, somewhere: Placed
) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    marks = {
        "BUILD_ID": "7",
        "JENKINS_NODE_COOKIE": "a",
        "JENKINS_SERVER_COOKIE": "b",
        "HUDSON_SERVER_COOKIE": "c",
        "RUNNER_TRACKING_ID": "github_1",
        "VSTS_PROCESS_LOOKUP_ID": "vsts_1",
    }
    ended = run(somewhere(suspend(proxy)), env={**os.environ, **marks, "KEPT": "1"})
    assert ended.status == 0
    for pid in guards(state):
        told = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        assert not set(marks) & {entry.partition("=")[0] for entry in told}
        assert "KEPT=1" in told
    end(proxy, state)
