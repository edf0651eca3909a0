"""What a live screen knows: the latest look at the fleet, and how it came there. Draws nothing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Deque, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from stillgate.console.metrics import is_overdue, is_stopped
from stillgate.results.hold import Hold
from stillgate.results.report import Report, Switch

MOST_SAMPLES = 3600  # an hour of looks
Place = Tuple[str, str]  # of a switch: its endpoint and frontend


class Waiting(NamedTuple):
    """How many requests wait: what was counted, what the arrivals let one guess where nobody counts
    (0: nothing is to be guessed, None: nothing is known), and whether all was counted.
    """

    counted: int
    guessed: Optional[int]
    whole: bool

    @property
    def about(self) -> int:
        """The best number there is."""
        return self.counted + (self.guessed or 0)

    def words(self) -> str:
        if self.whole:
            return f"{self.counted:,} waiting"
        if self.guessed is None:
            return f"{self.counted:,} waiting and unknown" if self.counted else "waiting unknown"
        return f"waiting unknown (about {self.about:,} by the arrivals)"


@dataclass(frozen=True)
class Row:
    """One HAProxy, over all the frontends that are looked at. What is unknown is None."""

    name: str
    state: str
    badness: int
    waiting: Waiting
    in_flight: Optional[int]
    leaked: Optional[int]
    rtt_ms: Optional[float]
    note: str


class Time(NamedTuple):
    """Of the hold that ends first."""

    held_s: float
    whole_s: Optional[float]
    left_s: Optional[float]


# The worst first.
_ORDER = ("unknown", "OVERDUE", "503", "stopped", "open", "mixed", "held")


class LiveState:
    """`rates` are requests per second before the hold, by endpoint and frontend, where known."""

    def __init__(self, rates: Optional[Mapping[Place, float]] = None) -> None:
        self.report: Optional[Report] = None
        self.at = 0.0
        self.samples: Deque[Tuple[float, Waiting]] = deque(maxlen=MOST_SAMPLES)
        self._rates: Dict[Place, float] = dict(rates or {})
        self._hold: Optional[str] = None

    def know_arrivals(self, rates: Mapping[Place, float]) -> None:
        """What is known of the time before the hold, where nothing was seen of it."""
        for place, rate in rates.items():
            self._rates.setdefault(place, rate)

    def see(self, report: Report, at: float) -> None:
        """A look; `at` is seconds since the epoch."""
        self.report, self.at = report, at
        for one in report.switches:
            if one.verdict == "open" and one.rate is not None:
                self._rates[(one.endpoint, one.frontend)] = one.rate
        hold = self.hold
        if hold and hold.id != self._hold:
            # Another hold has a graph of its own.
            self._hold = hold.id
            self.samples.clear()
        self.samples.append((at, self.waiting()))

    @property
    def hold(self) -> Optional[Hold]:
        """The one that ends first; those without a deadline last."""
        holds = sorted(self._holds(), key=lambda one: one.deadline or float("inf"))
        return holds[0] if holds else None

    def time(self, now: float) -> Optional[Time]:
        """None where no hold is known."""
        hold = self.hold
        if hold is None:
            return None
        whole = None if hold.deadline is None else hold.deadline - hold.started_at
        left = None if hold.deadline is None else hold.deadline - now
        return Time(max(0.0, now - hold.started_at), whole, left)

    def waiting(self, switches: Optional[Sequence[Switch]] = None) -> Waiting:
        counted = guessed = 0
        whole = known = True
        for one in self._switches() if switches is None else switches:
            if one.waiting is not None:
                counted += one.waiting
            if one.waiting is not None or one.verdict == "open":
                continue
            whole = False
            guess = self._guess(one)
            known = known and guess is not None
            guessed += guess or 0
        return Waiting(counted, guessed if known else None, whole)

    def _guess(self, one: Switch) -> Optional[int]:
        rate = self._rates.get((one.endpoint, one.frontend))
        hold = next((hold for hold in self._holds() if hold.id == one.hold_id), None)
        if one.verdict != "held" or rate is None or hold is None:
            return None
        return round(rate * max(0.0, self.at - hold.started_at))

    def leaked_words(self) -> str:
        """What leaked where it is known."""
        return leaked_words([_leaked(one) for one in self._switches()])

    @property
    def in_flight(self) -> Optional[int]:
        return total([one.in_flight for one in self._switches()])

    def totals(self, now: float) -> str:
        """The line that says it all."""
        if self.report is None:
            return "looking"
        rows = self.rows()
        held = _count_held(rows)
        answering = sum(row.state != "unknown" for row in rows)
        if not held and not any(row.state == "mixed" for row in rows):
            word = "OPEN" if answering == len(rows) else "UNKNOWN"
            stopped = sum(row.state == "stopped" for row in rows)
            where = f", STOPPED at {stopped}" if stopped else ""
            return f"{word}{where}, {answering} of {len(rows)} HAProxies answer"
        told = [
            self._time_words(now),
            self.waiting().words(),
            self.leaked_words(),
            f"{held} of {len(rows)} HAProxies",
        ]
        return ", ".join(told)

    def document(self, now: float) -> Dict[str, Any]:
        """The latest report as JSON, with what the line of totals says."""
        assert self.report is not None
        time, waiting, rows = self.time(now), self.waiting(), self.rows()
        guess = None if waiting.guessed is None else waiting.about
        totals = {
            "words": self.totals(now),
            "held_s": time and time.held_s,
            "left_s": time and time.left_s,
            "waiting": waiting.counted if waiting.whole else None,
            "waiting_about": guess,
            "leaked": total([_leaked(one) for one in self._switches()]),
            "held": _count_held(rows),
            "haproxies": len(rows),
        }
        return {**self.report.document, "totals": totals}

    def _time_words(self, now: float) -> str:
        time = self.time(now)
        if time is None:
            return "HELD by somebody unknown"
        if time.left_s is not None and time.left_s < 0:
            return f"OVERDUE by {-time.left_s:.1f} s"
        if time.whole_s is None:
            return f"HELD {time.held_s:.1f} s, until somebody resumes"
        return f"HELD {time.held_s:.1f} s of {time.whole_s:g}"

    def rows(self) -> List[Row]:
        """The bad ones first, then those where most wait."""
        by_endpoint: Dict[str, List[Switch]] = {}
        for one in self._switches():
            by_endpoint.setdefault(one.endpoint, []).append(one)
        rows = [self._row(switches) for switches in by_endpoint.values()]
        return sorted(rows, key=lambda row: (row.badness, -row.waiting.about, row.name))

    def _row(self, switches: List[Switch]) -> Row:
        states = {self._state(one) for one in switches}
        state = states.pop() if len(states) == 1 else _worst(states)
        anything_held = any(one.verdict == "held" for one in self._switches())
        leaked = total([_leaked(one) for one in switches])
        badness = _ORDER.index(state)
        if state == "held" and leaked:
            badness -= 1
        if state == "open" and not anything_held:
            badness = len(_ORDER)
        return Row(
            name=switches[0].endpoint_name or switches[0].endpoint,
            state=state,
            badness=badness,
            waiting=self.waiting(switches),
            in_flight=total([one.in_flight for one in switches]),
            leaked=leaked,
            rtt_ms=switches[0].rtt_ms,
            note=_note(switches),
        )

    def _state(self, one: Switch) -> str:
        if one.error is not None or one.verdict not in ("held", "open"):
            return "unknown"
        codes = {finding.code for finding in one.findings}
        if "rejecting" in codes:
            return "503"
        hold = next((hold for hold in self._holds() if hold.id == one.hold_id), None)
        if is_overdue(one, hold, self.at):
            return "OVERDUE"
        return "stopped" if one.verdict == "open" and is_stopped(one) else one.verdict

    def _switches(self) -> List[Switch]:
        return self.report.switches if self.report else []

    def _holds(self) -> List[Hold]:
        return self.report.holds if self.report else []


def _count_held(rows: Sequence[Row]) -> int:
    return sum(row.state in ("held", "OVERDUE", "503") for row in rows)


def total(numbers: Sequence[Optional[int]]) -> Optional[int]:
    """None where one of them is unknown."""
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def leaked_words(numbers: Sequence[Optional[int]]) -> str:
    known = [number for number in numbers if number is not None]
    if len(known) == len(numbers):
        return f"{sum(known):,} leaked"
    return f"at least {sum(known):,} leaked" if sum(known) else "leaked unknown"


def _leaked(one: Switch) -> Optional[int]:
    """What is open leaks nothing."""
    return 0 if one.verdict == "open" else one.leaked if one.verdict == "held" else None


def summed(rows: Sequence[Row]) -> str:
    """For those that have no room: how many of which state, and their numbers."""
    states: Dict[str, int] = {}
    for row in rows:
        states[row.state] = states.get(row.state, 0) + 1
    told = [f"{count} {state}" for state, count in states.items()]
    counted = sum(row.waiting.counted for row in rows)
    whole = all(row.waiting.whole for row in rows)
    told.append(f"{counted:,} waiting" if whole or counted else "waiting unknown")
    told.append(leaked_words([row.leaked for row in rows]))
    return f"and {len(rows)} more: {', '.join(told)}"


def _worst(states: Set[str]) -> str:
    bad = [state for state in _ORDER[:3] if state in states]
    if bad:
        return bad[0]
    return "mixed" if "held" in states else "stopped"


def _note(switches: Sequence[Switch]) -> str:
    """The first thing that somebody should know."""
    for one in switches:
        if one.error is not None:
            return one.error.message
    for level in ("refusal", "warning", "info"):
        for one in switches:
            for finding in one.findings:
                if finding.level == level:
                    return finding.message
    return ""
