"""SSH servers that hang, hang up, or are none; and a path that is cut where it hurts most."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet, Outcome
from support.command import AT_ONCE_S, COMMAND, F, ask, run_json, to_fleet
from support.haproxy.faulty_peer import FaultyPeer, Step, close, ignore, say
from support.haproxy.guards import guards
from support.haproxy.holds import COMMIT
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.patience import HANG_S, patient
from support.process import wait_until
from support.ssh.home import SshHome
from support.ssh.server import SshServer

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]
BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"


@pytest.fixture
def proxies(haproxy: Start, state: Path) -> list[HAProxy]:
    return [haproxy("3.0") for _ in range(2)]


def refusal(home: SshHome, sshd: StartSsh, *steps: Step) -> tuple[str, float, int]:
    """Of a peer that plays these steps on each connection: what is said, after how many seconds and
    connections.
    """
    with FaultyPeer(list(steps), tcp=True) as peer:
        name = home.host("lb1", sshd(), Port=peer.endpoint.rpartition(":")[2])
        before = time.monotonic()
        (said,) = ask(home.url(name, "/run/a.sock"))
        assert said is not None
        return said, time.monotonic() - before, peer.connections


# --- before the login -----------------------------------------------------------------


def test_one_that_says_nothing(ssh_home: SshHome, sshd: StartSsh) -> None:
    said, seconds, connections = refusal(ssh_home, sshd, ignore())
    assert said.startswith("ssh_banner: ")
    assert "connected, but no SSH server spoke within 5000 ms" in said
    assert 5 <= seconds < patient(9 + AT_ONCE_S)
    assert connections == 1


def test_one_that_says_nothing_behind_its_banner(ssh_home: SshHome, sshd: StartSsh) -> None:
    said, seconds, connections = refusal(ssh_home, sshd, say(BANNER), ignore())
    assert said.startswith("ssh_key_exchange: ")
    assert "the key exchange did not end within 5000 ms" in said
    assert 5 <= seconds < patient(9 + AT_ONCE_S)
    assert connections == 1


def test_one_that_drops_behind_its_banner(ssh_home: SshHome, sshd: StartSsh) -> None:
    said, seconds, connections = refusal(ssh_home, sshd, say(BANNER), close())
    assert said.startswith("ssh_key_exchange: ")
    assert "the key exchange broke off" in said
    assert seconds < patient(4 + AT_ONCE_S)
    assert connections == 1


def test_one_that_closes_at_once_is_tried_again(ssh_home: SshHome, sshd: StartSsh) -> None:
    said, seconds, connections = refusal(ssh_home, sshd, close())
    assert said.startswith("ssh_banner: ")
    assert "the connection was closed before an SSH server spoke" in said
    assert 3 < seconds < patient(15 + AT_ONCE_S)
    assert connections == 9


def test_one_that_drops_a_login_as_new_releases_do_is_tried_again(
    ssh_home: SshHome, sshd: StartSsh
) -> None:
    """OpenSSH 9.8 and later, at MaxStartups and at a penalty: both by the same words."""
    line = b"Not allowed at this time\r\n"
    said, _, connections = refusal(ssh_home, sshd, say(line), close())
    assert said.startswith("ssh_banner: ")
    assert "its MaxStartups is used up, or its PerSourcePenalties keep this address out" in said
    assert "PerSourcePenaltyExemptList" in said and "(Not allowed at this time)" in said
    assert connections == 9


def test_one_that_is_no_ssh_server(ssh_home: SshHome, sshd: StartSsh) -> None:
    line = b"HTTP/1.1 400 Bad Request\r\n"
    said, seconds, connections = refusal(ssh_home, sshd, say(line), close())
    assert said.startswith("ssh_banner: ")
    assert "is sshd running there" in said and "(HTTP/1.1 400 Bad Request)" in said
    assert seconds < patient(4 + AT_ONCE_S)
    assert connections == 1


def test_garbage_behind_the_banner(ssh_home: SshHome, sshd: StartSsh) -> None:
    said, _, _ = refusal(ssh_home, sshd, say(BANNER + bytes(range(256)) * 64), ignore())
    assert said.startswith("ssh_key_exchange: ")


def test_a_connection_that_is_not_taken(ssh_home: SshHome, sshd: StartSsh) -> None:
    """The kernel's queue is full, and it drops what comes."""
    with FaultyPeer(tcp=True, accepting=False, backlog=0) as peer:
        port = int(peer.endpoint.rpartition(":")[2])
        taken = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            taken.append(one)
        name = ssh_home.host("lb1", sshd(), Port=str(port), ConnectTimeout="1")
        before = time.monotonic()
        (said,) = ask(ssh_home.url(name, "/run/a.sock"))
        assert 1 <= time.monotonic() - before < patient(4 + AT_ONCE_S)
        for one in taken:
            one.close()
    assert said is not None and said.startswith("connect_timeout: ")
    assert "no connection within 1000 ms" in said


# --- behind the login -----------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_call_that_hangs(
    number: signal.Signals, proxies: list[HAProxy], ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd()
    hung = threading.Event()

    def hang() -> bool:
        server.freeze()
        hung.set()
        return False

    with Tap(proxies[0], {"show info": hang}) as tap:
        url = ssh_home.url(ssh_home.host("lb1", server), tap.endpoint.removeprefix("unix://"))
        command = [*COMMAND, "exec", "show info", "-e", url, "--reply-timeout", "600"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert hung.wait(HANG_S)
            before = time.monotonic()
            process.send_signal(number)
            _, talk = process.communicate(timeout=60)
            assert time.monotonic() - before < patient(AT_ONCE_S)
        server.thaw()
    assert (process.returncode, talk.strip()) == (130, b"stopped")


def test_a_session_that_opens_no_channel_still_serves_who_has_one(
    proxies: list[HAProxy], ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd()
    asked, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        go_on.wait(HANG_S)

    with Tap(proxies[0], {"show info": wait}) as tap:
        name = ssh_home.host("lb1", server)
        url = ssh_home.url(name, tap.endpoint.removeprefix("unix://"))
        one = Fleet([url], greeting_timeout=300, reply_timeout=300)
        other = Fleet([ssh_home.url(name, proxies[1].sockets[0])])
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.extend(one.execute("show info")))
        thread.start()
        assert asked.wait(HANG_S)
        # The kernel goes on to acknowledge what is sent.
        server.freeze()
        (refused,) = other.execute("show info")
        server.thaw()
        assert refused.error is not None and refused.error.code == "ssh_channel_timeout"
        assert "did not answer within 3000 ms when a channel to" in str(refused.error)
        # The next one does not wait for it, and the first has not lost it.
        (answered,) = other.execute("show info")
        assert answered.error is None
        assert server.logins() == 2
        go_on.set()
        thread.join(HANG_S)
    assert [outcome.error for outcome in outcomes] == [None]


def test_a_session_cut_before_its_channel_is_open_is_replaced(
    proxies: list[HAProxy], ssh_home: SshHome, sshd: StartSsh
) -> None:
    """Nothing was sent to HAProxy by then, so there is nothing to be unsure of."""
    server = sshd()
    name = ssh_home.host("lb1", server)
    fleet = Fleet([ssh_home.url(name, proxy.sockets[0]) for proxy in proxies])
    assert [outcome.error for outcome in fleet.execute("show info")] == [None, None]
    server.freeze()
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.extend(fleet.execute("show info")))
    thread.start()
    wait_until(lambda: server.unread() > 0, "a channel to be asked for")
    server.cut()
    thread.join(HANG_S)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert server.logins() == 2


@pytest.mark.parametrize("passes", [True, False], ids=["it arrived", "it was lost"])
def test_a_session_cut_in_the_commit(
    passes: bool, proxies: list[HAProxy], ssh_home: SshHome, sshd: StartSsh
) -> None:
    """Whether the commit arrived is not known, so it is asked again on a new session."""
    servers = [sshd(), sshd()]

    def cut() -> bool:
        if passes:
            proxies[1].cli(COMMIT)
        servers[1].cut()
        return False

    with Tap(proxies[1], {COMMIT: cut}) as tap:
        urls = [
            ssh_home.url(ssh_home.host("lb1", servers[0]), proxies[0].sockets[0]),
            ssh_home.url(ssh_home.host("lb2", servers[1]), tap.endpoint.removeprefix("unix://")),
        ]
        status, document = run_json("suspend", F, "--no-lease", *to_fleet(*urls))
        verdicts = [switch["verdict"] for switch in document["switches"]]
        if passes:
            assert (status, verdicts) == (0, ["held", "held"])
            assert [proxy.limit(F) for proxy in proxies] == [0, 0]
            assert run_json("resume", F, *to_fleet(*urls))[0] == 0
        else:
            assert (status, verdicts) == (1, ["reverted", "reverted"])
            assert document["switches"][1]["error"]["code"] == "connection_reset"
    assert [proxy.limit(F) for proxy in proxies] == [100, 100]
    assert servers[1].logins() >= 2


def test_a_server_that_dies_in_the_commit(
    proxies: list[HAProxy], ssh_home: SshHome, sshd: StartSsh, state: Path
) -> None:
    """Nobody can ask again: what is not known is said to be, and the guard sees to it."""
    servers = [sshd(), sshd()]

    def die() -> None:
        servers[1].stop()

    with Tap(proxies[1], {COMMIT: die}) as tap:
        urls = [
            ssh_home.url(ssh_home.host("lb1", servers[0]), proxies[0].sockets[0]),
            ssh_home.url(ssh_home.host("lb2", servers[1]), tap.endpoint.removeprefix("unix://")),
        ]
        options = ("--max-hold", str(patient(6)), *to_fleet(*urls))
        status, document = run_json("suspend", F, *options)
        verdicts = [switch["verdict"] for switch in document["switches"]]
        assert (status, verdicts) == (1, ["reverted", "unknown"])
        assert proxies[0].limit(F) == 100
        servers[1].restart()
        status, document = run_json("resume", F, "--force", "--reason", "test", *to_fleet(*urls))
        assert [proxy.limit(F) for proxy in proxies] == [100, 100]
    wait_until(lambda: not guards(state), "the guards to leave")
