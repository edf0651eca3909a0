"""Algorithms, as OpenSSH has them: nothing old by itself, ssh_config's lists, and an error that
names the list in which a server has nothing for us. Real sshds, and ssh beside us.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.command import ask
from support.ssh.home import HAS_RSA, ME, SshHome
from support.ssh.server import SshServer

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]

# What Debian 12's sshd can still be made to offer alone, and ssh refuses by itself.
OLD = [
    ("Ciphers", "3des-cbc"),
    ("Ciphers", "aes128-cbc"),
    ("Ciphers", "aes256-cbc"),
    ("MACs", "hmac-md5"),
    ("MACs", "hmac-md5-96"),
    ("MACs", "hmac-sha1-96"),
    ("KexAlgorithms", "diffie-hellman-group1-sha1"),
    ("KexAlgorithms", "diffie-hellman-group14-sha1"),
    ("KexAlgorithms", "diffie-hellman-group-exchange-sha1"),
]
# What OpenSSH offers itself, and libssh2 has in every release.
NEW = [
    ("Ciphers", "aes128-ctr"),
    ("Ciphers", "aes256-ctr"),
    ("MACs", "hmac-sha1"),
    ("MACs", "hmac-sha2-512"),
    ("KexAlgorithms", "curve25519-sha256@libssh.org"),
    ("KexAlgorithms", "ecdh-sha2-nistp521"),
    ("KexAlgorithms", "diffie-hellman-group14-sha256"),
    ("KexAlgorithms", "diffie-hellman-group-exchange-sha256"),
]
# What ssh logs in by, and libssh2 1.10 has not; and whether 1.11.1 has it.
OPENSSH_ALONE = [
    ("MACs", "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com", "MAC", True),
    ("MACs", "umac-64@openssh.com,umac-128@openssh.com", "MAC", False),
    ("Ciphers", "chacha20-poly1305@openssh.com", "cipher", True),
    ("Ciphers", "aes128-gcm@openssh.com,aes256-gcm@openssh.com", "cipher", True),
    ("KexAlgorithms", "sntrup761x25519-sha512@openssh.com", "key exchange", False),
]
LISTS = {"Ciphers": "cipher", "MACs": "MAC", "KexAlgorithms": "key exchange"}


@pytest.fixture
def socket(haproxy: Start) -> Path:
    """The stats socket behind the SSH server."""
    return haproxy("3.0").sockets[0]


def server_of(sshd: StartSsh, keyword: str, names: str) -> SshServer:
    """With nothing else of that list. A MAC counts with a cipher that needs one."""
    return sshd(**{"Ciphers": "aes128-ctr", keyword: names})


def host_with(home: SshHome, name: str, server: SshServer, keyword: str, value: str) -> str:
    """A host of ssh_config with one keyword more."""
    home.add(f"Host {name}", f"  {keyword} {value}")
    return home.host(name, server)


def logs_in(home: SshHome, name: str, socket: Path) -> tuple[bool, bool]:
    """ssh, and Stillgate."""
    return home.ssh(name, "true").returncode == 0, ask(home.url(name, socket)) == [None]


@pytest.mark.parametrize("keyword, name", OLD, ids=lambda value: str(value))
def test_what_is_old(
    keyword: str, name: str, socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = server_of(sshd, keyword, name)
    host = ssh_home.host("lb1", server)
    assert ssh_home.ssh(host, "true").returncode != 0
    (said,) = ask(ssh_home.url(host, socket))
    assert said is not None and said.startswith(f"ssh_key_exchange: ssh to {ME}@127.0.0.1:")
    assert f"no {LISTS[keyword]} in common: the server offers {name}" in said
    assert server.logins() == 0
    # Whoever needs it says so, to both.
    allowed = host_with(ssh_home, "old", server, keyword, f"+{name}")
    assert logs_in(ssh_home, allowed, socket) == (True, True)


@pytest.mark.parametrize("keyword, name", NEW, ids=lambda value: str(value))
def test_what_is_new(
    keyword: str, name: str, socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = server_of(sshd, keyword, name)
    assert logs_in(ssh_home, ssh_home.host("lb1", server), socket) == (True, True)
    without = host_with(ssh_home, "without", server, keyword, f"-{name}")
    assert logs_in(ssh_home, without, socket) == (False, False)


@pytest.mark.parametrize("keyword, names, what, newer", OPENSSH_ALONE, ids=lambda value: str(value))
def test_what_libssh2_may_not_have(
    keyword: str,
    names: str,
    what: str,
    newer: bool,
    socket: Path,
    ssh_home: SshHome,
    sshd: StartSsh,
) -> None:
    """The list is named, and not a host key that there is."""
    host = ssh_home.host("lb1", server_of(sshd, keyword, names))
    (said,) = ask(ssh_home.url(host, socket))
    if newer and HAS_RSA:
        assert said is None
    else:
        assert said is not None and said.startswith("ssh_key_exchange: ")
        assert f"no {what} in common: the server offers {names}" in said
        assert re.search(rf"; libssh2 1\.\S+ and the {keyword} of ssh_config leave ", said)
        assert said.endswith(f"; add one to the server's {keyword}")


def test_a_list_of_which_libssh2_has_nothing(ssh_home: SshHome, sshd: StartSsh) -> None:
    """Nobody is asked."""
    server = sshd()
    host = ssh_home.host("lb1", server, MACs="umac-64@openssh.com")
    (said,) = ask(ssh_home.url(host, "/run/a.sock"))
    assert said is not None and said.startswith("ssh_key_exchange: ")
    lines = ssh_home.config_file.read_text().splitlines()
    number = lines.index("  MACs umac-64@openssh.com") + 1
    assert f"the MACs of {ssh_home.config_file}:{number} allow nothing that libssh2" in said


@pytest.mark.parametrize(
    "keyword, value",
    [
        ("Ciphers", "aes128-ctr,arcfour"),
        ("MACs", "+hmac-sha3"),
        ("KexAlgorithms", "^nonsense"),
        ("HostKeyAlgorithms", "ssh-rsa1"),
        ("PubkeyAcceptedAlgorithms", "ed448"),
    ],
)
def test_a_name_that_nobody_knows(
    keyword: str, value: str, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd()
    host = host_with(ssh_home, "lb1", server, keyword, value)
    assert ssh_home.ssh(host, "true").returncode == 255
    (said,) = ask(ssh_home.url(host, "/run/a.sock"))
    lines = ssh_home.config_file.read_text().splitlines()
    number = lines.index(f"  {keyword} {value}") + 1
    assert said is not None
    assert said.startswith(f"ssh_config: {ssh_home.config_file}:{number}: {keyword.lower()}: ")
    assert f"'{value}'" in said
    assert server.connections() == 0


def test_host_key_algorithms(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    """An order that is written out is kept, also against known_hosts."""
    server = sshd(host_keys=("ed25519", "ecdsa"))
    first = ssh_home.host("first", server, known=False, HostKeyAlgorithms="ecdsa-*,ssh-ed25519")
    other = ssh_home.host("other", server, known=False, HostKeyAlgorithms="+ssh-rsa")
    ssh_home.know_key(server.host_keys["ed25519"], f"[127.0.0.1]:{server.port}")
    assert logs_in(ssh_home, first, socket) == (False, False)
    assert logs_in(ssh_home, other, socket) == (True, True)
    none = ssh_home.host("none", server, known=False, HostKeyAlgorithms="ecdsa-sha2-nistp384")
    (said,) = ask(ssh_home.url(none, socket))
    assert said is not None and "no host key algorithm in common: the server offers " in said
    assert ssh_home.ssh(none, "true").returncode != 0


def test_the_keys_of_the_user(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    """One that may not be used is not offered."""
    ecdsa = ssh_home.key("ecdsa")
    server = sshd(authorized=[ssh_home.key(), ecdsa])
    ssh_home.add("Host *", f"  IdentityFile {ecdsa}")
    host = ssh_home.host("lb1", server, PubkeyAcceptedAlgorithms="-ssh-ed25519")
    assert logs_in(ssh_home, host, socket) == (True, True)
    assert "ECDSA" in server.log() and "ED25519 SHA256" not in server.log()
    host = ssh_home.host("lb2", server, PubkeyAcceptedAlgorithms="rsa-sha2-512")
    assert ssh_home.ssh(host, "true").returncode != 0
    (said,) = ask(ssh_home.url(host, socket))
    assert said is not None and said.startswith("ssh_key_unusable: ")
    assert f"{ecdsa} is not offered: the PubkeyAcceptedAlgorithms of " in said
    assert "do not allow ecdsa-sha2-nistp256" in said


def test_an_rsa_key_that_is_allowed_to_sign_by_sha1(
    socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    key = ssh_home.key("rsa")
    server = sshd(authorized=[key], PubkeyAcceptedAlgorithms="+ssh-rsa")
    host = ssh_home.host("lb1", server, key=key, PubkeyAcceptedAlgorithms="ssh-rsa")
    assert logs_in(ssh_home, host, socket) == (True, True)


def test_two_lists_are_two_sessions(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    one = ssh_home.host("one", server, Ciphers="aes128-ctr")
    other = ssh_home.host("other", server, Ciphers="aes256-ctr")
    assert ask(*(ssh_home.url(name, socket) for name in (one, other))) == [None, None]
    assert server.logins() == 2
