"""Host keys are checked, whatever the known_hosts: unknown, changed and revoked ones refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import pytest

from support.command import ask
from support.odd_files import make
from support.ssh.home import HAS_RSA, ME, SshHome
from support.ssh.server import SshServer, fingerprint, make_key, public_half

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]


@pytest.fixture
def socket(haproxy: Start) -> Path:
    """The stats socket behind the SSH server."""
    return haproxy("3.0").sockets[0]


def refusal(said: list[Optional[str]]) -> str:
    """Of one endpoint."""
    (words,) = said
    assert words is not None
    return words


def line_of(home: SshHome, text: str) -> str:
    """FILE:LINE of the known_hosts line that has this."""
    lines = home.known_hosts.read_text().splitlines()
    (number,) = [at for at, line in enumerate(lines, 1) if text in line]
    return f"{home.known_hosts}:{number}"


def test_an_unknown_host(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    name = ssh_home.host("lb1", server, known=False)
    said = refusal(ask(ssh_home.url(name, socket)))
    assert said.startswith(f"ssh_host_key_unknown: ssh to {ME}@127.0.0.1:{server.port}: ")
    assert f"ssh-ed25519 host key {fingerprint(server.host_keys['ed25519'])} " in said
    assert f"is unknown for [127.0.0.1]:{server.port}; compare it with the host's own" in said
    assert "StrictHostKeyChecking accept-new" in said
    assert ssh_home.known_hosts.read_text() == ""
    assert server.logins() == 0


def test_a_changed_key(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    name = ssh_home.host("lb1", server, known=False, StrictHostKeyChecking="accept-new")
    ssh_home.know_key(ssh_home.key("ecdsa"), "elsewhere")
    other = make_key(ssh_home.folder / "other")
    ssh_home.know_key(other, f"[127.0.0.1]:{server.port}")
    said = refusal(ask(ssh_home.url(name, socket)))
    assert said.startswith("ssh_host_key_changed: ")
    assert fingerprint(server.host_keys["ed25519"]) in said
    assert f"is not the key at {line_of(ssh_home, public_half(other))}" in said
    assert "somebody intercepts the connection" in said
    assert server.logins() == 0


@pytest.mark.parametrize("checking", ["no", "off", "accept-new", "yes", "ask"])
def test_nothing_turns_the_check_off(
    checking: str, socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd()
    name = ssh_home.host("lb1", server, known=False, StrictHostKeyChecking=checking)
    ssh_home.know_key(ssh_home.key(), f"[127.0.0.1]:{server.port}")
    assert refusal(ask(ssh_home.url(name, socket))).startswith("ssh_host_key_changed: ")


@pytest.mark.parametrize("checking", ["no", "accept-new"])
def test_a_key_that_cannot_be_kept_is_not_accepted(
    checking: str, socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    """With /dev/null every key would be a new one."""
    name = ssh_home.host(
        "lb1",
        sshd(),
        known=False,
        StrictHostKeyChecking=checking,
        UserKnownHostsFile="/dev/null",
    )
    said = refusal(ask(ssh_home.url(name, socket)))
    assert said.startswith("ssh_host_key_unknown: ")
    assert "cannot be stored in /dev/null" in said


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder", "huge"])
def test_a_file_of_known_hosts_that_cannot_be_read_makes_no_host_new(
    kind: str, socket: Path, ssh_home: SshHome, sshd: StartSsh, tmp_path: Path
) -> None:
    """It may have another key of that host, or revoke this one."""
    path = make(tmp_path / "others", kind)
    name = ssh_home.host(
        "lb1",
        sshd(),
        known=False,
        StrictHostKeyChecking="accept-new",
        UserKnownHostsFile=f"{ssh_home.known_hosts} {path}",
    )
    said = refusal(ask(ssh_home.url(name, socket)))
    assert said.startswith("ssh_host_key_unknown: ")
    words = "larger than 16777216 bytes" if kind == "huge" else f"a {kind}, not a plain file"
    assert f"not all files of known hosts can be read: {path}: {words}" in said
    assert ssh_home.known_hosts.read_text() == ""


@pytest.mark.parametrize("hashing", ["no", "yes"])
def test_accept_new_writes_the_key_down(
    hashing: str, socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd()
    ssh_home.add("StrictHostKeyChecking accept-new", f"HashKnownHosts {hashing}")
    url = ssh_home.url(ssh_home.host("lb1", server, known=False), socket)
    assert ask(url) == [None]
    (line,) = ssh_home.known_hosts.read_text().splitlines()
    assert line.endswith(public_half(server.host_keys["ed25519"]))
    assert line.startswith("|1|" if hashing == "yes" else f"[127.0.0.1]:{server.port} ")
    # OpenSSH takes what was written, and so do we, without another line.
    assert ssh_home.ssh("lb1", "true").returncode == 0
    assert ask(url) == [None]
    assert ssh_home.known_hosts.read_text() == f"{line}\n"


def test_many_at_once_write_one_line_each(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    names = [f"lb{number}" for number in range(8)]
    for name in names:
        ssh_home.host(
            name, server, known=False, StrictHostKeyChecking="accept-new", HostKeyAlias=name
        )
    assert ask(*(ssh_home.url(name, socket) for name in names)) == [None] * 8
    lines = ssh_home.known_hosts.read_text().splitlines()
    assert sorted(line.split()[0] for line in lines) == names


@pytest.mark.parametrize(
    "by, hashed",
    [
        ("host and port", False),
        ("host and port", True),
        ("host", False),
        ("host", True),
        ("alias", False),
        ("alias", True),
        ("pattern", False),
    ],
)
def test_a_known_host(
    by: str, hashed: bool, socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd()
    name = {"host": "127.0.0.1", "alias": "the-one", "pattern": "[127.*]:*"}.get(by, "")
    if by == "alias":
        ssh_home.add("HostKeyAlias the-one")
    ssh_home.host("lb1", server, known=False)
    ssh_home.know(server, name, hashed=hashed)
    assert ssh_home.known_hosts.read_text().startswith("|1|") == hashed
    assert ask(ssh_home.url("lb1", socket)) == [None]


def test_an_alias_is_the_only_name(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    name = ssh_home.host("lb1", server, known=False, HostKeyAlias="the-one")
    ssh_home.know(server)
    said = refusal(ask(ssh_home.url(name, socket)))
    assert said.startswith("ssh_host_key_unknown: ") and "is unknown for the-one" in said


def test_a_revoked_key(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    name = ssh_home.host("lb1", server, StrictHostKeyChecking="accept-new")
    key = server.host_keys["ed25519"]
    ssh_home.know_key(key, "*", marker="@revoked")
    said = refusal(ask(ssh_home.url(name, socket)))
    assert said.startswith("ssh_host_key_revoked: ")
    assert fingerprint(key) in said
    assert f"is revoked at {line_of(ssh_home, '@revoked')}" in said


def test_the_known_type_of_several_is_asked_for(
    socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd(host_keys=("ed25519", "ecdsa"))
    name = ssh_home.host("lb1", server, known=False)
    ssh_home.know_key(server.host_keys["ecdsa"], f"[127.0.0.1]:{server.port}")
    assert ask(ssh_home.url(name, socket)) == [None]


def test_known_by_a_type_that_is_not_shown(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd(host_keys=("ed25519", "rsa"))
    name = ssh_home.host("lb1", server, known=False)
    ssh_home.know_key(server.host_keys["rsa"], f"[127.0.0.1]:{server.port}")
    (said,) = ask(ssh_home.url(name, socket))
    if HAS_RSA:
        assert said is None
    else:
        assert said is not None
        assert said.startswith("ssh_host_key_changed: ")
        assert f"is unknown, but {ssh_home.known_hosts}:1 has a key of another type" in said
        assert "cannot use the RSA keys" in said and "add it to that file" in said


def test_a_server_with_an_rsa_key_alone(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd(host_keys=("rsa",))
    (said,) = ask(ssh_home.url(ssh_home.host("lb1", server), socket))
    if HAS_RSA:
        assert said is None
    else:
        assert said is not None
        assert said.startswith("ssh_key_exchange: ")
        assert "the server offers rsa-sha2-512,rsa-sha2-256; " in said
        assert said.endswith("; give the server an ed25519 or ecdsa host key")
