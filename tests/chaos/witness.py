"""Looks at one HAProxy itself, past the controller and its paths, and remembers what it saw."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

F = "balanced"
PAUSE = 0.02  # seconds between two looks
LOOK_WITHIN = 1.0
BEFORE_DEADLINE, BEHIND_DEADLINE = 0.1, 0.25


@dataclass(frozen=True)
class Look:
    """What was so at some time between `asked` and `told`; `held` None: HAProxy did not say."""

    asked: float
    told: float
    held: Optional[bool]
    limit: Optional[int] = None


class Witness:
    """Asks on fresh connections, because an old one stays with an old worker. The gate looks at its
    clock when it is asked, so around `deadline` it is left alone: it has to end by itself.
    """

    def __init__(self, path: Path, method: str) -> None:
        self._path = path
        self._by_gate = method == "gate"
        self.deadline: Optional[float] = None
        self.looks: list[Look] = []
        self.lag = 0.0  # the longest that this loop itself was kept from its work
        self._task: Optional[asyncio.Task[None]] = None

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._keep_looking())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    @property
    def held(self) -> Optional[bool]:
        return self.looks[-1].held if self.looks else None

    async def look(self) -> Look:
        asked = time.monotonic()
        try:
            answer = await asyncio.wait_for(self._ask(), LOOK_WITHIN)
            held, limit = self._read(answer)
        except (OSError, asyncio.TimeoutError, ValueError, LookupError):
            held, limit = None, None
        found = Look(asked, time.monotonic(), held, limit)
        self.looks.append(found)
        return found

    async def _keep_looking(self) -> None:
        while True:
            if not self._looks_away():
                await self.look()
            before = time.monotonic()
            await asyncio.sleep(PAUSE)
            self.lag = max(self.lag, time.monotonic() - before - PAUSE)

    def _looks_away(self) -> bool:
        if not self._by_gate or self.deadline is None:
            return False
        return -BEFORE_DEADLINE < time.monotonic() - self.deadline < BEHIND_DEADLINE

    async def _ask(self) -> list[str]:
        """Two answers on one connection, which HAProxy then closes."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        with connection:
            connection.connect(str(self._path))
            also = f"stillgate status {F}" if self._by_gate else "show info"
            await loop.sock_sendall(connection, f"show stat -1 1 -1;{also}\n".encode())
            received = b""
            while piece := await loop.sock_recv(connection, 65536):
                received += piece
        return received.decode().split("\n\n", 1)

    def _read(self, answers: list[str]) -> tuple[bool, int]:
        lines = answers[0].lstrip("# ").splitlines()
        column = lines[0].split(",").index("slim")
        limit = next(int(x.split(",")[column]) for x in lines[1:] if x.startswith(f"{F},FRONT"))
        if not self._by_gate:
            return limit == 0, limit
        told = json.loads(answers[1])["frontends"][F]["mode"]
        return told != "open", limit
