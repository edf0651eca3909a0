"""SSH agents that hang, end, refuse or have many logins to sign, and who does not wait for them."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet, Outcome
from support.command import AT_ONCE_S, COMMAND, F, ask
from support.haproxy.faulty_peer import FaultyPeer, close, ignore, say
from support.haproxy.server import HAProxy
from support.patience import HANG_S, patient
from support.process import wait_until
from support.ssh.home import Agent, SshHome
from support.ssh.server import SshServer

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]


@pytest.fixture
def proxies(haproxy: Start, state: Path) -> list[HAProxy]:
    return [haproxy("3.0") for _ in range(2)]


@pytest.fixture
def proxy(haproxy: Start, state: Path) -> HAProxy:
    return haproxy("3.0")


def path_of(agent: FaultyPeer) -> str:
    return agent.endpoint.removeprefix("unix://")


def test_a_call_that_an_agent_hangs_is_ended_by_a_signal(ssh_home: SshHome, sshd: StartSsh) -> None:
    with FaultyPeer([ignore()]) as agent:
        name = ssh_home.host("lb1", sshd(), IdentityAgent=path_of(agent))
        command = [*COMMAND, "exec", "show info", "-e", ssh_home.url(name, "/run/a.sock")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            wait_until(lambda: agent.connections == 1, "the question to the agent")
            before = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
            assert time.monotonic() - before < patient(AT_ONCE_S)
    assert process.returncode == 130


def test_an_agent_that_hangs_keeps_nobody_else_from_the_hold(
    proxies: list[HAProxy], ssh_home: SshHome, sshd: StartSsh
) -> None:
    """As many logins wait for it as are under way at once, on every thread."""
    server = sshd(ListenAddress="0.0.0.0")
    with FaultyPeer([ignore()]) as agent:
        ssh_home.add("HostKeyAlias all")
        ssh_home.host("127.0.0.1??", server, HostName="%h")
        ssh_home.host("127.0.0.*", server, HostName="%h", IdentityAgent=path_of(agent))
        ssh_home.know(server, "all")
        socket = proxies[0].sockets[0]
        slow = Fleet([ssh_home.url(f"127.0.0.{number}", socket) for number in range(2, 18)])
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.extend(slow.execute("show info")))
        thread.start()
        wait_until(lambda: agent.connections >= 8, "the questions to the agent")
        others = Fleet(
            [
                ssh_home.url(f"127.0.0.{number}", proxy.sockets[0])
                for number, proxy in enumerate(proxies, start=101)
            ]
        )
        others.suspend(F, no_lease=True)
        assert [proxy.limit(F) for proxy in proxies] == [0, 0]
        others.resume(F)
        assert [proxy.limit(F) for proxy in proxies] == [100, 100]
        assert thread.is_alive() and not outcomes
    # Without the agent there are the key files.
    thread.join(HANG_S)
    assert [outcome.error for outcome in outcomes] == [None] * 16


def test_an_agent_that_does_not_answer_in_time_is_named(ssh_home: SshHome, sshd: StartSsh) -> None:
    with FaultyPeer([ignore()]) as agent:
        name = ssh_home.host("lb1", sshd(), IdentityAgent=path_of(agent))
        (said,) = ask(ssh_home.url(name, "/run/a.sock"))
    assert said is not None and said.startswith("ssh_auth_timeout: ")
    assert "the authentication did not end within 20000 ms" in said
    assert f"the agent at {path_of(agent)} has not answered" in said


@pytest.mark.parametrize(
    "step",
    [close(), say(b"\0\0\0\1\5"), say(b"\xff\xff\xff\xff"), say(b"\0\0\0\5\x0c\0\0\1")],
    ids=["hangs up", "fails", "says nonsense", "breaks off"],
)
def test_an_agent_that_is_of_no_use_is_passed_over(
    step: Callable[..., None], proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    with FaultyPeer([step, close()]) as agent:
        name = ssh_home.host("lb1", sshd(), IdentityAgent=path_of(agent))
        assert ask(ssh_home.url(name, proxy.sockets[0])) == [None]
        assert agent.connections == 1


def test_an_agent_that_may_not_sign(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    key = ssh_home.key(name="confirmed")
    with Agent(asks="false") as agent:
        agent.add(key, confirm=True)
        server = sshd(authorized=[key])
        key.unlink()
        name = ssh_home.host(
            "lb1", server, key=key, IdentityAgent=str(agent.socket), IdentitiesOnly="no"
        )
        (said,) = ask(ssh_home.url(name, proxy.sockets[0]))
    assert said is not None and said.startswith("ssh_key_unusable: ")
    assert "the agent refuses to sign with " in said


def test_an_agent_whose_user_confirms(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    key = ssh_home.key(name="confirmed")
    with Agent(asks="true") as agent:
        agent.add(key, confirm=True)
        name = ssh_home.host(
            "lb1", sshd(authorized=[key]), key=key, IdentityAgent=str(agent.socket)
        )
        assert ask(ssh_home.url(name, proxy.sockets[0])) == [None]


def test_one_agent_signs_for_many_hosts(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    key = ssh_home.key("ecdsa")
    server = sshd(authorized=[key], MaxStartups="100", ListenAddress="0.0.0.0")
    with Agent() as agent:
        agent.add(key)
        ssh_home.host(
            "127.0.0.*",
            server,
            key=key,
            HostName="%h",
            HostKeyAlias="all",
            IdentityAgent=str(agent.socket),
        )
        urls = [ssh_home.url(f"127.0.0.{number}", proxy.sockets[0]) for number in range(2, 22)]
        assert ask(*urls) == [None] * 20
    assert server.logins() == 20


def test_an_agent_is_asked_once_whether_a_passphrase_is_needed(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    """For all hosts together: one that hangs costs seconds, before anything is connected."""
    key = ssh_home.key(name="locked", passphrase="open sesame")
    server = sshd(authorized=[key])
    with FaultyPeer([close()]) as agent:
        names = [
            ssh_home.host(f"lb{n}", server, key=key, User=f"user{n}", IdentityAgent=path_of(agent))
            for n in range(3)
        ]
        said = ask(*(ssh_home.url(name, proxy.sockets[0]) for name in names))
        # And once by each login.
        assert agent.connections == 4
    assert all(one is not None and one.startswith("ssh_key_unusable: ") for one in said)


def test_a_resume_does_not_ask_an_agent_that_is_not_needed(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    """The sessions are open. An agent that has died since then is neither waited for nor replaced
    by a question on the terminal.
    """
    key = ssh_home.key(name="locked", passphrase="open sesame")
    with Agent() as agent, FaultyPeer([ignore()]) as dead:
        agent.add(key, "open sesame")
        socket = ssh_home.folder / "agent"
        socket.symlink_to(agent.socket)
        name = ssh_home.host("lb1", sshd(authorized=[key]), key=key, IdentityAgent=str(socket))
        fleet = Fleet([ssh_home.url(name, proxy.sockets[0])])
        fleet.suspend(F, no_lease=True)
        socket.unlink()
        socket.symlink_to(path_of(dead))
        fleet.resume(F)
        assert proxy.limit(F) == 100
        assert dead.connections == 0
