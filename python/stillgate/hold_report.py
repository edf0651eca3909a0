"""A hold as it went: out of its events and of what was measured. Draws nothing; None is
what nobody knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from stillgate.results.hold import Event, PastHold

Samples = List[Tuple[float, int]]  # seconds since the hold began, how many waited
ENDS = ("resumed", "expired", "rolled_back")
COUNTED = ("held", "given_up", "rejected", "leaked")


@dataclass(frozen=True)
class Step:
    """Of the timeline: seconds since the hold began, None where nobody knows. `happened` is None
    where even that is unknown.
    """

    at_s: Optional[float]
    what: str
    words: str
    happened: Optional[bool] = True


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
        steps=_steps(hold, lines),
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


def _steps(hold: PastHold, lines: Sequence[Mapping[str, Any]]) -> List[Step]:
    """The six that every hold may have, in their order where their time is unknown, and what else
    there was.
    """
    noted: Dict[str, Step] = {}
    for line in lines:
        if line["action"] == "step":
            what = str(line.get("what"))
            step = Step(line["at"] - hold.started_at, what, str(line.get("words")))
            noted[what] = step if what not in noted or what == "cutover" else noted[what]
    told = {one.event: one for one in hold.events}
    ends = [one for one in hold.events if one.event in ENDS and not one.figures.get("still_held")]
    known: List[Tuple[float, int, Step]] = []
    latest = 0.0
    six = (
        # The record of a hold begins where its check has ended.
        Step(0.0, "checked", "the check found nothing against it"),
        _event_step(hold, told.get("held"), "committed"),
        _drained(hold, told.get("drained"), lines),
        _command(noted),
        _cutover(hold, noted, lines),
        _released(hold, ends[0] if ends else None),
    )
    for order, step in enumerate(six):
        latest = latest if step.at_s is None else max(latest, step.at_s)
        known.append((latest if step.at_s is None else step.at_s, order, step))
    others = [one for what, one in noted.items() if what not in ("command", "block", "cutover")]
    shown = [told.get("held"), told.get("drained"), *ends[:1]]
    for one in hold.events:
        if all(one is not other for other in shown):
            others.append(Step(one.at - hold.started_at, one.event, one.message))
    known += [(one.at_s or 0.0, len(six), one) for one in others]
    return [step for _, _, step in sorted(known, key=lambda one: one[:2])]


def _event_step(hold: PastHold, event: Optional[Event], what: str) -> Step:
    if event is None:
        return Step(None, what, "", None)
    return Step(event.at - hold.started_at, what, event.message)


def _drained(hold: PastHold, event: Optional[Event], lines: Sequence[Mapping[str, Any]]) -> Step:
    if event is None and any(line.get("drained") is False for line in lines):
        return Step(None, "drained", "requests in flight were not waited for", False)
    return _event_step(hold, event, "drained")


def _command(noted: Mapping[str, Step]) -> Step:
    found = noted.get("command") or noted.get("block")
    if found is None:
        return Step(None, "command", "", None)
    return Step(found.at_s, "command", found.words)


def _cutover(hold: PastHold, noted: Mapping[str, Step], lines: Sequence[Mapping[str, Any]]) -> Step:
    if "cutover" in noted:
        return noted["cutover"]
    resumed = [line for line in lines if line["action"] == "resume" and "cutover" in line]
    if not resumed:
        return Step(None, "cutover", "", None)
    state = resumed[-1]["cutover"]
    if state is None:
        return Step(None, "cutover", "none was asked for", False)
    at = resumed[-1].get("cut_at")
    at_s = at - hold.started_at if isinstance(at, (int, float)) else None
    return Step(at_s, "cutover", f"{state}, by the resume")


def _released(hold: PastHold, end: Optional[Event]) -> Step:
    if end is not None:
        at = (hold.ended_at or end.at) - hold.started_at
        return Step(at, "released", f"{end.event}: {end.message}")
    if hold.ended == "held":
        return Step(None, "released", "it is in effect", False)
    if hold.ended_at is not None:
        at = hold.ended_at - hold.started_at
        return Step(at, "released", "expired: HAProxy itself ended it at its deadline")
    return Step(None, "released", "", None)


def _sum(numbers: Sequence[Optional[int]]) -> Optional[int]:
    known = [one for one in numbers if one is not None]
    return sum(known) if known and len(known) == len(numbers) else None
