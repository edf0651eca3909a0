"""The ways to an SSH server: jump hosts, a ProxyCommand, sessions that are shared, many at once."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.command import F, ask, only, run_json, to_fleet
from support.haproxy.server import HAProxy
from support.process import running_in_group, wait_until
from support.ssh.home import ME, SshHome
from support.ssh.server import PROGRAM, SshServer, release

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]


@pytest.fixture
def proxy(haproxy: Start, state: Path) -> HAProxy:
    return haproxy("3.0", unix_sockets=3, tcp_socket=True, stats_maxconn=1000)


# --- jump hosts -----------------------------------------------------------------------


def test_a_chain_of_two_jump_hosts(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    first, second, last = sshd(), sshd(), sshd()
    ssh_home.host("first", first)
    ssh_home.host("second", second)
    name = ssh_home.host("lb1", last, ProxyJump="first,second")
    url = ssh_home.url(name, proxy.sockets[0])
    assert ask(url) == [None]
    assert [one.logins() for one in (first, second, last)] == [1, 1, 1]
    # Each hop's own way leads there, too.
    ssh_home.host("behind", second, ProxyJump="first")
    name = ssh_home.host("lb2", last, ProxyJump="behind")
    assert ask(ssh_home.url(name, proxy.sockets[0])) == [None]
    assert [one.logins() for one in (first, second, last)] == [2, 2, 2]
    assert (first.connections(), second.connections()) == (2, 2)


def test_the_urls_own_jump_hosts(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    first, second, last = sshd(), sshd(), sshd()
    ssh_home.host("first", first)
    ssh_home.host("second", second)
    name = ssh_home.host("lb1", last, ProxyCommand="false")
    url = ssh_home.url(name, proxy.sockets[0], jump=f"{ME}@first,second")
    status, document = run_json("check", F, "-e", url)
    assert (status, only(document)["verdict"]) == (0, "unchanged")
    assert [one.logins() for one in (first, second, last)] == [1, 1, 1]


def test_many_behind_one_jump_host_log_in_there_once(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    jump = sshd(MaxStartups="1", MaxSessions="1")
    last = sshd()
    ssh_home.host("jump", jump)
    names = [f"lb{number}" for number in range(24)]
    for name in names:
        ssh_home.host(name, last, HostKeyAlias=name, ProxyJump="jump")
    assert ask(*(ssh_home.url(name, proxy.sockets[0]) for name in names)) == [None] * 24
    assert (jump.logins(), last.logins()) == (1, 24)


def test_a_server_that_is_its_own_jump_host(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    """More targets than logins at once, all waiting for the one login that they wait for."""
    server = sshd()
    names = [f"lb{number}" for number in range(12)]
    ssh_home.host("jump", server, HostKeyAlias="jump")
    for name in names:
        ssh_home.host(name, server, HostKeyAlias=name, ProxyJump="jump")
    assert ask(*(ssh_home.url(name, proxy.sockets[0]) for name in names)) == [None] * 12
    assert server.logins() == 13


def test_what_fails_at_a_jump_host_is_said_to_be_there(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    stranger, shut, last = sshd(authorized=[]), sshd(AllowTcpForwarding="no"), sshd()
    ssh_home.host("stranger", stranger)
    ssh_home.host("shut", shut)
    ssh_home.host("unknown", sshd(), known=False)
    ssh_home.host("dead", last, Port="1")
    ssh_home.host("by-dead", last, Port="1", ProxyJump="ok")
    ssh_home.host("ok", sshd())
    jumps = ["stranger", "shut", "unknown", "dead"]
    names = [ssh_home.host(f"by-{jump}", last, ProxyJump=jump) for jump in jumps[:3]]
    ssh_home.host("through-dead", last, ProxyJump="dead")
    found = ask(*(ssh_home.url(name, proxy.sockets[0]) for name in [*names, "through-dead"]))
    codes = [str(said).partition(": through a jump host: ") for said in found]
    assert [code for code, _, _ in codes] == [
        "ssh_auth_failed",
        "ssh_forwarding_denied",
        "ssh_host_key_unknown",
        "unreachable",
    ]
    assert f"ssh to {ME}@127.0.0.1:{stranger.port}: " in codes[0][2]
    assert f"forbids forwarding to 127.0.0.1:{last.port}" in codes[1][2]
    assert "AllowTcpForwarding yes (or local) and a PermitOpen that allows it" in codes[1][2]
    (said,) = ask(ssh_home.url("by-dead", proxy.sockets[0]))
    assert said is not None and said.startswith("unreachable: through a jump host: ")
    assert "the server could not connect to 127.0.0.1:1" in said
    assert last.logins() == 0


def test_a_circle_of_jump_hosts(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    ssh_home.host("one", server, ProxyJump="other")
    ssh_home.host("other", server, ProxyJump="one")
    (said,) = ask(ssh_home.url("one", proxy.sockets[0]))
    assert said is not None and said.startswith("ssh_config: the jump hosts form a circle")


# --- families of addresses ------------------------------------------------------------


@pytest.mark.parametrize("family", ["any", "inet", "inet6", "INET6"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_an_address_family(
    family: str, address: str, proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    """As ssh itself: what is of another family does not resolve."""
    server = sshd(ListenAddress="::1" if address == "::1" else "127.0.0.1")
    name = ssh_home.host("lb1", server, HostName=address, HostKeyAlias="lb1", AddressFamily=family)
    ran = ssh_home.ssh(name, "true")
    (said,) = ask(ssh_home.url(name, proxy.sockets[0]))
    fits = family == "any" or (family == "inet") == (address != "::1")
    assert (ran.returncode == 0, said is None) == (fits, fits)
    if fits:
        return
    assert server.connections() == 0 and said is not None
    # A machine may have an IPv6 address for localhost, where nobody listens.
    if address != "localhost" or not said.startswith("unreachable: "):
        assert f"Could not resolve hostname {address}" in ran.stderr
        assert said.startswith(f"name_not_found: ssh to {ME}@{address}:{server.port}: ")
        kind = "IPv4" if family == "inet" else "IPv6"
        assert f"; AddressFamily in ssh_config allows only {kind} addresses" in said


def test_a_jump_host_resolves_what_is_behind_it(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    """The family is the first connection's, which alone is made from here."""
    jump, last = sshd(), sshd()
    ssh_home.host("jump", jump)
    name = ssh_home.host("lb1", last, ProxyJump="jump", AddressFamily="inet6")
    assert ssh_home.ssh(name, "true").returncode == 0
    assert ask(ssh_home.url(name, proxy.sockets[0])) == [None]
    ssh_home.host("six", jump, AddressFamily="inet6")
    name = ssh_home.host("lb2", last, ProxyJump="six")
    assert ssh_home.ssh(name, "true").returncode == 255
    (said,) = ask(ssh_home.url(name, proxy.sockets[0]))
    assert said is not None
    assert said.startswith("name_not_found: through a jump host: ")


# --- ProxyCommand ---------------------------------------------------------------------


def test_a_proxy_command(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    name = ssh_home.host("lb1", server, ProxyCommand="socat - TCP:127.0.0.1:%p", Port="1")
    (said,) = ask(ssh_home.url(name, proxy.sockets[0]))
    assert said is not None and said.startswith("ssh_proxy: ")
    assert "the ProxyCommand ended before an SSH server spoke" in said
    command = f"socat - TCP:127.0.0.1:{server.port}"
    name = ssh_home.host("lb2", server, HostName="no-such-name.invalid", ProxyCommand=command)
    ssh_home.know(server, f"[no-such-name.invalid]:{server.port}")
    assert ask(ssh_home.url(name, proxy.sockets[0])) == [None]


def test_nothing_is_left_of_a_proxy_command(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh, tmp_path: Path
) -> None:
    server = sshd()
    noted = tmp_path / "pid"
    # It would stay where nobody ends it.
    relay = f"echo $$ >{noted}; exec socat -t 1000 - TCP:127.0.0.1:{server.port}"
    (tmp_path / "relay").write_text(relay)
    name = ssh_home.host("lb1", server, ProxyCommand=f"sh {shlex.quote(str(tmp_path / 'relay'))}")
    assert ask(ssh_home.url(name, proxy.sockets[0])) == [None]
    pid = int(noted.read_text())
    wait_until(lambda: not running_in_group(pid), "the end of the ProxyCommand")


# --- sharing --------------------------------------------------------------------------


def test_endpoints_of_one_host_share_a_session(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd(MaxSessions="1")
    name = ssh_home.host("lb1", server)
    urls = [ssh_home.url(name, path) for path in proxy.sockets]
    urls.append(ssh_home.url(name, tcp=f"127.0.0.1:{proxy.tcp_port}"))
    assert ask(*urls) == [None] * 4
    assert (server.connections(), server.logins()) == (1, 1)
    # Another user, another session.
    assert ask(urls[0], ssh_home.url(f"{ME}@{name}", proxy.sockets[0])) == [None, None]
    assert server.logins() == 2


def test_a_hold_logs_in_once_for_itself_its_proof_and_its_guard(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh, haproxy: Start
) -> None:
    other = haproxy("3.0")
    server = sshd()
    name = ssh_home.host("lb1", server)
    fleet = to_fleet(*(ssh_home.url(name, path) for path in (proxy.sockets[0], other.sockets[0])))
    status, document = run_json("suspend", F, *fleet)
    assert (status, proxy.limit(F), other.limit(F)) == (0, 0, 0)
    # The proof is a process of its own: it has to end as if it were killed.
    assert server.logins() == 3
    assert run_json("resume", F, *fleet)[0] == 0
    assert server.logins() == 4
    assert (proxy.limit(F), other.limit(F)) == (100, 100)


# --- many -----------------------------------------------------------------------------


@pytest.mark.parametrize("startups", ["3", "10:30:100"])
def test_a_server_that_takes_few_logins_at_once(
    startups: str, proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd(MaxStartups=startups)
    names = [f"lb{number}" for number in range(40)]
    for name in names:
        ssh_home.host(name, server, HostKeyAlias=name)
    assert ask(*(ssh_home.url(name, proxy.sockets[0]) for name in names)) == [None] * 40
    assert server.logins() == 40


def test_a_server_that_takes_none(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd(MaxStartups="1", LoginGraceTime="60")
    with socket.create_connection(("127.0.0.1", server.port)):
        wait_until(lambda: server.connections() == 1, "the one that takes the only place")
        (said,) = ask(ssh_home.url(ssh_home.host("lb1", server), proxy.sockets[0]))
    assert said is not None and said.startswith("ssh_banner: ")
    assert (
        "or its PerSourcePenalties keep this address out" in said
        and said.endswith("(Not allowed at this time)")
        if release() >= (9, 8)
        else "is its MaxStartups large enough? (Exceeded MaxStartups)" in said
    )
    # OpenSSH 10.6 drops as many, and logs few of those that come fast.
    assert server.log().count("drop connection") > (5 if release() < (9, 8) else 0)


# Before 9.8 there are none, and a skip would be an error in CI.
if PROGRAM is not None and release() >= (9, 8):

    @pytest.mark.parametrize("seconds", [4, 600])
    def test_a_server_that_penalises_this_address(
        seconds: int, proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
    ) -> None:
        server = sshd(PerSourcePenalties=f"authfail:{seconds}s min:0s")
        stranger = ssh_home.host("stranger", server, key=ssh_home.key(name="strange"))
        name = ssh_home.host("lb1", server)
        (said,) = ask(ssh_home.url(stranger, proxy.sockets[0]))
        assert said is not None and said.startswith("ssh_auth_failed: ")
        wait_until(lambda: "penalty: failed authentication" in server.log(), "the penalty")
        (said,) = ask(ssh_home.url(name, proxy.sockets[0]))
        dropped = [line for line in server.log().splitlines() if line.startswith("drop connection")]
        if seconds == 4:
            # It is over within the tries; on a busy machine, before the first.
            assert said is None
        else:
            assert said is not None and said.startswith("ssh_banner: ")
            assert "or its PerSourcePenalties keep this address out for failed logins" in said
            assert said.endswith("(Not allowed at this time)")
            assert dropped != []
        # Its log tells that from MaxStartups.
        assert all("penalty: failed authentication" in line for line in dropped)


def test_two_hundred_sessions(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    names = [f"lb{number}" for number in range(200)]
    for name in names:
        ssh_home.host(name, server, HostKeyAlias=name, known=False)
    ssh_home.know(server, "lb*")
    assert ask(*(ssh_home.url(name, proxy.sockets[0]) for name in names)) == [None] * 200
    assert server.logins() == 200
    wait_until(lambda: server.sessions() == [], "the end of all sessions")
