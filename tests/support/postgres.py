"""A real PostgreSQL of a test's own: in a temporary folder, on a unix socket in it, no TCP port.

initdb refuses root, so root runs it as Debian's user `postgres`. Nothing of it is meant to outlive
the test, so nothing waits for the disk.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from support.closing import Closing
from support.patience import HANG_S
from support.process import wait_until

INSTALLED = Path("/usr/lib/postgresql")  # Debian: one folder per major version
ACCOUNT = "postgres"
ROLE = "demo"
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "4GB",
}


class PostgresMissing(Exception):
    """PostgreSQL cannot be run here; the text says why."""


class PostgresFailed(Exception):
    """PostgreSQL did not start, or refused a statement; the text has its words."""


def programs() -> Path:
    """The folder of the newest PostgreSQL that is installed; raises PostgresMissing."""
    found = [path.parent for path in INSTALLED.glob("*/bin/initdb")]
    if not found:
        raise PostgresMissing("PostgreSQL is not installed (Debian: postgresql)")
    if os.geteuid() == 0 and ACCOUNT not in {entry.pw_name for entry in pwd.getpwall()}:
        raise PostgresMissing(f"root cannot run PostgreSQL, and there is no user {ACCOUNT}")
    return max(found, key=lambda path: float(path.parent.name))


def why_missing() -> Optional[str]:
    """Why PostgreSQL, or Python's driver for it, cannot be used here."""
    if importlib.util.find_spec("psycopg2") is None:
        return "psycopg2 is not installed (Debian: python3-psycopg2)"
    try:
        programs()
    except PostgresMissing as error:
        return str(error)
    return None


def working_in(folder: Path) -> list[int]:
    """The processes with this working directory or one below it: PostgreSQL's, each of which is in
    a session of its own, have nothing else in common.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            place = os.readlink(entry / "cwd")
        except OSError:
            continue
        if place.startswith(str(folder)):
            found.append(int(entry.name))
    return found


class Postgres(Closing):
    """Runs from construction to stop(); `dsn` is for libpq's clients, as a superuser."""

    def __init__(self, timeout: float = HANG_S) -> None:
        self._programs = programs()
        # Short enough for a unix socket's address, and open to a user that is not ours.
        parent = tempfile.gettempdir()
        ours = os.geteuid() != 0 and len(parent) < 60
        self.folder = Path(tempfile.mkdtemp(prefix="sg-pg-", dir=parent if ours else "/tmp"))
        self.dsn = f"host={self.folder} user={ROLE} dbname=postgres"
        self._log_file = self.folder / "log"
        self._process: Optional[subprocess.Popen[bytes]] = None
        try:
            self._prepare()
            self._process = self._start()
            self._wait_ready(self._process, timeout)
        except BaseException as error:
            log = self.log()
            self.stop()
            if isinstance(error, (OSError, subprocess.SubprocessError, TimeoutError)):
                raise PostgresFailed(f"{error}\n{log}") from error
            raise

    def log(self) -> str:
        """What the server has said so far."""
        return self._log_file.read_text("utf-8", "replace") if self._log_file.exists() else ""

    def psql(
        self,
        *,
        sql: Optional[str] = None,
        file: Optional[Path] = None,
        variables: Optional[Mapping[str, str]] = None,
    ) -> str:
        """What psql prints for a statement or a file: rows alone. Raises PostgresFailed at the
        first error.
        """
        command = self.command()
        for name, value in (variables or {}).items():
            command += ["-v", f"{name}={value}"]
        command += ["-c", sql] if sql is not None else ["-f", str(file)]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise PostgresFailed(done.stderr.strip())
        return done.stdout.strip()

    def command(self) -> list[str]:
        """A psql of this server, without a file of the user's, that stops at the first error."""
        return [str(self._programs / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", self.dsn]

    def left_running(self) -> list[int]:
        """Every process of this server."""
        return working_in(self.folder)

    def stop(self, timeout: float = 10.0) -> None:
        """Ends the server, its clients' sessions too, and its folder; safe to call again."""
        process, self._process = self._process, None
        # Fast, then immediate; killed it would leave its shared memory behind.
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if process is not None and process.poll() is None:
                process.send_signal(how)
                try:
                    process.wait(timeout)
                except subprocess.TimeoutExpired:
                    continue
        try:
            # An initdb that was interrupted leaves a child that ends by itself, too.
            wait_until(lambda: not self.left_running(), "the end of PostgreSQL", timeout)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        self.stop()

    # --- inside ---

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _as_its_user(self, *options: str) -> list[str]:
        if os.geteuid() != 0:
            return ["setpriv", *options]
        return ["setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups", *options]

    def _prepare(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, ACCOUNT, ACCOUNT)
        command = self._as_its_user(str(self._programs / "initdb"), "-D", str(self._data))
        command += ["-U", ROLE, "-A", "trust", "-E", "UTF8", "--no-locale"]
        command += ["--no-sync", "--no-instructions"]
        with open(self._log_file, "ab") as log:
            subprocess.run(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                timeout=60,
                check=True,
            )

    def _start(self) -> subprocess.Popen[bytes]:
        # Should we be killed outright, the server hears it and ends.
        command = self._as_its_user("--pdeathsig", "QUIT", str(self._programs / "postgres"))
        command += ["-D", str(self._data), "-k", str(self.folder)]
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        with open(self._log_file, "ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait_ready(self, process: subprocess.Popen[bytes], timeout: float) -> None:
        ready = [str(self._programs / "pg_isready"), "-q", "-d", self.dsn]

        def ready_or_dead() -> bool:
            return process.poll() is not None or subprocess.run(ready, check=False).returncode == 0

        wait_until(ready_or_dead, "PostgreSQL's first answer", timeout)
        if process.poll() is not None:
            raise subprocess.SubprocessError(f"ended with status {process.returncode}")
