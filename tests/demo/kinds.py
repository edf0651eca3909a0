"""The kinds of clients, what each of them saw of a hold, and a table of that. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from support.app import Arrival
from support.clients.load import Record


@dataclass(frozen=True)
class Kind:
    """`key` is one of support.clients.kinds.CLIENTS and begins the id of each request; so many
    clients are at each HAProxy, and each sends so many requests at once.
    """

    key: str
    words: str
    clients: int = 1
    at_once: int = 1


KINDS = (
    Kind("new", "new connections"),
    Kind("keep-alive", "keep-alive", clients=20),
    Kind("http2", "HTTP/2", clients=2, at_once=5),
)
COLUMNS = ("sent", "held", "failed", "leaked", "longest")
GUTTER, CELL = 17, 8


def prefix(kind: Kind, haproxy: int) -> str:
    """How the ids begin of what these clients send to that HAProxy."""
    return f"{kind.key}/{haproxy}/"


def is_of(kind: Kind, request: str) -> bool:
    return request.startswith(f"{kind.key}/")


@dataclass(frozen=True)
class Hold:
    """On CLOCK_MONOTONIC: after all is held and drained, and before anything is released."""

    held: float
    resuming: float

    def concerns(self, record: Record) -> bool:
        """Whether the request was sent while held. The hold begins a moment before its owner hears
        of it; who waits then is held as well.
        """
        if record.sent_at >= self.resuming:
            return False
        return record.sent_at >= self.held or record.finished_at >= self.resuming

    def kept_waiting(self, record: Record) -> bool:
        """Whether it waited beyond doubt: not only because it was sent just before the end."""
        middle = (self.held + self.resuming) / 2
        return record.ok and record.sent_at <= middle and record.finished_at >= self.resuming

    def was_met_by(self, arrival: Arrival) -> bool:
        """Whether the request reached a server that nothing may reach now."""
        return self.held <= arrival.at < self.resuming


@dataclass(frozen=True)
class Seen:
    """What the clients of one kind saw; `leaked` is by the application's own record."""

    sent: int
    held: int
    waited: int
    failed: int
    leaked: int
    longest: float


def seen_by(kind: Kind, hold: Hold, records: Sequence[Record], arrivals: Sequence[Arrival]) -> Seen:
    sent = [record for record in records if is_of(kind, record.id)]
    return Seen(
        sent=len(sent),
        held=sum(hold.concerns(record) for record in sent),
        waited=sum(hold.kept_waiting(record) for record in sent),
        failed=sum(not record.ok for record in sent),
        leaked=sum(hold.was_met_by(one) for one in arrivals if is_of(kind, one.id)),
        longest=max((record.finished_at - record.sent_at for record in sent), default=0.0),
    )


def seen_by_all(
    hold: Hold, records: Sequence[Record], arrivals: Sequence[Arrival]
) -> dict[Kind, Seen]:
    return {kind: seen_by(kind, hold, records, arrivals) for kind in KINDS}


@dataclass(frozen=True)
class Contrast:
    """The method maxconn, for comparison. Its leaks are what it is there to show."""

    hold: Hold
    records: Sequence[Record]
    arrivals: Sequence[Arrival]
    same_process: bool  # the HAProxy's, before and after

    def seen(self) -> dict[Kind, Seen]:
        return seen_by_all(self.hold, self.records, self.arrivals)

    def wrong(self) -> list[str]:
        found = {
            "requests failed with maxconn": any(not record.ok for record in self.records),
            "the HAProxy with maxconn ended": not self.same_process,
        }
        return [words for words, is_so in found.items() if is_so]


def _cells(seen: Seen) -> list[str]:
    counts = (seen.sent, seen.held, seen.failed, seen.leaked)
    return [*(str(count) for count in counts), f"{seen.longest:.2f} s"]


def beside(*tables: tuple[str, Mapping[Kind, Seen]]) -> list[str]:
    """The tables, each with its title, side by side; a row for each kind."""
    lines = [" " * GUTTER, " " * GUTTER]
    for title, _ in tables:
        lines[0] += f"   {title:<{CELL * len(COLUMNS)}}"
        lines[1] += "   " + "".join(f"{name:>{CELL}}" for name in COLUMNS)
    for kind in KINDS:
        line = f"{kind.words:{GUTTER}}"
        for _, seen in tables:
            line += "   " + "".join(f"{cell:>{CELL}}" for cell in _cells(seen[kind]))
        lines.append(line)
    return [line.rstrip() for line in lines]
