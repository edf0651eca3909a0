"""What came of the demo: the figures, whether they are clean, and the picture's contents. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Optional

from demo.kinds import Hold, seen_by_all
from stillgate.console.picture import Marker, Picture, Point
from support.app import Arrival
from support.clients.load import Record


@dataclass(frozen=True)
class Times:
    """On CLOCK_MONOTONIC. Between `held` and `migrated` nothing may reach a server: the one is
    after all are held and drained, the other before the cutover and the release. `staged` is when
    the new code is put where no traffic goes, `rest` when on the other server.
    """

    staged: float
    held: float
    migrated: float
    rest: float


@dataclass(frozen=True)
class Course:
    """All that was seen. `old` and `new` are what reached the old and the new code, by their own
    record; `old_code` is the status with which the old one answers after the migration; `written`
    are the requests in the table; `hold` is the history's; `gates` are the gates' counters after
    all was answered.
    """

    times: Times
    records: Sequence[Record]
    old: Sequence[Arrival]
    new: Sequence[Arrival]
    written: Sequence[str]
    old_code: int
    hold: Mapping[str, Any]
    gates: Sequence[Mapping[str, Any]]

    @property
    def arrivals(self) -> list[Arrival]:
        return [*self.old, *self.new]


class Verdict:
    """The figures of a course."""

    def __init__(self, course: Course) -> None:
        times = course.times
        self.course = course
        hold = Hold(times.held, times.migrated)
        self.failed = [record for record in course.records if not record.ok]
        self.kinds = seen_by_all(hold, course.records, course.arrivals)
        self.held = [record for record in course.records if hold.concerns(record)]
        self.reached = [arrival for arrival in course.arrivals if hold.was_met_by(arrival)]
        later = [arrival.at for arrival in course.arrivals if arrival.at >= times.migrated]
        self.released = min(later, default=times.migrated)
        # The hold begins with the first that waits: what the report has is by another clock.
        self.committed = min((record.sent_at for record in self.held), default=times.held)
        answered = [record.finished_at for record in self.held]
        self.release = max(answered, default=self.released) - self.released
        waits = {r.id: r.finished_at - r.sent_at for r in course.records}
        self.longest = max(waits.values(), default=0.0)
        usual = [waits[r.id] for r in course.records if r.finished_at < self.committed]
        self.usual = median(usual) if usual else 0.0
        self.leaked: Optional[int] = course.hold["leaked"]
        self.by_old = {arrival.id for arrival in course.old}
        self.too_late = [one for one in course.old if one.at >= times.migrated]
        self.too_early = [one for one in course.new if one.at < times.migrated]
        # Not only as many: a request written twice must not make up for one that is lost.
        self.astray = set(course.written) ^ {r.id for r in course.records if r.ok}

    def wrong(self) -> list[str]:
        """What is not as it must be, in words; clean is where there is nothing."""
        found = {
            "requests failed": bool(self.failed),
            "requests reached a server while held": bool(self.reached),
            "HAProxy counts requests that reached a server while held": bool(self.leaked),
            "HAProxy does not tell what reached a server while held": self.leaked is None,
            "the old code was reached on the new schema": bool(self.too_late),
            "the new code was reached on the old schema": bool(self.too_early),
            "the new code answered nobody": not self.course.new,
            "not every gate held": any(gate["held"] == 0 for gate in self.course.gates),
            "a gate turned requests away": self._gates("rejected") > 0,
            "clients gave up at a gate": self._gates("given_up") > 0,
            "a gate did not let through all that it held": self._gates("released")
            != self._gates("held") - self._gates("rejected") - self._gates("given_up"),
            "a hold was over before its end": self.course.hold["ended"] != "resumed",
            **{
                f"no client waited, so nothing was shown: {kind.words}": not seen.waited
                for kind, seen in self.kinds.items()
            },
            "payments and answers do not match": bool(self.astray)
            or len(self.course.written) != len(set(self.course.written)),
            "the old code can live with the new schema": self.course.old_code != 500,
        }
        return [words for words, is_so in found.items() if is_so]

    def rows(self) -> list[tuple[str, str]]:
        """The table: what, and how much."""
        hold = self.course.hold
        held = self.released - self.committed
        return [
            ("requests sent", f"{len(self.course.records)}"),
            ("  of them while held", f"{len(self.held)}"),
            ("failed", f"{len(self.failed)}"),
            (
                "answered by the old code, by the new",
                f"{len(self.course.old)}, {len(self.course.new)}",
            ),
            (
                "  of them on the schema of the other",
                f"{len(self.too_late)}, {len(self.too_early)}",
            ),
            ("reached a server while held", f"{len(self.reached)}, by the application's record"),
            ("", f"{_number(self.leaked, '')}, by HAProxy's counters"),
            (
                "held by the gates, by their counters",
                f"{self._gates('held')}, {self._gates('released')} released",
            ),
            ("payments written", f"{len(self.course.written)}, {len(self.astray)} astray"),
            ("longest wait", f"{self.longest:.2f} s, of a hold of {held:.2f} s"),
            ("release, first to last of those that waited", f"{self.release * 1000:.0f} ms"),
            ("usual wait", f"{self.usual * 1000:.1f} ms (median before the hold)"),
            ("commit window, three HAProxies", _number(hold["commit_window_ms"], " ms")),
            ("skew", _number(hold["skew_ms"], " ms")),
            ("drained in", _number(hold["drain_ms"], " ms")),
            ("the old code on the new schema", f"answers {self.course.old_code}"),
        ]

    def _gates(self, counter: str) -> int:
        """Over all gates."""
        return sum(gate[counter] for gate in self.course.gates)

    def picture(self) -> Picture:
        """Seconds since the first request was sent."""
        times, records = self.course.times, self.course.records
        start = min((record.sent_at for record in records), default=self.committed)
        window = _number(self.course.hold["commit_window_ms"], " ms")
        return Picture(
            title=f"{len(records)} requests through three HAProxies, {len(self.failed)} failed",
            subtitle="fab release: who answered, before and after a migration",
            points=[
                Point(
                    r.sent_at - start, r.finished_at - r.sent_at, r.ok, int(r.id not in self.by_old)
                )
                for r in records
            ],
            markers=[
                Marker(times.staged - start, "new code, no traffic"),
                Marker(self.committed - start, f"suspend (commit window {window})"),
                Marker(times.migrated - start, "migrated"),
                Marker(self.released - start, "cutover, resume"),
                Marker(times.rest - start, "the rest"),
            ],
            held=(self.committed - start, self.released - start),
            series=["old code", "new code"],
        )


def _number(value: Optional[float], unit: str) -> str:
    return "-" if value is None else f"{value:.3g}{unit}"
