"""One cell of the matrix from its start to its verdict."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

from chaos.faults import CLOCKS, STEP, Effects, Fault, NoSuchVictim, step_clock
from chaos.judge import LATE, Broken, Seen, promises_broken
from chaos.matrix import Cell
from chaos.phases import Course
from chaos.stage import LIMIT, Deploy, Place, cell_folder, remove

WARM = 4  # answers of each HAProxy's load before the deploy begins
REACHED_WITHIN = 15.0
ENDED_WITHIN = 20.0
TIDY_WITHIN = 3.0
WHOLE_WITHIN = 90.0
CLEAR = 0.1  # seconds behind the last instant at which anything may be held


@dataclass
class Result:
    """What came of a cell. `lag` is how long the harness itself was kept from its work."""

    broken: list[Broken] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0
    lag: float = 0.0
    deploy_status: Optional[int] = None
    evidence: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class _Run:
    """The course of one cell. The fault strikes A; B is the witness that nothing else is hurt."""

    def __init__(self, cell: Cell, folder: Path, clock_library: Path, pace: float) -> None:
        self.cell = cell
        self.pace = pace
        self._late = pace * (LATE + CLEAR)
        self.result = Result()
        self._library = clock_library if cell.fault in CLOCKS else None
        self._clock = folder / "clock"
        self.places = [Place(name, folder, cell.variant) for name in "AB"]
        self.deploy = Deploy(folder, cell.variant, [folder / "A.sock", folder / "B.sock"], pace)
        self.fault = Fault(cell.fault, self.places[0], self.deploy, self._clock)
        self._courses = {"A": Course(), "B": Course()}
        self._committed: Optional[float] = None
        self._reached = asyncio.Event()

    async def play(self) -> None:
        await asyncio.gather(*(place.start(self._pass_on) for place in self.places))
        await asyncio.gather(*(self._warm(place) for place in self.places))
        step_clock(self._clock, 0)
        self.deploy.start(self._library)
        await self._until_struck()
        await self._let_it_end()
        await self.fault.mend()
        await self._settle()
        await self._tidy()
        await self._judge()

    async def close(self) -> None:
        for place in self.places:
            if place.started:
                place.relay.mend()
        await self.fault.close()
        await self.deploy.close()
        await asyncio.gather(*(place.close() for place in self.places))

    # --- to the fault ---

    async def _warm(self, place: Place) -> None:
        await wait_for(lambda: sum(x.ok for x in place.traffic.requests.values()) >= WARM, 60)

    async def _pass_on(self, name: str, pid: int, line: str) -> None:
        """With a line of the deploy process still unread by HAProxy."""
        if self.deploy.process is None or pid != self.deploy.pid:
            return
        course = self._courses[name]
        phase = course.line(line) if line else course.connected()
        if phase == "committing" and self._committed is None:
            self._committed = time.monotonic()
        if course.deadline_ms is not None:
            for place in self.places:
                place.witness.deadline = self.deadline()
        if name == "A" and phase == self.cell.phase and not self._reached.is_set():
            await self._strike()

    async def _strike(self) -> None:
        self._reached.set()
        try:
            await self.fault.inject()
        except NoSuchVictim as error:
            self.result.broken.append(Broken("not_reached", str(error)))

    async def _until_struck(self) -> None:
        reached = asyncio.ensure_future(self._reached.wait())
        begun = asyncio.ensure_future(self.deploy.begun.wait())
        give_up = time.monotonic() + self.pace * REACHED_WITHIN
        while not self._reached.is_set() and time.monotonic() < give_up:
            if begun.done() and self._courses["A"].phase not in ("proving", "cutting", "resuming"):
                for course in self._courses.values():
                    course.holding()
                if self.cell.phase == "holding":
                    await self._strike()
            if self.deploy.ended():
                break
            await asyncio.wait([reached], timeout=0.005)
        for task in (reached, begun):
            task.cancel()
        if not self._reached.is_set():
            words = f"the deploy never came to {self.cell.phase}"
            self.result.broken.append(Broken("not_reached", words))

    # --- from the fault on ---

    def deadline(self) -> Optional[float]:
        """Of the record that passed, else counted from the commit; None where none was seen."""
        committed = self._committed
        if committed is None:
            return None
        told = [one.deadline_ms for one in self._courses.values() if one.deadline_ms is not None]
        if told:
            left = max(told) / 1000 - time.time()
            # The record is of a clock that may have been stepped by then.
            left -= round(left / STEP) * STEP
            return time.monotonic() + left
        return committed + self.deploy.max_hold

    async def _let_it_end(self) -> None:
        """Until all is open and over, or must be."""

        def over() -> bool:
            deadline = self.deadline()
            if deadline is not None and time.monotonic() > deadline + self._late:
                return True
            return self.deploy.ended() and deadline is None and not self.deploy.guards()

        frozen = self.cell.fault in ("stop_deploy", "frozen")
        must_be = self.deploy.max_hold + self._late
        await wait_for(over, must_be if frozen else must_be + ENDED_WITHIN, error=False)

    async def _settle(self) -> None:
        """All that was broken is whole: now the controller's side has to come to its end."""

        def gone() -> bool:
            return self.deploy.ended() and not self.deploy.processes()

        if not await wait_for(gone, self.pace * ENDED_WITHIN, error=False):
            self.result.left = [f"{x} {pid}" for pid, x in self.deploy.processes().items()]
            self.result.broken.append(Broken("process_left", ", ".join(self.result.left)))
        assert self.deploy.process is not None
        self.result.deploy_status = self.deploy.process.poll()
        self._look_for_a_crash()
        deadline = self.deadline()
        if deadline is not None:
            until = deadline + self._late
            await wait_for(lambda: time.monotonic() > until, ENDED_WITHIN)

    def _look_for_a_crash(self) -> None:
        """A signal that nobody sent it, or a traceback."""
        status = self.result.deploy_status
        killed = self.cell.fault in ("kill_deploy", "kill_both")
        if (status is not None and status < 0 and not killed) or "Traceback" in self.deploy.output:
            words = f"the deploy ended with {status}: {self.deploy.output.strip()[-300:]}"
            self.result.broken.append(Broken("crashed", words))

    async def _tidy(self) -> None:
        def tidy() -> bool:
            return self.deploy.records() == []

        if await wait_for(tidy, self.pace * 0.3, error=False):
            return
        self.result.broken.append(Broken("record_left", ", ".join(self.deploy.records())))
        told = await self.deploy.resume()
        if not await wait_for(tidy, self.pace * TIDY_WITHIN, error=False):
            words = f"{self.deploy.records()}, even behind a resume: {told.strip()}"
            self.result.broken.append(Broken("file_left", words))

    async def _judge(self) -> None:
        for place in self.places:
            await place.witness.look()
            place.witness.stop()
        requests = await asyncio.gather(*(place.traffic.stop() for place in self.places))
        deadline = self.deadline()
        for place, sent in zip(self.places, requests):
            last = place.witness.looks[-1]
            victim = place is self.places[0]
            seen = Seen(
                name=place.name,
                looks=place.witness.looks,
                requests=sent,
                deadline=deadline,
                began=self.deploy.began_at,
                effects=self.fault.effects if victim else Effects(),
                limit_at_end=last.limit,
                held_at_end=last.held,
                limit=LIMIT,
                by_gate=self.cell.variant.method == "gate",
                pace=self.pace,
            )
            self.result.broken += promises_broken(seen)
        self.result.lag = max(place.witness.lag for place in self.places)

    def evidence(self) -> str:
        """For whoever looks for the reason."""
        at = self.fault.effects.at
        started = [place for place in self.places if place.started]
        start = min((log[0] for place in started for log in place.relay.log), default=0.0)
        words = [f"deploy {self.result.deploy_status}:", self.deploy.output.rstrip()]
        if at is not None:
            words.append(f"fault at {at - start:.3f} s")
        if (deadline := self.deadline()) is not None:
            words.append(f"deadline at {deadline - start:.3f} s")
        for place in started:
            words.append(f"--- HAProxy {place.name}: log")
            words.append(place.proxy.log()[-2000:])
            words.append(f"--- HAProxy {place.name}: lines, and what was seen")
            lines = [(when, f"{pid} {line[:110]}") for when, pid, line in place.relay.log]
            before = None
            for look in place.witness.looks:
                if look.held != before:
                    lines.append((look.asked, f"    seen: held {look.held}, limit {look.limit}"))
                before = look.held
            words += [f"{when - start:8.3f} {text}" for when, text in sorted(lines)]
        return "\n".join(words)


async def wait_for(condition: Callable[[], bool], seconds: float, error: bool = True) -> bool:
    """Whether the condition came to hold in time."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            if error:
                raise TimeoutError(f"not within {seconds} s")
            return False
        await asyncio.sleep(0.02)
    return True


def _clear_away_when_stopped() -> None:
    """Whatever ends us, the cell's own processes are ended first; the first signal is enough."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop() -> None:
        for number in numbers:
            loop.add_signal_handler(number, lambda: None)
        if task is not None:
            task.cancel()

    for number in numbers:
        loop.add_signal_handler(number, stop)


async def _play(cell: Cell, clock_library: Path, pace: float) -> Result:
    folder = cell_folder()
    run = _Run(cell, folder, clock_library, pace)
    began = time.monotonic()
    _clear_away_when_stopped()
    try:
        try:
            await asyncio.wait_for(run.play(), pace * WHOLE_WITHIN)
        except Exception:  # whatever it is, the other cells go on
            run.result.broken.append(Broken("harness", traceback.format_exc()))
        if run.result.broken:
            run.result.evidence = run.evidence()
    finally:
        await run.close()
        remove(folder)
    run.result.seconds = time.monotonic() - began
    return run.result


def play(cell: Cell, clock_library: Path, pace: float) -> Result:
    """Runs one cell; called in a process that runs one cell at a time. With a pace of 4 its hold
    is four times as long, and all that is bounded may take four times as long.
    """
    os.environ.pop("STILLGATE_INVENTORY", None)
    return asyncio.run(_play(cell, clock_library, pace))
