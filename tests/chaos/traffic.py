"""The application behind one HAProxy of a cell and the light load before it, in the cell's loop."""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional, Protocol

from support.clients.kinds import KeepAlive, NewConnections

SLOW_MS = 250  # long enough for a drain to be seen, short enough for a hold of two seconds
ANSWER_WITHIN = 30.0


class _Client(Protocol):
    async def request(self, method: str, path: str, name: str) -> int:
        ...


@dataclass
class Request:
    """One request: `arrived` is when the application had it, first of all, None where never."""

    kind: str
    sent: float
    arrived: Optional[float] = None
    finished: Optional[float] = None
    status: Optional[int] = None
    error: Optional[str] = None
    wrong: bool = False  # the old code met the new schema, or the new code the old one

    @property
    def ok(self) -> bool:
        return self.status == 200


class Traffic:
    """`start` gives the ports of the application, of its old code and of its new code; `load`
    begins the requests to HAProxy's port; `stop` sends no more and waits for what is open.
    `migrated` says which schema there is.
    """

    def __init__(self, migrated: Callable[[], bool]) -> None:
        self._migrated = migrated
        self.requests: dict[str, Request] = {}
        self.answered = asyncio.Event()
        self._servers: list[asyncio.AbstractServer] = []
        self._generators: list[asyncio.Task[None]] = []
        self._open: set[asyncio.Task[None]] = set()
        self._conversations: set[asyncio.StreamWriter] = set()
        self._stopped = asyncio.Event()

    async def start(self) -> tuple[int, int]:
        ports = []
        for is_new in (False, True):
            converse = functools.partial(self._converse, is_new)
            server = await asyncio.start_server(converse, "127.0.0.1", 0, backlog=1024)
            self._servers.append(server)
            ports.append(server.sockets[0].getsockname()[1])
        return ports[0], ports[1]

    def load(self, port: int, keep_alive: bool) -> None:
        """`keep_alive` clients pass a hold by maxconn, by its nature."""
        self._generate("new", 15, "/", lambda: NewConnections(port))
        self._generate("slow", 8, f"/?ms={SLOW_MS}", lambda: NewConnections(port))
        if keep_alive:
            for number in range(2):
                self._generate(f"keep{number}", 8, "/", lambda: KeepAlive(port), one=True)

    async def stop(self) -> list[Request]:
        self._stopped.set()
        await asyncio.gather(*self._generators)
        if self._open:
            await asyncio.wait(self._open)
        return list(self.requests.values())

    def close(self) -> None:
        for task in (*self._generators, *self._open):
            task.cancel()
        for writer in self._conversations:
            writer.close()
        for server in self._servers:
            server.close()

    # --- the load ---

    def _generate(
        self, kind: str, rate: float, path: str, make: Callable[[], _Client], one: bool = False
    ) -> None:
        work = self._keep_sending(kind, rate, path, make(), one)
        self._generators.append(asyncio.ensure_future(work))

    async def _keep_sending(
        self, kind: str, rate: float, path: str, client: _Client, one: bool
    ) -> None:
        """At a fixed rate, whatever is answered; a client that has `one` request open at a time
        misses its turn where that waits.
        """
        own: set[asyncio.Task[None]] = set()
        number, start = 0, time.monotonic()
        while not self._stopped.is_set():
            if not (one and own):
                name = f"{kind}-{number}"
                self.requests[name] = Request(kind, time.monotonic())
                task = asyncio.ensure_future(self._send(client, path, name))
                for tasks in (own, self._open):
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            number += 1
            pause = max(start + number / rate - time.monotonic(), 0)
            try:
                await asyncio.wait_for(self._stopped.wait(), pause)
            except asyncio.TimeoutError:
                pass

    async def _send(self, client: _Client, path: str, name: str) -> None:
        request = self.requests[name]
        try:
            answer = client.request("GET", path, name)
            request.status = await asyncio.wait_for(answer, ANSWER_WITHIN)
            self.answered.set()
        except asyncio.TimeoutError:
            request.error = f"no answer within {ANSWER_WITHIN:g} s"
        except OSError as failure:
            request.error = f"{type(failure).__name__}: {failure}"
        request.finished = time.monotonic()

    # --- the application ---

    async def _converse(
        self, is_new: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._conversations.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self._arrived(head, is_new)
                delay = re.search(r"[?&]ms=(\d+)", head.split("\r\n", 1)[0])
                if delay:
                    await asyncio.sleep(int(delay.group(1)) / 1000)
                closing = re.search(r"(?im)^connection: *close", head) is not None
                more = "Connection: close\r\n" if closing else ""
                answer = f"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{more}\r\ndone\n"
                writer.write(answer.encode())
                await writer.drain()
                if closing:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._conversations.discard(writer)
            writer.close()

    def _arrived(self, head: str, is_new: bool) -> None:
        named = re.search(r"(?im)^x-request-id: *(\S+)", head)
        request = self.requests.get(named.group(1)) if named else None
        if request is not None and request.arrived is None:
            request.arrived = time.monotonic()
            request.wrong = is_new != self._migrated()
