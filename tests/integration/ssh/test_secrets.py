"""What is typed for SSH: passphrases and passwords, asked for once on a terminal, found nowhere."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.command import AT_ONCE_S, F, run, run_json
from support.haproxy.guards import guards
from support.haproxy.server import HAProxy
from support.patience import patient
from support.process import wait_until
from support.ssh.home import HAS_RSA, ME, SshHome
from support.ssh.password import taking
from support.ssh.server import SshServer
from support.terminal import INTERRUPT, AtTerminal

if TYPE_CHECKING:
    from conftest import Start

StartSsh = Callable[..., SshServer]
# No other run has the same: those beside this one give theirs to processes on purpose.
SECRET = f"correct-horse-{secrets.token_hex(8)}"


@pytest.fixture
def proxy(haproxy: Start, state: Path) -> HAProxy:
    return haproxy("3.0", unix_sockets=2)


@pytest.fixture
def locked(ssh_home: SshHome) -> Path:
    return ssh_home.key(name="locked", passphrase=SECRET)


def seen_of_processes() -> list[bytes]:
    """What anybody on this machine may read of any process."""
    seen = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                seen += [(entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()]
            except OSError:
                continue
    return seen


def test_a_passphrase_is_asked_for_once(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh, locked: Path
) -> None:
    first, second = (sshd(authorized=[locked]) for _ in range(2))
    urls = [
        ssh_home.url(ssh_home.host("lb1", first, key=locked), proxy.sockets[0]),
        ssh_home.url(ssh_home.host("lb2", second, key=locked), proxy.sockets[1]),
    ]
    command = ["exec", "show info", "-e", urls[0], "-e", urls[1]]
    with AtTerminal(*command, environment=ssh_home.environment()) as terminal:
        terminal.wait_for(f"Passphrase of {locked}: ")
        terminal.enter(f"{SECRET}\n")
        status, out, talk = terminal.finish()
    assert status == 0, talk
    assert [line for line in out.splitlines() if line.startswith("# ")] == ["# lb1", "# lb2"]
    assert terminal.shown.count("Passphrase") == 1
    assert SECRET not in terminal.shown + out + talk


def test_a_key_that_cannot_serve_spares_nobody_the_passphrase(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh, locked: Path
) -> None:
    """RSA, with libssh2 before 1.11; with a later one it is refused by the server."""
    name = ssh_home.host("lb1", sshd(authorized=[locked]), key=ssh_home.key("rsa"))
    ssh_home.add(f"  IdentityFile {locked}")
    command = ["exec", "show info", "-e", ssh_home.url(name, proxy.sockets[0])]
    with AtTerminal(*command, environment=ssh_home.environment()) as terminal:
        if HAS_RSA:
            assert terminal.finish()[0] == 1
            return
        terminal.wait_for(f"Passphrase of {locked}: ")
        terminal.enter(f"{SECRET}\n")
        status, _, talk = terminal.finish()
    assert status == 0, talk


def test_a_wrong_passphrase(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh, locked: Path
) -> None:
    server = sshd(authorized=[locked])
    url = ssh_home.url(ssh_home.host("lb1", server, key=locked), proxy.sockets[0])
    with AtTerminal("exec", "show info", "-e", url, environment=ssh_home.environment()) as terminal:
        terminal.wait_for("Passphrase of ")
        terminal.enter("wrong\n")
        status, out, talk = terminal.finish()
    assert status == 1
    assert f"the typed passphrase does not decrypt {locked}" in out
    assert "wrong\n" not in terminal.shown


def test_a_question_can_be_interrupted(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh, locked: Path
) -> None:
    server = sshd(authorized=[locked])
    url = ssh_home.url(ssh_home.host("lb1", server, key=locked), proxy.sockets[0])
    here = ssh_home.environment()
    with AtTerminal("suspend", F, "-e", url, environment=here) as terminal:
        terminal.wait_for("Passphrase of ")
        before = time.monotonic()
        terminal.enter(INTERRUPT)
        status, _, talk = terminal.finish()
        assert time.monotonic() - before < patient(AT_ONCE_S)
        assert terminal.echoes()
    assert (status, talk.strip()) == (130, "stopped; nothing is held, traffic flows")
    assert server.connections() == 0


def test_the_guard_logs_in_by_what_was_typed(
    proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh, locked: Path, state: Path
) -> None:
    """It has no terminal; and its standby guard, which takes over, has none either."""
    server = sshd(authorized=[locked])
    url = ssh_home.url(ssh_home.host("lb1", server, key=locked), proxy.sockets[0])
    here = ssh_home.environment()
    with AtTerminal(
        "suspend", F, "--max-hold", str(patient(4)), "-e", url, environment=here
    ) as terminal:
        terminal.wait_for("Passphrase of ")
        terminal.enter(f"{SECRET}\n")
        status, out, talk = terminal.finish()
    assert status == 0, out + talk
    assert proxy.limit(F) == 0
    pair = guards(state)
    assert len(pair) == 2
    assert not any(SECRET.encode() in text for text in seen_of_processes())
    server.cut()
    os.kill(pair[0], signal.SIGKILL)
    wait_until(lambda: proxy.limit(F) == 100, "the release by the guard's twin")
    wait_until(lambda: not guards(state), "the guard to leave")
    told = "".join(
        path.read_text("utf-8", "replace") for path in state.rglob("*") if path.is_file()
    )
    assert '"event":"expired"' in told
    assert SECRET not in told + server.log() + terminal.shown + out + talk


# --- passwords ------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["password", "keyboard-interactive"])
def test_a_password_when_asked_for(
    way: str, proxy: HAProxy, ssh_home: SshHome, sshd: StartSsh, tmp_path: Path
) -> None:
    by_pam = way == "keyboard-interactive"
    if by_pam and not Path("/etc/pam.d/sshd").exists():
        pytest.skip("there is no PAM for sshd, which keyboard-interactive needs")
    server = sshd(
        authorized=[],
        environment=taking(SECRET, tmp_path),
        UsePAM="yes" if by_pam else "no",
        PasswordAuthentication="no" if by_pam else "yes",
        KbdInteractiveAuthentication="yes" if by_pam else "no",
    )
    name = ssh_home.host("lb1", server)
    plain = ssh_home.url(name, proxy.sockets[0])
    here = ssh_home.environment()
    # Not asked for: only said that the server would take it.
    status, document = run_json("exec", "show info", "-e", plain, environment=here)
    (outcome,) = document["outcomes"]
    assert outcome["error"]["code"] == "ssh_auth_failed"
    assert f"it would accept publickey,{way}" in outcome["error"]["message"]
    asked = ssh_home.url(name, proxy.sockets[0], auth=way)
    with AtTerminal("exec", "show info", "-e", asked, environment=here) as terminal:
        terminal.wait_for(f"Password of {ME}@127.0.0.1:{server.port}: ")
        terminal.enter(f"{SECRET}\n")
        status, out, talk = terminal.finish()
    assert status == 0, out + talk
    assert "\nPid: " in out
    assert SECRET not in terminal.shown + out + talk + server.log()
    with AtTerminal("exec", "show info", "-e", asked, environment=here) as terminal:
        terminal.wait_for("Password of ")
        terminal.enter("wrong\n")
        status, out, talk = terminal.finish()
    assert status == 1
    assert "ssh_auth_failed" in out and "the server did not accept the password" in out
    done = run("exec", "show info", "-e", asked, environment=here)
    assert "there is no terminal to ask on" in done.stdout
