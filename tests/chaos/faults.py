"""Each fault as it is done to a cell's stage, and how what it broke is mended at the end."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import struct
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from chaos.relay import remove_file, restore_file
from chaos.stage import Deploy, Place
from support.process import wait_until

PAUSED = 1.0  # seconds
DELAYED = 0.5
STEP = 3600
DEPLOY_SIGNALS = {
    "kill_deploy": signal.SIGKILL,
    "int_deploy": signal.SIGINT,
    "term_deploy": signal.SIGTERM,
    "hup_deploy": signal.SIGHUP,
    "stop_deploy": signal.SIGSTOP,
}
CLOCKS = {"clock_forward": STEP, "clock_back": -STEP}


@dataclass
class Effects:
    """What judges have to know of the fault: when it came, from when to when the victim's HAProxy
    could not serve, and that it runs as another process since.
    """

    at: Optional[float] = None
    down_from: Optional[float] = None
    down_to: Optional[float] = None
    replaced: bool = False
    stepped: int = 0


@dataclass
class Fault:
    """`inject` returns when the fault is there; `mend` when nothing of it is left, but for a clock,
    which stays stepped.
    """

    name: str
    victim: Place
    deploy: Deploy
    clock_file: Path
    effects: Effects = field(default_factory=Effects)
    _background: list[asyncio.Future[None]] = field(default_factory=list)
    _mending: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def inject(self) -> None:
        self.effects.at = time.monotonic()
        if self.name in DEPLOY_SIGNALS:
            self._signal_deploy(DEPLOY_SIGNALS[self.name])
        elif self.name in CLOCKS:
            self.effects.stepped = CLOCKS[self.name]
            step_clock(self.clock_file, self.effects.stepped)
        elif self.name != "none":
            await getattr(self, f"_{self.name}")()

    async def close(self) -> None:
        """Waits for what starts a HAProxy again, so that it can be ended."""
        await asyncio.gather(*self._background, return_exceptions=True)

    async def mend(self) -> None:
        await asyncio.gather(*self._background)
        for work in self._mending:
            await work()
        self._mending.clear()

    # --- the controller ---

    def _signal_deploy(self, number: signal.Signals) -> None:
        send(self.deploy.pid, number)
        if number == signal.SIGSTOP:
            self._mend_by(lambda: send(self.deploy.pid, signal.SIGCONT))

    async def _kill_guard(self) -> None:
        send_all(self._some_guards(), signal.SIGKILL)

    async def _kill_one_guard(self) -> None:
        send(self._some_guards()[0], signal.SIGKILL)

    async def _kill_both(self) -> None:
        self._signal_deploy(signal.SIGKILL)
        send_all(self.deploy.guards(), signal.SIGKILL)

    def _some_guards(self) -> list[int]:
        guards = self.deploy.guards()
        if not guards:
            raise NoSuchVictim("there is no guard to kill")
        return sorted(guards)

    async def _frozen(self) -> None:
        frozen: set[int] = set()
        # Once more, for what one of them started between the look and its signal.
        while more := set(self.deploy.processes()) - frozen:
            send_all(more, signal.SIGSTOP)
            frozen |= more
        self._mend_by(lambda: send_all(frozen, signal.SIGCONT))

    async def _disk_full(self) -> None:
        """Nothing can be written to any file, as on a full disk, and no disk has to be filled."""
        self._limit(self.deploy.processes(), resource.RLIMIT_FSIZE, lambda pid: 0)

    async def _files_full(self) -> None:
        self._limit(self._some_guards(), resource.RLIMIT_NOFILE, lambda pid: 0)

    async def _memory_full(self) -> None:
        self._limit(self._some_guards(), resource.RLIMIT_AS, address_space)

    def _limit(self, whom: Iterable[int], what: int, size: Callable[[int], int]) -> None:
        """Until the end of the fault: whoever is limited has what it has, and gets no more."""
        before = {}
        for pid in whom:
            limit = set_soft_limit(pid, what, size(pid))
            if limit is not None:
                before[pid] = limit

        def lift() -> None:
            for pid, limit in before.items():
                set_soft_limit(pid, what, limit)

        self._mend_by(lift)

    # --- one HAProxy ---

    async def _haproxy_kill(self) -> None:
        self.effects.replaced = True
        self.effects.down_from = time.monotonic()
        self.victim.relay.refuse()
        await asyncio.to_thread(self.victim.proxy.kill)
        self._mending.append(self._start_again)

    async def _haproxy_restart(self) -> None:
        self.effects.replaced = True
        self.effects.down_from = time.monotonic()
        self.victim.relay.refuse()
        await asyncio.to_thread(self.victim.proxy.stop)
        self._background.append(asyncio.ensure_future(self._start_again()))

    async def _start_again(self) -> None:
        await asyncio.to_thread(self.victim.proxy.restart)
        self.effects.down_to = time.monotonic()
        self.victim.relay.listen()

    async def _haproxy_reload(self) -> None:
        self.effects.replaced = True
        proxy = self.victim.proxy
        before = await asyncio.to_thread(lambda: proxy.worker_pid)
        os.kill(proxy.pid, signal.SIGUSR2)

        def reloaded() -> bool:
            try:
                return proxy.worker_pid != before
            except (OSError, LookupError):
                return False

        waiting = asyncio.to_thread(wait_until, reloaded, "a new worker")
        self._background.append(asyncio.ensure_future(waiting))

    async def _haproxy_pause(self) -> None:
        self._stop_haproxy()

        async def go_on() -> None:
            await asyncio.sleep(PAUSED)
            self._continue_haproxy()

        self._background.append(asyncio.ensure_future(go_on()))

    async def _haproxy_stop(self) -> None:
        self._stop_haproxy()
        self._mend_by(self._continue_haproxy)

    def _stop_haproxy(self) -> None:
        self.effects.down_from = time.monotonic()
        self.victim.signal(signal.SIGSTOP)

    def _continue_haproxy(self) -> None:
        self.victim.signal(signal.SIGCONT)
        self.effects.down_to = time.monotonic()

    # --- the path to it ---

    async def _socket_removed(self) -> None:
        path = self.victim.relay.path
        remove_file(path)
        self._mend_by(lambda: restore_file(path))

    async def _reset(self) -> None:
        self.victim.relay.reset()

    async def _cut(self) -> None:
        self.victim.relay.cut()
        self._mend_by(self.victim.relay.mend)

    async def _stall(self) -> None:
        """What is on the way arrives in the end, as TCP sends it again until it does."""
        self.victim.relay.cut()
        self._mend_by(self.victim.relay.go_on)

    async def _delay(self) -> None:
        self.victim.relay.delay = DELAYED
        self._mend_by(self.victim.relay.mend)

    def _mend_by(self, work: Callable[[], object]) -> None:
        async def mend() -> None:
            work()

        self._mending.append(mend)


class NoSuchVictim(Exception):
    """What the fault is to strike is not there."""


def send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def send_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        send(pid, number)


def step_clock(file: Path, seconds: int) -> None:
    """In place: the file is mapped by those who read it."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT), "wb") as handle:
        handle.write(struct.pack("l", seconds))


def set_soft_limit(pid: int, what: int, limit: int) -> Optional[int]:
    """Returns the one before; None where the process is gone."""
    try:
        before, hard = resource.prlimit(pid, what)
        resource.prlimit(pid, what, (limit, hard))
    except OSError:
        return None
    return before


def address_space(pid: int) -> int:
    """What it has now, in bytes; 0 where it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
