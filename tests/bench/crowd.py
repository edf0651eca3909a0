"""How long the release of very many held requests keeps HAProxy from its other work, by HAProxy's
own CPU, so that what else the machine does is not in it; and when the last of them is answered.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stillgate import Fleet
from support.haproxy.gate_options import gate_options
from support.haproxy.server import Frontend, HAProxy
from support.haproxy.versions import branch_of
from support.process import wait_until

F = "balanced"
STREAMS = 100  # of each HTTP/2 connection
PREFACE = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    b"\0\0\4\x08\0\0\0\0\0\x3f\xff\0\0"  # a window that never fills
)
HEAD = bytes([0x82, 0x84, 0x86, 0x41, 4]) + b"test"  # GET / of http://test
HEADERS, RST_STREAM, GOAWAY = 1, 3, 7
# Asks until it is told to end; then it prints the longest stop in ms.
ASKER = """
import select, socket, sys
port, pid = sys.argv[1:]
ran = open(f"/proc/{pid}/schedstat")
def cpu_ms():
    ran.seek(0)
    return int(ran.read().split()[0]) / 1e6
longest = 0.0
with socket.create_connection(("127.0.0.1", int(port))) as one:
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        before = cpu_ms()
        one.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        one.recv(4096)
        longest = max(longest, cpu_ms() - before)
print(longest)
"""


def release_crowd(binary: str, version: str, many: int) -> tuple[float, float]:
    """Milliseconds: the longest stop, and from the release to the last answer. Each of the held
    requests is answered, or it is an error.
    """
    with tempfile.TemporaryDirectory(prefix="sgg-") as folder:
        answering = "http-request return status 200"
        options = gate_options(F, Path(folder) / "gate", version, behind=[answering], maxconn=9000)
        (gated,) = options["frontends"]
        with socket.create_server(("127.0.0.1", 0)) as free:
            h2_port = free.getsockname()[1]
        # As `stillgate gate --config` advises where nobody can be woken.
        nice = " nice 1024" if branch_of(version) < (2, 8) else ""
        lines = (f"bind 127.0.0.1:{h2_port} proto h2{nice}", *gated.lines)
        options["frontends"] = [
            Frontend(F, 9000, 4096, lines=lines),
            Frontend("other", 100, lines=(answering,)),
        ]
        options["extra_defaults"] = ["mode http", "timeout client 600s", *options["extra_defaults"]]
        with HAProxy(binary, global_maxconn=9500, **options) as proxy:
            return _of(proxy, h2_port, many)


def _of(proxy: HAProxy, h2_port: int, many: int) -> tuple[float, float]:
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, method="gate", max_hold=600, drain_timeout=0, max_waiting=2 * many)
    heads = b"".join(
        len(HEAD).to_bytes(3, "big") + b"\1\5" + stream.to_bytes(4, "big") + HEAD
        for stream in range(1, 2 * STREAMS, 2)
    )
    clients = []
    for _ in range(many // STREAMS):
        clients.append(socket.create_connection(("127.0.0.1", h2_port)))
        clients[-1].sendall(PREFACE + heads)
    wait_until(lambda: fleet.status(F).switches[0].waiting == many, "all that wait", 600)
    command = [sys.executable, "-c", ASKER, str(proxy.ports["other"]), str(proxy.pid)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as asker:
        time.sleep(0.5)
        with proxy.connect() as cli:
            opening = f"set var proc.stillgate_gate_{F} str(open); stillgate sync {F}\n"
            begun = time.monotonic()
            cli.sendall(b"experimental-mode on; " + opening.encode())
            _take_answers(clients, many)
            answered = 1000 * (time.monotonic() - begun)
        said, _ = asker.communicate(os.linesep)
    for client in clients:
        client.close()
    return float(said), answered


def _take_answers(clients: list[socket.socket], many: int) -> None:
    """Counts the heads of answers; any other end of a stream is an error."""
    rest = {client: b"" for client in clients}
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ)
        while many > 0:
            ready = selector.select(60)
            assert ready, f"{many} were never answered"
            for key, _ in ready:
                answered = key.fileobj
                assert isinstance(answered, socket.socket)
                received = rest[answered] + answered.recv(1 << 18)
                while len(received) >= 9:
                    end = 9 + int.from_bytes(received[:3], "big")
                    if len(received) < end:
                        break
                    assert received[3] not in (RST_STREAM, GOAWAY)
                    many -= received[3] == HEADERS
                    received = received[end:]
                rest[answered] = received
