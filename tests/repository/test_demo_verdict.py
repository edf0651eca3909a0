"""The demo's verdict: each thing that can go wrong makes it unclean, and is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from demo.verdict import Course, Times, Verdict
from support.app import Arrival
from support.clients.load import Record

TIMES = Times(staged=9.5, held=10.0, migrated=12.0, rest=12.8)
HOLD = {
    "commit_window_ms": 0.4321,
    "skew_ms": None,
    "drain_ms": 2.0,
    "leaked": 0,
    "ended": "resumed",
}
GATE = {"held": 3, "released": 3, "rejected": 0, "given_up": 0}


def request(name: str, sent: float, finished: float, status: int = 200) -> Record:
    return Record(name, sent, finished, status, None)


RECORDS = [
    request("new/0/before", 9.0, 9.002),
    request("new/0/first", 9.9, 12.3),  # held, but fab had not yet said so
    request("keep-alive/0/held", 10.4, 12.35),
    request("http2/0/held", 10.5, 12.5),
    request("new/0/late", 11.9, 12.25),
    request("new/0/after", 13.0, 13.004),
]
MOMENTS = [9.001, 12.2, 12.25, 12.3, 12.21, 13.001]
GOOD = Course(
    times=TIMES,
    records=RECORDS,
    old=[Arrival(RECORDS[0].id, MOMENTS[0])],
    new=[Arrival(record.id, at) for record, at in zip(RECORDS[1:], MOMENTS[1:])],
    written=[record.id for record in RECORDS],
    old_code=500,
    hold=HOLD,
    gates=[GATE, GATE],
)


def without(name: str) -> Course:
    """No such request was ever sent."""
    return replace(
        GOOD,
        records=[record for record in RECORDS if record.id != name],
        new=[arrival for arrival in GOOD.new if arrival.id != name],
        written=[written for written in GOOD.written if written != name],
    )


def test_a_clean_course_has_nothing_wrong() -> None:
    verdict = Verdict(GOOD)
    assert verdict.wrong() == []
    assert len(verdict.held) == 4
    assert verdict.longest == pytest.approx(2.4)
    assert (verdict.committed, verdict.released) == (9.9, 12.2)
    assert verdict.release == pytest.approx(0.3)
    assert verdict.usual == pytest.approx(0.002)


def test_the_table_tells_the_figures_and_what_is_not_known() -> None:
    rows = dict(Verdict(GOOD).rows())
    assert rows["requests sent"] == "6"
    assert rows["  of them while held"] == "4"
    assert rows["held by the gates, by their counters"] == "6, 6 released"
    assert rows["release, first to last of those that waited"] == "300 ms"
    assert rows["failed"] == "0"
    assert rows["longest wait"] == "2.40 s, of a hold of 2.30 s"
    assert rows["commit window, three HAProxies"] == "0.432 ms"
    assert rows["skew"] == "-"


BAD = request("new/0/bad", 13, 13.1, 500)
WRONG = {
    "requests failed": replace(GOOD, records=[*RECORDS, BAD]),
    "requests reached a server while held": replace(
        GOOD, old=[Arrival("new/0/first", 10.0), *GOOD.old]
    ),
    "HAProxy counts requests that reached a server while held": replace(
        GOOD, hold={**HOLD, "leaked": 1}
    ),
    "HAProxy does not tell what reached a server while held": replace(
        GOOD, hold={**HOLD, "leaked": None}
    ),
    "the old code was reached on the new schema": replace(
        GOOD, old=[*GOOD.old, Arrival("new/0/after", 13.0)]
    ),
    "the new code was reached on the old schema": replace(
        GOOD, new=[Arrival("new/0/before", 9.0), *GOOD.new]
    ),
    "the new code answered nobody": replace(GOOD, new=[]),
    "not every gate held": replace(GOOD, gates=[GATE, {**GATE, "held": 0, "released": 0}]),
    "a gate turned requests away": replace(
        GOOD, gates=[GATE, {**GATE, "released": 2, "rejected": 1}]
    ),
    "clients gave up at a gate": replace(
        GOOD, gates=[GATE, {**GATE, "released": 2, "given_up": 1}]
    ),
    "a gate did not let through all that it held": replace(
        GOOD, gates=[GATE, {**GATE, "released": 2}]
    ),
    "a hold was over before its end": replace(GOOD, hold={**HOLD, "ended": "expired"}),
    # One that was sent just before the release shows nothing either.
    "no client waited, so nothing was shown: new connections": without("new/0/first"),
    "no client waited, so nothing was shown: keep-alive": without("keep-alive/0/held"),
    "no client waited, so nothing was shown: HTTP/2": without("http2/0/held"),
    "payments and answers do not match": replace(GOOD, written=GOOD.written[1:]),
    "the old code can live with the new schema": replace(GOOD, old_code=200),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_named(words: str) -> None:
    assert Verdict(WRONG[words]).wrong() == [words]


@pytest.mark.parametrize(
    "written",
    [[*GOOD.written, GOOD.written[-1]], [*GOOD.written[:-1], GOOD.written[0]]],
    ids=["one twice", "one twice in place of another"],
)
def test_every_answer_has_one_payment(written: list[str]) -> None:
    wrong = Verdict(replace(GOOD, written=written)).wrong()
    assert wrong == ["payments and answers do not match"]


def test_what_one_haproxy_cannot_count_is_not_taken_for_nothing() -> None:
    verdict = Verdict(replace(GOOD, hold={**HOLD, "leaked": None}))
    assert verdict.leaked is None
    assert ("", "-, by HAProxy's counters") in verdict.rows()


def test_the_picture_has_every_request_and_the_moments_in_order() -> None:
    picture = Verdict(GOOD).picture()
    assert picture.series == ["old code", "new code"]
    points = sorted((point.at, point.series) for point in picture.points)
    assert [at for at, _ in points] == pytest.approx([0, 0.9, 1.4, 1.5, 2.9, 4])
    assert [series for _, series in points] == [0, 1, 1, 1, 1, 1]
    moments = [(marker.label.split(" (")[0], round(marker.at, 3)) for marker in picture.markers]
    assert moments == [
        ("new code, no traffic", 0.5),
        ("suspend", 0.9),
        ("migrated", 3),
        ("cutover, resume", 3.2),
        ("the rest", 3.8),
    ]
    assert picture.held == pytest.approx((0.9, 3.2))
