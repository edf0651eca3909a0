"""The stage of a release: PostgreSQL, the application, HAProxies, load, and what an operator types.

All of it is gone when the stage is left, on whatever way.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
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
from support.postgres import ROLE, Postgres
from support.process import wait_until

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "docs" / "examples"
OLD, NEW = 1, 2  # the versions of the code
FRONTEND = "balanced"
HAPROXIES = 3  # of the demo
SERVERS = ("s1", "s2")  # of every HAProxy, a process each
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


TELL = """#!{python}
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({path!r})
    connection.sendall(" ".join(sys.argv[1:]).encode() + b"\\n")
    answer = connection.makefile().readline()
sys.exit(answer != "done\\n" and (answer or "no answer"))
"""


def row_of(proxy: HAProxy, server: str) -> dict[str, str]:
    """What `show stat` has of it."""
    (found,) = [
        row
        for row in proxy.stat()
        if (row["pxname"], row["svname"]) == (f"{FRONTEND}_servers", server)
    ]
    return found


class Ear(Closing):
    """Hears what the scripts of a release tell, a line each, and answers when it is carried out."""

    def __init__(self, path: Path, carry_out: Callable[[list[str]], None]) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                try:
                    carry_out(self.rfile.readline().decode().split())
                    self.wfile.write(b"done\n")
                except Exception as error:  # the script fails, and says why
                    self.wfile.write(f"{type(error).__name__}: {error}\n".encode())

        self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def typed(fab: Fab, task: str, *options: str) -> dict[str, Any]:
    """A real `fab`, and its JSON."""
    print("$ fab", task, *options, flush=True)
    done = fab.run(task, *options, "--json")
    if done.returncode != 0:
        raise DemoFailed(f"fab {task} ended with {done.returncode}\n{done.stderr.strip()}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def start_loads(
    stack: ExitStack,
    fleet: Sequence[HAProxy],
    method: str = "POST",
    path: str = "/pay",
    rate: int = RATE,
) -> list[Load]:
    """Every kind of clients at every HAProxy."""
    return [
        stack.enter_context(
            Load(
                proxy.ports[FRONTEND],
                rate=rate,
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

    def __init__(
        self,
        haproxies: Sequence[tuple[str, str]],
        history: int = HISTORY,
        max_hold: float = 15.0,
        rate: int = RATE,
    ) -> None:
        """The HAProxies by path and version, the payments there are, the longest hold; the requests
        per second of each kind of clients at each HAProxy.
        """
        self._rate = rate
        self._haproxies = haproxies
        self._history = history
        self._max_hold = max_hold
        self._stack = ExitStack()
        self._postgres: Optional[Postgres] = None
        self.fleet: list[HAProxy] = []
        self.applications: dict[str, Payments] = {}
        self.told: dict[str, float] = {}  # by the scripts, and when
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

    def release(self, **more: str) -> subprocess.CompletedProcess[str]:
        """`fab release`, of docs/examples as it stands, with more variables of the environment."""
        named = {**self.database(), **more}
        variables = " ".join(f"{name}={value}" for name, value in named.items())
        return self.fab.shell(f"{variables} fab release")

    def database(self) -> dict[str, str]:
        """For libpq."""
        return {"PGHOST": str(self.postgres.folder), "PGUSER": ROLE, "PGDATABASE": "postgres"}

    def write_script(self, name: str, text: str) -> None:
        script = self.fab.folder / name
        script.write_text(text)
        script.chmod(0o755)

    def psql(self, file: Path) -> str:
        """The line of a script."""
        return shlex.join([*self.postgres.command(), "-f", str(file)])

    def put_back(self) -> None:
        """The scripts of a release that goes well."""
        self.write_script("deploy", '#!/bin/sh\nexec ./tell deploy "$1"\n')
        migrate = f"./tell held && {self.psql(HERE / 'migrate.sql')} && ./tell migrated"
        self.write_script("migrate", f"#!/bin/sh\n{migrate}\n")
        self.write_script("undo", f"#!/bin/sh\n{self.psql(HERE / 'undo.sql')} && ./tell undone\n")

    def last_hold(self) -> dict[str, Any]:
        """By `stillgate history`."""
        done = self.fab.shell("stillgate history --json")
        holds: list[dict[str, Any]] = json.loads(done.stdout)["history"]
        return max(holds, key=lambda one: str(one["started_at"]))

    def start_load(self) -> None:
        self.loads = start_loads(self._stack, self.fleet, rate=self._rate)

    def wait_for_load(self, moment: float) -> None:
        wait_for_loads(self.loads, moment)

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
        self.postgres.psql(file=HERE / "before.sql", variables={"history": str(self._history)})
        for name in SERVERS:
            # Ours while the application restarts, too.
            port = self._stack.enter_context(closing(Reserved())).port
            application = Payments(port, self.postgres.dsn, version=OLD)
            self.applications[name] = self._stack.enter_context(application)
        for number, (path, version) in enumerate(self._haproxies):
            options = gate_options(
                FRONTEND,
                self._folder() / f"gate-{os.getpid()}-{number}",
                version,
                servers=[application.port for application in self.applications.values()],
                extra_defaults=DEFAULTS,
                maxconn=MAXCONN,
                backlog=BACKLOG,
            )
            self.fleet.append(self._stack.enter_context(HAProxy(path, **options)))
            self.fleet[-1].cli(f"set server {FRONTEND}_servers/s2 state maint")
        self.fab = Fab(self._folder())
        shutil.copy(EXAMPLES / "fabfile.py", self.fab.folder)
        (self.fab.folder / "fabric.yaml").unlink()
        self.write_inventory([proxy.endpoints[0] for proxy in self.fleet])
        ear = self.fab.folder / "ear"
        self._stack.enter_context(Ear(ear, self._carry_out))
        self.write_script("tell", TELL.format(python=sys.executable, path=str(ear)))
        self.put_back()

    def write_inventory(self, endpoints: Sequence[str]) -> None:
        """docs/examples' own, with these places."""
        text = (EXAMPLES / "stillgate.toml").read_text()
        places = ", ".join(f'"{one}"' for one in endpoints)
        text, places_found = re.subn(
            r"endpoints = \[.*?\]", f"endpoints = [{places}]", text, flags=re.S
        )
        text, found = re.subn(r"max_hold = \S+", f"max_hold = {self._max_hold}", text)
        assert (places_found, found) == (1, 1)
        (self.fab.folder / "stillgate.toml").write_text(text)

    def _carry_out(self, words: list[str]) -> None:
        """What a script tells; `deploy NAME` is what `systemctl restart payments` is there."""
        self.told[" ".join(words)] = time.monotonic()
        if words[0] == "deploy":
            self.applications[words[1]].restart(NEW)
        if words[0] == "die":
            self.applications["s2"].stop()
            for proxy in self.fleet:
                wait_until(lambda: "DOWN" in row_of(proxy, "s2")["status"], "s2 is seen down")

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
