"""A small real HTTP application, in a process of its own, that remembers when each request reached
it.

A request's id is its X-Request-Id, its arrival the moment its head was complete, on
CLOCK_MONOTONIC, which all processes of one machine share. `/?ms=200` is answered after 200 ms.
`/endless` switches to another protocol, as WebSockets do, and sends back what it gets.
`/_records` gives the records, `/_finish` answers all that wait at once, and `/_forget` says
whether nobody else is connected any more, and forgets what came. None of them is recorded.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.closing import Closing  # noqa: E402
from support.patience import HANG_S  # noqa: E402

# --- the process ----------------------------------------------------------------------

_arrivals: list[tuple[str, float]] = []
_waiting: set[asyncio.Event] = set()
_connected: set[asyncio.StreamWriter] = set()


async def _wait(seconds: float) -> None:
    """So long, or until all are told to finish."""
    finished = asyncio.Event()
    _waiting.add(finished)
    try:
        await asyncio.wait_for(finished.wait(), seconds)
    except asyncio.TimeoutError:
        pass
    finally:
        _waiting.discard(finished)


def _finish() -> None:
    for one in _waiting:
        one.set()


async def _forget() -> bool:
    """Whoever was here before has ended: what it sent last is read, and then its end."""
    _finish()
    give_up = time.monotonic() + 2
    while len(_connected) > 1 and time.monotonic() < give_up:
        await asyncio.sleep(0.002)
    _arrivals.clear()
    return len(_connected) == 1


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n"
    writer.write(head.encode())
    while True:
        data = await reader.read(4096)
        if not data:
            return
        writer.write(data)
        await writer.drain()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _connected.add(writer)
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            arrived = time.monotonic()
            length = re.search(r"(?im)^content-length: *(\d+)", head)
            if length:
                await reader.readexactly(int(length.group(1)))
            target = head.split(" ", 2)[1]
            if target == "/_records":
                body = json.dumps(_arrivals).encode()
            elif target == "/_finish":
                _finish()
                body = b"true"
            elif target == "/_forget":
                body = json.dumps(await _forget()).encode()
            else:
                named = re.search(r"(?im)^x-request-id: *(\S+)", head)
                _arrivals.append((named.group(1) if named else "", arrived))
                if target == "/endless":
                    await _echo(reader, writer)
                    return
                delay = re.search(r"[?&]ms=(\d+)", target)
                if delay:
                    await _wait(int(delay.group(1)) / 1000)
                body = b"done\n"
            closing = re.search(r"(?im)^connection: *close", head) is not None
            answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"
            answer += "Connection: close\r\n\r\n" if closing else "\r\n"
            writer.write(answer.encode() + body)
            await writer.drain()
            if closing:
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        _connected.discard(writer)
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_converse, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The test holds our stdin: when it is gone, so are we.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


# --- what a test holds ----------------------------------------------------------------


@dataclass(frozen=True)
class Arrival:
    """One request that reached the application."""

    id: str
    at: float


class App(Closing):
    """Runs from construction to stop(); `port` is on 127.0.0.1."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        if not first:
            raise RuntimeError(f"the application ended with status {self._process.wait()}")
        self.port = int(first)

    def arrivals(self) -> list[Arrival]:
        return [Arrival(name, at) for name, at in self._ask("/_records")]

    def finish(self) -> None:
        """Answers what waits for a time to pass, now."""
        self._ask("/_finish")

    def forget(self) -> bool:
        """As if it were started anew; False where it cannot, because somebody is still there."""
        return self._process.poll() is None and self._ask("/_forget") is True

    def arrived_between(self, start: float, end: float) -> list[Arrival]:
        return [arrival for arrival in self.arrivals() if start <= arrival.at <= end]

    def stop(self) -> None:
        """Safe to call again."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _ask(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_S)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def close(self) -> None:
        self.stop()


if __name__ == "__main__":
    asyncio.run(_serve())
