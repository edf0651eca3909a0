"""Keys over SSH: every type, encrypted ones by an agent and by a terminal, and what is said of those
that cannot serve.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.command import ask
from support.faults import FaultyPeer
from support.ssh_home import Agent, SshHome
from support.sshd import SshServer, fingerprint

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]
PASSPHRASE = "an open secret"


@pytest.fixture
def socket(haproxy: Start) -> Path:
    """The stats socket behind the SSH server."""
    return haproxy("3.0").sockets[0]


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_key_in_a_file(kind: str, socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    key = ssh_home.key(kind)
    server = sshd(authorized=[key])
    name = ssh_home.host("lb1", server, key=key)
    assert ask(ssh_home.url(name, socket)) == [None]
    assert f"Accepted publickey for root from 127.0.0.1" in server.log()


def test_an_rsa_key_is_said_to_be_unusable(
    socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    key = ssh_home.key("rsa")
    server = sshd(authorized=[key])
    (said,) = ask(ssh_home.url(ssh_home.host("lb1", server, key=key), socket))
    print(said)
    assert said is None


def test_nothing_to_offer(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    (said,) = ask(
        ssh_home.url(ssh_home.host("lb1", server, key=ssh_home.folder / "nowhere"), socket)
    )
    print(said)
    assert said is None
def test_enc(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    key = ssh_home.key(name="enc", passphrase=PASSPHRASE)
    server = sshd(authorized=[key])
    (said,) = ask(
        ssh_home.url(ssh_home.host("lb1", server, key=key), socket)
    )
    print(said)
    assert said is None
def test_wrong(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd(authorized=[])
    (said,) = ask(
        ssh_home.url(ssh_home.host("lb1", server), socket)
    )
    print(said)
    assert said is None
def test_garbage(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd(authorized=[])
    key=ssh_home.folder/"garbage"
    key.write_text("garbage\n")
    (said,) = ask(
        ssh_home.url(ssh_home.host("lb1", server,key=key), socket)
    )
    print(said)
    assert said is None
def test_agent(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    key = ssh_home.key(name="enc", passphrase=PASSPHRASE)
    server = sshd(authorized=[key])
    with Agent() as agent:
      agent.add(key,PASSPHRASE)
      (said,) = ask(
        ssh_home.url(ssh_home.host("lb1", server, key=key,IdentityAgent=str(agent.socket)), socket)
      )
    print(said)
    assert said is None
