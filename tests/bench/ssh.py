"""What SSH costs: many hosts, each with a login of its own, by Stillgate, by libssh2 without it, by
ssh and by Fabric.

The hosts are the loopback's addresses, and one real sshd serves them all: it takes most of the
CPU, and is the floor of every cold row.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.stage import RELAY_MS, Measured, Peer, Stage
from rich.table import Table

from support.ssh.home import ME, SshHome
from support.ssh.server import SshServer

HOSTS = 200
CROWD = 100
FEW = 10
NEAR = "ssh"
FAR = "ssh-relay"
YARDSTICK = "libssh2_peer"
ENGINE = "engine_peer"
LIBRARY = "python_peer"
OTHERS = {
    "ssh host socat, xargs -P16": ("ssh_peer", "ssh", 5.0),
    "the same with curve25519": ("ssh_peer", "curve25519", 2.0),
    "Fabric's ThreadingGroup": ("fabric_peer", "cold", 1.5),
}
# The prototype of docs/haproxy-facts.md, section 7, needed 1.2 ms of CPU per login, and 9.5 ms for
# 100 sessions (section 8). The budget has 1.4 and 12 ms, which mean nothing on another machine. The
# ratios do.
COLD_AGAINST_YARDSTICK = 1.4 / 1.2
WINDOW_AGAINST_YARDSTICK = 12 / 9.5


@dataclass(frozen=True)
class Case:
    """Who asked how many hosts, how, and over which path."""

    path: str
    hosts: int
    kind: str  # "cold" and "commit", or a word of that peer's own
    peer: str


@dataclass
class SshFigures:
    """All rounds, and the memory of a session."""

    rounds: dict[Case, list[Measured]] = field(default_factory=lambda: defaultdict(list))
    memory_bytes: float = float("nan")
    short: list[str] = field(default_factory=list)  # rounds in which a host did not answer

    def add(self, case: Case, measured: Measured) -> None:
        self.rounds[case].append(measured)
        if measured.ok != case.hosts:
            self.short.append(f"{case}: {measured.ok} answered")

    def total_ms(self, case: Case) -> float:
        return median(one.total_ms for one in self.rounds[case])

    def window_ms(self, case: Case) -> float:
        return median(one.window_ms for one in self.rounds[case])

    def cpu_us(self, case: Case) -> float:
        return median(one.cpu_us for one in self.rounds[case])

    def rows(self) -> list[tuple[str, float, float, str]]:
        """What, how much, at most, and the unit; against the design's budget."""
        found: list[tuple[str, float, float, str]] = []
        for size in self._sizes():
            ours, bare = self._ours_and_bare(NEAR, size, "cold", self.cpu_us)
            what = f"ssh, {size} hosts, cold: client CPU per host"
            found += [
                (what, ours, 1400, "us"),
                ("  against libssh2 by hand", ours / bare, COLD_AGAINST_YARDSTICK, "x"),
            ]
        what = f"ssh, {CROWD} sessions, warm: commit window"
        ours, bare = self._ours_and_bare(NEAR, CROWD, "commit", self.window_ms)
        found += [
            (what, ours, 12, "ms"),
            ("  against libssh2 by hand", ours / bare, WINDOW_AGAINST_YARDSTICK, "x"),
        ]
        ours, bare = self._ours_and_bare(NEAR, CROWD, "commit", self.cpu_us)
        found += [
            (f"ssh, {CROWD} sessions, warm: client CPU per host", ours, 30, "us"),
            ("  libssh2 by hand", bare, 30, "us"),
        ]
        ours, _ = self._ours_and_bare(FAR, FEW, "commit", self.window_ms)
        what = f"ssh, {FEW} sessions, {RELAY_MS} ms each way: window in round trips"
        found.append((what, ours / (2 * RELAY_MS), 1.1, "x"))
        # With so many the machine's sshds add more than the path does.
        ours, bare = self._ours_and_bare(FAR, CROWD, "commit", self.window_ms)
        found += [
            (f"  {CROWD} sessions, against libssh2 by hand", ours / bare, 1.1, "x"),
            ("memory per ssh session", self.memory_bytes / 1000, 40, "kB"),
        ]
        return found

    def faster(self) -> list[tuple[str, float, float]]:
        """Who takes how many times as long as we do from Python, and how many are wanted."""
        return [
            (
                f"{size} ssh hosts, cold: {what} against ours",
                self.total_ms(Case(NEAR, size, kind, peer))
                / self.total_ms(Case(NEAR, size, "cold", LIBRARY)),
                times,
            )
            for size in self._sizes()
            for what, (peer, kind, times) in OTHERS.items()
        ]

    def table(self) -> Table:
        table = Table(title="SSH: medians; in brackets against libssh2 by hand")
        for name in ("hosts", "path", "peer"):
            table.add_column(name)
        for name in ("total ms", "window ms", "CPU us per host"):
            table.add_column(name, justify="right", no_wrap=True)
        for case in self.rounds:
            bare = Case(case.path, case.hosts, case.kind, YARDSTICK)
            cells = []
            for figure in (self.total_ms, self.window_ms, self.cpu_us):
                value = figure(case)
                ratio = f" ({value / figure(bare):.2f})" if bare in self.rounds else ""
                cells.append(f"{value:.2f}{ratio}")
            path = "" if case.path == NEAR else f"{RELAY_MS} ms each way"
            peer = f"{case.peer.removesuffix('_peer')} {case.kind}"
            table.add_row(str(case.hosts), path, peer, *cells)
        return table

    def _sizes(self) -> list[int]:
        return sorted({case.hosts for case in self.rounds if case.peer == LIBRARY})

    @staticmethod
    def _ours_and_bare(
        path: str, size: int, kind: str, figure: Callable[[Case], float]
    ) -> tuple[float, float]:
        return figure(Case(path, size, kind, ENGINE)), figure(Case(path, size, kind, YARDSTICK))


def measure_ssh(programs: Path, quick: bool) -> SshFigures:
    figures = SshFigures()
    with ExitStack() as stack:
        stage = stack.enter_context(Stage(programs, HOSTS))
        _start_hosts(stack, stage)
        for size in [FEW] if quick else [FEW, CROWD, HOSTS]:
            _run_cold(stage, figures, size, 1 if quick else 5)
        with stage.peer(ENGINE, NEAR, CROWD) as peer:
            figures.memory_bytes = peer.ask("memory")["bytes_per_endpoint"]
        _run_warm(stage, figures, NEAR, CROWD, 5 if quick else 45)
        for size in (FEW, CROWD):
            _run_warm(stage, figures, FAR, size, 3 if quick else 9)
    return figures


def _start_hosts(stack: ExitStack, stage: Stage) -> None:
    """Each address of the loopback is another host to every client."""
    home = SshHome(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sgs"))))
    server = stack.enter_context(
        SshServer(authorized=[home.key()], ListenAddress="0.0.0.0", MaxStartups="1000")
    )
    home.host("127.0.0.*", server, HostName="%h", HostKeyAlias="bench")
    sockets = [url.removeprefix("unix://") for url in stage.endpoints["unix"]]
    stage.endpoints[NEAR] = [
        home.url(f"127.0.0.{number}", socket) for number, socket in enumerate(sockets, start=1)
    ]
    # What libssh2 by hand is told: it reads no ssh_config.
    login = f"{ME} {home.key()}"
    stage.endpoints[f"{NEAR}-bare"] = [
        f"127.0.0.{number} {server.port} {login} {socket}"
        for number, socket in enumerate(sockets, start=1)
    ]
    stage.endpoints[FAR] = []
    stage.endpoints[f"{FAR}-bare"] = []
    long_ways = stage.start_relay([f"tcp://127.0.0.1:{server.port}"] * CROWD)
    for number, (way, socket) in enumerate(zip(long_ways, sockets)):
        port = way.rpartition(":")[2]
        name = home.host(f"far{number}", server, Port=port, HostKeyAlias="bench", known=False)
        stage.endpoints[FAR].append(home.url(name, socket))
        stage.endpoints[f"{FAR}-bare"].append(f"127.0.0.1 {port} {login} {socket}")


def _peer(stage: Stage, path: str, size: int, name: str) -> Peer:
    return stage.peer(name, f"{path}-bare" if name == YARDSTICK else path, size)


def _run_cold(stage: Stage, figures: SshFigures, size: int, turns: int) -> None:
    """In turns; the others take seconds to minutes, so once is enough for those."""
    cases = [Case(NEAR, size, "cold", name) for name in (YARDSTICK, ENGINE, LIBRARY)]
    slow = [Case(NEAR, size, kind, peer) for peer, kind, _ in OTHERS.values()]
    with ExitStack() as stack:
        peers = {
            name: stack.enter_context(_peer(stage, NEAR, size, name))
            for name in {case.peer for case in cases + slow}
        }
        for turn in range(turns):
            for case in cases + (slow if turn == 0 else []):
                figures.add(case, peers[case.peer].round(case.kind))


def _run_warm(stage: Stage, figures: SshFigures, path: str, size: int, turns: int) -> None:
    """In turns. The first round connects, and what the other peer has left in the caches is not
    the second one's cost.
    """
    with ExitStack() as stack:
        peers = {
            name: stack.enter_context(_peer(stage, path, size, name))
            for name in (YARDSTICK, ENGINE)
        }
        for _ in range(turns):
            for name, peer in peers.items():
                peer.round("commit")
                figures.add(Case(path, size, "commit", name), peer.round("commit"))
