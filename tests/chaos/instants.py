"""A signal at any instant of a call, and what is held behind it: each verb, by both methods.

    .venv/bin/python tests/chaos/instants.py --verb suspend --method maxconn --number 1000

The calls run in forks of a process that has imported everything, so that a thousand of them take a
minute. The instants are spread evenly over the whole call, as long as one takes that nobody stops.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT / "tests")
    sys.path.insert(1, str(ROOT / "python"))

import stillgate  # noqa: E402
from chaos.callers import CALLERS, LASTS, NEW, OLD, STOPPED, Caller, F  # noqa: E402
from support.chef.client import missing  # noqa: E402
from support.haproxy.fetch import ensure  # noqa: E402
from support.haproxy.gate import Gated  # noqa: E402
from support.haproxy.server import HAProxy  # noqa: E402
from support.process import wait_until  # noqa: E402

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MEASURED = 5  # calls that nobody stops, before the others
BEHIND = 1.1  # of such a call: until then signals come
HANG_S = 60.0
CRASHED = 70
WRITING = os.O_WRONLY | os.O_CREAT
CONNECTIONS = 200  # of guards that are about to leave, too
SERVERS = 1, 2  # ports; no request comes


@dataclass
class Instant:
    """A signal so many seconds behind the call's start, and what came of it."""

    after: float
    signal: str
    status: int
    held: bool
    broken: str = ""


@dataclass
class Outcome:
    """Of all instants of a verb by a method. `lasts` is the longest call that nobody stopped."""

    verb: str
    method: str
    lasts: float = 0.0
    instants: list[Instant] = field(default_factory=list)

    @property
    def broken(self) -> list[Instant]:
        return [one for one in self.instants if one.broken]

    def words(self) -> str:
        ends = Counter(f"{one.status}{', held' if one.held else ''}" for one in self.instants)
        told = "; ".join(f"{end}: {count}" for end, count in sorted(ends.items()))
        return (
            f"{self.verb} by {self.method}: {len(self.broken)} of {len(self.instants)} broken "
            f"(a call takes {self.lasts * 1000:.0f} ms; {told})"
        )


class Stage:
    """One HAProxy, by whose switch is told what is held."""

    def __init__(self, start: Callable[..., HAProxy], binary: Any, method: str) -> None:
        self._method = method
        if method == "gate":
            self._gated = Gated(start, binary, stats_maxconn=CONNECTIONS, servers=SERVERS)
            self._proxy = self._gated.proxy
        else:
            self._proxy = start(binary, stats_maxconn=CONNECTIONS, servers=SERVERS)
        self.endpoint = self._proxy.endpoints[0]
        self._fleet = stillgate.Fleet([self.endpoint])

    def held(self) -> bool:
        if self._method == "gate":
            return bool(self._gated.status()["mode"] == "held")
        return self._proxy.limit(F) == 0

    def hold(self) -> str:
        return self._fleet.suspend(F, max_hold=LASTS).holds[0].id

    def serve_old(self) -> None:
        self._proxy.cli(f"set server {OLD} state ready", f"set server {NEW} state maint")

    def serving(self) -> list[str]:
        rows = {f"{row['pxname']}/{row['svname']}": row["status"] for row in self._proxy.stat()}
        return [one for one in (OLD, NEW) if not rows[one].startswith("MAINT")]

    def clear(self) -> None:
        self._fleet.resume(F, force=True, reason="the next instant")

    def close(self) -> None:
        if self._method == "gate":
            self._gated.close()


def _binary(label: str) -> Any:
    entry = ensure([label])[label]
    release = tuple(int(one) for one in entry["version"].split("-")[0].split(".")[:2])

    @dataclass(frozen=True)
    class Binary:
        path: str
        version: str
        release: tuple[int, ...]

    return Binary(entry["path"], entry["version"], release)


@contextmanager
def staged(label: str, method: str) -> Iterator[Stage]:
    started: list[HAProxy] = []

    def start(binary: Any, **options: Any) -> HAProxy:
        started.append(HAProxy(binary.path, **options))
        return started[-1]

    stage = None
    try:
        stage = Stage(start, _binary(label), method)
        yield stage
    finally:
        for proxy in started:
            proxy.stop()
            proxy.close()
        if stage is not None:
            stage.close()


class Strike:
    """Calls in forks, each with one signal."""

    def __init__(self, stage: Stage, caller: Caller, folder: Path) -> None:
        self._stage = stage
        self._caller = caller
        self._folder = folder
        self._said = folder / "stdout"
        self._status = 0

    def play(self, after: Optional[float], number: signal.Signals) -> tuple[Instant, float]:
        """What came of it, and how long the call took."""
        hold_id = self._stage.hold() if self._caller.wants_hold else ""
        if self._caller.cuts_over:
            self._stage.serve_old()
        # Nothing is struck before it is a call.
        signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            self._be_the_call(hold_id)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)
        status = self._struck(child, began, after, number)
        took = time.monotonic() - began
        held = self._stage.held()
        one = Instant(after or 0.0, number.name, status, held)
        said = self._said.read_text() if self._said.exists() else ""
        one.broken = self._crash(status) or self._caller.broken(status, held, said)
        one.broken = one.broken or self._left(held) or self._half_cut(status)
        if held:
            self._stage.clear()
        return one, took

    def _be_the_call(self, hold_id: str) -> None:
        """Does not return."""
        self._status = CRASHED
        try:
            self._call(hold_id)
            # As at the end of any Python: who is no daemon is waited for.
            for thread in threading.enumerate():
                if not thread.daemon and thread is not threading.current_thread():
                    thread.join()
        finally:
            os._exit(self._status)

    def _call(self, hold_id: str) -> None:
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(os.open(self._said, WRITING | os.O_TRUNC), 1)
            os.dup2(os.open(self._folder / "stderr", WRITING | os.O_APPEND), 2)
            for number in NUMBERS:
                signal.signal(number, signal.default_int_handler)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)
            self._status = self._caller.run(self._stage.endpoint, hold_id, self._folder)
        except SystemExit as error:
            self._status = error.code if isinstance(error.code, int) else 1
        except KeyboardInterrupt:
            self._status = STOPPED
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()

    @staticmethod
    def _struck(child: int, began: float, after: Optional[float], number: signal.Signals) -> int:
        if after is not None:
            time.sleep(max(0.0, began + after - time.monotonic()))
            with suppress(ProcessLookupError):
                os.kill(child, number)
        give_up = time.monotonic() + HANG_S
        while True:
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > give_up:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return -signal.SIGKILL
            time.sleep(0.0005)

    def _crash(self, status: int) -> str:
        """The end of its traceback."""
        if status != CRASHED:
            return ""
        return "crashed: " + " | ".join((self._folder / "stderr").read_text().splitlines()[-8:])

    def _half_cut(self, status: int) -> str:
        serving = self._stage.serving() if self._caller.cuts_over else []
        if not self._caller.cuts_over or serving == [NEW] or (serving == [OLD] and status != 0):
            return ""
        return f"status {status}, and these serve: {serving}"

    def _left(self, held: bool) -> str:
        """What of a hold that is over is left on this machine."""
        files = [path.name for path in self._folder.glob("holds/*")]
        if held or not files:
            return ""
        for path in self._folder.glob("holds/*"):
            path.unlink()
        return f"not held, and in the journal: {files}"


@contextmanager
def state_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="sgi-", dir="/tmp")
    try:
        yield folder
    finally:

        def is_gone() -> bool:
            # A guard that is about to leave still writes to the history.
            shutil.rmtree(folder, ignore_errors=True)
            return not os.path.exists(folder)

        wait_until(is_gone, "the end of the last guard")


def strike(verb: str, method: str, number: int, label: str) -> Outcome:
    """Signals at so many instants of it."""
    outcome = Outcome(verb, method)
    with state_folder() as folder:
        os.environ["STILLGATE_STATE_DIR"] = folder
        caller = CALLERS[verb]
        measured, number = (max(1, round(caller.part * one)) for one in (MEASURED, number))
        with staged(label, method) as stage, caller.within(Path(folder)):
            strike_ = Strike(stage, caller, Path(folder))
            for _ in range(measured):
                whole, took = strike_.play(None, NUMBERS[0])
                if whole.broken:
                    talk = (Path(folder) / "stderr").read_text()
                    raise RuntimeError(f"without a signal: {whole}\n{talk}")
                outcome.lasts = max(outcome.lasts, took)
            for index in range(number):
                after = outcome.lasts * BEHIND * (index + 0.5) / number
                one, _ = strike_.play(after, NUMBERS[index % len(NUMBERS)])
                outcome.instants.append(one)
    return outcome


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Signals at any instant of a call.")
    parser.add_argument("--verb", action="append", choices=list(CALLERS))
    parser.add_argument("--method", action="append", choices=["maxconn", "gate"])
    parser.add_argument("--label", default="3.0", help="which HAProxy")
    parser.add_argument("--number", type=int, default=100, help="instants for each")
    parser.add_argument("--jobs", type=int, default=2, help="verbs at once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the document goes there")
    return parser.parse_args()


def main() -> int:
    asked = options()
    verbs = asked.verb or list(CALLERS)
    if without_chef := missing():
        print(f"Without the resources of the cookbook: {without_chef}")
        if os.environ.get("CI"):
            return 1
        verbs = [verb for verb in verbs if not verb.startswith("chef")]
    ensure([asked.label])
    context = multiprocessing.get_context("fork")
    outcomes = []
    with ProcessPoolExecutor(asked.jobs, context) as pool:
        running = [
            pool.submit(strike, verb, method, asked.number, asked.label)
            for verb in verbs
            for method in asked.method or ("maxconn", "gate")
        ]
        for done in as_completed(running):
            outcome = done.result()
            outcomes.append(outcome)
            print(outcome.words(), flush=True)
            for one in outcome.broken[:5]:
                print(f"  {one}")
    if asked.json is not None:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1) + "\n")
    return 1 if any(one.broken for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
