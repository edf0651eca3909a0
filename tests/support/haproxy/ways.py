"""The ways to an HAProxy's stats socket: straight, through an SSH server, and behind a relay.

    ways(proxy, "ssh tcp")          # a fleet of that HAProxy alone; made by the fixture `ways`
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from stillgate import Fleet
from support.closing import Closing
from support.haproxy.server import HAProxy
from support.process import accepts, wait_until
from support.ssh.home import SshHome
from support.ssh.server import SshServer

WAYS = ["unix", "tcp", "ssh", "ssh tcp", "relay", "tcp relay", "ssh -L relay"]


class Ways(Closing):
    """The HAProxy needs a unix and a TCP stats socket; the relays are in `folder`, one a test."""

    def __init__(self, sshd: Callable[..., SshServer], home: SshHome, folder: Path) -> None:
        self._sshd, self._home = sshd, home
        self._path = folder / "relay.sock"
        self._relays: list[subprocess.Popen[bytes]] = []

    def __call__(self, proxy: HAProxy, way: str) -> Fleet:
        unix, tcp = proxy.endpoints
        if way == "unix":
            return Fleet([unix])
        if way == "tcp":
            return Fleet([tcp])
        if way == "relay":
            return self._socat(f"UNIX-CONNECT:{proxy.sockets[0]}")
        if way == "tcp relay":
            return self._socat(f"TCP-CONNECT:127.0.0.1:{proxy.tcp_port}")
        name = self._home.host("lb", self._sshd())
        if way == "ssh":
            return Fleet([self._home.url(name, proxy.sockets[0])])
        if way == "ssh tcp":
            return Fleet([self._home.url(name, tcp=f"127.0.0.1:{proxy.tcp_port}")])
        forward = ["-N", "-L", f"{self._path}:{proxy.sockets[0]}", name]
        return self._relay("ssh", "-F", str(self._home.config_file), *forward)

    def close(self) -> None:
        while self._relays:
            one = self._relays.pop()
            one.kill()
            one.wait()

    def _socat(self, target: str) -> Fleet:
        return self._relay("socat", f"UNIX-LISTEN:{self._path},fork", target)

    def _relay(self, *command: str) -> Fleet:
        self._relays.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
        wait_until(lambda: accepts(self._path), "the relay")
        return Fleet([f"unix://{self._path}"])
