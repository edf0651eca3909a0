"""What tests of holds ask again and again: records left, verdicts, codes, who still talks."""

from __future__ import annotations

import http.client
import os
import re
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Optional

from stillgate import Report
from support.haproxy.server import HAProxy
from support.patience import HANG_S
from support.process import wait_until

F = "balanced"
COMMIT = f"set maxconn frontend {F} 0"
VARIABLE = f"stillgate_maxconn_{F}"


def records(folder: Path) -> list[str]:
    """The files of a journal."""
    return sorted(path.name for path in folder.glob("holds/*"))


def deadline_in(folder: Path) -> float:
    """Of the only hold that a journal has, on time.time()."""
    (file,) = folder.glob("holds/*.hold")
    found = re.search(r"^deadline (\d+)$", file.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1000


def remembered(proxy: HAProxy) -> bool:
    """Whether the HAProxy keeps a record of a hold."""
    return not proxy.cli(f"get var proc.{VARIABLE}").strip().endswith(("<>", "not found."))


def codes(report: Report) -> list[Optional[str]]:
    return [one.error.code if one.error else None for one in report.switches]


def verdicts(report: Report) -> list[str]:
    return [one.verdict for one in report.switches]


def findings(report: Report, level: str = "warning") -> set[str]:
    return {f.code for one in report.switches for f in one.findings if f.level == level}


def quiet(proxy: HAProxy) -> bool:
    """Nothing that came before the hold is being served; held clients wait in the kernel."""
    return all(int(row["scur"] or 0) + int(row["qcur"] or 0) == 0 for row in proxy.stat())


def connected(pid: int) -> int:
    """The sockets of a process."""
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(os.readlink(entry))
        except FileNotFoundError:
            continue
    return sum(link.startswith("socket:") for link in links)


def queued(proxy: HAProxy) -> int:
    """How many connections wait in the kernel's queue of the frontend's listener."""
    port, found = proxy.ports[F], []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            found.append(int(fields[4].rpartition(":")[2], 16))
    assert found, f"nobody listens on {port}"
    return sum(found)


class Slow:
    """One request that the application answers after so many milliseconds; begun when its backend
    has it.
    """

    def __init__(self, proxy: HAProxy, ms: int) -> None:
        self._port = proxy.ports[F]
        self._path = f"/?ms={ms}"
        self.status: Optional[int] = None
        self.ended_at = 0.0
        before = proxy.served(F)
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        wait_until(lambda: proxy.served(F) > before, "the slow request")

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=HANG_S)
        connection.request("GET", self._path)
        # Where its HAProxy was killed there is no answer, and `status` stays None.
        with suppress(http.client.HTTPException, OSError):
            self.status = connection.getresponse().status
        self.ended_at = time.monotonic()
        connection.close()

    def join(self) -> Optional[int]:
        self._thread.join(HANG_S)
        return self.status


class KeepAlive:
    """One client whose connection stays open."""

    def __init__(self, proxy: HAProxy) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", proxy.ports[F], timeout=HANG_S)

    def ask(self, count: int = 1) -> None:
        for _ in range(count):
            self._connection.request("GET", "/")
            answer = self._connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"done\n")

    def close(self) -> None:
        self._connection.close()
