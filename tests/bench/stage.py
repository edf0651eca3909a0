"""What the bench runs on: one real HAProxy with many stats sockets, the relay, and the peers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from support.closing import Closing
from support.ports import Reserved

TESTS = Path(__file__).resolve().parents[1]
HAPROXY = "/usr/sbin/haproxy"
RELAY_MS = 20  # each way


@dataclass(frozen=True)
class Measured:
    """One round of one peer, as it printed it."""

    total_ms: float
    window_ms: float
    cpu_us: float  # per endpoint
    ok: int


class Peer(Closing):
    """A long-lived subprocess that runs a round for each line it is sent."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
        )

    def ask(self, kind: str) -> dict[str, float]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(kind + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self._process.wait(30)
            raise SystemExit(f"{self._process.args!r} ended with {status} before {kind!r}")
        figures: dict[str, float] = json.loads(line)
        return figures

    def round(self, kind: str) -> Measured:
        figures = self.ask(kind)
        return Measured(
            figures["total_ms"],
            figures["window_ms"],
            figures["cpu_us_per_endpoint"],
            int(figures["ok"]),
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(30)


class Stage(Closing):
    """Starts HAProxy with `size` stats sockets of each kind; lists() gives their endpoints."""

    def __init__(self, programs: Path, size: int) -> None:
        self.programs = programs
        self._size = size
        self._stack = ExitStack()
        self._ports: list[Reserved] = []

    def __enter__(self) -> Stage:
        # Short: a unix socket's path has 107 bytes at most.
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="sgb", dir="/tmp"))
        self.folder = Path(folder)
        self.endpoints = {
            "unix": [f"unix://{folder}/{index}" for index in range(self._size)],
            "tcp": [f"tcp://127.0.0.1:{self._free_port()}" for _ in range(self._size)],
        }
        self._start_haproxy()
        self.endpoints["relay"] = self.start_relay(self.endpoints["tcp"][:100])
        return self

    def close(self) -> None:
        self._stack.close()
        for port in self._ports:
            port.close()

    def list_file(self, transport: str, size: int) -> str:
        """A file with the first endpoints of that kind, one per line."""
        path = self.folder / f"{transport}-{size}.list"
        if not path.exists():  # a peer that was just started may be reading it
            lines = "\n".join(self.endpoints[transport][:size])
            path.write_text(lines + "\n", encoding="utf-8")
        return str(path)

    def peer(self, name: str, transport: str, size: int) -> Peer:
        endpoints = self.list_file(transport, size)
        if (self.programs / name).exists():
            return Peer([str(self.programs / name), endpoints])
        return Peer([sys.executable, "-m", f"bench.{name}", endpoints])

    def _free_port(self) -> int:
        self._ports.append(Reserved())
        return self._ports[-1].port

    def _start_haproxy(self) -> None:
        lines = ["global", "maxconn 100", "stats maxconn 5000", "stats timeout 1h", "nbthread 1"]
        lines += [f"stats socket {self.folder}/{index} level admin" for index in range(self._size)]
        lines += [
            f"stats socket ipv4@{url.removeprefix('tcp://')} level admin"
            for url in self.endpoints["tcp"]
        ]
        # Without a proxy HAProxy 2.6 does not start.
        lines += ["defaults", "mode http", "timeout connect 5s", "timeout client 5s"]
        lines += ["timeout server 5s", "frontend idle", f"bind {self.folder}/idle.sock"]
        config = self.folder / "haproxy.cfg"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        log = self._stack.enter_context(open(self.folder / "log", "w+", encoding="utf-8"))
        process = subprocess.Popen(
            [HAPROXY, "-db", "-f", str(config)], stderr=log, stdout=log, text=True
        )
        self._stack.callback(_end, process)
        # Sockets are bound in the order of the file: once the frontend's is there, all are.
        for _ in range(500):
            if (self.folder / "idle.sock").exists():
                return
            if process.poll() is not None:
                break
            time.sleep(0.02)
        log.seek(0)
        raise SystemExit("HAProxy did not start:\n" + log.read())

    def start_relay(self, targets: list[str]) -> list[str]:
        """The endpoints by which the targets are reached over a long path."""
        urls = [f"tcp://127.0.0.1:{self._free_port()}" for _ in targets]
        paths = [f"{url} {target} {RELAY_MS} {RELAY_MS}" for url, target in zip(urls, targets)]
        file = self.folder / f"{self._ports[-1].port}.paths"
        file.write_text("\n".join(paths) + "\n", encoding="utf-8")
        # The loopback's handshake takes no time, a real path's one round trip.
        process = subprocess.Popen(
            [str(self.programs / "relay"), "--handshake", str(file)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(_end, process)
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit("the relay did not start")
        return urls


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
