"""What the demo is played with: database, application of two versions, HAProxies, load, fab."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from support.haproxy import HAProxy
from support.load import Load
from support.ports import Reserved
from support.postgres import Postgres

HERE = Path(__file__).resolve().parent
FRONTEND = "balanced"
HAPROXIES = 3
RATE = 80  # requests per second at each HAProxy, every one on a new connection
FABFILE = "from stillgate.fabric import check, hold, resume, status, suspend\n"


class Application:
    """The payments' application; `restart` is what `systemctl restart` does after a deployment."""

    def __init__(self, database: Postgres) -> None:
        self._database = database
        self._reserved = Reserved()
        self.port = self._reserved.port
        self._arrivals: list[tuple[str, float]] = []
        self._process = self._start("1", self.port)

    def restart(self, version: str) -> None:
        self._arrivals += json.loads(self.ask("/_arrivals"))
        self._stop()
        self._process = self._start(version, self.port)

    def arrivals(self) -> list[tuple[str, float]]:
        """Ids and moments of all requests that reached it, of both versions."""
        now: list[tuple[str, float]] = json.loads(self.ask("/_arrivals"))
        return self._arrivals + now

    def try_code(self, version: str) -> int:
        """The HTTP status that a version gives against the schema as it is now."""
        reserved = Reserved()
        process = self._start(version, reserved.port)
        try:
            connection = http.client.HTTPConnection("127.0.0.1", reserved.port, timeout=10)
            connection.request("GET", "/")
            status = connection.getresponse().status
            connection.close()
        finally:
            process.kill()
            process.communicate()
            reserved.close()
        return status

    def ask(self, path: str, name: str = "") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers={"X-Request-Id": name})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def close(self) -> None:
        self._stop()
        self._reserved.close()

    def _start(self, version: str, port: int) -> subprocess.Popen[str]:
        command = [sys.executable, str(HERE / "payments.py"), str(port), version]
        process = subprocess.Popen(
            [*command, self._database.dsn], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            process.kill()
            raise RuntimeError(f"version {version} ended with status {process.wait()}")
        return process

    def _stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class Stage:
    """All of it, from construction to close()."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._folder = folder
        self.fleet: list[HAProxy] = []
        self.loads: list[Load] = []
        self.application: Optional[Application] = None
        self.database = Postgres()
        try:
            self.psql("before.sql")
            self.application = Application(self.database)
            for _ in range(HAPROXIES):
                self.fleet.append(
                    HAProxy(binary, maxconn=2000, servers=[self.application.port], backlog=4096)
                )
            self._write_fabric()
        except BaseException:
            self.close()
            raise

    def psql(self, name: str) -> None:
        done = self.database.psql("-f", str(HERE / name))
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr}\n{self.database.log()}")

    def begin_load(self) -> None:
        for number, proxy in enumerate(self.fleet):
            load = Load(proxy.ports[FRONTEND], rate=RATE, prefix=f"{number}-")
            self.loads.append(load.start())

    def fab(self, *arguments: str) -> dict[str, Any]:
        """What an operator types, and the JSON that comes back. Errors: RuntimeError."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("fab")), *arguments, "--json"],
            cwd=self._folder,
            env={**os.environ, "HOME": str(self._folder)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"fab {arguments[0]} ended with {done.returncode}\n{done.stdout}")
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def close(self) -> None:
        for load in self.loads:
            load.kill()
        for proxy in self.fleet:
            proxy.stop()
            proxy.close()
        if self.application is not None:
            self.application.close()
        self.database.close()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def _write_fabric(self) -> None:
        settings = {
            "endpoints": [proxy.endpoints[0] for proxy in self.fleet],
            "frontends": FRONTEND,
            "no_lease": True,
        }
        (self._folder / "fabfile.py").write_text(FABFILE)
        # JSON is YAML too.
        (self._folder / "fabric.yaml").write_text(json.dumps({"stillgate": settings}))
