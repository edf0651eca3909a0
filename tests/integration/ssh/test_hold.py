"""Holds over SSH, under load, by both methods: nobody fails, nothing leaks, and whoever dies, the
hold ends in time.
"""

from __future__ import annotations

import datetime
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.app import App
from support.clients.load import Load
from support.command import COMMAND, F, run_json, to_fleet
from support.haproxy.gate_options import gate_options
from support.haproxy.guards import guards, opened_at
from support.haproxy.holds import deadline_in, records
from support.haproxy.server import HAProxy
from support.patience import patient
from support.process import wait_until
from support.ssh.home import SshHome
from support.ssh.server import SshServer

if TYPE_CHECKING:
    from conftest import Binary, Start

StartSsh = Callable[..., SshServer]
LATE_S = 2.0  # a machine that stalls, and sanitizers

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def gated(
    haproxy: Start, haproxy_binaries: dict[str, Binary], app: App, tmp_path: Path
) -> Callable[[str], HAProxy]:
    """gated("3.0") starts a real HAProxy with a gated frontend, before the application."""
    count = itertools.count()

    def start(label: str) -> HAProxy:
        folder, version = tmp_path / f"gate{next(count)}", haproxy_binaries[label].version
        return haproxy(label, **gate_options(F, folder, version, servers=[app.port]))

    return start


class Behind:
    """HAProxies, each behind an sshd of its own."""

    def __init__(self, proxies: list[HAProxy], home: SshHome, sshd: StartSsh) -> None:
        self.proxies = proxies
        self.servers = [sshd() for _ in proxies]
        names = [home.host(f"lb{at}", server) for at, server in enumerate(self.servers)]
        self.urls = [home.url(name, one.sockets[0]) for name, one in zip(names, proxies)]
        self.fleet = to_fleet(*self.urls)

    def limits(self) -> list[int]:
        return [proxy.limit(F) for proxy in self.proxies]


def by(document: dict[str, Any], key: str) -> list[Any]:
    return [switch[key] for switch in document["switches"]]


# --- the good course ------------------------------------------------------------------


@pytest.mark.parametrize("label", ["2.6", "3.0", "sid"])
def test_three_gates_behind_three_sshds_under_load(
    label: str,
    gated: Callable[[str], HAProxy],
    app: App,
    load: Callable[..., Load],
    ssh_home: SshHome,
    sshd: StartSsh,
    state: Path,
) -> None:
    behind = Behind([gated(label) for _ in range(3)], ssh_home, sshd)
    running = [load(proxy.ports[F], rate=60) for proxy in behind.proxies]
    for one in running:
        one.wait_for(20)
    status, document = run_json("suspend", F, "--max-hold", "300", *behind.fleet)
    began = time.monotonic()
    assert (status, by(document, "verdict")) == (0, ["held"] * 3)
    assert by(document, "method") == ["gate"] * 3
    assert document["drained"]

    def waiting() -> list[int]:
        told = run_json("status", F, *behind.fleet)[1]
        assert by(told, "leaked") == [0, 0, 0]
        return by(told, "waiting")

    wait_until(lambda: min(waiting()) >= 15, "some that wait")
    ended = time.monotonic()
    status, document = run_json("resume", F, *behind.fleet)
    assert (status, by(document, "verdict"), by(document, "leaked")) == (
        0,
        ["resumed"] * 3,
        [0, 0, 0],
    )
    done = [record for one in running for record in one.stop()]
    assert [record for record in done if not record.ok] == []
    assert [one for one in app.arrivals() if began <= one.at < ended] == []
    assert records(state) == []


@pytest.mark.parametrize("method", ["gate", "maxconn"])
def test_a_command_inside_a_hold_under_load(
    method: str,
    gated: Callable[[str], HAProxy],
    app: App,
    load: Callable[..., Load],
    ssh_home: SshHome,
    sshd: StartSsh,
    state: Path,
) -> None:
    behind = Behind([gated("3.0") for _ in range(3)], ssh_home, sshd)
    running = [load(proxy.ports[F], rate=60) for proxy in behind.proxies]
    for one in running:
        one.wait_for(20)
    noted = "import time; print('began', time.monotonic(), flush=True); time.sleep(1)"
    noted += "; print('ended', time.monotonic())"
    options = ["--method", method, "--grace", "1", *behind.fleet]
    done = subprocess.run(
        [*COMMAND, "hold", F, *options, "--", sys.executable, "-c", noted],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.split()
    began, ended = (float(words[words.index(word) + 1]) for word in ("began", "ended"))
    assert ended - began > 0.9
    finished = [record for one in running for record in one.stop()]
    assert [record for record in finished if not record.ok] == []
    assert [one for one in app.arrivals() if began <= one.at < ended] == []
    wait_until(lambda: not guards(state), "the guards to leave")
    assert records(state) == []


def test_a_hold_is_kept_where_nothing_else_keeps_the_path_open(
    haproxy: Start, ssh_home: SshHome, sshd: StartSsh
) -> None:
    """The server hangs up on whoever does not answer it; and our own keep-alives arrive there."""
    server = sshd(ClientAliveInterval="1", ClientAliveCountMax="2", LogLevel="DEBUG3")
    proxy = haproxy("3.0", extra_global=["stats timeout 60s"])
    url = ssh_home.url(ssh_home.host("lb1", server), proxy.sockets[0])
    asleep = [sys.executable, "-c", "import time; time.sleep(7)"]
    options = ["--method", "maxconn", "--max-hold", "60", "-e", url]
    done = subprocess.run([*COMMAND, "hold", F, *options, "--", *asleep], check=False, timeout=60)
    assert done.returncode == 0
    assert "Timeout, client not responding" not in server.log()
    assert "keepalive@libssh2.org" in server.log()
    assert server.logins() <= 3
    assert proxy.limit(F) == 100


# --- whoever dies ---------------------------------------------------------------------


def test_the_holder_is_killed_and_the_guard_releases(
    haproxy: Start, ssh_home: SshHome, sshd: StartSsh, state: Path
) -> None:
    behind = Behind([haproxy("3.0", maxconn=limit) for limit in (300, 400)], ssh_home, sshd)
    options = ["--method", "maxconn", "--max-hold", str(patient(3)), *behind.fleet]
    asleep = [sys.executable, "-c", "import time; print('held', flush=True); time.sleep(60)"]
    with subprocess.Popen(
        [*COMMAND, "hold", F, *options, "--", *asleep], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert behind.limits() == [0, 0] and records(state) != []
        os.kill(holder.pid, signal.SIGKILL)
    deadline = deadline_in(state)
    for when in opened_at(behind.proxies, [300, 400]):
        assert deadline - 0.05 <= when <= deadline + patient(LATE_S)
    wait_until(lambda: not guards(state), "the guards to leave")
    assert records(state) == []


def test_the_guard_finds_files_that_are_named_relative_to_where_it_was_started(
    haproxy: Start, ssh_home: SshHome, sshd: StartSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = haproxy("3.0", maxconn=300)
    key, known = ssh_home.key().name, ssh_home.known_hosts.name
    name = ssh_home.host("lb1", sshd(), IdentityFile=key, UserKnownHostsFile=known)
    url = ssh_home.url(name, proxy.sockets[0])
    monkeypatch.chdir(ssh_home.folder)
    status, document = run_json(
        "suspend", F, "--method", "maxconn", "--max-hold", str(patient(1)), "-e", url
    )
    assert status == 0, document
    monkeypatch.chdir("/")
    wait_until(lambda: proxy.limit(F) == 300, "the end of the hold")


def test_a_cut_session_is_made_anew_by_the_guard(
    haproxy: Start, ssh_home: SshHome, sshd: StartSsh, state: Path
) -> None:
    behind = Behind([haproxy("2.2", maxconn=limit) for limit in (300, 400)], ssh_home, sshd)
    status, document = run_json("suspend", F, "--max-hold", str(patient(4)), *behind.fleet)
    assert (status, by(document, "lease")) == (0, ["guard", "guard"])
    before = [server.logins() for server in behind.servers]
    for server in behind.servers:
        server.cut()
    wait_until(
        lambda: all(server.logins() > old for server, old in zip(behind.servers, before)),
        "the guard's new sessions",
    )
    deadline = _seconds(document["holds"][0]["deadline"])
    for when in opened_at(behind.proxies, [300, 400]):
        assert deadline - 0.05 <= when <= deadline + patient(LATE_S)


def test_the_wait_behind_the_guard_fires_over_ssh(
    haproxy: Start, ssh_home: SshHome, sshd: StartSsh, state: Path
) -> None:
    """Both guards stand still, as on a machine that sleeps: HAProxy's own `wait` ends the hold."""
    behind = Behind([haproxy("3.0")], ssh_home, sshd)
    status, document = run_json("suspend", F, "--max-hold", str(patient(2)), *behind.fleet)
    assert (status, by(document, "lease")) == (0, ["guard+wait"])
    for pid in guards(state):
        os.kill(pid, signal.SIGSTOP)
    deadline = _seconds(document["holds"][0]["deadline"])
    (when,) = opened_at(behind.proxies, [100])
    assert deadline - 0.05 <= when <= deadline + patient(LATE_S)
    for pid in guards(state):
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not guards(state), "the guards to leave")


def _seconds(moment: str) -> float:
    """RFC 3339 to time.time()."""
    return datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
