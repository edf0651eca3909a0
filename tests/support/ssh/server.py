"""One real OpenSSH server on loopback, with host keys and a configuration of its own.

    home = SshHome(tmp_path)                          # the client's side, see support/ssh/home.py
    with SshServer(authorized=[home.key()], MaxStartups="3") as server:
        home.host("lb1", server)
        stillgate check balanced -e home.url("lb1", proxy.sockets[0])

Started as root it lets any user of this machine in; started by another user that user alone.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from support.closing import Closing
from support.patience import HANG_S
from support.ports import Reserved
from support.process import wait_until

# Debian's /usr/sbin is on root's PATH alone, and sshd wants to be started by its full path.
PROGRAM = shutil.which("sshd", path=f"/usr/sbin:{os.environ.get('PATH', '')}")
PRIVILEGE_SEPARATION = Path("/run/sshd")


def release() -> tuple[int, int]:
    """This machine's OpenSSH: (9, 2)."""
    said = subprocess.run(["ssh", "-V"], check=True, capture_output=True, text=True).stderr
    found = re.match(r"OpenSSH_(\d+)\.(\d+)", said)
    assert found is not None, said
    return int(found[1]), int(found[2])


class SshServerFailed(Exception):
    """sshd did not start; the text has its log."""


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "", comment: str = "") -> Path:
    """A new private key; its public half lies beside it."""
    size = {"rsa": ["-b", "2048"]}.get(kind, [])
    options = ["-t", kind, *size, "-N", passphrase, "-C", comment or path.name]
    subprocess.run(["ssh-keygen", "-q", *options, "-f", str(path)], check=True)
    return path


def public_half(key: Path) -> str:
    """`ssh-ed25519 AAAA...`, without the comment."""
    return " ".join(Path(f"{key}.pub").read_text().split()[:2])


def fingerprint(key: Path) -> str:
    """As OpenSSH tells it: SHA256:..."""
    command = ["ssh-keygen", "-l", "-f", f"{key}.pub"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


class SshServer(Closing):
    """Starts at once and returns when it listens.

    `authorized` are the keys it takes, for all users; `restrictions` stand before each of them, as
    in `restrict,port-forwarding`. Other keyword arguments are sshd_config's own keywords and
    overrule what stands here; None leaves a keyword out. `environment` is added to its own.
    `may_end` says that a test expects it to end; stop() sets it.
    """

    def __init__(
        self,
        *,
        authorized: Sequence[Path] = (),
        restrictions: str = "",
        host_keys: Sequence[str] = ("ed25519",),
        environment: Optional[Mapping[str, str]] = None,
        timeout: float = HANG_S,
        **settings: Optional[str],
    ) -> None:
        if PROGRAM is None:
            raise SshServerFailed("there is no sshd (Debian: openssh-server)")
        self.folder = Path(tempfile.mkdtemp(prefix="sg-sshd-", dir="/tmp"))
        self.folder.chmod(0o755)  # other users' logins read authorized_keys as these users
        self._reserved = Reserved()
        self.port = self._reserved.port
        self.host_keys = {kind: make_key(self.folder / f"host_{kind}", kind) for kind in host_keys}
        self._log_file = self.folder / "log"
        self.authorized_file = self.folder / "authorized_keys"
        self.authorize(*authorized, restrictions=restrictions)
        values: dict[str, Optional[str]] = {
            "ListenAddress": "127.0.0.1",
            "Port": str(self.port),
            "AuthorizedKeysFile": str(self.authorized_file),
            # /tmp may be written to by everybody, which sshd minds.
            "StrictModes": "no",
            "PidFile": "none",
            "UsePAM": "no",
            "UseDNS": "no",
            "LogLevel": "VERBOSE",
            "PermitRootLogin": "yes",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "Subsystem": "sftp internal-sftp",
            # What one test fails at would keep this address out of the next login of it.
            **({"PerSourcePenalties": "no"} if release() >= (9, 8) else {}),
            **settings,
        }
        lines = [f"HostKey {path}" for path in self.host_keys.values()]
        lines += [f"{key} {value}" for key, value in values.items() if value is not None]
        self.config_file = self.folder / "sshd_config"
        self.config_file.write_text("\n".join([*lines, ""]))
        self._address = values["ListenAddress"]
        self._environment = environment or {}
        self.may_end = False
        _make_privilege_separation_folder()
        self._process = self._start()
        try:
            self._wait_listening(timeout)
        except BaseException:
            self.close()
            raise

    # --- what it is ---

    @property
    def pid(self) -> int:
        """The listener's."""
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        return self._log_file.read_text("utf-8", "replace") if self._log_file.exists() else ""

    def connections(self) -> int:
        """How many it took in its life."""
        return len(re.findall(r"^Connection from ", self.log(), re.MULTILINE))

    def logins(self) -> int:
        """How many succeeded in its life."""
        return len(re.findall(r"^Accepted \S+ for ", self.log(), re.MULTILINE))

    def sessions(self) -> list[int]:
        """The processes that serve its connections."""
        return descendants(self.pid)

    def unread(self) -> int:
        """Bytes that have arrived and that none of its processes has taken."""
        return sum(int(row[4].partition(":")[2], 16) for row in self._established(1))

    def clients(self) -> set[str]:
        """The addresses of those that are connected, whether it has taken them or not."""
        return {row[1] for row in self._established(2)}

    def _established(self, column: int) -> list[list[str]]:
        """The kernel's rows with its port in that column: 1 for its own ends, 2 for the others."""
        place = f":{self.port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return [row for row in rows if row[column].endswith(place) and row[3] == "01"]

    def authorize(self, *keys: Path, restrictions: str = "") -> None:
        """These keys and no others, from now on."""
        before = f"{restrictions} " if restrictions else ""
        self.authorized_file.write_text("".join(f"{before}{public_half(k)}\n" for k in keys))
        self.authorized_file.chmod(0o644)

    # --- ending it ---

    def cut(self) -> None:
        """Kills what serves its connections; the listener goes on."""
        _kill(frozen_family(self.pid)[1:])
        os.kill(self.pid, signal.SIGCONT)

    def freeze(self) -> list[int]:
        """Stops it with all its connections, as a machine that hangs; thaw() lets them go on."""
        return frozen_family(self.pid)

    def thaw(self) -> None:
        for pid in [self.pid, *descendants(self.pid)]:
            _signal(pid, signal.SIGCONT)

    def stop(self) -> None:
        """Ends the listener and all connections; safe to call again."""
        self.may_end = True
        if self.alive():
            _kill(frozen_family(self.pid))
        self._process.wait(10)

    def restart(self, timeout: float = HANG_S) -> None:
        """Starts it again, after stop(), with the same keys and port."""
        assert not self.alive()
        self.may_end = False
        self._log_file.unlink()
        self._process = self._start()
        self._wait_listening(timeout)

    def close(self) -> None:
        """Gives back the port and the folder, log included."""
        self.stop()
        self._reserved.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- inside ---

    def _start(self) -> subprocess.Popen[bytes]:
        assert PROGRAM is not None
        return subprocess.Popen(
            [PROGRAM, "-D", "-E", str(self._log_file), "-f", str(self.config_file)],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self._environment},
            start_new_session=True,
        )

    def _wait_listening(self, timeout: float) -> None:
        """By its log: a connection to see whether it listens would count as one."""
        listening = f"Server listening on {self._address} port {self.port}."
        try:
            wait_until(lambda: not self.alive() or listening in self.log(), "sshd", timeout)
        except TimeoutError as error:
            raise SshServerFailed(f"{error}\n{self.log()}") from error
        if not self.alive():
            raise SshServerFailed(f"ended with status {self._process.returncode}\n{self.log()}")


def descendants(pid: int) -> list[int]:
    """sshd's children are sessions of their own, in nobody's process group."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def frozen_family(pid: int) -> list[int]:
    """It and all it has begun, stopped, so that none of them begins another."""
    frozen: list[int] = []
    while rest := [one for one in [pid, *descendants(pid)] if one not in frozen]:
        for one in rest:
            _signal(one, signal.SIGSTOP)
        frozen += rest
    return frozen


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        _signal(pid, signal.SIGKILL)
    wait_until(lambda: not any(_runs(pid) for pid in pids), "the end of sshd's processes")


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _make_privilege_separation_folder() -> None:
    """The package's service makes it, and where no service ever ran it is missing."""
    if os.geteuid() == 0 and not PRIVILEGE_SEPARATION.exists():
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        warnings.warn(f"made {PRIVILEGE_SEPARATION}, which sshd needs and leaves", stacklevel=3)
