"""What SSH servers refuse behind the login: each has a code, what to do, and their words."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.command import F, ask, only, run, run_json
from support.haproxy.faulty_peer import FaultyPeer, dead_unix_socket
from support.haproxy.server import HAProxy
from support.ports import Reserved
from support.ssh.home import SshHome
from support.ssh.server import SshServer

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]


@pytest.fixture
def proxy(haproxy: Start, state: Path) -> HAProxy:
    return haproxy("3.0", tcp_socket=True)


def refusal(url: str) -> str:
    (words,) = ask(url)
    assert words is not None
    return words


@pytest.mark.parametrize(
    "keyword, value",
    [
        ("AllowStreamLocalForwarding", "no"),
        ("AllowStreamLocalForwarding", "remote"),
        ("DisableForwarding", "yes"),
        # To sshd a unix socket is a TCP port of a number that there is not.
        ("AllowTcpForwarding", "no"),
        ("PermitOpen", "127.0.0.1:1"),
        ("restrict", ""),
        ("no-port-forwarding", ""),
    ],
)
def test_forwarding_to_unix_sockets_is_forbidden(
    keyword: str, value: str, proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd(**{keyword: value}) if value else sshd(restrictions=keyword)
    path = proxy.sockets[0]
    # Any way there.
    (ssh_home.folder / "linked").symlink_to(proxy.folder)
    name = ssh_home.host("lb1", server)
    for spelled in (path, ssh_home.folder / "linked" / path.name):
        said = refusal(ssh_home.url(name, spelled))
        assert said.startswith("ssh_forwarding_denied: ")
        assert f"the server forbids forwarding to {spelled}" in said
        assert "it needs AllowStreamLocalForwarding yes (or local), AllowTcpForwarding yes" in said
        assert "no 'restrict' or 'no-port-forwarding' at the key in authorized_keys" in said
        assert said.endswith("failure (connect failed))")
    assert server.logins() == 2


def test_a_listen_queue_that_is_full_is_not_told_from_that(
    ssh_home: SshHome, sshd: StartSsh
) -> None:
    name = ssh_home.host("lb1", sshd())
    with FaultyPeer(accepting=False, backlog=0) as peer, socket.socket(socket.AF_UNIX) as other:
        path = peer.endpoint.removeprefix("unix://")
        other.connect(path)
        said = refusal(ssh_home.url(name, path))
    assert said.startswith("ssh_forwarding_denied: ")
    assert "or the socket's listen queue is full, because HAProxy hangs" in said


def test_forwarding_is_all_that_is_needed(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd(
        AllowStreamLocalForwarding="local",
        AllowTcpForwarding="local",
        PermitTTY="no",
        X11Forwarding="no",
        MaxSessions="0",
        ForceCommand="/bin/false",
        restrictions="restrict,port-forwarding",
    )
    name = ssh_home.host("lb1", server)
    assert ask(ssh_home.url(name, proxy.sockets[0])) == [None]
    # No SFTP either, which would say why.
    found = ask(*(ssh_home.url(name, path) for path in ("/no/a", proxy.sockets[0], "/no/b")))
    assert [said and said.partition(":")[0] for said in found] == [
        "ssh_channel_failed",
        None,
        "ssh_channel_failed",
    ]
    assert server.logins() == 2


@pytest.mark.parametrize("setting", ["AllowTcpForwarding", "PermitOpen"])
def test_forwarding_to_tcp_is_forbidden(
    setting: str, proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd(**{setting: "no" if setting == "AllowTcpForwarding" else "127.0.0.1:1"})
    address = f"127.0.0.1:{proxy.tcp_port}"
    said = refusal(ssh_home.url(ssh_home.host("lb1", server), tcp=address))
    assert said.startswith("ssh_forwarding_denied: ")
    assert f"the server forbids forwarding to {address}" in said
    assert "it needs AllowTcpForwarding yes (or local) and a PermitOpen that allows it" in said
    assert "prohibited" in said


def test_a_tcp_stats_socket(proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd(AllowStreamLocalForwarding="no", PermitOpen=f"127.0.0.1:{proxy.tcp_port}")
    url = ssh_home.url(ssh_home.host("lb1", server), tcp=f"127.0.0.1:{proxy.tcp_port}")
    assert ask(url) == [None]
    assert run("suspend", F, "-e", url).returncode == 0
    assert proxy.limit(F) == 0
    assert run("resume", F, "-e", url).returncode == 0
    assert proxy.limit(F) == 100


def test_nobody_listens_on_the_tcp_port(ssh_home: SshHome, sshd: StartSsh) -> None:
    nobody = Reserved()
    name = ssh_home.host("lb1", sshd())
    said = refusal(ssh_home.url(name, tcp=f"127.0.0.1:{nobody.port}"))
    nobody.close()
    assert said.startswith("connection_refused: ")
    assert f"the server could not connect to 127.0.0.1:{nobody.port}" in said


def test_no_such_socket(ssh_home: SshHome, sshd: StartSsh) -> None:
    said = refusal(ssh_home.url(ssh_home.host("lb1", sshd()), "/nowhere/admin.sock"))
    assert said.startswith("no_such_socket: ")
    assert "/nowhere/admin.sock does not exist there; is HAProxy running, and is this its" in said


def test_no_socket_but_a_file(ssh_home: SshHome, sshd: StartSsh, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = refusal(ssh_home.url(ssh_home.host("lb1", sshd()), tmp_path / "file"))
    assert said.startswith("not_a_socket: ") and "exists there, but is not a socket" in said


def test_a_socket_of_nobody(ssh_home: SshHome, sshd: StartSsh, tmp_path: Path) -> None:
    said = refusal(ssh_home.url(ssh_home.host("lb1", sshd()), dead_unix_socket(tmp_path)))
    assert said.startswith("connection_refused: ")
    assert "exists there, but nothing listens on it; is HAProxy running?" in said


def another_user() -> str:
    """Who may log in, and is not root."""
    if os.geteuid() != 0:
        pytest.skip("only root's sshd lets another user in")
    return pwd.getpwnam("nobody").pw_name


@pytest.mark.parametrize("where", ["socket", "folder"])
def test_a_socket_that_the_user_may_not_open(
    where: str, proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    user = another_user()
    path = proxy.sockets[0]
    path.chmod(0o660)
    proxy.folder.chmod(0o755 if where == "socket" else 0o700)
    said = refusal(ssh_home.url(ssh_home.host("lb1", sshd(), User=user), path))
    assert said.startswith("socket_denied: ")
    if where == "socket":
        assert f"{path} is denied to the SSH user, who needs write permission on it" in said
        assert "membership in the haproxy group" in said and "sudo cannot be used" in said
    else:
        assert f"{path} is denied to the SSH user, who may not enter its folder" in said
    path.chmod(0o666)
    proxy.folder.chmod(0o755)
    name = ssh_home.host("lb2", sshd(), User=user)
    assert ask(ssh_home.url(name, path)) == [None]


def test_without_sftp_it_is_not_known_why(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd(Subsystem=None)
    name = ssh_home.host("lb1", server)
    said, answered = ask(
        ssh_home.url(name, "/nowhere/a.sock"), ssh_home.url(name, proxy.sockets[0])
    )
    assert said is not None and said.startswith("ssh_channel_failed: ")
    assert "no such socket, no permission, nothing listens, or the server forbids it" in said
    assert "without SFTP on the server the cause is unknown" in said
    # And the session serves the others.
    assert answered is None
    assert server.logins() == 1


def test_one_refused_socket_leaves_the_others(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh, tmp_path: Path
) -> None:
    server = sshd()
    name = ssh_home.host("lb1", server)
    paths = [
        "/nowhere/a",
        proxy.sockets[0],
        dead_unix_socket(tmp_path),
        "/nowhere/b",
    ]
    found = ask(*(ssh_home.url(name, path) for path in paths))
    assert [said and said.partition(":")[0] for said in found] == [
        "no_such_socket",
        None,
        "connection_refused",
        "no_such_socket",
    ]
    assert server.logins() == 1


def test_all_is_refused_before_anything_is_held(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh
) -> None:
    good = ssh_home.host("lb1", sshd())
    shut = ssh_home.host("lb2", sshd(AllowStreamLocalForwarding="no"))
    urls = [ssh_home.url(name, proxy.sockets[0]) for name in (good, shut)]
    status, document = run_json("suspend", F, "-e", urls[0], "-e", urls[1])
    assert status in (1, 3)
    assert document["switches"][1]["error"]["code"] == "ssh_forwarding_denied"
    assert proxy.limit(F) == 100


def test_nobody_listens_at_the_ssh_port(ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    name = ssh_home.host("lb1", server)
    server.stop()
    said = refusal(ssh_home.url(name, "/run/a.sock"))
    # Not connection_refused: to a guard that would be an HAProxy that is gone, with its hold.
    assert said.startswith("unreachable: ") and "nothing listens on that port" in said


def test_a_name_that_does_not_resolve(ssh_home: SshHome, sshd: StartSsh) -> None:
    name = ssh_home.host("lb1", sshd(), HostName="no-such-name.invalid")
    said = refusal(ssh_home.url(name, "/run/a.sock"))
    assert said.startswith("name_not_found: ") and "no-such-name.invalid" in said


def test_a_configuration_that_is_wrong(ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    name = ssh_home.host("lb1", server)
    ssh_home.add("Port many")
    said = refusal(ssh_home.url(name, "/run/a.sock"))
    assert said.startswith(f"ssh_config: {ssh_home.config_file}:")
    assert server.connections() == 0
    status, document = run_json("check", F, "-e", ssh_home.url(name, "/run/a.sock"))
    assert only(document)["error"]["code"] == "ssh_config"
