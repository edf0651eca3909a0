"""The tests' own SSH servers: OpenSSH's client gets in by the same files, and nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.process import wait_until
from support.ssh.home import Agent, SshHome
from support.ssh.server import SshServer, SshServerFailed, descendants, public_half

Start = Callable[..., SshServer]


def test_ssh_logs_in_by_the_home(ssh_home: SshHome, sshd: Start) -> None:
    server = sshd(host_keys=("ed25519", "ecdsa", "rsa"))
    done = ssh_home.ssh(ssh_home.host("lb1", server), "echo", "here")
    assert (done.stdout, done.returncode) == ("here\n", 0), done.stderr
    assert (server.connections(), server.logins()) == (1, 1)


def test_a_setting_is_the_servers_own(ssh_home: SshHome, sshd: Start) -> None:
    server = sshd(AllowUsers="somebody-else")
    done = ssh_home.ssh(ssh_home.host("lb1", server), "true")
    assert done.returncode == 255
    assert "not listed in AllowUsers" in server.log()


def test_what_sshd_does_not_like_is_told() -> None:
    with pytest.raises(SshServerFailed, match="Bad configuration option: NoSuchThing"):
        SshServer(NoSuchThing="yes")


def test_nothing_is_left_of_a_server_with_open_connections(ssh_home: SshHome) -> None:
    server = SshServer(authorized=[ssh_home.key()])
    name = ssh_home.host("lb1", server)
    assert ssh_home.ssh(name, "sleep 100 >/dev/null 2>&1 &").returncode == 0
    family = [server.pid, *descendants(server.pid)]
    server.close()
    # The first process of the machine buries them.
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), "their end")
    assert not server.folder.exists()


def test_an_agent_holds_an_encrypted_key(ssh_home: SshHome, sshd: Start) -> None:
    key = ssh_home.key(name="locked", passphrase="open sesame")
    server = sshd(authorized=[key])
    assert public_half(key) in server.authorized_file.read_text()
    with Agent() as agent:
        agent.add(key, "open sesame")
        name = ssh_home.host("lb1", server, key=key, IdentityAgent=str(agent.socket))
        assert ssh_home.ssh(name, "true").returncode == 0
