"""RevokedHostKeys: what such a file takes back is not accepted at any hop, as with ssh itself."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import pytest

from stillgate import Fleet
from support.command import ask
from support.process import wait_until
from support.ssh.home import ME, SshHome
from support.ssh.server import SshServer, fingerprint, make_key, public_half, release

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]
# By ssh-keygen, from each of these for the keys.
KINDS = ["text", "key", "sha1", "sha256", "hash"]


@pytest.fixture
def socket(haproxy: Start) -> Path:
    """The stats socket behind the SSH server."""
    return haproxy("3.0").sockets[0]


def revoke(home: SshHome, *keys: Path, kind: str = "text") -> Path:
    """The file that revokes them."""
    path = home.folder / f"revoked by {kind}"
    if kind == "text":
        path.write_text("# taken back\n" + "".join(f"{public_half(key)} gone\n" for key in keys))
        return path
    specification = home.folder / "specification"
    what = fingerprint if kind == "hash" else public_half
    specification.write_text("".join(f"{kind}: {what(key)}\n" for key in keys))
    command = ["ssh-keygen", "-q", "-k", "-f", str(path), str(specification)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def refusal(home: SshHome, name: str, socket: Path, by_ssh: bool = True) -> str:
    """Of what ssh refuses, too, unless `by_ssh` says otherwise."""
    if by_ssh:
        ran = home.ssh(name, "true")
        assert ran.returncode == 255 and "Host key verification failed." in ran.stderr
    (words,) = ask(home.url(name, socket))
    assert words is not None
    return words


@pytest.mark.parametrize("kind", KINDS)
def test_a_revoked_key_is_refused_though_it_is_known(
    kind: str, socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd()
    key = server.host_keys["ed25519"]
    file = revoke(ssh_home, make_key(ssh_home.folder / "other"), key, kind=kind)
    said = refusal(ssh_home, ssh_home.host("lb1", server, RevokedHostKeys=f'"{file}"'), socket)
    assert said == (
        f"ssh_host_key_revoked: ssh to {ME}@127.0.0.1:{server.port}: its ssh-ed25519 host key "
        f"{fingerprint(key)} is revoked " + (f"at {file}:3" if kind == "text" else f"by {file}")
    )
    assert server.logins() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_other_keys_of_that_file_do_no_harm(
    kind: str, socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd(host_keys=("ed25519", "ecdsa"))
    others = [make_key(ssh_home.folder / "other"), server.host_keys["ecdsa"]]
    file = revoke(ssh_home, *others, kind=kind)
    # Of the server's keys the one that it shows is asked about, and no other.
    name = ssh_home.host("lb1", server, RevokedHostKeys=f'"{file}"')
    assert ssh_home.ssh(name, "true").returncode == 0
    assert ask(ssh_home.url(name, socket)) == [None]


@pytest.mark.parametrize("checking", ["accept-new", "no"])
@pytest.mark.parametrize("kind", ["text", "key"])
def test_a_new_key_that_is_revoked_is_not_written_down(
    kind: str, checking: str, socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd()
    file = revoke(ssh_home, server.host_keys["ed25519"], kind=kind)
    name = ssh_home.host(
        "lb1",
        server,
        known=False,
        StrictHostKeyChecking=checking,
        RevokedHostKeys=f'"{file}"',
    )
    assert refusal(ssh_home, name, socket).startswith("ssh_host_key_revoked: ")
    assert ssh_home.known_hosts.read_text() == ""
    assert server.logins() == 0


@pytest.mark.parametrize("kind", ["text", "sha256"])
def test_at_a_jump_host(kind: str, socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    jump, last = sshd(), sshd()
    file = revoke(ssh_home, jump.host_keys["ed25519"], kind=kind)
    ssh_home.host("jump", jump, RevokedHostKeys=f'"{file}"')
    name = ssh_home.host("lb1", last, ProxyJump="jump")
    # ssh itself says it of the other ssh that it starts.
    ran = ssh_home.ssh(name, "true")
    assert ran.returncode == 255 and f"revoked by file {file}" in ran.stderr
    (said,) = ask(ssh_home.url(name, socket))
    assert said is not None
    assert said.startswith("ssh_host_key_revoked: through a jump host: ")
    assert f"{ME}@127.0.0.1:{jump.port}: " in said and str(file) in said
    assert (jump.logins(), last.logins()) == (0, 0)


def test_behind_a_jump_host(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    jump, last = sshd(), sshd()
    file = revoke(ssh_home, last.host_keys["ed25519"])
    ssh_home.host("jump", jump)
    name = ssh_home.host("lb1", last, ProxyJump="jump", RevokedHostKeys=f'"{file}"')
    said = refusal(ssh_home, name, socket)
    assert said.startswith(f"ssh_host_key_revoked: ssh to {ME}@127.0.0.1:{last.port}: ")
    assert last.logins() == 0


def broken(home: SshHome, server: SshServer, how: str) -> str:
    """A RevokedHostKeys that ssh can make nothing of, though it does not have the server's key."""
    other = make_key(home.folder / "other")
    if how == "missing":
        return str(home.folder / "missing")
    if how == "a folder":
        return str(home.folder)
    if how == "no key":
        path = revoke(home, other)
        path.write_text(f"{path.read_text()}* {public_half(other)}\n")
        return str(path)
    path = revoke(home, other, kind="key")
    path.write_bytes(path.read_bytes()[:-1])
    return str(path)


@pytest.mark.parametrize(
    "how, why",
    [
        ("missing", "No such file or directory"),
        ("a folder", "a folder, not a plain file"),
        ("no key", "line 3 is not a public key such as 'ssh-ed25519 AAAA...'"),
        ("cut off", "this KRL breaks off"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_is_not_understood_refuses_every_key(
    known: bool, how: str, why: str, socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd()
    file = broken(ssh_home, server, how)
    name = ssh_home.host(
        "lb1",
        server,
        known=known,
        StrictHostKeyChecking="accept-new",
        RevokedHostKeys=f'"{file}"',
    )
    before = ssh_home.known_hosts.read_text()
    said = refusal(ssh_home, name, socket)
    lines = ssh_home.config_file.read_text().splitlines()
    (number,) = [at for at, line in enumerate(lines, 1) if "RevokedHostKeys" in line]
    assert said.startswith(f"ssh_config: ssh to {ME}@127.0.0.1:{server.port}: its ssh-ed25519 ")
    assert f": {file}, the RevokedHostKeys of {ssh_home.config_file}:{number}: {why}; " in said
    assert said.endswith("correct the file, or remove that line")
    assert ssh_home.known_hosts.read_text() == before
    assert server.logins() == 0


@pytest.mark.parametrize("first", [True, False])
def test_each_of_two_files_counts_and_its_name_is_expanded(
    first: bool, socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    """As OpenSSH 10.6 does it; 9.2 takes one file, and expands nothing."""
    server = sshd()
    wanted = revoke(ssh_home, server.host_keys["ed25519"])
    wanted.rename(ssh_home.folder / "revoked-lb1")
    other = revoke(ssh_home, make_key(ssh_home.folder / "other"))
    names = [f'"~/../..{ssh_home.folder}/revoked-%n"', f'"{other}"']
    listed = " ".join(names if first else names[::-1])
    name = ssh_home.host("lb1", server, RevokedHostKeys=listed)
    said = refusal(ssh_home, name, socket, by_ssh=release() >= (10, 6))
    assert said.startswith("ssh_host_key_revoked: ") and "revoked-lb1:2" in said
    assert server.logins() == 0


def test_none_is_no_file(socket: Path, ssh_home: SshHome, sshd: StartSsh) -> None:
    server = sshd()
    name = ssh_home.host("lb1", server, RevokedHostKeys="none")
    ssh_home.add(f"  RevokedHostKeys {ssh_home.folder / 'missing'}")
    assert ssh_home.ssh(name, "true").returncode == 0
    assert ask(ssh_home.url(name, socket)) == [None]


def test_hosts_with_and_without_it_share_no_session(
    socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    """The same server by two names, of which one has its key revoked."""
    server = sshd()
    file = revoke(ssh_home, server.host_keys["ed25519"])
    ssh_home.host("free", server)
    ssh_home.host("revoked", server, RevokedHostKeys=f'"{file}"')
    for names in (["free", "revoked"], ["revoked", "free"]):
        said = dict(zip(names, ask(*(ssh_home.url(name, socket) for name in names))))
        assert said["free"] is None
        assert str(said["revoked"]).startswith("ssh_host_key_revoked: ")


@pytest.mark.usefixtures("state")
def test_what_is_revoked_while_a_process_runs(
    socket: Path, ssh_home: SshHome, sshd: StartSsh
) -> None:
    server = sshd()
    other = make_key(ssh_home.folder / "other")
    file = revoke(ssh_home, other)
    url = ssh_home.url(ssh_home.host("lb1", server, RevokedHostKeys=f'"{file}"'), socket)

    def code() -> Optional[str]:
        (one,) = Fleet([url]).execute("show info")
        gc.collect()
        wait_until(lambda: not server.sessions(), "the end of that session")
        return one.error.code if one.error is not None else None

    assert [code(), code()] == [None, None]
    revoke(ssh_home, server.host_keys["ed25519"])
    assert [code(), code()] == ["ssh_host_key_revoked"] * 2
    file.unlink()
    assert code() == "ssh_config"
    revoke(ssh_home, other)
    assert code() is None
