"""The clients of the load: each request on a new connection, keep-alive, HTTP/2 with many streams.

`request` gives the status, or raises OSError for whatever went wrong: no client tries again, so
nothing that a server does to a connection stays unseen. Imported in the load's process alone.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
from typing import Any, Callable, Optional, Protocol

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
MOST_STREAMS = 100  # on one connection, unless the server allows fewer; as HAProxy does


class Client(Protocol):
    """One client of a load. It has at most `limit` requests open at once; its load sees to it."""

    @property
    def limit(self) -> int:
        ...

    async def request(self, method: str, path: str, name: str) -> int:
        ...


def _head(method: str, path: str, name: str, *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: test", f"X-Request-Id: {name}", *more]
    if method != "GET":
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode()


class NewConnections:
    """Each request on a connection of its own, whatever else is open."""

    limit = sys.maxsize
    tls: Optional[ssl.SSLContext] = None

    def __init__(self, port: int) -> None:
        self._port = port

    async def request(self, method: str, path: str, name: str) -> int:
        hello: dict[str, Any] = (
            {"ssl": self.tls, "server_hostname": "shop.example"} if self.tls else {}
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, **hello)
        try:
            writer.write(_head(method, path, name, "Connection: close"))
            answer = await reader.read(-1)
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        if not status or (length and len(body) < int(length.group(1))):
            raise ConnectionError(f"answer cut after {len(answer)} bytes")
        return int(status.group(1))


class NewTls(NewConnections):
    """The same over TLS, with a name in the hello."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE


class KeepAlive:
    """One request after the other on one connection. Another is opened only where the server said
    `Connection: close`, or after a request that has failed.
    """

    limit = 1

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: Optional[Streams] = None

    async def request(self, method: str, path: str, name: str) -> int:
        try:
            status, stays = await self._exchange(_head(method, path, name))
        except BaseException:
            self._close()
            raise
        if not stays:
            self._close()
        return status

    async def _exchange(self, request: bytes) -> tuple[int, bool]:
        """The status, and whether the connection stays open."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
            length = re.search(rb"(?im)^content-length: *(\d+)", head)
            if not status or not length:
                raise ConnectionError(f"no status or no length in {head!r}")
            await reader.readexactly(int(length.group(1)))
        except asyncio.IncompleteReadError as error:
            raise ConnectionError(f"answer cut after {len(error.partial)} bytes") from error
        return int(status.group(1)), not re.search(rb"(?im)^connection: *close", head)

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Http2:
    """Many streams at once on one connection, in clear text by prior knowledge. Another connection
    is opened only after one that has ended, with which every open request has failed.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: Optional[_Http2Connection] = None
        self._opening = asyncio.Lock()

    @property
    def limit(self) -> int:
        return MOST_STREAMS if self._connection is None else self._connection.limit

    async def request(self, method: str, path: str, name: str) -> int:
        async with self._opening:
            if self._connection is None or self._connection.ended:
                streams = await asyncio.open_connection("127.0.0.1", self._port)
                self._connection = _Http2Connection(streams)
            answer = self._connection.ask(method, path, name)
        return await answer


class _Http2Connection:
    """`limit` is how many streams the server lets us have at once; `ended` never ends again."""

    def __init__(self, streams: Streams) -> None:
        # Here, because whoever sends no HTTP/2 needs no library.
        import h2.config
        import h2.connection
        import h2.exceptions

        self._reader, self._writer = streams
        self._refused = h2.exceptions.ProtocolError
        settings = h2.config.H2Configuration(client_side=True, header_encoding="ascii")
        self._h2 = h2.connection.H2Connection(config=settings)
        self._answers: dict[int, asyncio.Future[int]] = {}
        self._statuses: dict[int, int] = {}
        self.ended = False
        self._h2.initiate_connection()
        self._flush()
        self._task = asyncio.get_running_loop().create_task(self._read())

    @property
    def limit(self) -> int:
        return min(int(self._h2.remote_settings.max_concurrent_streams), MOST_STREAMS)

    def ask(self, method: str, path: str, name: str) -> asyncio.Future[int]:
        """The answer to come."""
        headers = [(":method", method), (":scheme", "http"), (":authority", "test")]
        headers += [(":path", path), ("x-request-id", name)]
        try:
            stream = self._h2.get_next_available_stream_id()
            self._h2.send_headers(stream, headers, end_stream=True)
        except self._refused as error:
            raise ConnectionError(f"not sent: {error!r}") from error
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._answers[stream] = answer
        self._flush()
        return answer

    async def _read(self) -> None:
        """Until the connection ends, in whatever way: then every open request has failed."""
        why = "the connection ended"
        try:
            while not self.ended:
                data = await self._reader.read(65536)
                if not data:
                    break
                for event in self._h2.receive_data(data):
                    self._see(event)
                self._flush()
        except (OSError, self._refused) as error:
            why = f"{type(error).__name__}: {error}"
        self._end(why)

    def _see(self, event: Any) -> None:
        seen = _EVENTS.get(type(event).__name__)
        if seen is not None:
            seen(self, event)

    def on_response(self, event: Any) -> None:
        self._statuses[event.stream_id] = int(dict(event.headers)[":status"])

    def on_data(self, event: Any) -> None:
        self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def on_stream_end(self, event: Any) -> None:
        answer = self._answers.pop(event.stream_id)
        status = self._statuses.pop(event.stream_id)
        if not answer.done():  # its client has not given up
            answer.set_result(status)

    def on_reset(self, event: Any) -> None:
        answer = self._answers.pop(event.stream_id, None)
        if answer is not None and not answer.done():
            answer.set_exception(ConnectionError(f"stream reset, error {event.error_code}"))

    def on_goaway(self, event: Any) -> None:
        self._end(f"GOAWAY, error {event.error_code}")

    def _end(self, why: str) -> None:
        self.ended = True
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError(why))
        self._writer.close()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._writer.is_closing():
            self._writer.write(data)


_EVENTS: dict[str, Callable[[_Http2Connection, Any], None]] = {
    "ResponseReceived": _Http2Connection.on_response,
    "DataReceived": _Http2Connection.on_data,
    "StreamEnded": _Http2Connection.on_stream_end,
    "StreamReset": _Http2Connection.on_reset,
    "ConnectionTerminated": _Http2Connection.on_goaway,
}

CLIENTS: dict[str, Callable[[int], Client]] = {
    "new": NewConnections,
    "keep-alive": KeepAlive,
    "http2": Http2,
}
# Of single tests, not of the demo.
FURTHER: dict[str, Callable[[int], Client]] = {"tls": NewTls}
