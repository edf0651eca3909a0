"""SSH servers that never stop talking, which a real one cannot be made to do.

    with Flood(LINES) as flood:
        home.host("lb1", server, HostName=flood.hosts[0], Port=str(flood.port))
        ...
        flood.taken         # bytes that were taken from it, the kernel's buffers included

What is sent before the login is neither encrypted nor signed, so anybody on the way can do it.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

import paramiko

from support.closing import Closing
from support.patience import HANG_S

BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"
# A worker each, whatever the number of cores: see Hub in cpp/src/transport/ssh/session.
WORKERS = min(8, os.cpu_count() or 1)
HOSTS = [f"127.0.0.{number}" for number in range(2, 2 + WORKERS)]
MIB = 1024 * 1024


def packet(payload: bytes) -> bytes:
    """As it travels before the key exchange (RFC 4253, section 6)."""
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    return struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + bytes(padding)


def string(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


@dataclass(frozen=True)
class Kind:
    """What is sent first, and what without end after that."""

    name: str
    first: bytes
    piece: bytes


LINES = Kind(
    "lines ahead of the version", b"", b"do not log in here without a good reason\r\n" * 999
)
ONE_LINE = Kind("a line without end", b"", b"x" * 65536)
IGNORE = Kind("IGNORE", BANNER, packet(b"\x02" + string(b"x" * 1000)) * 64)
SMALL_IGNORE = Kind("small IGNORE", BANNER, packet(b"\x02" + string(b"")) * 4096)
DEBUG = Kind("DEBUG", BANNER, packet(b"\x04\x00" + string(b"x" * 1000) + string(b"")) * 64)
UNIMPLEMENTED = Kind("UNIMPLEMENTED", BANNER, packet(b"\x03" + bytes(4)) * 4096)
USERAUTH_BANNER = Kind("USERAUTH_BANNER", BANNER, packet(b"\x35" + string(b"x") * 2) * 4096)
KINDS = [LINES, ONE_LINE, IGNORE, SMALL_IGNORE, DEBUG, UNIMPLEMENTED, USERAUTH_BANNER]


class Flood(Closing):
    """Floods each connection that it is given, on as many hosts of the loopback network as there
    are workers. Stops by itself after `most` bytes on one connection, and then says nothing.

    With a port `behind`, where a real server listens, it passes all on to that one as long as
    `flooding` is not set. What was passed on is dropped when it is.
    """

    def __init__(self, kind: Kind, behind: int = 0, most: int = 64 * MIB) -> None:
        self._kind = kind
        self._behind = behind
        self.flooding = threading.Event()
        if not behind:
            self.flooding.set()
        self._most = most
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.taken = 0  # on the connection from which most was taken
        self.connections = 0
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("0.0.0.0", 0))
        self._listener.listen()
        self._listener.settimeout(0.02)
        self.port: int = self._listener.getsockname()[1]
        self.hosts = HOSTS
        self._begin(threading.Thread(target=self._accept, daemon=True))

    def close(self) -> None:
        self._closing.set()
        while self._threads:
            self._threads.pop().join(HANG_S)
        self._listener.close()

    def _begin(self, thread: threading.Thread) -> None:
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            if self.flooding.is_set():
                self.connections += 1
                self._begin(threading.Thread(target=self._play, args=[connection], daemon=True))
            else:
                self._begin(threading.Thread(target=self._pass, args=[connection], daemon=True))

    def _pass(self, connection: socket.socket) -> None:
        with connection, socket.create_connection(("127.0.0.1", self._behind)) as server:
            other = {connection: server, server: connection}
            try:
                while not self._closing.is_set() and not self.flooding.is_set():
                    for one in select.select(list(other), [], [], 0.02)[0]:
                        piece = one.recv(65536)
                        if not piece:
                            return
                        other[one].sendall(piece)
            except OSError:
                pass

    def _play(self, connection: socket.socket) -> None:
        connection.settimeout(0.02)
        sent, left = 0, memoryview(self._kind.first)
        with connection:
            while not self._closing.is_set():
                try:
                    if sent > self._most:
                        self._closing.wait(0.02)
                        continue
                    size = connection.send(left or self._kind.piece)
                except TimeoutError:
                    continue
                except OSError:
                    break
                # A piece that was taken in part goes on where it was.
                left = (left or memoryview(self._kind.piece))[size:]
                sent += size
                with self._lock:
                    self.taken = max(self.taken, sent)


class _Server(paramiko.ServerInterface):  # type: ignore[misc]
    """Takes every key, and floods at one point of its course."""

    def __init__(self, owner: KeyedFlood, transport: paramiko.Transport) -> None:
        self._owner = owner
        self._transport = transport

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: object) -> int:
        if self._owner.when == "login":
            self._owner.flood(self._transport, b"\x35" + string(b"x" * 1000) + string(b""))
        return int(paramiko.AUTH_SUCCESSFUL)

    def check_channel_request(self, kind: str, number: int) -> int:
        if self._owner.when == "channel":
            self._owner.flood(self._transport, b"\x02" + string(b"x" * 10_000))
        if self._owner.when == "memory":
            self._owner.flood(self._transport, b"\x35" + string(b"x" * 10_000) + string(b""))
        return int(paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED)


class KeyedFlood(Closing):
    """An SSH server that keeps to the protocol, and floods at the `login`, or in place of an answer
    where a `channel` is opened: with messages that are thrown away, or with some that libssh2 keeps
    (`memory`).
    """

    def __init__(self, when: str, host_key: Path, most: int = 64 * MIB) -> None:
        self.when = when
        self._most = most
        self._host_key = paramiko.Ed25519Key.from_private_key_file(str(host_key))
        self._closing = threading.Event()
        self.sent = 0
        self._transports: list[paramiko.Transport] = []
        self._listener = socket.socket()
        self._listener.bind(("0.0.0.0", 0))
        self._listener.listen()
        self._listener.settimeout(0.02)
        self.port: int = self._listener.getsockname()[1]
        self.hosts = HOSTS
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def flood(self, transport: paramiko.Transport, message: bytes) -> None:
        """On the transport's own thread, which reads nothing meanwhile."""
        sent = 0
        while sent < self._most and transport.is_active() and not self._closing.is_set():
            try:
                transport._send_message(paramiko.Message(message))
            except (OSError, EOFError):
                return
            sent += len(message)
            self.sent = max(self.sent, sent)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(HANG_S)
        for transport in self._transports:
            transport.close()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(HANG_S)
            transport = paramiko.Transport(connection)
            transport.add_server_key(self._host_key)
            self._transports.append(transport)
            transport.start_server(threading.Event(), _Server(self, transport))
