"""A real MariaDB of a test's own: in a temporary folder, with its own temporary files, on a unix
socket in it, no TCP port.

Nothing of it is meant to outlive the test, so nothing waits for the disk.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Optional

from support.closing import Closing
from support.patience import HANG_S
from support.process import wait_until

SERVER = shutil.which("mariadbd", path="/usr/sbin:/usr/bin")
ACCOUNT = "root"  # the server's, and whom it runs as where we are root


class MariadbMissing(Exception):
    """MariaDB cannot be run here; the text says why."""


class MariadbFailed(Exception):
    """MariaDB did not start, or refused a statement; the text has its words."""


class Mariadb(Closing):
    """Runs from construction to close(), with an empty database `shop`."""

    def __init__(self, timeout: float = HANG_S) -> None:
        if SERVER is None or shutil.which("mariadb") is None:
            raise MariadbMissing("MariaDB is not installed (Debian: mariadb-server-core)")
        # Short enough for a unix socket's address.
        self.folder = Path(tempfile.mkdtemp(prefix="sg-my-", dir="/tmp"))
        self._log_file = self.folder / "log"
        # At its start a server removes what another one has begun in the same folder (#sql...).
        self._folders = [f"--datadir={self.folder / 'data'}", f"--tmpdir={self.folder}"]
        self._process: Optional[subprocess.Popen[bytes]] = None
        try:
            self._prepare()
            self._process = self._start(SERVER)
            self._wait_ready(self._process, timeout)
            self.sql("CREATE DATABASE shop")
        except BaseException as error:
            log = self.log()
            self.close()
            if isinstance(error, (OSError, subprocess.SubprocessError, TimeoutError)):
                raise MariadbFailed(f"{error}\n{log}") from error
            raise

    def command(self, *options: str) -> list[str]:
        """A client of this server, without a file of the user's."""
        where = ["mariadb", "--no-defaults", "-S", str(self.folder / "s"), "-u", ACCOUNT]
        return [*where, "-NB", *options]

    def sql(self, statement: str, database: str = "") -> str:
        """What is printed for it: rows alone. Errors: MariadbFailed."""
        done = subprocess.run(
            [*self.command("-e", statement), *([database] if database else [])],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise MariadbFailed(done.stderr.strip())
        return done.stdout.strip()

    def log(self) -> str:
        """What the server has said so far."""
        return self._log_file.read_text("utf-8", "replace") if self._log_file.exists() else ""

    def close(self) -> None:
        """Ends the server at once: nobody wants its data. Safe to call again."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- inside ---

    def _prepare(self) -> None:
        command = ["mariadb-install-db", "--no-defaults", *self._folders]
        command += ["--auth-root-authentication-method=normal", "--skip-test-db", "--user", ACCOUNT]
        with open(self._log_file, "ab") as log:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60, check=True
            )

    def _start(self, server: str) -> subprocess.Popen[bytes]:
        # Should we be killed outright, the server ends with us.
        command = ["setpriv", "--pdeathsig", "KILL", server, "--no-defaults", "--skip-networking"]
        command += [*self._folders, f"--socket={self.folder / 's'}"]
        command += [f"--pid-file={self.folder / 'pid'}", "--user", ACCOUNT]
        command += ["--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0"]
        command += ["--innodb-buffer-pool-size=256M"]
        with open(self._log_file, "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _wait_ready(self, process: subprocess.Popen[bytes], timeout: float) -> None:
        def ready_or_dead() -> bool:
            asked = subprocess.run(self.command("-e", "DO 0"), capture_output=True, check=False)
            return process.poll() is not None or asked.returncode == 0

        wait_until(ready_or_dead, "MariaDB's first answer", timeout)
        if process.poll() is not None:
            raise subprocess.SubprocessError(f"ended with status {process.returncode}")
