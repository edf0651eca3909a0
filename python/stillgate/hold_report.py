"""A hold as it went: out of its events and of what was measured. Draws nothing; None is
what nobody knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from stillgate.results.hold import PastHold

Samples = List[Tuple[float, int]]  # seconds since the hold began, how many waited
COUNTED = ("held", "given_up", "rejected", "leaked")


@dataclass(frozen=True)
class Step:
    """Of the timeline: seconds since the hold began."""

    at_s: float
    what: str
    words: str


@dataclass(frozen=True)
class OfHaproxy:
    """What is known of one HAProxy, over the frontends of the hold."""

    name: str
    waited: Optional[int] = None
    longest_s: Optional[float] = None
    most_waiting: Optional[int] = None
    given_up: Optional[int] = None
    rejected: Optional[int] = None
    leaked: Optional[int] = None
    in_flight: Optional[int] = None
    samples: Samples = field(default_factory=list)


@dataclass(frozen=True)
class HoldReport:
    """`median_s` is by the looks: half of those that waited at the end had come by then."""

    hold: PastHold
    steps: List[Step]
    samples: Samples
    haproxies: List[OfHaproxy]
    waited: Optional[int]
    longest_s: Optional[float]
    median_s: Optional[float]
    most_waiting: Optional[int]
    given_up: Optional[int]
    rejected: Optional[int]
    leaked: Optional[int]
    in_flight: Optional[int]


def report_of(hold: PastHold, lines: Sequence[Mapping[str, Any]]) -> HoldReport:
    """`lines` as stillgate.measured.read() gives them."""
    by_endpoint: Dict[str, List[Tuple[float, str, List[Dict[str, Any]]]]] = {}
    for line in lines:
        found: Dict[str, List[Dict[str, Any]]] = {}
        for one in line["switches"]:
            found.setdefault(one["endpoint"], []).append(one)
        for endpoint, switches in found.items():
            told = (line["at"] - hold.started_at, str(line["action"]), switches)
            by_endpoint.setdefault(endpoint, []).append(told)
    haproxies = [_of_haproxy(told) for told in by_endpoint.values()]
    samples = _samples(hold, lines)
    ended = hold.held_s if hold.ended != "held" else None
    longest = [one.longest_s for one in haproxies]
    return HoldReport(
        hold=hold,
        steps=_steps(hold),
        samples=samples,
        haproxies=sorted(haproxies, key=lambda one: one.name),
        waited=_sum([one.waited for one in haproxies]),
        longest_s=max((one for one in longest if one is not None), default=None),
        median_s=_median(samples, ended),
        most_waiting=max((count for _, count in samples), default=None),
        given_up=_sum([one.given_up for one in haproxies]),
        rejected=_sum([one.rejected for one in haproxies]),
        leaked=hold.leaked if hold.leaked is not None else _sum([h.leaked for h in haproxies]),
        in_flight=_sum([one.in_flight for one in haproxies]),
    )


def report_document(report: HoldReport) -> Dict[str, Any]:
    """All but the hold itself, for JSON."""
    return {
        "steps": [vars(one) for one in report.steps],
        "samples": [list(one) for one in report.samples],
        "haproxies": [{**vars(one), "samples": list(one.samples)} for one in report.haproxies],
        **{
            name: getattr(report, name)
            for name in ("waited", "longest_s", "median_s", "most_waiting", "given_up")
        },
        **{name: getattr(report, name) for name in ("rejected", "leaked", "in_flight")},
    }


def _of_haproxy(told: Sequence[Tuple[float, str, List[Dict[str, Any]]]]) -> OfHaproxy:
    first, last = told[0], told[-1]
    waiting = [(at, _sum([one["waiting"] for one in switches])) for at, _, switches in told]

    def latest(name: str) -> Optional[int]:
        """A gate's counters may be gone with a reload: the last ones that were seen."""
        for _, _, switches in reversed(told):
            value = _sum([one[name] for one in switches])
            if value is not None:
                return value
        return None

    longest = [one["longest_wait_ms"] for one in last[2] if one["longest_wait_ms"] is not None] or [
        one["longest_wait_ms"] for one in first[2] if one["longest_wait_ms"] is not None
    ]
    name = last[2][0]["endpoint_name"] or last[2][0]["endpoint"]
    return OfHaproxy(
        name=name,
        waited=latest("held"),
        longest_s=max(longest) / 1000 if longest else None,
        most_waiting=latest("most_waiting"),
        given_up=latest("given_up"),
        rejected=latest("rejected"),
        leaked=latest("leaked"),
        in_flight=_sum([one["in_flight"] for one in first[2]]) if first[1] == "suspend" else None,
        samples=[(at, count) for at, count in waiting if count is not None],
    )


def _samples(hold: PastHold, lines: Sequence[Mapping[str, Any]]) -> Samples:
    """Only looks at all of them add up."""
    widest = max((len(line["switches"]) for line in lines), default=0)
    samples: Samples = []
    for line in lines:
        count = _sum([one["waiting"] for one in line["switches"]])
        if count is not None and len(line["switches"]) == widest:
            samples.append((max(0.0, line["at"] - hold.started_at), count))
    return samples


def _median(samples: Samples, ended_s: Optional[float]) -> Optional[float]:
    top = max((count for _, count in samples), default=0)
    if not top or ended_s is None:
        return None
    half = next(at for at, count in samples if 2 * count >= top)
    return max(0.0, ended_s - half)


def _steps(hold: PastHold) -> List[Step]:
    steps = [Step(one.at - hold.started_at, one.event, one.message) for one in hold.events]
    if hold.ended == "expired" and hold.ended_by == "haproxy" and hold.ended_at is not None:
        at = hold.ended_at - hold.started_at
        steps.append(Step(at, "expired", "HAProxy itself ended it at its deadline"))
    return sorted(steps, key=lambda one: one.at_s)


def _sum(numbers: Sequence[Optional[int]]) -> Optional[int]:
    known = [one for one in numbers if one is not None]
    return sum(known) if known and len(known) == len(numbers) else None
