"""A real PostgreSQL of the test's own: a cluster in a temporary folder, on a unix socket alone."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Optional

from support.haproxy import wait_until

USER = "stillgate"
UNPRIVILEGED = "postgres"  # whom Debian's package makes; PostgreSQL itself refuses root
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "60",
    # The cluster does not outlive its test.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


class PostgresMissing(Exception):
    """No PostgreSQL on this machine; the text says what to install."""


class PostgresFailed(Exception):
    """It did not start; the text has its log."""


def binaries() -> Path:
    """Errors: PostgresMissing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if not found:
        raise PostgresMissing("PostgreSQL's server is not installed (Debian: postgresql)")
    return found[0].parent


class Postgres:
    """Runs from construction to close(); `dsn` is libpq's."""

    def __init__(self) -> None:
        self._bin = binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="sg-pg-", dir="/tmp"))
        self._as = _unprivileged()
        self.dsn = f"host={self.folder} user={USER} dbname=postgres"
        self._log_file = self.folder / "log"
        self._process: Optional[subprocess.Popen[bytes]] = None
        try:
            self._log_file.touch()
            if self._as:
                entry = pwd.getpwnam(UNPRIVILEGED)
                for path in (self.folder, self._log_file):
                    os.chown(path, entry.pw_uid, entry.pw_gid)
            self._start()
        except BaseException:
            self.close()
            raise

    def running(self) -> list[int]:
        """Its processes. Each is its own group's leader, but all work in the cluster's folder."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and self.folder in Path(os.readlink(entry / "cwd")).parents:
                    found.append(int(entry.name))
            except OSError:  # it ended meanwhile, or is a kernel's
                continue
        return found

    def log(self) -> str:
        return self._log_file.read_text("utf-8", "replace")

    def psql(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As an operator types it; stops at the first error."""
        command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.dsn, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """Ends it with all its processes and removes its folder; safe to call again."""
        if self._process is not None:
            if self.alive():
                self._process.send_signal(signal.SIGINT)  # its "fast shutdown"
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            wait_until(lambda: self.running() == [], 10, "the end of PostgreSQL")
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Postgres:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def _start(self) -> None:
        data = self.folder / "data"
        with open(self._log_file, "ab") as log:
            made = subprocess.run(
                [*self._as, self._bin / "initdb", "-A", "trust", "-U", USER, "-N", "-D", data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                check=False,
            )
            if made.returncode != 0:
                raise PostgresFailed(self.log())
            options = [f"-c{name}={value}" for name, value in SETTINGS.items()]
            self._process = subprocess.Popen(
                [*self._as, self._bin / "postgres", "-D", data, "-k", self.folder, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        try:
            wait_until(lambda: not self.alive() or self._answers(), 30, "PostgreSQL")
        except TimeoutError as error:
            raise PostgresFailed(f"{error}\n{self.log()}") from error
        if not self.alive():
            raise PostgresFailed(self.log())

    def _answers(self) -> bool:
        asked = [str(self._bin / "pg_isready"), "-q", "-h", str(self.folder)]
        return subprocess.run(asked, check=False).returncode == 0


def _unprivileged() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--init-groups", "--"]
