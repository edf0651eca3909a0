"""The demo's application: takes payments over HTTP and writes each to PostgreSQL.

A process of its own, in two versions of the code that differ in their SQL alone. Each request
inserts a row and reads it back, in one transaction; what the database refuses is answered with 500
and its words. The process remembers which request reached it when, on CLOCK_MONOTONIC, which all
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
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.app import Arrival  # noqa: E402
from support.closing import Closing  # noqa: E402

# --- the process ----------------------------------------------------------------------

CENTS = 1250
CODE = {
    1: (
        f"INSERT INTO payments (request, amount_cents) VALUES (%s, {CENTS}) RETURNING id",
        "SELECT amount_cents || ' cents' FROM payments WHERE id = %s",
    ),
    2: (
        "INSERT INTO payments (request, amount, currency)"
        f" VALUES (%s, {CENTS / 100:.2f}, 'EUR') RETURNING id",
        "SELECT amount || ' ' || currency FROM payments WHERE id = %s",
    ),
}
SESSIONS = 4  # with the database, one for each thread


class Application:
    """One version of the code, with its sessions."""

    def __init__(self, version: int, dsn: str) -> None:
        # Here, because whoever only holds this process needs no driver.
        import psycopg2.pool

        self._insert, self._select = CODE[version]
        self._sessions = psycopg2.pool.ThreadedConnectionPool(SESSIONS, SESSIONS, dsn)
        self._refused = psycopg2.Error
        self._threads = ThreadPoolExecutor(SESSIONS)
        self.arrivals: list[tuple[str, float]] = []

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            arrived = time.monotonic()
            named = re.search(r"(?im)^x-request-id: *(\S+)", head)
            self.arrivals.append((named.group(1) if named else "", arrived))
            loop = asyncio.get_running_loop()
            status, text = await loop.run_in_executor(
                self._threads, self._pay, named.group(1) if named else None
            )
            body = text.encode() + b"\n"
            answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{answer}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # HAProxy's health checks connect, and that is all
        finally:
            writer.close()

    def _pay(self, request: Optional[str]) -> tuple[str, str]:
        session = self._sessions.getconn()
        try:
            # One transaction: committed where the block is left, rolled back where it fails.
            with session, session.cursor() as cursor:
                cursor.execute(self._insert, (request,))
                cursor.execute(self._select, cursor.fetchone())
                return "200 OK", str(cursor.fetchone()[0])
        except self._refused as error:
            return "500 Internal Server Error", str(error).splitlines()[0]
        finally:
            self._sessions.putconn(session)


async def _serve(options: argparse.Namespace) -> None:
    application = Application(options.version, options.dsn)
    server = await asyncio.start_server(
        application.converse, "127.0.0.1", options.port, backlog=4096
    )
    print("ready", flush=True)
    # Whoever started us holds our stdin: when it is gone, so are we.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=5)
    print(json.dumps(application.arrivals), flush=True)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("version", type=int, choices=CODE)
    parser.add_argument("port", type=int)
    parser.add_argument("dsn")
    # Ctrl-C is for whoever holds our stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve(parser.parse_args()))


# --- what the demo holds --------------------------------------------------------------


class ApplicationFailed(Exception):
    """The application did not start, or ended badly; what it said stands on standard error."""


class Payments(Closing):
    """The application on one port of 127.0.0.1, in one version at a time: `restart` is what
    `systemctl restart` is, with other code on the disk.
    """

    def __init__(self, port: int, dsn: str, version: int) -> None:
        self.port = port
        self._dsn = dsn
        self._arrivals: dict[int, list[Arrival]] = {one: [] for one in CODE}
        self._process = self._start(version)

    def restart(self, version: int) -> None:
        """Returns when the other version listens on the same port."""
        self.stop()
        self._process = self._start(version)

    def arrivals(self, version: Optional[int] = None) -> Sequence[Arrival]:
        """What reached that version, or any; complete once it is stopped."""
        versions = CODE if version is None else (version,)
        return [arrival for one in versions for arrival in self._arrivals[one]]

    def stop(self) -> None:
        """Lets it answer what it has begun; safe to call again."""
        if self._process.returncode is not None:
            return
        try:
            last, _ = self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        if self._process.returncode != 0:
            raise ApplicationFailed(f"the application ended with status {self._process.returncode}")
        self._arrivals[self._version] += [Arrival(name, at) for name, at in json.loads(last)]

    def kill(self) -> None:
        """Ends it, whatever it does; safe to call again."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _start(self, version: int) -> subprocess.Popen[str]:
        self._version = version
        process = subprocess.Popen(
            [sys.executable, __file__, str(version), str(self.port), self._dsn],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                raise ApplicationFailed(f"version {version} of the application did not start")
        except BaseException:
            process.kill()
            process.communicate()
            raise
        return process

    def close(self) -> None:
        self.kill()


if __name__ == "__main__":
    _main()
