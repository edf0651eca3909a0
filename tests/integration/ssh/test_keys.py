"""Keys for SSH: every type, in files and in an agent, and what is said of what cannot serve."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.command import ask
from support.ssh.home import HAS_RSA, LIBSSH2, ME, Agent, SshHome
from support.ssh.server import SshServer, fingerprint, make_key, release

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]
PASSPHRASE = "an open secret"


@pytest.fixture
def socket(haproxy: Start) -> Path:
    """The stats socket behind the SSH server."""
    return haproxy("3.0").sockets[0]


NO_RSA = (
    f"RSA keys cannot be used: libssh2 {LIBSSH2} signs with SHA-1 only, which OpenSSH "
    "8.8 and later refuses; use an ed25519 or ecdsa key"
)


# --- in files -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_key_in_a_file(kind: str, socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    key = ssh_home.key(kind)
    server = sshd(authorized=[key])
    # Nobody needs the .pub.
    Path(f"{key}.pub").rename(ssh_home.folder / "elsewhere.pub")
    assert ask(ssh_home.url(ssh_home.host("lb1", server, key=key), socket)) == [None]
    assert f"Accepted publickey for {ME} " in server.log()


def test_a_key_in_pem(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    key = ssh_home.key("ecdsa")
    server = sshd(authorized=[key])
    rewrite = ["ssh-keygen", "-q", "-p", "-N", "", "-m", "PEM", "-f", str(key)]
    subprocess.run(rewrite, check=True, capture_output=True)
    assert "BEGIN EC PRIVATE KEY" in key.read_text()
    assert ask(ssh_home.url(ssh_home.host("lb1", server, key=key), socket)) == [None]


def test_a_key_that_the_url_names(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    other = make_key(ssh_home.folder / "other")
    server = sshd(authorized=[other])
    name = ssh_home.host("lb1", server)
    assert ask(ssh_home.url(name, socket, identity=str(other))) == [None]
    (said,) = ask(ssh_home.url(name, socket, identity="/nowhere/key"))
    assert said is not None
    assert said.startswith("ssh_key_unusable: ")
    assert "/nowhere/key cannot be read: No such file or directory" in said


def test_several_keys_are_offered_in_their_order(
    socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    first, second = ssh_home.key("ecdsa"), ssh_home.key("ed25519")
    server = sshd(authorized=[second])
    name = ssh_home.host("lb1", server, key=first)
    ssh_home.add("Host *", f"  IdentityFile {second}")
    assert ask(ssh_home.url(name, socket)) == [None]
    offered = server.log()
    assert 0 < offered.find(f"Failed publickey for {ME} ") < offered.find("Accepted publickey ")
    assert server.connections() == 1


def test_an_rsa_key(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    key = ssh_home.key("rsa")
    server = sshd(authorized=[key])
    (said,) = ask(ssh_home.url(ssh_home.host("lb1", server, key=key), socket))
    if HAS_RSA:
        assert said is None
    else:
        assert said is not None
        assert said.startswith("ssh_key_unusable: ")
        assert said.endswith(NO_RSA)


def test_a_good_key_beside_an_rsa_key(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd(MaxAuthTries="2")
    name = ssh_home.host("lb1", server, key=ssh_home.key("rsa"))
    ssh_home.add("Host *", f"  IdentityFile {ssh_home.key()}")
    assert ask(ssh_home.url(name, socket)) == [None]


def test_no_key_at_all(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    nowhere = ssh_home.folder / "nowhere"
    (said,) = ask(ssh_home.url(ssh_home.host("lb1", sshd(), key=nowhere), socket))
    assert said is not None
    assert said.startswith("ssh_auth_failed: ")
    assert "no key to offer: no agent, and none of the key files exists" in said
    assert said.endswith("it would accept publickey")


def test_a_key_that_the_server_does_not_know(
    socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd(authorized=[ssh_home.key("ecdsa")])
    name = ssh_home.host("lb1", server)
    (said,) = ask(ssh_home.url(name, socket))
    assert said is not None
    assert said.startswith(f"ssh_auth_failed: ssh to {ME}@127.0.0.1:{server.port}: ")
    assert f"the server did not accept {ssh_home.key()}; it would accept publickey" in said


def test_too_many_keys(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    """The server hangs up, and its words are told; OpenSSH 10.6 asks for all of them first."""
    server = sshd(MaxAuthTries="2")
    name = ssh_home.host("lb1", server, key=make_key(ssh_home.folder / "wrong0"))
    for number in range(1, 4):
        key = make_key(ssh_home.folder / f"wrong{number}")
        ssh_home.add("Host *", f"  IdentityFile {key}")
    (said,) = ask(ssh_home.url(name, socket))
    assert said is not None
    assert said.startswith("ssh_auth_failed: ")
    if release() < (10, 6):
        assert "Too many authentication failures" in said
    else:
        assert "wrong3; it would accept publickey" in said


def test_what_is_no_key(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    key = ssh_home.folder / "no_key"
    key.touch(0o600)
    key.write_text("no key\n")
    server = sshd()
    (said,) = ask(ssh_home.url(ssh_home.host("lb1", server, key=key), socket))
    assert said is not None
    assert said.startswith("ssh_key_unusable: ")
    assert f"{key} cannot be used as a private key" in said
    assert "Failed publickey" not in server.log()


def test_an_encrypted_key_without_agent_and_terminal(
    socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    key = ssh_home.key(name="locked", passphrase=PASSPHRASE)
    server = sshd(authorized=[key])
    (said,) = ask(ssh_home.url(ssh_home.host("lb1", server, key=key), socket))
    assert said is not None
    assert said.startswith("ssh_key_unusable: ")
    assert f"{key} is encrypted, and its passphrase was not typed; run ssh-add" in said


def test_a_wrong_user(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    name = ssh_home.host("lb1", server, User="nobody-of-that-name")
    (said,) = ask(ssh_home.url(name, socket))
    assert said is not None
    assert said.startswith(f"ssh_auth_failed: ssh to nobody-of-that-name@127.0.0.1:{server.port}: ")
    # The URL's user overrules the configuration's.
    assert ask(ssh_home.url(f"{ME}@{name}", socket)) == [None]


# --- in an agent ----------------------------------------------------------------------


def test_an_encrypted_key_by_an_agent(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    key = ssh_home.key(name="locked", passphrase=PASSPHRASE)
    server = sshd(authorized=[key])
    with Agent() as agent:
        agent.add(key, PASSPHRASE)
        name = ssh_home.host("lb1", server, key=key, IdentityAgent="SSH_AUTH_SOCK")
        here = ssh_home.environment(agent)
        assert ask(ssh_home.url(name, socket), environment=here) == [None]
    assert fingerprint(key) in server.log()
    (said,) = ask(ssh_home.url(name, socket), environment=here)
    assert said is not None and said.startswith("ssh_key_unusable: ")


def test_a_key_file_that_is_there_and_cannot_be_read(
    socket: Path, ssh_home: SshHome, sshd: StartSsh, tmp_path: Path
) -> None:
    name = ssh_home.host("lb1", sshd(), key=tmp_path)
    (said,) = ask(ssh_home.url(name, socket))
    assert said is not None and said.startswith("ssh_key_unusable: ")
    assert f"the key {tmp_path} cannot be read: a folder, not a plain file" in said


@pytest.mark.parametrize("named", ["its public half", "a private half that is elsewhere"])
def test_a_key_of_the_agents_named_by_its_public_half(
    named: str, socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    key = ssh_home.key(name="inside")
    server = sshd(authorized=[key])
    public = Path(f"{key}.pub")
    with Agent() as agent:
        agent.add(key)
        key.unlink()
        identity = public if named == "its public half" else key
        name = ssh_home.host("lb1", server, key=identity, IdentityAgent=str(agent.socket))
        assert ssh_home.ssh(name, "true").returncode == 0
        assert ask(ssh_home.url(name, socket)) == [None]
    (said,) = ask(ssh_home.url(name, socket))
    assert said is not None and said.startswith("ssh_key_unusable: ")
    assert f"only the public half of {identity} is here, and no agent has the key" in said


def test_identities_only_keeps_the_agents_other_keys_back(
    socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    inside = ssh_home.key("ecdsa")
    server = sshd(authorized=[inside])
    with Agent() as agent:
        agent.add(inside)
        ssh_home.add(f"IdentityAgent {agent.socket}")
        shy = ssh_home.host("shy", server)
        open_to_all = ssh_home.host("open", server, IdentitiesOnly="no")
        refused, answered = ask(ssh_home.url(shy, socket), ssh_home.url(open_to_all, socket))
    assert refused is not None and refused.startswith("ssh_auth_failed: ")
    assert answered is None


def test_an_rsa_key_in_an_agent(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    key = ssh_home.key("rsa")
    server = sshd(authorized=[key])
    with Agent() as agent:
        agent.add(key)
        name = ssh_home.host("lb1", server, key=key, IdentityAgent=str(agent.socket))
        (said,) = ask(ssh_home.url(name, socket))
    if HAS_RSA:
        assert said is None
    else:
        assert said is not None and said.startswith("ssh_key_unusable: ") and NO_RSA in said


def test_a_certificate(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    authority, key = make_key(ssh_home.folder / "authority"), ssh_home.key("ecdsa")
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", "-n", ME, f"{key}.pub"]
    subprocess.run(sign, check=True, capture_output=True)
    server = sshd(authorized=[], TrustedUserCAKeys=f"{authority}.pub")
    name = ssh_home.host("lb1", server, key=key, CertificateFile=f"{key}-cert.pub")
    assert ask(ssh_home.url(name, socket)) == [None]
    assert "Accepted certificate ID" in server.log() or "CA ED25519" in server.log()
