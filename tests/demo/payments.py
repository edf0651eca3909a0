"""The demo's application: payments over HTTP, in PostgreSQL, by old code or by new code.

    python payments.py PORT VERSION DSN

Each request books a payment and reads the account's balance. Version 1 knows the amount in euros,
version 2 in cents with a currency; neither can live with the other's schema, and then answers 500.
It ends on SIGTERM, when what it was asked has been answered. `/_arrivals` gives the ids and the
moments (time.monotonic) of all requests so far.
"""

from __future__ import annotations

import json
import queue
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg2

POOL = 8  # connections to PostgreSQL
ACCOUNTS = 1000

CODE = {
    "1": (
        "INSERT INTO payments (account, amount) VALUES (%s, 12.34)",
        "SELECT sum(amount) FROM payments WHERE account = %s",
    ),
    "2": (
        "INSERT INTO payments (account, amount_cents, currency) VALUES (%s, 1234, 'EUR')",
        "SELECT sum(amount_cents) FROM payments WHERE account = %s AND currency = 'EUR'",
    ),
}


class Payments:
    """The code of one version over a pool of connections."""

    def __init__(self, version: str, dsn: str) -> None:
        self._insert, self._select = CODE[version]
        self._pool: queue.Queue[Any] = queue.Queue()
        for _ in range(POOL):
            connection = psycopg2.connect(dsn)
            connection.autocommit = True
            self._pool.put(connection)

    def book(self, account: int) -> str:
        """Errors: psycopg2.Error."""
        connection = self._pool.get()
        try:
            with connection.cursor() as cursor:
                cursor.execute(self._insert, (account,))
                cursor.execute(self._select, (account,))
                return str(cursor.fetchone()[0])
        finally:
            self._pool.put(connection)


class Handler(BaseHTTPRequestHandler):
    payments: Payments
    arrivals: list[tuple[str, float]] = []

    def do_GET(self) -> None:
        arrived = time.monotonic()
        if self.path == "/_arrivals":
            self._answer(200, json.dumps(self.arrivals))
            return
        name = self.headers.get("X-Request-Id", "")
        self.arrivals.append((name, arrived))
        try:
            self._answer(200, self.payments.book(hash(name) % ACCOUNTS))
        except psycopg2.Error as error:
            self._answer(500, str(error))

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Silence: the demo prints its own verdict."""


class Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = False
    block_on_close = True


def main() -> None:
    port, version, dsn = sys.argv[1:]
    Handler.payments = Payments(version, dsn)
    with Server(("127.0.0.1", int(port)), Handler) as server:
        # shutdown() waits for serve_forever(), which this thread is in.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print("ready", flush=True)
        server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
