"""What a cell plays on: two HAProxies with all that is around each, and the deploy process."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from chaos.matrix import Variant
from chaos.relay import Relay
from chaos.traffic import Traffic
from chaos.witness import F, Witness
from support.haproxy.fetch import cache_folder, read_versions
from support.haproxy.gate_options import gate_options
from support.haproxy.server import Frontend, HAProxy
from support.process import running_in_group

LIMIT = 300
MAX_HOLD = 2.0
FOR_A_CUTOVER = 2.0  # more, for that and for the undo of the command
UNDO_TIME = 0.5
GRACE = 0.5
WORK = "echo begun; sleep 0.4"
OLD, NEW = f"{F}_servers/s1", f"{F}_servers/new"
PACKAGE = Path(__file__).resolve().parents[2] / "python"


class Place:
    """One HAProxy with its application, load, relay and witness. The witness has a socket of its
    own, which no fault touches.
    """

    def __init__(self, name: str, folder: Path, variant: Variant) -> None:
        self.name, self._folder, self._variant = name, folder, variant
        self.traffic = Traffic(lambda: (folder / "migrated").exists())
        self.proxy: HAProxy
        self.relay: Relay
        self.witness: Witness
        self.started = False
        self._starting: Optional[asyncio.Future[HAProxy]] = None

    async def start(self, on_line: Callable[[str, int, str], Awaitable[None]]) -> None:
        old, new = await self.traffic.start()
        binary = read_versions(cache_folder())[self._variant.label]
        options: dict[str, Any] = {
            "servers": [old],
            "maxconn": LIMIT,
            "backlog": 1024,
            "master_worker": True,
            "shared_ports": True,
            "unix_sockets": 2,
            "level": "admin expose-fd listeners",
        }
        if self._variant.method == "gate":
            folder = self._folder / f"gate{self.name}"
            options = gate_options(F, folder, binary["version"], **options)
        else:
            options["frontends"] = [Frontend(F, LIMIT, 1024)]
        # Whatever restarts it, its configuration has the old code at work.
        spare = f"server new 127.0.0.1:{new} disabled"
        options["frontends"] = [
            replace(one, backend_lines=(*one.backend_lines, spare)) for one in options["frontends"]
        ]
        start = asyncio.to_thread(HAProxy, binary["path"], **options)
        self._starting = asyncio.ensure_future(start)
        # Whoever is stopped here has to end what the thread goes on to start.
        self.proxy = await asyncio.shield(self._starting)

        async def tell(pid: int, line: str) -> None:
            await on_line(self.name, pid, line)

        self.relay = Relay(self._folder / f"{self.name}.sock", self.proxy.sockets[0], tell)
        self.relay.listen()
        self.witness = Witness(self.proxy.sockets[1], self._variant.method)
        self.witness.start()
        self.traffic.load(self.proxy.ports[F], keep_alive=self._variant.method == "gate")
        self.started = True

    def processes(self) -> list[int]:
        return running_in_group(self.proxy.pid)

    def signal(self, number: signal.Signals) -> None:
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    async def close(self) -> None:
        self.traffic.close()
        if self._starting is None:
            return
        try:
            self.proxy = await self._starting
        except Exception:  # was told where it was started
            return
        if self.started:
            self.witness.stop()
            self.relay.close()
        self.signal(signal.SIGCONT)
        self.proxy.kill()
        self.proxy.close()


class Deploy:
    """The real command line in a session of its own, and all that it starts: those are known by the
    state folder in their environment.
    """

    def __init__(self, folder: Path, variant: Variant, endpoints: list[Path], pace: float) -> None:
        more = FOR_A_CUTOVER if variant.cutover else 0.0
        self.max_hold, self._grace = pace * (MAX_HOLD + more), pace * GRACE
        self._undo_time = pace * UNDO_TIME
        self.state = folder / "state"
        self._folder, self._variant = folder, variant
        self._fleet = [option for path in endpoints for option in ("-e", f"unix://{path}")]
        self.process: Optional[subprocess.Popen[bytes]] = None
        self.begun = asyncio.Event()
        self.began_at: Optional[float] = None
        self.output = ""
        self._reading: list[asyncio.Task[None]] = []

    def environment(self, clock: Optional[Path]) -> dict[str, str]:
        own = {"STILLGATE_STATE_DIR": str(self.state), "PYTHONPATH": str(PACKAGE)}
        if clock is not None:
            own.update(STEP_CLOCK=str(self._folder / "clock"), LD_PRELOAD=str(clock))
        return {**os.environ, **own}

    def start(self, clock: Optional[Path]) -> None:
        options = ["--method", self._variant.method, "--max-hold", str(self.max_hold)]
        options += ["--grace", str(self._grace), *self._fleet]
        work = WORK
        if self._variant.cutover:
            schema = shlex.quote(str(self._folder / "migrated"))
            options += ["--serve", f"{NEW}=ready", "--serve", f"{OLD}=maint"]
            options += ["--on-failure", f"rm -f {schema}", "--undo-time", str(self._undo_time)]
            work += f"; touch {schema}"
        options += ["--", "sh", "-c", work]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stillgate", "hold", F, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(clock),
            start_new_session=True,
        )
        for pipe in (self.process.stdout, self.process.stderr):
            self._reading.append(asyncio.ensure_future(self._read(pipe)))

    async def _read(self, pipe: Any) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        while line := await reader.readline():
            self.output += line.decode("utf-8", "replace")
            if line == b"begun\n":
                self.began_at = time.monotonic()
                self.begun.set()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def processes(self) -> dict[int, str]:
        """All that still run of the controller's side, with their names."""
        mark = f"STILLGATE_STATE_DIR={self.state}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if mark not in (entry / "environ").read_bytes().split(b"\0"):
                    continue
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            except OSError:
                continue
            if rest.split()[0] != "Z":
                found[int(entry.name)] = name
        return found

    def guards(self) -> list[int]:
        return [pid for pid, name in self.processes().items() if name.startswith("stillgate-guar")]

    def records(self) -> list[str]:
        return sorted(path.name for path in self.state.glob("holds/*"))

    async def resume(self) -> str:
        """What an operator does when all is over that was wrong."""
        asked = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "stillgate", "resume", F, *self._fleet],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment(None),
        )
        told, _ = await asyncio.wait_for(asked.communicate(), 30)
        return told.decode("utf-8", "replace")

    async def close(self) -> None:
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        for task in self._reading:
            task.cancel()


def cell_folder() -> Path:
    """Short: a unix socket's path has 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="sgc-", dir="/tmp"))
    folder.chmod(0o755)
    return folder


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
