"""Clients of a gated frontend: plain HTTP/1 on a socket, and HTTP/2 with many streams."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from dataclasses import dataclass
from typing import Union

import h2.config
import h2.connection
import h2.errors
import h2.events

from support.closing import Closing
from support.haproxy.gate import trusting
from support.patience import HANG_S

Stream = Union[socket.socket, ssl.SSLSocket]


@dataclass
class Answer:
    """What one request was answered; `status` is 0 where the connection ended without."""

    status: int = 0
    at: float = 0.0
    head: str = ""
    body: bytes = b""
    reset: bool = False


class Http1(Closing):
    """One connection, with requests one after the other."""

    def __init__(self, port: int, tls: bool = False) -> None:
        plain = socket.create_connection(("127.0.0.1", port), 30)
        self.socket: Stream = trusting("http/1.1").wrap_socket(plain) if tls else plain

    def send(self, name: str = "", body: bytes = b"", path: str = "/") -> Http1:
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: test\r\n"
        head += f"X-Request-Id: {name}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)
        return self

    def answer(self) -> Answer:
        """Of the one request that is open."""
        received = b""
        try:
            while b"\r\n\r\n" not in received:
                piece = self.socket.recv(65536)
                if not piece:
                    return Answer(at=time.monotonic())
                received += piece
        except ConnectionResetError:
            return Answer(at=time.monotonic(), reset=True)
        at = time.monotonic()
        head, _, body = received.partition(b"\r\n\r\n")
        text = head.decode("latin-1").lower()
        length = 0
        for line in text.split("\r\n"):
            if line.startswith("content-length:"):
                length = int(line.partition(":")[2])
        while len(body) < length:
            body += self.socket.recv(65536)
        return Answer(int(text.split(" ")[1]), at, text, body)

    def upgrade(self, name: str = "") -> Http1:
        """To a stream that lasts until it is closed."""
        head = f"GET /endless HTTP/1.1\r\nHost: test\r\nX-Request-Id: {name}\r\n"
        self.socket.sendall(f"{head}Connection: upgrade\r\nUpgrade: echo\r\n\r\n".encode())
        assert self.answer().status == 101
        return self

    def echoes(self) -> bool:
        """The stream is still alive."""
        self.socket.sendall(b"alive")
        received = b""
        while len(received) < 5:
            piece = self.socket.recv(5)
            if not piece:
                return False
            received += piece
        return received == b"alive"

    def ask(self, name: str = "", body: bytes = b"") -> Answer:
        return self.send(name, body).answer()

    def silent(self) -> bool:
        """Nothing came, neither an answer nor an end."""
        return not select.select([self.socket], [], [], 0)[0]

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Ends it by RST."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


class Http2(Closing):
    """One connection; send() opens a stream and gives its number."""

    def __init__(self, port: int, tls: bool = False) -> None:
        plain = socket.create_connection(("127.0.0.1", port), 30)
        self.socket: Stream = trusting("h2").wrap_socket(plain) if tls else plain
        if isinstance(self.socket, ssl.SSLSocket):
            assert self.socket.selected_alpn_protocol() == "h2"
        self._state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self._state.initiate_connection()
        self._flush()
        self.answers: dict[int, Answer] = {}
        self._ended: set[int] = set()
        self._received = b""

    def send(self, name: str = "", body: bytes = b"") -> int:
        stream = int(self._state.get_next_available_stream_id())
        headers = [(":method", "POST" if body else "GET"), (":path", "/"), (":scheme", "http")]
        headers += [(":authority", "test"), ("x-request-id", name)]
        if body:
            headers.append(("content-length", str(len(body))))
        self._state.send_headers(stream, headers, end_stream=not body)
        if body:
            self._state.send_data(stream, body, end_stream=True)
        self._flush()
        self.answers[stream] = Answer()
        return stream

    def cancel(self, stream: int) -> None:
        self._state.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        self._flush()
        self._ended.add(stream)

    def answer(self, stream: int, timeout: float = HANG_S) -> Answer:
        deadline = time.monotonic() + timeout
        while stream not in self._ended:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            piece = self.socket.recv(65536)
            if not piece:
                break
            self._receive(piece)
        return self.answers[stream]

    def silent(self) -> bool:
        """No stream was answered, as far as has been read; reads what has come."""
        while select.select([self.socket], [], [], 0)[0]:
            piece = self.socket.recv(65536)
            if not piece:
                return False
            self._receive(piece)
        return not any(answer.status or answer.reset for answer in self.answers.values())

    def close(self) -> None:
        self.socket.close()

    def _receive(self, piece: bytes) -> None:
        """Frame by frame: a server that is being replaced says that it takes no more streams, and
        answers those it has, which h2 takes for an error.
        """
        self._received += piece
        while len(self._received) >= 9:
            end = 9 + int.from_bytes(self._received[:3], "big")
            if len(self._received) < end:
                break
            frame, self._received = self._received[:end], self._received[end:]
            for event in self._state.receive_data(frame):
                self._take(event)
            self._flush()

    def _take(self, event: object) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self._state.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        elif isinstance(event, h2.events.ResponseReceived):
            text = {self._text(name): self._text(value) for name, value in event.headers}
            answer = self.answers[event.stream_id]
            answer.status, answer.at = int(text[":status"]), time.monotonic()
            answer.head = "\r\n".join(f"{name}: {value}" for name, value in text.items())
        elif isinstance(event, h2.events.DataReceived):
            self.answers[event.stream_id].body += event.data
            self._state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self._ended.add(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.answers[event.stream_id].reset = True
            self._ended.add(event.stream_id)

    @staticmethod
    def _text(value: Union[str, bytes]) -> str:
        return value.decode() if isinstance(value, bytes) else value

    def _flush(self) -> None:
        self.socket.sendall(self._state.data_to_send())
