"""Free TCP ports that stay ours until we let them go."""

from __future__ import annotations

import socket


class Reserved:
    """A port of 127.0.0.1 that nobody else is given.

    Looking for a free port and closing it again is a race. This socket stays bound without
    listening, with SO_REUSEADDR, which every HAProxy sets too: so HAProxy can bind and listen
    there (again and again), while the kernel hands the port to nobody else. Until somebody
    listens, a connection to it is refused.

    `shared`: two HAProxies may listen there at once, as they do on any other port while one takes
    over from the other. Without, the old one has to let go first.
    """

    def __init__(self, shared: bool = False) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()
