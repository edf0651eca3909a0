"""How many connections may wait in this machine's kernel, as the rehearsal asks for it."""

from __future__ import annotations

import socket

import stillgate._core as _core


def listener(port: int, frontend: str) -> str:
    return f"     7 : st=0x01c0 cl.st=0 l.st=RDY fe={frontend} lport={port}\n"


def test_the_smallest_queue_of_a_frontend_counts() -> None:
    with socket.socket() as narrow, socket.socket() as wide:
        ports = []
        for one, backlog in ((narrow, 3), (wide, 9)):
            one.bind(("127.0.0.1", 0))
            one.listen(backlog)
            ports.append(one.getsockname()[1])
        shown = "".join(listener(port, "a") for port in ports) + listener(ports[1], "b")
        assert _core.listen_depths_of(shown) == {"a": 4, "b": 10}
    assert _core.listen_depths_of("") == {}
