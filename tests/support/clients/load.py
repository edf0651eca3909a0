"""A load generator in a process of its own: so many requests a second, by clients of one kind,
whatever is answered.

The schedule is fixed and does not wait for answers, as the world does not: what is held piles up.
The clients take turns; one that waits and can send no more, as a keep-alive one, misses its turn.
Every request gives one record, answered or failed, with times on CLOCK_MONOTONIC, which all
processes of one machine share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.clients.kinds import CLIENTS, FURTHER, Client  # noqa: E402
from support.closing import Closing  # noqa: E402
from support.patience import HANG_S  # noqa: E402

# --- the process ----------------------------------------------------------------------


async def _request(client: Client, options: argparse.Namespace, name: str) -> None:
    status, error, sent_at = None, None, time.monotonic()
    try:
        request = client.request(options.method, options.path, name)
        status = await asyncio.wait_for(request, options.timeout)
    except asyncio.TimeoutError:
        error = f"no answer within {options.timeout} s"
    except OSError as failure:
        error = f"{type(failure).__name__}: {failure}"
    print(json.dumps([name, sent_at, time.monotonic(), status, error]), flush=True)


async def _generate(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    # The test holds our stdin: when it closes it, or is gone, no more requests are sent.
    stopped = asyncio.Event()
    threading.Thread(
        target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(stopped.set)), daemon=True
    ).start()
    kinds = {**CLIENTS, **FURTHER}
    clients = [kinds[options.kind](options.port) for _ in range(options.clients)]
    open_requests: list[set[asyncio.Task[None]]] = [set() for _ in clients]
    start, number, turn = time.monotonic(), 0, 0
    while not stopped.is_set() and (
        options.seconds is None or number < options.seconds * options.rate
    ):
        client, its_own = clients[turn], open_requests[turn]
        for _ in range(options.at_once):
            if len(its_own) < client.limit:
                name = f"{options.prefix}{number}"
                task = loop.create_task(_request(client, options, name))
                its_own.add(task)
                task.add_done_callback(its_own.discard)
            number += 1
        turn = (turn + 1) % len(clients)
        delay = start + number / options.rate - time.monotonic()
        try:
            await asyncio.wait_for(stopped.wait(), max(delay, 0.0))
        except asyncio.TimeoutError:
            pass
    rest = set().union(*open_requests)
    if rest:
        await asyncio.wait(rest)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--timeout", type=float, default=HANG_S)
    parser.add_argument("--method", default="GET")
    parser.add_argument("--path", default="/")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--kind", choices=[*CLIENTS, *FURTHER], default="new")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=1)
    # Ctrl-C is for the test, which then ends us: no tracebacks of ours among its words.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_generate(parser.parse_args()))


# --- what a test holds ----------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """One request as its client saw it; `status` is None where `error` says why."""

    id: str
    sent_at: float
    finished_at: float
    status: Optional[int]
    error: Optional[str]

    @property
    def ok(self) -> bool:
        return self.status == 200


class Load(Closing):
    """Load(port, rate=200).start(), then wait_for(n) answers as often as needed, then stop() for
    all records. `kind` is one of support.clients.kinds.CLIENTS; `at_once` requests are sent
    together by each of so many `clients` in turn, at `rate` requests a second in all.
    """

    def __init__(
        self,
        port: int,
        *,
        rate: float = 200.0,
        seconds: Optional[float] = None,
        timeout: float = HANG_S,
        method: str = "GET",
        path: str = "/",
        prefix: str = "",
        kind: str = "new",
        clients: int = 1,
        at_once: int = 1,
    ) -> None:
        self.timeout = timeout
        self._command = [
            sys.executable,
            __file__,
            str(port),
            "--rate",
            str(rate),
            "--timeout",
            str(timeout),
        ]
        self._command += ["--method", method, "--path", path, "--prefix", prefix]
        self._command += ["--kind", kind, "--clients", str(clients), "--at-once", str(at_once)]
        self._command += [] if seconds is None else ["--seconds", str(seconds)]
        self._process: Optional[subprocess.Popen[str]] = None
        self._records: list[Record] = []
        self._ended = False
        self._changed = threading.Condition()

    def start(self) -> Load:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        return self

    def records(self) -> list[Record]:
        """Those finished so far."""
        with self._changed:
            return list(self._records)

    def wait_for(self, answered: int, timeout: float = HANG_S) -> None:
        """Returns when so many requests have had an answer with status 200."""

        def enough() -> bool:
            return sum(record.ok for record in self._records) >= answered

        def enough_or_ended() -> bool:
            return self._ended or enough()

        with self._changed:
            self._changed.wait_for(enough_or_ended, timeout)
            if not enough():
                why = "the load ended before" if self._ended else f"not within {timeout} s"
                raise TimeoutError(f"{answered} answers: {why}")

    def finish(self, timeout: float = 120.0) -> list[Record]:
        """With `seconds`: lets it send all it was to send, and gives all records."""
        process = self._process
        assert process is not None, "not started"
        process.wait(timeout)
        return self.stop()

    def stop(self) -> list[Record]:
        """Sends no more, waits for what is open (at most the clients' timeout), and gives all
        records.
        """
        process = self._process
        assert process is not None and process.stdin is not None, "not started"
        process.stdin.close()
        try:
            process.wait(self.timeout + 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        self._reader.join(5)
        if process.returncode != 0:
            raise RuntimeError(f"the load ended with status {process.returncode}")
        return self.records()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Load:
        return self.start()

    def close(self) -> None:
        self.kill()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                record = Record(*json.loads(line))
                with self._changed:
                    self._records.append(record)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


if __name__ == "__main__":
    _main()
