"""A load generator in a process of its own: so many requests a second, each on a new connection,
whatever is answered.

The schedule is fixed and does not wait for answers, as the world does not: what is held piles up.
Every request gives one record, answered or failed, with times on CLOCK_MONOTONIC, which all
processes of one machine share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Optional

# --- the process ----------------------------------------------------------------------


async def _exchange(port: int, line: str, name: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        request = [
            f"{line} HTTP/1.1",
            "Host: test",
            f"X-Request-Id: {name}",
            "Connection: close",
        ]
        if not line.startswith("GET"):
            request.append("Content-Length: 0")
        writer.write("\r\n".join([*request, "", ""]).encode())
        answer = await reader.read(-1)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    if not status or (length and len(body) < int(length.group(1))):
        raise ConnectionError(f"answer cut after {len(answer)} bytes")
    return int(status.group(1))


async def _request(port: int, line: str, name: str, timeout: float) -> None:
    status, error, sent_at = None, None, time.monotonic()
    try:
        status = await asyncio.wait_for(_exchange(port, line, name), timeout)
    except asyncio.TimeoutError:
        error = f"no answer within {timeout} s"
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
    line = f"{options.method} {options.path}"
    start, number, open_requests = time.monotonic(), 0, set()
    while not stopped.is_set() and (
        options.seconds is None or number < options.seconds * options.rate
    ):
        name = f"{options.prefix}{number}"
        task = loop.create_task(_request(options.port, line, name, options.timeout))
        open_requests.add(task)
        task.add_done_callback(open_requests.discard)
        number += 1
        delay = start + number / options.rate - time.monotonic()
        try:
            await asyncio.wait_for(stopped.wait(), max(delay, 0.0))
        except asyncio.TimeoutError:
            pass
    if open_requests:
        await asyncio.wait(open_requests)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--timeout", type=float, default=30.0)
    parser.add_argument("--method", default="GET")
    parser.add_argument("--path", default="/")
    parser.add_argument("--prefix", default="")
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


class Load:
    """Load(port, rate=200).start(), then wait_for(n) answers as often as needed, then stop() for
    all records.
    """

    def __init__(
        self,
        port: int,
        *,
        rate: float = 200.0,
        seconds: Optional[float] = None,
        timeout: float = 30.0,
        method: str = "GET",
        path: str = "/",
        prefix: str = "",
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

    def wait_for(self, answered: int, timeout: float = 30.0) -> None:
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

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
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
