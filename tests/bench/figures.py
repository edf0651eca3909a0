"""What the bench measured: medians, ratios against the epoll program, and the budget's rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Optional

from bench.gate import GateFigures
from bench.skew import Skew
from bench.ssh import SshFigures
from bench.stage import Measured
from rich.table import Table

YARDSTICK = "epoll_peer"
ENGINE = "engine_peer"
LIBRARY = "python_peer"
ASYNCIO = "asyncio_peer"


@dataclass(frozen=True)
class Case:
    """What was asked: by whom, of whom, and with which connections."""

    transport: str  # "unix", "tcp" or "relay"
    endpoints: int
    kind: str  # "cold", "warm" or "barrier"
    peer: str


@dataclass(frozen=True)
class Medians:
    rounds: int
    total_ms: float
    window_ms: float
    cpu_us_per_endpoint: float


@dataclass(frozen=True)
class Row:
    """One row of the budget. `value` None: this run did not measure it."""

    what: str
    value: Optional[float]
    limit: float
    unit: str
    at_least: bool = False

    @property
    def met(self) -> Optional[bool]:
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class Figures:
    """All rounds of a run, and the figures that are no rounds."""

    def __init__(self) -> None:
        self._rounds: dict[Case, list[Measured]] = defaultdict(list)
        self.import_ms: Optional[float] = None
        self.memory_bytes: dict[str, float] = {}
        self.skew: Optional[Skew] = None
        self.gate: Optional[GateFigures] = None
        self.ssh: Optional[SshFigures] = None
        self.short: list[str] = []  # rounds in which an endpoint did not answer

    def add(self, case: Case, measured: Measured) -> None:
        self._rounds[case].append(measured)
        self.check_ok(f"{case.peer}, {case.kind}, {case.transport}", measured.ok, case.endpoints)

    def check_ok(self, who: str, ok: int, endpoints: int) -> None:
        if ok != endpoints:
            self.short.append(f"{who}: {ok} of {endpoints} endpoints answered")

    def take_ssh(self, ssh: SshFigures) -> None:
        self.ssh = ssh
        self.short += ssh.short

    def medians(self, case: Case) -> Optional[Medians]:
        rounds = self._rounds.get(case)
        if not rounds:
            return None
        return Medians(
            len(rounds),
            median(one.total_ms for one in rounds),
            median(one.window_ms for one in rounds),
            median(one.cpu_us for one in rounds),
        )

    def ratios(self, case: Case) -> Optional[dict[str, float]]:
        """Against the epoll program in the same case."""
        mine = self.medians(case)
        its = self.medians(Case(case.transport, case.endpoints, case.kind, YARDSTICK))
        if mine is None or its is None:
            return None
        return {
            "total": mine.total_ms / its.total_ms,
            "window": mine.window_ms / its.window_ms,
            "cpu": mine.cpu_us_per_endpoint / its.cpu_us_per_endpoint,
        }

    def as_json(self) -> dict[str, object]:
        cases = []
        for case in self._rounds:
            medians, ratios = self.medians(case), self.ratios(case)
            assert medians is not None
            cases.append({**asdict(case), **asdict(medians), "ratios_to_epoll": ratios})
        rows = [{**asdict(row), "met": row.met} for row in self.budget()]
        skew = None if self.skew is None else asdict(self.skew)
        return {"cases": cases, "skew": skew, "budget": rows, "short": self.short}

    def budget(self) -> list[Row]:
        """The rows of the design's budget that can be measured so far."""

        def figure(
            peer: str, kind: str, read: Callable[[Medians], float], size: int = 1000
        ) -> float:
            medians = self.medians(Case("unix", size, kind, peer))
            return float("nan") if medians is None else read(medians)

        def total(medians: Medians) -> float:
            return medians.total_ms

        def window(medians: Medians) -> float:
            return medians.window_ms

        def cpu(medians: Medians) -> float:
            return medians.cpu_us_per_endpoint

        many = "1,000 unix endpoints"
        wanted = [
            (
                f"{many}, warm: window against epoll",
                figure(ENGINE, "warm", window) / figure(YARDSTICK, "warm", window),
                1.2,
                "x",
            ),
            (f"{many}, warm: client CPU per endpoint", figure(ENGINE, "warm", cpu), 8, "us"),
            (
                f"{many}, cold, whole call from Python against epoll",
                figure(LIBRARY, "cold", total) / figure(YARDSTICK, "cold", total),
                1.25,
                "x",
            ),
            (
                f"{many}, cold, from Python: client CPU per endpoint",
                figure(LIBRARY, "cold", cpu),
                30,
                "us",
            ),
            (
                "one endpoint: what Python adds",
                figure(LIBRARY, "cold", total, 1) - figure(ENGINE, "cold", total, 1),
                0.2,
                "ms",
            ),
            (
                "import stillgate over a bare interpreter",
                float("nan") if self.import_ms is None else self.import_ms,
                30,
                "ms",
            ),
        ]
        wanted += [
            (f"memory per endpoint, {transport}", bytes_each / 1000, 8, "kB")
            for transport, bytes_each in self.memory_bytes.items()
        ]
        if self.skew is not None:
            wanted += [
                ("paths of 1, 20 and 75 ms one way: skew", self.skew.spread_ms, 0.5, "ms"),
                ("  the window against the longest round trip", self.skew.window_ratio, 1.1, "x"),
            ]
        if self.gate is not None:
            wanted += self.gate.rows()
        # Both cold. asyncio as it is used everywhere: each coroutine connects, asks and reads, so
        # commands leave while others still connect. Ours all leave behind the barrier.
        faster = [
            (
                "asyncio at 1,000, cold: its total against ours from Python",
                figure(ASYNCIO, "cold", total) / figure(LIBRARY, "cold", total),
                2.0,
            ),
            (
                "asyncio at 1,000, cold: its window against ours with the barrier",
                figure(ASYNCIO, "cold", window) / figure(ENGINE, "barrier", window),
                3.5,
            ),
        ]
        if self.ssh is not None:
            wanted += self.ssh.rows()
            faster += self.ssh.faster()
        rows = [Row(what, _known(value), limit, unit) for what, value, limit, unit in wanted]
        rows += [
            Row(what, _known(value), limit, "x", at_least=True) for what, value, limit in faster
        ]
        return rows

    def tables(self) -> list[Table]:
        """All cases, SSH's, and the budget."""
        cases = Table(title="Medians; in brackets against the epoll program of the same run")
        for name in ("over", "endpoints", "connections", "peer"):
            cases.add_column(name)
        for name in ("total ms", "window ms", "CPU us per endpoint"):
            cases.add_column(name, justify="right", no_wrap=True)
        last = None
        for case in self._rounds:
            medians, ratios = self.medians(case), self.ratios(case)
            assert medians is not None
            group = (case.transport, case.endpoints, case.kind)
            if last not in (None, group):
                cases.add_section()
            last = group
            cells = zip(
                (medians.total_ms, medians.window_ms, medians.cpu_us_per_endpoint),
                ratios.values() if ratios else (None,) * 3,
            )
            cases.add_row(
                case.transport,
                f"{case.endpoints:,}",
                case.kind,
                case.peer.removesuffix("_peer"),
                *(f"{value:.2f}" + (f" ({ratio:.2f})" if ratio else "") for value, ratio in cells),
            )
        rows = Table(title="The budget")
        for name in ("what", "measured", "wanted", ""):
            rows.add_column(name)
        for row in self.budget():
            rows.add_row(
                row.what,
                "not measured" if row.value is None else f"{row.value:.2f} {row.unit}",
                f"{'at least' if row.at_least else 'at most'} {row.limit:g} {row.unit}",
                {None: "", True: "met", False: "NOT met"}[row.met],
            )
        return [cases, *([] if self.ssh is None else [self.ssh.table()]), rows]


def _known(value: float) -> Optional[float]:
    return None if value != value else value
