"""A guard that dies when HAProxy has not taken its waiting release yet: nothing of it runs."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.haproxy.holds import F
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.haproxy.versions import REMEMBERING
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

GREETING = b"prompt\nset severity-output number\n"
RELEASED = 77


def sent_before_the_commands(proxy: HAProxy) -> str:
    """What stands first in the line of a real prover."""
    with Tap(proxy, {}) as tap:
        fleet = Fleet([tap.endpoint])
        fleet.suspend(F, method="maxconn", max_hold=60)
        fleet.resume(F)
        (line,) = [one for one in tap.lines if "stillgate_wait_" in one and ";wait " in one]
    found = re.match(r"(.*?)experimental-mode on;", line)
    assert found
    return found[1]


def connect(proxy: HAProxy, way: str) -> socket.socket:
    if way == "unix":
        return proxy.connect()
    assert proxy.tcp_port is not None
    return socket.create_connection(("127.0.0.1", proxy.tcp_port))


@pytest.mark.parametrize("way", ["unix", "tcp"])
@pytest.mark.parametrize("label", REMEMBERING)
def test_a_line_that_haproxy_finds_behind_a_dead_guard_runs_nothing(
    label: str, way: str, haproxy: Start, state: Path
) -> None:
    proxy = haproxy(label, tcp_socket=True)
    first = sent_before_the_commands(proxy)
    line = f"{first}set timeout cli 90000s;wait 50ms;set maxconn frontend {F} {RELEASED}\n"
    proxy.cli(f"set maxconn frontend {F} 0")

    pid = proxy.worker_pid
    # As a process's death does it, a close with an unread answer resets the connection.
    with connect(proxy, way) as connection:
        connection.sendall(GREETING)
        select.select([connection], [], [])
        os.kill(pid, signal.SIGSTOP)
        try:
            connection.sendall(line.encode())
            connection.close()
        finally:
            os.kill(pid, signal.SIGCONT)
    # HAProxy has seen all of it when it lists one connection, the one that asks.
    wait_until(lambda: proxy.cli("show sess").count("fe=GLOBAL") == 1, "the line to be dropped")
    assert proxy.limit(F) == 0
