"""A tap on the stats socket of a real HAProxy: something happens exactly when a command passes.

    with Tap(proxy, {"set maxconn frontend balanced 0": proxy.kill}) as tap:
        Fleet([tap.endpoint, ...])          # the real HAProxy answers, and dies in the commit
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Union

from support.closing import Closing
from support.haproxy.server import HAProxy

PIECE = 65536
Hook = Callable[[], Union[None, bool, str]]


class Tap(Closing):
    """Listens from construction to close(). `hooks` are called once each, with the line not yet
    passed on; a hook that returns False has the line swallowed, and one that returns a text has
    that passed on in its place.
    """

    def __init__(self, proxy: HAProxy, hooks: Mapping[str, Hook]) -> None:
        self._target = str(proxy.sockets[0])
        self._hooks = dict(hooks)
        self._after: dict[str, Callable[[], None]] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="sg-", dir="/tmp"))
        self.lines: list[str] = []
        self._open: list[socket.socket] = []
        self._is_cut = False
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._folder / "tap.sock"))
        self._listener.listen(64)
        self.endpoint = f"unix://{self._folder / 'tap.sock'}"
        self._run(self._accept)

    def hook(self, line: str, hook: Hook) -> None:
        """Another hook, also from within one, for the next time that this line comes."""
        self._hooks[line] = hook

    def after(self, line: str, hook: Callable[[], None]) -> None:
        """Calls the hook when this line was answered and the next one comes."""
        self._after[line] = hook

    def cut(self) -> None:
        """Ends all connections, also from within a hook, and takes no other before mend()."""
        self._is_cut = True
        for one in list(self._open):
            _end(one)

    def mend(self) -> None:
        self._is_cut = False

    def flood(self, most: int) -> Callable[[], int]:
        """Sends the first client so many bytes that it did not ask for. The function tells how many
        were taken by now.
        """
        taken: list[int] = []

        def send(client: socket.socket) -> None:
            try:
                while sum(taken) < most:
                    taken.append(client.send(b"x" * PIECE))
            except OSError:
                pass

        self._run(send, self._open[0])
        return lambda: sum(taken)

    def close(self) -> None:
        """Drops every connection; safe to call again."""
        for one in [self._listener, *self._open]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        while self._threads:
            self._threads.pop().join(5)
        for one in [self._listener, *self._open]:
            one.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        # Not the other way round: close() joins what it finds, and that must have begun.
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._open += [client, server]
            try:
                server.connect(self._target)
            except OSError:
                _end(client)
                continue
            self._run(self._forward, client, server)
            self._run(self._back, server, client)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        before = ""
        try:
            for line in client.makefile("rb"):
                text = line.decode().rstrip("\n")
                self.lines.append(text)
                if before in self._after:
                    self._after.pop(before)()
                before = text
                hook = self._hooks.pop(text, None)
                instead = None if hook is None else hook()
                if isinstance(instead, str):
                    server.sendall(instead.encode() + b"\n")
                elif instead is not False:
                    server.sendall(line)
        except OSError:
            pass
        _end(server)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while piece := server.recv(PIECE):
                self.pass_back(client, piece)
        except OSError:
            pass
        _end(client)

    def pass_back(self, client: socket.socket, piece: bytes) -> None:
        """What is done with a piece of an answer; each connection has a thread of its own."""
        client.sendall(piece)


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
