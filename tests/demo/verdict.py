"""What came of the demo: the figures, whether they are clean, and the picture's contents. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Optional

from demo.kinds import KINDS, Hold, is_of, seen_by_all
from demo.picture import Marker, Picture, Point
from support.app import Arrival
from support.clients.load import Record


@dataclass(frozen=True)
class Times:
    """On CLOCK_MONOTONIC. Between `held` and `resuming` nothing may reach a server: the one is
    after all are held and drained, the other before anything is released.
    """

    held: float
    migrated: float
    switched: float
    resuming: float


@dataclass(frozen=True)
class Course:
    """All that was seen. `arrivals` are on the application's own record; `old_code` is the status
    with which version 1 answers after the migration; `written` are the requests in the table;
    `gates` are the gates' counters after all was answered.
    """

    times: Times
    records: Sequence[Record]
    arrivals: Sequence[Arrival]
    written: Sequence[str]
    old_code: int
    suspend: dict[str, Any]
    resume: dict[str, Any]
    gates: Sequence[Mapping[str, Any]]


class Verdict:
    """The figures of a course."""

    def __init__(self, course: Course) -> None:
        times = course.times
        self.course = course
        hold = Hold(times.held, times.resuming)
        self.failed = [record for record in course.records if not record.ok]
        self.kinds = seen_by_all(hold, course.records, course.arrivals)
        self.held = [record for record in course.records if hold.concerns(record)]
        self.reached = [arrival for arrival in course.arrivals if hold.was_met_by(arrival)]
        later = [arrival.at for arrival in course.arrivals if arrival.at >= times.resuming]
        self.released = min(later, default=times.resuming)
        # The hold begins with the first that waits: what the report has is by another clock.
        self.committed = min((record.sent_at for record in self.held), default=times.held)
        answered = [record.finished_at for record in self.held]
        self.release = max(answered, default=self.released) - self.released
        waits = {r.id: r.finished_at - r.sent_at for r in course.records}
        self.longest = max(waits.values(), default=0.0)
        usual = [waits[r.id] for r in course.records if r.finished_at < self.committed]
        self.usual = median(usual) if usual else 0.0
        switches = course.resume["switches"]
        counted = [switch["leaked"] for switch in switches]
        self.leaked: Optional[int] = None if None in counted else sum(counted)
        self.methods = {switch["method"] for switch in course.suspend["switches"]}
        findings = [finding["code"] for switch in switches for finding in switch["findings"]]
        self.ended_early = "already_open" in findings
        # Not only as many: a request written twice must not make up for one that is lost.
        self.astray = set(course.written) ^ {r.id for r in course.records if r.ok}

    def wrong(self) -> list[str]:
        """What is not as it must be, in words; clean is where there is nothing."""
        found = {
            "requests failed": bool(self.failed),
            "requests reached a server while held": bool(self.reached),
            "HAProxy counts requests that reached a server while held": bool(self.leaked),
            "not every HAProxy tells what reached a server while held": self.leaked is None,
            "not every HAProxy was held by its gate": self.methods != {"gate"},
            "a gate turned requests away": self._gates("rejected") > 0,
            "clients gave up at a gate": self._gates("given_up") > 0,
            "a gate did not let through all that it held": self._gates("released")
            != self._gates("held") - self._gates("rejected") - self._gates("given_up"),
            "a hold was over before its end": self.ended_early,
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
        suspend = self.course.suspend
        held = self.released - self.committed
        return [
            ("requests sent", f"{len(self.course.records)}"),
            ("  of them while held", f"{len(self.held)}"),
            ("failed", f"{len(self.failed)}"),
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
            ("commit window, three HAProxies", _number(suspend["commit_window_ms"], " ms")),
            ("skew", _number(suspend["skew_ms"], " ms")),
            ("drained in", _number(suspend["drain_ms"], " ms")),
            ("the old code on the new schema", f"answers {self.course.old_code}"),
        ]

    def _gates(self, counter: str) -> int:
        """Over all gates."""
        return sum(gate[counter] for gate in self.course.gates)

    def picture(self) -> Picture:
        """Seconds since the first request was sent."""
        times, records = self.course.times, self.course.records
        start = min((record.sent_at for record in records), default=self.committed)
        window = _number(self.course.suspend["commit_window_ms"], " ms")
        return Picture(
            title=f"{len(records)} requests through three HAProxies, {len(self.failed)} failed",
            subtitle="a migration under a hold of every frontend, by the gate",
            points=[
                Point(r.sent_at - start, r.finished_at - r.sent_at, r.ok, series)
                for series, kind in enumerate(KINDS)
                for r in records
                if is_of(kind, r.id)
            ],
            markers=[
                Marker(self.committed - start, f"suspend (commit window {window})"),
                Marker(times.migrated - start, "migrated"),
                Marker(times.switched - start, "new code"),
                Marker(self.released - start, "resume"),
            ],
            held=(self.committed - start, self.released - start),
            series=[kind.words for kind in KINDS],
        )


def _number(value: Optional[float], unit: str) -> str:
    return "-" if value is None else f"{value:.3g}{unit}"
