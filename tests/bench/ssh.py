"""What SSH costs: many hosts, each with a login of its own, by Stillgate, by ssh and by Fabric.

The hosts are the loopback's addresses, and one real sshd serves them all: it takes most of the
CPU, and is the floor of every cold row.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.stage import RELAY_MS, Measured, Peer, Stage
from rich.table import Table

from support.ssh_home import SshHome
from support.sshd import SshServer

HOSTS = 200
RELAYED = 100
ENGINE = ("engine_peer", "cold")
WARM = ("engine_peer", "warm")
LIBRARY = ("python_peer", "cold")
SSH = ("ssh_peer", "ssh")
CURVE = ("ssh_peer", "curve25519")
FABRIC = ("fabric_peer", "cold")
Who = tuple[str, str]


@dataclass
class SshFigures:
    """Rounds by the number of hosts and by who, memory per session, and the long path's rounds."""

    rounds: dict[tuple[int, Who], list[Measured]] = field(default_factory=lambda: defaultdict(list))
    relayed: list[Measured] = field(default_factory=list)
    memory_bytes: float = float("nan")
    short: list[str] = field(default_factory=list)  # rounds in which a host did not answer

    def add(self, size: int, who: Who, measured: Measured) -> None:
        self.rounds[size, who].append(measured)
        if measured.ok != size:
            self.short.append(f"{who}, {size} ssh hosts: {measured.ok} answered")

    def total_ms(self, size: int, who: Who) -> float:
        return median(one.total_ms for one in self.rounds[size, who])

    def cpu_us(self, size: int, who: Who) -> float:
        return median(one.cpu_us for one in self.rounds[size, who])

    def rows(self) -> list[tuple[str, float, float, str]]:
        """What, how much, at most, and the unit; against the design's budget."""
        found: list[tuple[str, float, float, str]] = [
            (f"ssh, {size} hosts, cold: client CPU per host", self.cpu_us(size, ENGINE), 1400, "us")
            for size in self._sizes()
        ]
        warm = self.rounds.get((100, WARM))
        if warm:
            window = median(one.window_ms for one in warm)
            found += [
                ("ssh, 100 sessions, warm: window", window, 12, "ms"),
                ("ssh, 100 sessions, warm: client CPU per host", self.cpu_us(100, WARM), 30, "us"),
            ]
        trips = median(one.window_ms for one in self.relayed) / (2 * RELAY_MS)
        found.append(
            ("ssh, a path of 20 ms each way, warm: window in round trips", trips, 1.2, "x")
        )
        found.append(("memory per ssh session", self.memory_bytes / 1000, 40, "kB"))
        return found

    def faster(self) -> list[tuple[str, float, float]]:
        """Who takes how many times as long as we do from Python, and how many are wanted."""
        wanted = [
            ("ssh host socat, xargs -P16", SSH, 5.0),
            ("the same with curve25519", CURVE, 2.0),
            ("Fabric's ThreadingGroup", FABRIC, 1.5),
        ]
        return [
            (
                f"{size} ssh hosts, cold: {what} against ours",
                self.total_ms(size, who) / self.total_ms(size, LIBRARY),
                times,
            )
            for size in self._sizes()
            for what, who, times in wanted
        ]

    def table(self) -> Table:
        table = Table(title="SSH: medians")
        table.add_column("hosts", justify="right")
        table.add_column("peer")
        for name in ("total ms", "window ms", "CPU us per host"):
            table.add_column(name, justify="right", no_wrap=True)
        cells = [(str(size), " ".join(who), all_) for (size, who), all_ in self.rounds.items()]
        cells.append((str(RELAYED), f"{' '.join(WARM)}, {RELAY_MS} ms each way", self.relayed))
        for size, who, measured in cells:
            table.add_row(
                size,
                who.replace("_peer", ""),
                f"{median(one.total_ms for one in measured):.2f}",
                f"{median(one.window_ms for one in measured):.2f}",
                f"{median(one.cpu_us for one in measured):.1f}",
            )
        return table

    def _sizes(self) -> list[int]:
        return sorted({size for size, who in self.rounds if who == LIBRARY})


def measure_ssh(programs: Path, quick: bool) -> SshFigures:
    figures = SshFigures()
    with ExitStack() as stack:
        stage = stack.enter_context(Stage(programs, HOSTS))
        _start_hosts(stack, stage)
        for size in [10] if quick else [10, 100, HOSTS]:
            _run_cold(stage, figures, size, 1 if quick else 3)
        with stage.peer("engine_peer", "ssh", RELAYED) as peer:
            figures.memory_bytes = peer.ask("memory")["bytes_per_endpoint"]
        with stage.peer("engine_peer", "ssh", 100) as peer:
            for measured in _warm_rounds(peer, 5 if quick else 25):
                figures.add(100, WARM, measured)
        with stage.peer("engine_peer", "ssh-relay", RELAYED) as peer:
            figures.relayed = list(_warm_rounds(peer, 3 if quick else 9))
    return figures


def _start_hosts(stack: ExitStack, stage: Stage) -> None:
    """Each address of the loopback is another host to every client."""
    home = SshHome(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sgs"))))
    server = stack.enter_context(
        SshServer(authorized=[home.key()], ListenAddress="0.0.0.0", MaxStartups="1000")
    )
    home.host("127.0.0.*", server, HostName="%h", HostKeyAlias="bench")
    sockets = [url.removeprefix("unix://") for url in stage.endpoints["unix"]]
    stage.endpoints["ssh"] = [
        home.url(f"127.0.0.{number}", socket) for number, socket in enumerate(sockets, start=1)
    ]
    long_ways = stage.start_relay([f"tcp://127.0.0.1:{server.port}"] * RELAYED)
    stage.endpoints["ssh-relay"] = []
    for number, way in enumerate(long_ways):
        port = way.rpartition(":")[2]
        name = home.host(f"far{number}", server, Port=port, HostKeyAlias="bench", known=False)
        stage.endpoints["ssh-relay"].append(home.url(name, sockets[number]))


def _run_cold(stage: Stage, figures: SshFigures, size: int, turns: int) -> None:
    """In turns; the others take seconds to minutes, so once is enough for those."""
    with ExitStack() as stack:
        peers = {
            who: stack.enter_context(stage.peer(who[0], "ssh", size))
            for who in (ENGINE, LIBRARY, FABRIC, SSH, CURVE)
        }
        for turn in range(turns):
            for who in (ENGINE, LIBRARY, *((FABRIC, SSH, CURVE) if turn == 0 else ())):
                figures.add(size, who, peers[who].round(who[1]))


def _warm_rounds(peer: Peer, rounds: int) -> Iterator[Measured]:
    """The first one connects, and what it leaves behind in the caches is the second one's."""
    for turn in range(rounds + 2):
        measured = peer.round(WARM[1])
        if turn > 1:
            yield measured
