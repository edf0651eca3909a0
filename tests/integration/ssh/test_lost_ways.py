"""Ways that end, hang or lead nowhere while traffic is held: it is let go all the same, where there
is a way, and as soon as there is one.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.app import App
from support.command import COMMAND, F, run_json, to_fleet
from support.haproxy.faulty_peer import FaultyPeer
from support.haproxy.guards import guards
from support.haproxy.holds import Slow
from support.haproxy.server import HAProxy
from support.patience import patient
from support.process import wait_until
from support.ssh.home import SshHome
from support.ssh.server import SshServer

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]


def ways(
    home: SshHome, sshd: StartSsh, proxies: list[HAProxy], jump: str = "none"
) -> tuple[list[SshServer], list[str]]:
    """An sshd before each HAProxy, and the endpoints."""
    servers = [sshd() for _ in proxies]
    names = [home.host(f"lb{n}", server, ProxyJump=jump) for n, server in enumerate(servers)]
    return servers, [home.url(name, proxy.sockets[0]) for name, proxy in zip(names, proxies)]


def limits(proxies: list[HAProxy]) -> list[int]:
    return [proxy.limit(F) for proxy in proxies]


@contextmanager
def silent_port() -> Iterator[int]:
    """Connecting there takes for ever, as to a machine that is switched off."""
    with FaultyPeer(tcp=True, accepting=False, backlog=0) as peer:
        port = int(peer.endpoint.rpartition(":")[2])
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for one in waiting:
                one.close()


@pytest.mark.parametrize("label", ["2.2", "3.0"])
@pytest.mark.parametrize("by_jump", [False, True], ids=["its sshd", "the jump host"])
def test_a_guard_waits_for_an_ssh_server_that_is_being_started_anew(
    by_jump: bool, label: str, haproxy: Start, ssh_home: SshHome, sshd: StartSsh, state: Path
) -> None:
    """Refused connections are no sign that HAProxy is gone, and its hold with it."""
    jump = sshd()
    ssh_home.host("jump", jump)
    proxies = [haproxy(label)]
    servers, urls = ways(ssh_home, sshd, proxies, "jump" if by_jump else "none")
    lost = jump if by_jump else servers[0]
    max_hold = patient(2)
    options = ("--method", "maxconn", "--max-hold", str(max_hold), *to_fleet(*urls))
    status, _ = run_json("suspend", F, *options)
    deadline = time.monotonic() + max_hold
    assert status == 0 and limits(proxies) == [0]
    lost.stop()
    # So long a guard has taken refusals for the end of a HAProxy.
    wait_until(lambda: time.monotonic() > deadline + 4, "refusals before and after the end")
    assert guards(state) and limits(proxies) == [0]
    lost.restart()
    wait_until(lambda: limits(proxies) == [100], "the guard to let go")
    wait_until(lambda: not guards(state), "the guard's end")


def test_a_target_that_is_silent_keeps_nobody_else_behind_its_jump_host_held(
    haproxy: Start, ssh_home: SshHome, sshd: StartSsh, state: Path
) -> None:
    """It is asked for first each time, and libssh2 opens one channel after the other."""
    proxies = [haproxy("3.0") for _ in range(2)]
    jump, target = sshd(), sshd()
    ssh_home.host("jump", jump)
    with silent_port() as port:
        ssh_home.host("dead", target, ProxyJump="jump", Port=str(port))
        ssh_home.host("good", target, ProxyJump="jump")
        urls = [ssh_home.url(n, p.sockets[0]) for n, p in zip(("dead", "good"), proxies)]
        Fleet(urls[1:]).suspend(F, no_lease=True)
        assert proxies[1].limit(F) == 0
        command = ["resume", F, "--force", "--reason", "one is switched off", "--retry-for", "5"]
        # So that a slow machine takes its time where it is not the way that is lost.
        command += ["--connect-timeout", "60"]
        status, document = run_json(*command, *to_fleet(*urls))
    assert status == 1
    codes = [switch["error"] and switch["error"]["code"] for switch in document["switches"]]
    assert codes == ["ssh_channel_timeout", None]
    assert proxies[1].limit(F) == 100


def test_a_resume_does_not_wait_for_a_server_that_hangs(
    haproxy: Start, ssh_home: SshHome, sshd: StartSsh, state: Path
) -> None:
    proxies = [haproxy("3.0") for _ in range(3)]
    servers, urls = ways(ssh_home, sshd, proxies)
    Fleet(urls).suspend(F, no_lease=True, method="maxconn")
    servers[0].freeze()
    command = [*COMMAND, "resume", F, *to_fleet(*urls)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: servers[0].clients() != set(), "the try at it")
        first = servers[0].clients()
        wait_until(lambda: limits(proxies[1:]) == [100, 100], "the others to be let through")
        # It waits for 5 s for a banner, and then tries again.
        assert servers[0].clients() == first
        servers[0].thaw()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert limits(proxies) == [100] * 3


def test_a_suspend_that_fails_in_the_drain_lets_the_others_go_soon(
    haproxy: Start, ssh_home: SshHome, sshd: StartSsh, app: App, state: Path
) -> None:
    """Before HAProxy takes their idle connections away, which it does after 10 s."""
    proxies = [haproxy("3.0", servers=[app.port]) for _ in range(2)]
    servers, urls = ways(ssh_home, sshd, proxies)
    # It ends when the server is frozen: with a time of its own the drain, and with it the suspend,
    # was over on a busy machine before that.
    slow = Slow(proxies[1], 60_000)
    command = [*COMMAND, "suspend", F, "--method", "maxconn", "--json", *to_fleet(*urls)]
    command += ["--max-hold", "600", "--drain-timeout", "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: proxies[1].limit(F) == 0, "the hold")
        servers[0].freeze()
        app.finish()
        begun = time.monotonic()
        wait_until(lambda: proxies[1].limit(F) == 100, "the rollback of the other")
        assert time.monotonic() - begun < patient(9)
        servers[0].thaw()
        told, _ = process.communicate(timeout=60)
    slow.join()
    assert process.returncode == 1
    assert b"the rollback failed" not in told
    assert limits(proxies) == [100, 100]
