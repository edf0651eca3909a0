"""Peers that speak HAProxy's command line and then misbehave, for faults no real HAProxy can be
made to show.

    with FaultyPeer([serve(2), reset()], [serve()], answers={"show info": "Pid: 1\\n"}) as peer:
        ...                         # the first connection is reset at its third line
        peer.endpoint, peer.lines   # where it listens; every line it was sent
"""

from __future__ import annotations

import functools
import os
import select
import shutil
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Optional, Union

from support.closing import Closing
from support.patience import HANG_S

Answers = Union[Mapping[str, str], Callable[[str], str]]
PIECE = 65536


class Ended(Exception):
    """The conversation is over: the client, or the peer itself, has closed."""


class Dropped(Ended):
    """The peer drops the connection with what is unread."""


class Conversation:
    """One accepted connection, as the steps of a script see it."""

    def __init__(self, connection: socket.socket, peer: FaultyPeer) -> None:
        self.connection = connection
        self._peer = peer
        self._prompt = False
        self._received = b""

    def line(self) -> str:
        while b"\n" not in self._received:
            self.wait_readable()
            piece = self.connection.recv(PIECE)
            if not piece:
                raise Ended
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        text = line.decode("utf-8", "replace")
        self._peer.lines.append(text)
        return text

    def reply(self, line: str) -> bytes:
        """The bytes a well-behaved HAProxy would answer; raises Ended at `quit`."""
        if line == "quit":
            raise Ended
        if line == "prompt":
            self._prompt = not self._prompt
            body = ""
        else:
            body = self._peer.answer(line)
        return body.encode() + (b"\n> " if self._prompt else b"\n")

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def finished_answering(self) -> bool:
        """Without a prompt the first answer is the last."""
        return not self._prompt

    def wait_readable(self) -> None:
        """Waits for the client to send or close; raises Ended when the test is over."""
        while not select.select([self.connection], [], [], 0.02)[0]:
            self._peer.check_open()

    def hang_up(self) -> None:
        """Closes so that the client sees an end: bytes left unread would make it a reset."""
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(1.0)
            while self.connection.recv(PIECE):
                self._peer.check_open()
        except (Ended, OSError):
            pass

    def sleep(self, seconds: float) -> None:
        if self._peer.closing.wait(seconds):
            raise Ended


Step = Callable[[Conversation], None]


def serve(lines: Optional[int] = None) -> Step:
    """Answers so many lines as HAProxy would; None: to the end."""

    def step(conversation: Conversation) -> None:
        for _ in _count(lines):
            conversation.send(conversation.reply(conversation.line()))
            if conversation.finished_answering():
                raise Ended

    return step


def silence() -> Step:
    """Reads what comes and never answers, until the client closes."""

    def step(conversation: Conversation) -> None:
        while True:
            conversation.line()

    return step


def ignore() -> Step:
    """Does not even read: the client's writes pile up in the kernel."""

    def step(conversation: Conversation) -> None:
        while True:
            conversation.sleep(60)

    return step


def cut_after(size: int) -> Step:
    """Answers as HAProxy would, but closes after exactly so many bytes counted from here."""

    def step(conversation: Conversation) -> None:
        left = size
        while True:
            answer = conversation.reply(conversation.line())
            conversation.send(answer[:left])
            left -= len(answer)
            if left <= 0:
                raise Ended

    return step


def garbage(data: bytes = bytes(range(256)) * 16) -> Step:
    """Answers the next line with these bytes and closes."""

    def step(conversation: Conversation) -> None:
        conversation.line()
        conversation.send(data)
        raise Ended

    return step


def say(data: bytes) -> Step:
    """Sends these bytes unasked."""

    def step(conversation: Conversation) -> None:
        conversation.send(data)

    return step


def endless(size: int = 100_000_000) -> Step:
    """Answers the next line with a body of so many bytes, in lines that never end in a prompt."""

    def step(conversation: Conversation) -> None:
        conversation.line()
        piece = (b"x" * 63 + b"\n") * (PIECE // 64)
        for offset in range(0, size, PIECE):
            conversation.send(piece[: size - offset])

    return step


def reset() -> Step:
    """Waits for bytes and drops the connection with them unread: the client's next read says
    ECONNRESET, unix and TCP.
    """

    def step(conversation: Conversation) -> None:
        conversation.wait_readable()
        if conversation.connection.family == socket.AF_INET:
            linger = struct.pack("ii", 1, 0)
            conversation.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        raise Dropped

    return step


def close() -> Step:
    """Closes at once."""

    def step(conversation: Conversation) -> None:
        raise Ended

    return step


def slow(size: int, pause: float = 0.001) -> Step:
    """Answers as HAProxy would, in pieces of so many bytes with a pause after each."""

    def step(conversation: Conversation) -> None:
        while True:
            answer = conversation.reply(conversation.line())
            for offset in range(0, len(answer), size):
                conversation.send(answer[offset:][:size])
                conversation.sleep(pause)
            if conversation.finished_answering():
                raise Ended

    return step


def _count(lines: Optional[int]) -> Iterator[int]:
    number = 0
    while lines is None or number < lines:
        yield number
        number += 1


class FaultyPeer(Closing):
    """Listens from construction to close(). The n-th connection gets the n-th script, all further
    ones the last.

    `answers` maps a line to the body HAProxy would print for it (a function may compute it); a
    line without an answer is an unknown command. With accepting=False connections only fill the
    kernel's queue of `backlog` + 1.
    """

    def __init__(
        self,
        *scripts: list[Step],
        answers: Optional[Answers] = None,
        tcp: bool = False,
        accepting: bool = True,
        backlog: int = 128,
    ) -> None:
        self._scripts = scripts or ([serve()],)
        self._answers: Answers = answers if answers is not None else {}
        self._folder = Path(tempfile.mkdtemp(prefix="sg-", dir="/tmp"))
        self.lines: list[str] = []
        self.connections = 0
        self.closing = threading.Event()
        self._listener = socket.socket(
            socket.AF_INET if tcp else socket.AF_UNIX, socket.SOCK_STREAM
        )
        if tcp:
            self._listener.bind(("127.0.0.1", 0))
            self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        else:
            self._listener.bind(str(self._folder / "peer.sock"))
            self.endpoint = f"unix://{self._folder / 'peer.sock'}"
        self._listener.listen(backlog)
        self._threads: list[threading.Thread] = []
        if accepting:
            self._listener.settimeout(0.02)
            self._begin(self._accept)

    def answer(self, line: str) -> str:
        if callable(self._answers):
            return self._answers(line)
        unknown = f"Unknown command: '{line.split(' ')[0]}'. Please enter one of the following:\n"
        return self._answers.get(line, unknown)

    def check_open(self) -> None:
        if self.closing.is_set():
            raise Ended

    def close(self) -> None:
        """Drops every connection; safe to call again."""
        self.closing.set()
        deadline = time.monotonic() + 5
        while self._threads:
            self._threads.pop().join(max(deadline - time.monotonic(), 0))
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            self._begin(functools.partial(self._play, connection, script))

    def _play(self, connection: socket.socket, script: list[Step]) -> None:
        connection.settimeout(HANG_S)
        with connection:
            conversation = Conversation(connection, self)
            try:
                for step in script:
                    step(conversation)
                conversation.hang_up()
            except Dropped:
                pass
            except Ended:
                conversation.hang_up()
            except OSError:
                pass


def dead_unix_socket(folder: Path) -> Path:
    """A socket file nobody listens on, as a HAProxy that was killed leaves it."""
    path = folder / "dead.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(os.fspath(path))
    return path
