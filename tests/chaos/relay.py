"""The path from the controller to one HAProxy's stats socket, which sees each line pass and can be
cut, reset, slowed down, and removed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

PIECE = 65536
OnLine = Callable[[int, str], Awaitable[None]]


@dataclass
class _Path:
    client: socket.socket
    pid: int
    server: Optional[socket.socket] = None
    begun: bytes = b""  # of a line whose end has not come yet
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for task in self.tasks:
            task.cancel()
        for one in (self.client, self.server):
            if one is not None and one.fileno() >= 0:
                # The loop would go on to watch that number, which another socket is given next.
                loop.remove_reader(one.fileno())
                loop.remove_writer(one.fileno())
                one.close()


class Relay:
    """`on_line` is awaited with the peer's pid and each line before it is passed on, and with an
    empty line for each new connection. `log` has them all, with times.
    """

    def __init__(self, path: Path, target: Path, on_line: OnLine) -> None:
        self.path, self._target, self._on_line = path, target, on_line
        self._paths: list[_Path] = []
        self._listener: Optional[socket.socket] = None
        self._accepting: Optional[asyncio.Task[None]] = None
        self._passing = asyncio.Event()
        self._passing.set()
        self.delay = 0.0
        self.log: list[tuple[float, int, str]] = []

    # --- what can be done to it ---

    def listen(self) -> None:
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        self._accepting = asyncio.ensure_future(self._accept(self._listener))

    def refuse(self) -> None:
        """As the file of a HAProxy that is gone: nobody listens there."""
        if self._accepting is not None:
            self._accepting.cancel()
        if self._listener is not None and self._listener.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()

    def cut(self) -> None:
        """Nothing passes any more, in either direction, and nobody is told."""
        self._passing.clear()

    def mend(self) -> None:
        """What was open when it was cut is lost; new connections pass."""
        if not self._passing.is_set():
            self.reset()
        self.go_on()

    def go_on(self) -> None:
        """All that was written meanwhile passes."""
        self._passing.set()
        self.delay = 0.0

    def reset(self) -> None:
        """What is open ends at once; with bytes unread its peer sees a reset."""
        paths, self._paths = self._paths, []
        for path in paths:
            path.close()

    def close(self) -> None:
        self.refuse()
        self.reset()
        self.path.unlink(missing_ok=True)

    # --- inside ---

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            client.setblocking(False)
            size = struct.calcsize("3i")
            credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            path = _Path(client, struct.unpack("3i", credentials)[0])
            self._paths.append(path)
            path.tasks.append(asyncio.ensure_future(self._forward(path)))

    async def _forward(self, path: _Path) -> None:
        await self._tell(path.pid, "")
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path.server = server
        server.setblocking(False)
        loop = asyncio.get_running_loop()
        back: Optional[asyncio.Task[None]] = None
        waits = False
        try:
            await self._connect(server)
            # A client that ends with unread answers resets its connection.
            with suppress(ConnectionResetError):
                while line := await self._next_lines(path):
                    if back is None:
                        back = asyncio.ensure_future(self._back(path, server))
                        path.tasks.append(back)
                    if b";wait " in line:
                        waits = True
                        back.cancel()
                    await self._passing.wait()
                    await loop.sock_sendall(server, line)
            await self._passing.wait()
            if waits:
                # Its answers are unread here, too: so HAProxy sees the same close as without a
                # relay, which ends the line. A half-close would have 3.2 run its rest.
                server.close()
            else:
                server.shutdown(socket.SHUT_WR)
        except OSError:
            _end(path)

    async def _connect(self, server: socket.socket) -> None:
        """As the kernel's queue would: HAProxy takes new connections as fast as it can."""
        while True:
            try:
                await self._passing.wait()
                return server.connect(str(self._target))
            except BlockingIOError:
                await asyncio.sleep(0.01)

    async def _next_lines(self, path: _Path) -> bytes:
        """The next line, told but while it is told still unread; empty at the end."""
        while True:
            await _readable(path.client)
            seen = path.client.recv(PIECE, socket.MSG_PEEK)
            if not seen:
                return b""
            line, found, _ = seen.partition(b"\n")
            path.begun += line
            if found:
                whole, path.begun = path.begun, b""
                await self._tell(path.pid, whole.decode("utf-8", "replace"))
            return path.client.recv(len(line) + len(found))

    async def _tell(self, pid: int, line: str) -> None:
        self.log.append((time.monotonic(), pid, line))
        await self._on_line(pid, line)

    async def _back(self, path: _Path, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        path.tasks.append(asyncio.ensure_future(self._deliver(path, late)))
        try:
            while piece := await loop.sock_recv(server, PIECE):
                late.put_nowait((loop.time() + self.delay, piece))
        except OSError:
            pass
        late.put_nowait((loop.time() + self.delay, b""))

    async def _deliver(self, path: _Path, late: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, piece = await late.get()
            await asyncio.sleep(max(due - loop.time(), 0))
            await self._passing.wait()
            if not piece:
                return _end(path)
            try:
                await loop.sock_sendall(path.client, piece)
            except OSError:
                return _end(path)


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    if connection.fileno() < 0:
        raise ConnectionResetError("the relay was closed meanwhile")

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(connection.fileno(), wake)
    try:
        await ready
    finally:
        if connection.fileno() >= 0:
            loop.remove_reader(connection.fileno())


def _end(path: _Path) -> None:
    for one in (path.client, path.server):
        try:
            if one is not None:
                one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def remove_file(path: Path) -> None:
    os.rename(path, path.with_suffix(".gone"))


def restore_file(path: Path) -> None:
    gone = path.with_suffix(".gone")
    if gone.exists():
        os.rename(gone, path)
