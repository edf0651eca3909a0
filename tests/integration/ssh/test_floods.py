"""Peers that never stop talking: they are given up, and keep nobody else from what they ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.command import COMMAND, F, ask, run_json, to_fleet
from support.haproxy.faulty_peer import FaultyPeer, dead_unix_socket, endless, say
from support.haproxy.guards import guards, resident_kb
from support.haproxy.holds import COMMIT, records
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.patience import patient
from support.process import wait_until
from support.ssh.flood import (
    HOSTS,
    IGNORE,
    KINDS,
    LINES,
    MIB,
    USERAUTH_BANNER,
    WORKERS,
    Flood,
    KeyedFlood,
    Kind,
)
from support.ssh.home import SshHome
from support.ssh.server import SshServer, make_key

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]
# A flood goes on for 64 MiB. The kernel takes some MiB for each connection, whoever reads them.
TAKEN = 32 * MIB
# By what a process may grow while it is flooded. A sanitizer keeps what was freed.
GROWN_KB = 48 * 1024 if "STILLGATE_COMMAND" not in os.environ else 2**30

pytestmark = pytest.mark.usefixtures("state")


def name_of(kind: Kind) -> str:
    return kind.name


@pytest.fixture
def proxy(haproxy: Start) -> HAProxy:
    return haproxy("3.0")


def hosts(home: SshHome, server: SshServer, port: int, alias: str = "flood") -> list[str]:
    """A host for each worker's thread, so that none is left that has nothing to read."""
    return [
        home.host(f"flood{at}", server, HostName=host, Port=str(port), HostKeyAlias=alias)
        for at, host in enumerate(HOSTS)
    ]


def peak_kb(*arguments: str) -> int:
    """The most memory that a run of the command had."""
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    return int(used.ru_maxrss)


# --- before the login -----------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_ahead_of_the_key_exchange(
    kind: Kind, proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    good = sshd()
    with Flood(kind) as flood:
        urls = [ssh_home.url(name, "/run/a.sock") for name in hosts(ssh_home, good, flood.port)]
        *refused, answered = ask(*urls, ssh_home.url(ssh_home.host("lb1", good), proxy.sockets[0]))
        assert flood.taken < TAKEN
        assert flood.connections == WORKERS
    assert answered is None
    for said in refused:
        assert said is not None and said.startswith("ssh_flood: ")
        assert "the server sent 256 KiB and no login was done by then" in said


def test_memory_is_bounded(ssh_home: SshHome, sshd: StartSsh) -> None:
    """libssh2 keeps each message that nobody asks for."""
    good = sshd()
    quiet = ssh_home.url(ssh_home.host("lb1", good), "/run/none.sock")
    before = peak_kb("exec", "show info", "-e", quiet)
    with Flood(USERAUTH_BANNER) as flood:
        names = hosts(ssh_home, good, flood.port)
        urls = [ssh_home.url(name, "/run/none.sock") for name in names]
        assert peak_kb("exec", "show info", *to_fleet(*urls)) < before + GROWN_KB


@pytest.mark.parametrize("way", ["jump host", "ProxyCommand"])
def test_on_the_way_of(way: str, proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    good = sshd()
    with Flood(LINES) as flood:
        if way == "jump host":
            ssh_home.host("jump", good)
            name = ssh_home.host(
                "flood", good, HostName=HOSTS[0], Port=str(flood.port), ProxyJump="jump"
            )
        else:
            name = ssh_home.host("flood", good, ProxyCommand="yes do not log in here")
        refused, answered = ask(
            ssh_home.url(name, "/run/a.sock"),
            ssh_home.url(ssh_home.host("lb1", good), proxy.sockets[0]),
        )
        assert flood.taken < TAKEN
    assert answered is None
    assert refused is not None and refused.startswith("ssh_flood: ")


def test_an_agent(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    good = sshd()
    with FaultyPeer([say(b"\0\0\0\1\x0c" * MIB)]) as agent:
        names = [
            ssh_home.host(
                f"flood{at}",
                good,
                HostKeyAlias=f"flood{at}",
                IdentityAgent=agent.endpoint.removeprefix("unix://"),
            )
            for at in range(WORKERS)
        ]
        urls = [ssh_home.url(name, proxy.sockets[0]) for name in names]
        assert ask(*urls) == [None] * WORKERS


@pytest.mark.parametrize("when", ["login", "channel", "memory"])
def test_by_a_server_that_keeps_to_the_protocol(
    when: str, proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    good = sshd()
    key = make_key(ssh_home.folder / "host_key")
    with KeyedFlood(when, key) as flood:
        ssh_home.know_key(key, "flood")
        names = hosts(ssh_home, good, flood.port)
        *refused, answered = ask(
            *(ssh_home.url(name, "/run/a.sock") for name in names),
            ssh_home.url(ssh_home.host("lb1", good), proxy.sockets[0]),
        )
        assert 0 < flood.sent < 48 * MIB
    assert answered is None
    # Where the flood is slow, the channel's deadline comes first.
    codes_of = ("ssh_flood: ", "ssh_channel_timeout: ") if when == "channel" else ("ssh_flood: ",)
    for said in refused:
        assert said is not None and said.startswith(codes_of)


# --- behind the login -----------------------------------------------------------------


def test_a_reply_without_end(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    """Each HAProxy's answer is limited; what comes beyond that stays where it is."""
    everywhere = sshd(ListenAddress="0.0.0.0")
    names = hosts(ssh_home, everywhere, everywhere.port, alias="all")
    with FaultyPeer([say(b"\n> \n> "), endless(512 * MIB)]) as peer:
        path = peer.endpoint.removeprefix("unix://")
        *refused, answered = ask(
            *(ssh_home.url(name, path) for name in names),
            ssh_home.url(ssh_home.host("lb1", sshd()), proxy.sockets[0]),
        )
    assert answered is None
    for said in refused:
        assert said is not None and said.startswith(("reply_too_large: ", "reply_timeout: "))


SFTP = """\
import os, struct
# Its version, and then answers to what nobody asked.
os.write(1, struct.pack(">IBI", 5, 2, 3))
answer = struct.pack(">IBIIII", 21, 101, 7777, 4, 0, 0) + bytes(4)
for _ in range(2000):
    os.write(1, answer * 1000)
"""


def test_sftp(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh, tmp_path: Path) -> None:
    program = tmp_path / "sftp.py"
    program.write_text(SFTP)
    everywhere = sshd(ListenAddress="0.0.0.0", Subsystem=f"sftp {sys.executable} {program}")
    names = hosts(ssh_home, everywhere, everywhere.port, alias="all")
    dead = dead_unix_socket(tmp_path)
    *refused, answered = ask(
        *(ssh_home.url(name, dead) for name in names),
        ssh_home.url(ssh_home.host("lb1", sshd()), proxy.sockets[0]),
    )
    assert answered is None
    for said in refused:
        assert said is not None and said.startswith(("ssh_flood: ", "ssh_channel_failed: "))


# --- holds ----------------------------------------------------------------------------


class Fleet:
    """HAProxies behind an sshd that a flood can come in place of, one for each worker's thread; and
    one more whose sshd stays.
    """

    def __init__(self, haproxy: Start, home: SshHome, sshd: StartSsh) -> None:
        self.proxies = [haproxy("3.0") for _ in range(WORKERS + 1)]
        self.healthy = self.proxies[-1]
        server = sshd()
        self.flood = Flood(IGNORE, behind=server.port)
        names = hosts(home, server, self.flood.port)
        names.append(home.host("lb1", server))
        self.urls = [home.url(name, one.sockets[0]) for name, one in zip(names, self.proxies)]

    def limits(self) -> list[int]:
        return [proxy.limit(F) for proxy in self.proxies]

    def arguments(self) -> list[str]:
        return to_fleet(*self.urls)


@pytest.fixture
def fleet(haproxy: Start, ssh_home: SshHome, sshd: StartSsh) -> Iterator[Fleet]:
    made = Fleet(haproxy, ssh_home, sshd)
    with made.flood:
        yield made


def by(document: dict[str, Any], key: str) -> list[Any]:
    return [switch[key] for switch in document["switches"]]


def codes(document: dict[str, Any]) -> list[str]:
    return [error["code"] if error else "" for error in by(document, "error")]


def test_status_and_resume(fleet: Fleet) -> None:
    status, document = run_json("suspend", F, "--no-lease", *fleet.arguments())
    assert (status, fleet.limits()) == (0, [0] * (WORKERS + 1))
    fleet.flood.flooding.set()
    document = run_json("status", F, *fleet.arguments())[1]
    assert codes(document) == ["ssh_flood"] * WORKERS + [""]
    assert by(document, "verdict")[-1] == "held"
    command = [*COMMAND, "resume", F, "--retry-for", "600", *fleet.arguments()]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: fleet.healthy.limit(F) == 100, "the resume of the healthy one")
        # It has not waited for the others, which it has not given up.
        assert process.poll() is None
        assert fleet.flood.taken < TAKEN
        fleet.flood.flooding.clear()
        assert process.wait(60) == 0
    assert fleet.limits() == [100] * (WORKERS + 1)


def test_suspend_is_refused(fleet: Fleet, state: Path) -> None:
    fleet.flood.flooding.set()
    status, document = run_json("suspend", F, "--no-lease", *fleet.arguments())
    assert status == 3
    assert codes(document)[:-1] == ["ssh_flood"] * WORKERS
    assert fleet.limits() == [100] * (WORKERS + 1)
    assert records(state) == []


def test_suspend_is_rolled_back(fleet: Fleet, ssh_home: SshHome) -> None:
    """The flood comes with the commit."""
    with Tap(fleet.proxies[0], {COMMIT: fleet.flood.flooding.set}) as tap:
        fleet.urls[0] = ssh_home.url("flood0", tap.endpoint.removeprefix("unix://"))
        status, document = run_json("suspend", F, "--no-lease", *fleet.arguments())
        assert status == 1
        assert by(document, "verdict")[-1] in ("reverted", "unchanged")
        assert fleet.flood.connections >= WORKERS
        assert fleet.healthy.limit(F) == 100
        assert fleet.flood.taken < TAKEN
        fleet.flood.flooding.clear()
        run_json("resume", F, "--force", "--reason", "test", *fleet.arguments())
    assert fleet.limits() == [100] * (WORKERS + 1)


def test_the_guard(fleet: Fleet, state: Path) -> None:
    max_hold = str(patient(4))
    status, _ = run_json("suspend", F, "--max-hold", max_hold, *fleet.arguments())
    assert (status, fleet.limits()) == (0, [0] * (WORKERS + 1))
    before = {pid: resident_kb(pid) for pid in guards(state)}
    fleet.flood.flooding.set()
    wait_until(lambda: fleet.healthy.limit(F) == 100, "the guard's resume of the healthy one")
    assert fleet.flood.connections > 0
    grown = [resident_kb(pid) - before.get(pid, 0) for pid in guards(state)]
    assert max(grown) < GROWN_KB
    fleet.flood.flooding.clear()
    wait_until(lambda: fleet.limits() == [100] * (WORKERS + 1), "the others' end")
    wait_until(lambda: not guards(state), "the guards to leave")


def test_bytes_that_nobody_asked_for(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh, state: Path
) -> None:
    """They come while the guard is started and the suspend reads nothing, and stay with the server,
    but for what is kept on the way. Then that connection is replaced.
    """
    taken: list[int] = []
    kept = 8 * MIB

    def flood() -> None:
        told = tap.flood(64 * MIB)
        with suppress(TimeoutError):
            wait_until(lambda: told() > kept, "the end of what is taken", 2)
        taken.append(told())

    with Tap(proxy, {f"show stat {F} 1 -1": flood}) as tap:
        url = ssh_home.url(ssh_home.host("lb1", sshd()), tap.endpoint.removeprefix("unix://"))
        assert run_json("suspend", F, "-e", url)[0] == 0
        assert 0 < taken[0] < kept
        assert run_json("resume", F, "-e", url)[0] == 0
    wait_until(lambda: not guards(state), "the guards to leave")
