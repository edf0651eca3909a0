"""One process and its SSH sessions: shared from call to call, gone in the end, a fork's own."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.haproxy.holds import F
from support.haproxy.server import HAProxy
from support.process import wait_until
from support.ssh.home import SshHome
from support.ssh.server import SshServer

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def proxy(haproxy: Start) -> HAProxy:
    return haproxy("3.0")


def open_here() -> tuple[int, int]:
    """This process's files and threads."""
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def test_nothing_is_left_of_a_fleet_in_a_process_that_goes_on(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server, jump = sshd(), sshd()
    ssh_home.host("jump", jump)
    command = f"socat - TCP:127.0.0.1:{server.port}"
    urls = [
        ssh_home.url(ssh_home.host("lb1", server), proxy.sockets[0]),
        ssh_home.url(ssh_home.host("lb2", server, ProxyJump="jump"), proxy.sockets[0]),
        ssh_home.url(ssh_home.host("lb3", server, ProxyCommand=command), proxy.sockets[0]),
        ssh_home.url(ssh_home.host("lb4", server, User="nobody-of-that-name"), proxy.sockets[0]),
        ssh_home.url("lb1", "/no/such.sock"),
    ]

    def ask() -> None:
        codes = [one.error and one.error.code for one in Fleet(urls).execute("show info")]
        assert codes == [None, None, None, "ssh_auth_failed", "no_such_socket"]
        gc.collect()

    def all_gone() -> bool:
        return not server.sessions() and not jump.sessions()

    ask()
    wait_until(all_gone, "the end of the first sessions")
    before = open_here()
    for _ in range(5):
        ask()
    wait_until(all_gone, "the end of all sessions")
    # A thread that waits for the end of a ProxyCommand may be the last to go.
    wait_until(lambda: open_here() <= before, f"no more than {before}: {open_here()}")


def test_a_fleet_logs_in_once_for_all_its_calls(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd()
    fleet = Fleet([ssh_home.url(ssh_home.host("lb1", server), proxy.sockets[0])])
    fleet.suspend(F, no_lease=True)
    assert proxy.limit(F) == 0
    fleet.resume(F)
    assert proxy.limit(F) == 100
    fleet.check(F)
    assert server.logins() == 1
    # The server hangs up in between, seen or not yet seen: the next call begins anew.
    server.cut()
    assert fleet.execute("show info")[0].error is None
    assert server.logins() == 2


def test_a_forked_child_has_sessions_of_its_own(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd()
    fleet = Fleet([ssh_home.url(ssh_home.host("lb1", server), proxy.sockets[0])])
    assert fleet.execute("show info")[0].error is None
    child = os.fork()
    if child == 0:
        status = 1
        try:
            own = Fleet([fleet.endpoints[0]])
            status = 0 if own.execute("show info")[0].error is None else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert fleet.execute("show info")[0].error is None
    assert server.logins() == 2


def test_threads_share_a_session(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    url = ssh_home.url(ssh_home.host("lb1", server), proxy.sockets[0])
    keeper = Fleet([url])
    assert keeper.execute("show info")[0].error is None
    errors: list[object] = []

    def ask() -> None:
        errors.extend(Fleet([url]).execute("show info")[0].error for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == [None] * 60
    assert server.logins() == 1
