"""The demo's verdict: each thing that can go wrong makes it unclean, and is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable

import pytest

from demo.verdict import Course, Times, Verdict
from support.load import Record

TIMES = Times(held=10.0, migrated=11.0, switched=11.5, resuming=12.0)
SUSPEND = {"commit_window_ms": 0.4321, "skew_ms": None, "drain_ms": 2.0}


def request(name: str, sent: float, finished: float, status: int = 200) -> Record:
    return Record(name, sent, finished, status, None)


def resumed(**fields: Any) -> dict[str, Any]:
    good = {"leaked": 0, "findings": []}
    return {"switches": [good, {**good, **fields}]}


RECORDS = [
    request("before", 9.0, 9.002),
    request("first", 9.9, 12.3),  # held, but fab had not yet said so
    request("held", 10.5, 12.35),
    request("after", 13.0, 13.004),
]
GOOD = Course(
    times=TIMES,
    records=RECORDS,
    arrivals=[9.001, 12.2, 12.25, 13.001],
    written=[record.id for record in RECORDS],
    old_code=500,
    suspend=SUSPEND,
    resume=resumed(),
)


def test_a_clean_course_has_nothing_wrong() -> None:
    verdict = Verdict(GOOD)
    assert verdict.wrong() == []
    assert len(verdict.held) == 1
    assert verdict.longest == pytest.approx(2.4)
    assert (verdict.committed, verdict.released) == (9.9, 12.2)
    assert verdict.usual == pytest.approx(0.002)


def test_the_table_tells_the_figures_and_what_is_not_known() -> None:
    rows = dict(Verdict(GOOD).rows())
    assert rows["requests sent, each on a new connection"] == "4"
    assert rows["failed"] == "0"
    assert rows["longest wait"] == "2.40 s, of a hold of 2.30 s"
    assert rows["commit window, three HAProxies"] == "0.432 ms"
    assert rows["skew"] == "-"


Change = Callable[[Course], Course]
WRONG: dict[str, Change] = {
    "requests failed": lambda c: replace(c, records=[*RECORDS, request("bad", 13, 13.1, 500)]),
    "requests reached a server while held": lambda c: replace(c, arrivals=[10.0, *c.arrivals]),
    "HAProxy counts requests that reached a server while held": lambda c: replace(
        c, resume=resumed(leaked=1)
    ),
    "a hold was over before its end": lambda c: replace(
        c, resume=resumed(leaked=None, findings=[{"code": "already_open"}])
    ),
    "nobody waited, so nothing was shown": lambda c: replace(
        c, records=[RECORDS[0], RECORDS[3]], written=["before", "after"]
    ),
    "payments and answers do not match": lambda c: replace(c, written=c.written[1:]),
    "the old code can live with the new schema": lambda c: replace(c, old_code=200),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_named(words: str) -> None:
    assert Verdict(WRONG[words](GOOD)).wrong() == [words]


@pytest.mark.parametrize(
    "written",
    [["before", "first", "held", "after", "after"], ["before", "first", "held", "held"]],
    ids=["one twice", "one twice in place of another"],
)
def test_every_answer_has_one_payment(written: list[str]) -> None:
    wrong = Verdict(replace(GOOD, written=written)).wrong()
    assert wrong == ["payments and answers do not match"]


def test_what_one_haproxy_cannot_count_is_not_taken_for_nothing() -> None:
    verdict = Verdict(replace(GOOD, resume=resumed(leaked=None)))
    assert verdict.leaked is None
    assert ("", "-, by HAProxy's counters") in verdict.rows()


def test_the_picture_has_every_request_and_the_moments_in_order() -> None:
    picture = Verdict(GOOD).picture()
    assert [point.at for point in picture.points] == pytest.approx([0, 0.9, 1.5, 4])
    moments = [(marker.label.split(" (")[0], round(marker.at, 3)) for marker in picture.markers]
    assert moments == [("suspend", 0.9), ("migrated", 2), ("new code", 2.5), ("resume", 3.2)]
    assert picture.held == pytest.approx((0.9, 3.2))
