"""The client's side of SSH: keys, an ssh_config and a known_hosts of a test's own, and an agent.

Neither ssh nor Stillgate asks $HOME where ~/.ssh is, so an endpoint names its configuration
(`?config=`), and that names all the rest: nothing of this machine's is read.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Optional

from support.closing import Closing
from support.process import accepts, wait_until
from support.ssh.server import SshServer, make_key, public_half

ME = pwd.getpwuid(os.geteuid()).pw_name
LIBSSH2 = subprocess.run(
    ["pkg-config", "--modversion", "libssh2"], check=True, capture_output=True, text=True
).stdout.strip()
# Before 1.11 it signs with SHA-1 alone.
HAS_RSA = tuple(int(part) for part in LIBSSH2.split(".")[:2]) >= (1, 11)


class SshHome:
    """`folder` is made. Hosts that are added know their servers' keys, unless told otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.config_file = folder / "config"
        self.known_hosts = folder / "known_hosts"
        self.config_file.touch(mode=0o600)
        self.known_hosts.touch(mode=0o600)

    # --- keys ---

    def key(self, kind: str = "ed25519", *, name: str = "", passphrase: str = "") -> Path:
        """The private key of that name, made when it is asked for first."""
        path = self.folder / (name or f"id_{kind}")
        return path if path.exists() else make_key(path, kind, passphrase)

    # --- hosts ---

    def host(
        self,
        name: str,
        server: SshServer,
        *,
        key: Optional[Path] = None,
        known: bool = True,
        **settings: str,
    ) -> str:
        """Writes a host of that name into the ssh_config, which logs in as who runs the tests, by
        one key file (id_ed25519) and no agent. Other keyword arguments are ssh_config's own
        keywords and overrule that.
        """
        values = {
            "HostName": "127.0.0.1",
            "Port": str(server.port),
            "User": ME,
            "IdentityFile": str(key or self.key()),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": str(self.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            **settings,
        }
        self.add(f"Host {name}", *(f"  {keyword} {value}" for keyword, value in values.items()))
        if known:
            self.know(server, values.get("HostKeyAlias", f"[127.0.0.1]:{server.port}"))
        return name

    def add(self, *lines: str) -> None:
        """To the ssh_config."""
        with open(self.config_file, "a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def know(self, server: SshServer, name: str = "", *, hashed: bool = False) -> None:
        """All host keys of that server, by that name."""
        for key in server.host_keys.values():
            self.know_key(key, name or f"[127.0.0.1]:{server.port}")
        if hashed:
            command = ["ssh-keygen", "-q", "-H", "-f", str(self.known_hosts)]
            subprocess.run(command, check=True, capture_output=True)
            Path(f"{self.known_hosts}.old").unlink()

    def know_key(self, key: Path, name: str, marker: str = "") -> None:
        with open(self.known_hosts, "a") as file:
            file.write(f"{marker} {name} {public_half(key)}\n".lstrip())

    # --- for Stillgate, and for ssh ---

    def url(self, name: str, path: object = "", **query: str) -> str:
        """`tcp="127.0.0.1:9999"` and the like are the query's."""
        words = [
            f"{key}={value}" for key, value in {**query, "config": str(self.config_file)}.items()
        ]
        return f"ssh://{name}{path}?{'&'.join(words)}"

    def environment(self, agent: Optional[Agent] = None) -> dict[str, str]:
        """The tests' own, with that agent or none."""
        found = {key: value for key, value in os.environ.items() if key != "SSH_AUTH_SOCK"}
        if agent is not None:
            found["SSH_AUTH_SOCK"] = str(agent.socket)
        return found

    def ssh(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """OpenSSH's own client, by the same configuration."""
        return subprocess.run(
            ["ssh", "-F", str(self.config_file), "-o", "BatchMode=yes", name, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=self.environment(),
        )


class Agent(Closing):
    """A real ssh-agent, ended with the block. `asks`: the program by which it has a key's use
    confirmed, where the key was added so.
    """

    def __init__(self, asks: str = "false") -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sg-agent-", dir="/tmp"))
        self.socket = self._folder / "agent"
        self._process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", str(self.socket)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={
                **os.environ,
                "SSH_ASKPASS": f"/bin/{asks}",
                "SSH_ASKPASS_REQUIRE": "force",
                "DISPLAY": ":none",
            },
        )
        wait_until(lambda: accepts(self.socket), "ssh-agent")

    @property
    def pid(self) -> int:
        return self._process.pid

    def add(self, key: Path, passphrase: str = "", *, confirm: bool = False) -> None:
        asking = self._folder / "askpass"
        asking.write_text('#!/bin/sh\nprintf "%s\\n" "$PASSPHRASE"\n')
        asking.chmod(0o700)
        environment = {
            **os.environ,
            "SSH_AUTH_SOCK": str(self.socket),
            "SSH_ASKPASS": str(asking),
            "SSH_ASKPASS_REQUIRE": "force",
            "PASSPHRASE": passphrase,
        }
        command = ["ssh-add", "-q", *(["-c"] if confirm else []), str(key)]
        subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)
