"""One real HAProxy of a given binary, started for a test and stopped after it."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from support.closing import Closing
from support.patience import HANG_S
from support.ports import Reserved
from support.process import running_in_group, wait_until

PROMPT = b"\n> "


class HAProxyFailed(Exception):
    """HAProxy did not start, stop or answer as asked; the text has its log."""


@dataclass(frozen=True)
class Frontend:
    """A frontend to configure; `maxconn` and `backlog` None leave the keyword out. `lines` are its
    own, `backend_lines` its backend's.
    """

    name: str
    maxconn: Optional[int] = 100
    backlog: Optional[int] = None
    mode: str = "http"
    lines: tuple[str, ...] = ()
    backend_lines: tuple[str, ...] = ()


class HAProxy(Closing):
    """Starts at once and returns when the stats socket answers.

    `sockets` are the unix stats sockets, `tcp_port` the TCP one (or None), `ports` the port of
    each frontend, `endpoints` the stats sockets as Stillgate's URLs, TCP last. Each frontend F has
    a backend `F_servers`. `whole` is a configuration in place of all but the stats sockets.
    `may_end` says that a test expects it to end; stop() and kill() set it.
    """

    def __init__(
        self,
        binary: Union[str, Path],
        *,
        frontends: Sequence[Union[str, Frontend]] = ("balanced",),
        maxconn: Optional[int] = 100,
        backlog: Optional[int] = None,
        servers: Sequence[int] = (),
        nbthread: int = 1,
        global_maxconn: int = 4000,
        unix_sockets: int = 1,
        tcp_socket: bool = False,
        level: str = "admin",
        stats_maxconn: Optional[int] = None,
        master_worker: bool = False,
        shared_ports: bool = False,
        extra_global: Sequence[str] = (),
        extra_defaults: Sequence[str] = (),
        extra: Sequence[str] = (),
        whole: Sequence[str] = (),
        timeout: float = HANG_S,
    ) -> None:
        self.binary = str(binary)
        self.may_end = False
        self.folder = _short_folder()
        self.frontends = [
            f if isinstance(f, Frontend) else Frontend(f, maxconn, backlog) for f in frontends
        ]
        self._reserved: list[Reserved] = []
        self._shared_ports = shared_ports
        self._exposed = "expose-fd" in level
        self.ports = {frontend.name: self._reserve() for frontend in self.frontends}
        self.tcp_port = self._reserve() if tcp_socket else None
        self.sockets = [self.folder / f"{index}.sock" for index in range(unix_sockets)]
        self.master_socket = self.folder / "master.sock" if master_worker else None
        self._log_file = self.folder / "log"
        stats = [f"stats socket {path} level {level}" for path in self.sockets]
        if self.tcp_port is not None:
            stats.append(f"stats socket ipv4@127.0.0.1:{self.tcp_port} level {level}")
        if stats_maxconn is not None:
            stats.append(f"stats maxconn {stats_maxconn}")
        lines = [
            "global",
            f"nbthread {nbthread}",
            f"maxconn {global_maxconn}",
            *stats,
            *extra_global,
        ]
        lines += [
            "defaults",
            "timeout connect 5s",
            "timeout client 7200s",  # 2.2 cuts what a gate holds for longer
            "timeout server 60s",
            *extra_defaults,
        ]
        for frontend in self.frontends:
            lines += self._frontend_lines(frontend, servers or [self._reserve()])
        self.config = self.folder / "haproxy.cfg"
        if whole:
            lines = ["global", *stats, *whole]
        self.config.write_text("\n".join([*lines, *extra, ""]))
        self._former: list[subprocess.Popen[bytes]] = []
        self._process = self._start()
        try:
            self._wait_ready(timeout)
        except BaseException:
            self._end(signal.SIGKILL)
            self.close()
            raise

    # --- what it is ---

    @property
    def pid(self) -> int:
        """The process started: the master where there is one, else the HAProxy that serves."""
        return self._process.pid

    @property
    def worker_pid(self) -> int:
        return int(self.info()["Pid"])

    @property
    def endpoints(self) -> list[str]:
        tcp = [] if self.tcp_port is None else [f"tcp://127.0.0.1:{self.tcp_port}"]
        return [f"unix://{path}" for path in self.sockets] + tcp

    def alive(self) -> bool:
        return self._process.poll() is None

    def left_running(self) -> list[int]:
        groups = [self.pid, *(process.pid for process in self._former)]
        return [pid for group in groups for pid in running_in_group(group)]

    def log(self) -> str:
        return self._log_file.read_text("utf-8", "replace") if self._log_file.exists() else ""

    # --- talking to it ---

    def connect(self, index: int = 0, timeout: float = HANG_S) -> socket.socket:
        """A plain connection to one stats socket: a unix one by its index, or the TCP one where
        there is no unix one.
        """
        if self.sockets:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(timeout)
            try:
                connection.connect(str(self.sockets[index]))
            except BaseException:
                connection.close()
                raise
            return connection
        assert self.tcp_port is not None, "this HAProxy has no stats socket"
        return socket.create_connection(("127.0.0.1", self.tcp_port), timeout)

    def cli(self, *commands: str, index: int = 0, timeout: float = HANG_S) -> str:
        """The answer to the last of these commands, sent one by one on one connection in prompt
        mode.
        """
        with self.connect(index, timeout) as connection:
            answer = self._ask(connection, "prompt")
            for command in commands:
                answer = self._ask(connection, command)
        return answer

    def info(self) -> dict[str, str]:
        pairs = (line.partition(": ") for line in self.cli("show info").splitlines())
        return {name: value for name, colon, value in pairs if colon}

    def stat(self) -> list[dict[str, str]]:
        rows = self.cli("show stat").lstrip("# ").strip().splitlines()
        return list(csv.DictReader(rows))

    def limit(self, frontend: str) -> int:
        """The limit of the frontend's connections as it is now."""
        return int(self._row(frontend, "FRONTEND")["slim"])

    def served(self, frontend: str) -> int:
        """How many requests or connections of the frontend ever went to its backend."""
        return int(self._row(f"{frontend}_servers", "BACKEND")["stot"])

    # --- ending it ---

    def reload(self, timeout: float = HANG_S) -> None:
        """Master-worker only: returns when a new worker answers, and the master could be told to
        reload again.
        """
        before = self.worker_pid
        os.kill(self.pid, signal.SIGUSR2)

        def ready() -> bool:
            return self._pid_or_zero() not in (0, before) and self._master_listens()

        wait_until(ready, "a new worker", timeout)

    def replace(self, timeout: float = HANG_S) -> None:
        """Without a master: starts another process that takes over from this one, and returns when
        it answers. The one before ends when its clients are served.
        """
        assert self.master_socket is None
        taking = ["-sf", str(self.pid)]
        if self._exposed:
            taking += ["-x", str(self.sockets[0])]
        self._former.append(self._process)
        self._process = self._start(*taking)
        wait_until(lambda: self._pid_or_zero() == self.pid, "the new process", timeout)

    def stop(self, timeout: float = 5.0) -> None:
        """Ends it without grace to its clients; safe to call again."""
        self._end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """As a crash or the out-of-memory killer ends it, workers included."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Ends it, and gives back the ports and the folder, log included."""
        self.stop()
        for reserved in self._reserved:
            reserved.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self, timeout: float = HANG_S) -> None:
        """Starts it again, after stop or kill, with the same configuration and ports."""
        assert not self.alive()
        self.may_end = False
        self._process = self._start()
        self._wait_ready(timeout)

    # --- inside ---

    def _reserve(self) -> int:
        self._reserved.append(Reserved(self._shared_ports))
        return self._reserved[-1].port

    def _frontend_lines(self, frontend: Frontend, servers: Sequence[int]) -> list[str]:
        name = frontend.name
        lines = [f"frontend {name}", f"mode {frontend.mode}", f"bind 127.0.0.1:{self.ports[name]}"]
        if frontend.maxconn is not None:
            lines.append(f"maxconn {frontend.maxconn}")
        if frontend.backlog is not None:
            lines.append(f"backlog {frontend.backlog}")
        lines += [*frontend.lines, f"default_backend {name}_servers"]
        lines += [f"backend {name}_servers", f"mode {frontend.mode}", *frontend.backend_lines]
        return lines + [
            f"server s{number} 127.0.0.1:{port}" for number, port in enumerate(servers, 1)
        ]

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        mode = ["-db"] if self.master_socket is None else ["-W", "-S", str(self.master_socket)]
        with open(self._log_file, "ab") as log:
            return subprocess.Popen(
                [self.binary, *mode, "-f", str(self.config), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait_ready(self, timeout: float) -> None:
        def ready_or_dead() -> bool:
            return not self.alive() or (self._pid_or_zero() != 0 and self._master_listens())

        try:
            wait_until(ready_or_dead, "the first answer on the stats socket", timeout)
        except TimeoutError as error:
            raise HAProxyFailed(f"{error}\n{self.log()}") from error
        if not self.alive():
            raise HAProxyFailed(f"ended with status {self._process.returncode}\n{self.log()}")

    def _pid_or_zero(self) -> int:
        try:
            return int(self.info().get("Pid", "0"))
        except (OSError, HAProxyFailed):
            return 0

    def _master_listens(self) -> bool:
        """Whether the master runs its loop: a signal that comes before that is lost, while the
        worker serves already.
        """
        if self.master_socket is None:
            return True
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(HANG_S)
            try:
                connection.connect(str(self.master_socket))
                connection.sendall(b"show proc\n")
                return connection.recv(1) != b""
            except OSError:
                return False

    def _ask(self, connection: socket.socket, command: str) -> str:
        connection.sendall(command.encode() + b"\n")
        received = b""
        while not received.endswith(PROMPT):
            piece = connection.recv(65536)
            if not piece:
                raise HAProxyFailed(f"{command!r}: the connection ended after {received!r}")
            received += piece
        return received[: -len(PROMPT)].decode("utf-8", "replace")

    def _row(self, proxy: str, service: str) -> dict[str, str]:
        for row in self.stat():
            if (row["pxname"], row["svname"]) == (proxy, service):
                return row
        raise HAProxyFailed(f"no {service} {proxy} in show stat")

    def _end(self, how: signal.Signals, timeout: float = 5.0) -> None:
        """Signals the process started, then kills whatever of its group is left; the group is ours
        alone.
        """
        self.may_end = True
        if self.alive() and how != signal.SIGKILL:
            self._process.send_signal(how)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
        for process in (self._process, *self._former):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait(HANG_S)
        wait_until(lambda: not self.left_running(), "the end of the workers")


def _short_folder() -> Path:
    """A fresh folder with a path short enough for the 107 bytes of a unix socket's address, and
    that of a rename.
    """
    parent = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="sg-", dir=parent if len(parent) < 60 else "/tmp"))
