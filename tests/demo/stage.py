"""The demo's stage: PostgreSQL, the application, three HAProxies, load, and what an operator types.

All of it is gone when the stage is left, on whatever way.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from demo.kinds import KINDS, prefix
from demo.payments import Payments
from support.clients.load import Load
from support.closing import Closing
from support.fabric.fab import Fab
from support.haproxy.gate_options import gate_options
from support.haproxy.server import Frontend, HAProxy
from support.ports import Reserved
from support.postgres import Postgres
from support.process import wait_until

HERE = Path(__file__).resolve().parent
FRONTEND = "balanced"
HAPROXIES = 3
APPLICATIONS = 2  # processes, each a server of every HAProxy
HISTORY = 400_000  # payments that the migration has to rewrite
RATE = 40  # requests per second of each kind of clients at each HAProxy
LINES = 15  # of each server's log, where the demo fails
MAXCONN, BACKLOG = 1000, 4096
DEFAULTS = (
    # As in production: HAProxy looks every so often whether a server is there.
    "default-server check inter 250ms fall 2 rise 1",
    # No connection is to end while the demo lasts: whatever ends one is a finding.
    "timeout http-keep-alive 60s",
)


class DemoFailed(Exception):
    """A step did not do what it is there for; the text says which and how."""


def frontend() -> Frontend:
    """Without the gate."""
    return Frontend(FRONTEND, MAXCONN, BACKLOG)


@contextmanager
def undisturbed() -> Iterator[None]:
    """For cleaning up: who presses Ctrl-C again does not want half of it left behind."""
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def typed(fab: Fab, task: str, *options: str) -> dict[str, Any]:
    """A real `fab`, and its JSON."""
    print("$ fab", task, *options, flush=True)
    done = fab.run(task, *options, "--json")
    if done.returncode != 0:
        raise DemoFailed(f"fab {task} ended with {done.returncode}\n{done.stderr.strip()}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def start_loads(
    stack: ExitStack, fleet: Sequence[HAProxy], method: str = "POST", path: str = "/pay"
) -> list[Load]:
    """Every kind of clients at every HAProxy."""
    return [
        stack.enter_context(
            Load(
                proxy.ports[FRONTEND],
                rate=RATE,
                method=method,
                path=path,
                prefix=prefix(kind, number),
                kind=kind.key,
                clients=kind.clients,
                at_once=kind.at_once,
            )
        )
        for number, proxy in enumerate(fleet)
        for kind in KINDS
    ]


def wait_for_loads(loads: Sequence[Load], moment: float) -> None:
    """Returns when each load is done, well or badly, with a request that it sent after this
    moment.
    """

    def all_done() -> bool:
        lasts = [load.records()[-1:] for load in loads]
        return all(last and last[0].sent_at > moment for last in lasts)

    wait_until(all_done, "the load")


class Stage(Closing):
    """Stands once it is entered."""

    def __init__(self, haproxy: str, version: str) -> None:
        self._haproxy = haproxy
        self._version = version
        self._stack = ExitStack()
        self._postgres: Optional[Postgres] = None
        self.fleet: list[HAProxy] = []
        self.applications: list[Payments] = []
        self.loads: list[Load] = []

    def __enter__(self) -> Stage:
        try:
            self._build()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if error is not None and not isinstance(error, KeyboardInterrupt):
            self._show_logs()
        super().__exit__(kind, error, trace)

    @property
    def postgres(self) -> Postgres:
        assert self._postgres is not None, "not entered"
        return self._postgres

    # --- what is done on it -----------------------------------------------------------

    def fab(self, task: str, *options: str) -> dict[str, Any]:
        return typed(self._fab, task, *options)

    def start_load(self) -> None:
        self.loads = start_loads(self._stack, self.fleet)

    def wait_for_load(self, moment: float) -> None:
        wait_for_loads(self.loads, moment)

    def migrate(self) -> None:
        print("$ psql -f migrate.sql", flush=True)
        self.postgres.psql(file=HERE / "migrate.sql")

    def switch_to(self, version: int) -> None:
        print("$ systemctl restart payments    # the new code", flush=True)
        for application in self.applications:
            application.restart(version)

    def ask(self, version: int) -> tuple[int, str]:
        """What this version of the code answers on the schema as it is now."""
        port = self._stack.enter_context(closing(Reserved())).port
        with Payments(port, self.postgres.dsn, version):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/pay", headers={"X-Request-Id": f"by-{version}"})
            answer = connection.getresponse()
            text = answer.read().decode().strip()
            connection.close()
        return answer.status, text

    def gates(self) -> list[dict[str, Any]]:
        """The gates' own counters of the last hold."""
        told = [json.loads(proxy.cli("stillgate status")) for proxy in self.fleet]
        return [one["frontends"][FRONTEND] for one in told]

    def written(self) -> list[str]:
        """The requests that have a payment."""
        query = "SELECT request FROM payments WHERE request NOT LIKE 'history-%'"
        return self.postgres.psql(sql=query).split()

    # --- inside -----------------------------------------------------------------------

    def _build(self) -> None:
        self._postgres = self._stack.enter_context(Postgres())
        self.postgres.psql(file=HERE / "before.sql", variables={"history": str(HISTORY)})
        for _ in range(APPLICATIONS):
            # Ours while the application restarts, too.
            port = self._stack.enter_context(closing(Reserved())).port
            application = Payments(port, self.postgres.dsn, version=1)
            self.applications.append(self._stack.enter_context(application))
        for number in range(HAPROXIES):
            options = gate_options(
                FRONTEND,
                self._folder() / f"gate-{os.getpid()}-{number}",
                self._version,
                servers=[application.port for application in self.applications],
                extra_defaults=DEFAULTS,
                maxconn=MAXCONN,
                backlog=BACKLOG,
            )
            self.fleet.append(self._stack.enter_context(HAProxy(self._haproxy, **options)))
        self._fab = Fab(self._folder())
        self._fab.write(
            endpoints=[proxy.endpoints[0] for proxy in self.fleet], frontends=[FRONTEND]
        )

    def _folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="sg-demo-")))

    def _show_logs(self) -> None:
        logs = [("HAProxy", proxy.log()) for proxy in self.fleet]
        if self._postgres is not None:
            logs.insert(0, ("PostgreSQL", self._postgres.log()))
        for name, log in logs:
            last = log.splitlines()[-LINES:] or ["(printed nothing)"]
            print("\n".join([f"--- {name}, its last words", *last]), flush=True)

    def close(self) -> None:
        with undisturbed():
            self._stack.close()
