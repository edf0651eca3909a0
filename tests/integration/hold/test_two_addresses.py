"""A name with two addresses, of which the first leads nowhere."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.command import F, only, run_json
from support.haproxy.server import HAProxy
from support.ssh.home import SshHome
from support.ssh.server import SshServer

if TYPE_CHECKING:
    from conftest import Start

NAME = "lb.test"
SOURCE = Path(__file__).parents[2] / "support" / "two_addresses.cpp"
Silence = Callable[[int], Mapping[str, str]]


@pytest.fixture
def silence(tmp_path: Path) -> Iterator[Silence]:
    """A port of the first address, where no connection is accepted or refused; gives the
    environment in which the name is known.
    """
    compiled = tmp_path / "two_addresses.so"
    subprocess.run(["g++", "-shared", "-fPIC", SOURCE, "-o", compiled], check=True)
    with ExitStack() as opened:

        def silent(port: int) -> Mapping[str, str]:
            listener = opened.enter_context(socket.create_server(("127.0.0.2", port), backlog=0))
            for _ in range(4):
                client = opened.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(listener.getsockname())
            with pytest.raises(TimeoutError):
                socket.create_connection(listener.getsockname(), 0.5)
            return {**os.environ, "LD_PRELOAD": str(compiled), "TWO_ADDRESSES_NAME": NAME}

        yield silent


def test_of_a_tcp_socket(haproxy: Start, state: Path, silence: Silence) -> None:
    proxy: HAProxy = haproxy("3.0", tcp_socket=True)
    assert proxy.tcp_port is not None
    url = f"tcp://{NAME}:{proxy.tcp_port}"
    status, document = run_json("check", F, "-e", url, environment=silence(proxy.tcp_port))
    assert (status, only(document)["verdict"]) == (0, "unchanged")


def test_of_an_ssh_server(
    haproxy: Start, state: Path, ssh_home: SshHome, sshd: Callable[..., SshServer], silence: Silence
) -> None:
    proxy: HAProxy = haproxy("3.0")
    server = sshd()
    url = ssh_home.url(ssh_home.host("lb1", server, HostName=NAME), proxy.sockets[0])
    # As ssh does, it looks for the key of the name.
    ssh_home.know(server, f"[{NAME}]:{server.port}")
    status, document = run_json("check", F, "-e", url, environment=silence(server.port))
    assert (status, only(document)["verdict"]) == (0, "unchanged")
    assert server.logins() == 1
