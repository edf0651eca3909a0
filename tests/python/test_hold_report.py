"""The timeline of a hold, out of its events and of what was noted; no HAProxy."""

from __future__ import annotations

from typing import Any, Optional

from stillgate.console.live_drawing import Signs
from stillgate.console.report_drawing import report_html, report_svg, report_text
from stillgate.hold_report import HoldReport, Step, report_of
from stillgate.results.hold import Event, Hold, PastHold

BEGUN = 1_700_000_000.0
SIX = ["checked", "committed", "drained", "command", "cutover", "released"]
HOLD = Hold("7d", "deploy@host", "migration 42", ["balanced"], BEGUN, BEGUN + 15, 15.0)


def event(kind: str, at: float, **figures: float) -> Event:
    place: Any = {"endpoint": None, "frontend": None, "endpoints": []}
    told: Any = {"source": "suspend", "host": "host", "pid": 1, "seq": 1}
    words = f"it was {kind}"
    return Event(kind, BEGUN + at, HOLD, message=words, figures=figures, **place, **told)


def past(*events: Event, ended: str = "resumed", ended_at: Optional[float] = None) -> PastHold:
    after: Any = {"commit_window_ms": 0.4, "skew_ms": 0.1, "drain_ms": 12.0, "leaked": 0}
    return PastHold(
        id="7d",
        owner=HOLD.owner,
        reason=HOLD.reason,
        frontends=HOLD.frontends,
        endpoints=1,
        started_at=BEGUN,
        deadline=HOLD.deadline,
        ended_at=None if ended_at is None else BEGUN + ended_at,
        ended=ended,
        ended_by=None,
        held_s=ended_at,
        reapplied=0,
        endpoints_lost=0,
        events=list(events),
        **after,
    )


def noted(what: str, at: float, words: str = "") -> dict[str, Any]:
    return {"at": BEGUN + at, "action": "step", "what": what, "words": words, "switches": []}


def resumed(at: float, cutover: Optional[str], **more: float) -> dict[str, Any]:
    return {"at": BEGUN + at, "action": "resume", "cutover": cutover, "switches": [], **more}


def whole() -> HoldReport:
    events = [event("held", 0.02), event("drained", 0.05), event("resumed", 3.1)]
    lines = [
        noted("block", 0.06, "the block began"),
        noted("command", 0.07, "it began"),
        noted("command_ended", 2.4, "with status 0"),
        noted("cutover", 2.6, "applied"),
        resumed(3.2, None),
    ]
    return report_of(past(*events, ended_at=3.1), lines)


def six(report: HoldReport) -> dict[str, Step]:
    return {one.what: one for one in report.steps if one.what in SIX}


def times(report: HoldReport) -> list[tuple[str, Optional[float]]]:
    return [(one.what, None if one.at_s is None else round(one.at_s, 3)) for one in report.steps]


def test_the_timeline_has_the_six_steps_each_with_its_time() -> None:
    assert times(whole()) == [
        ("checked", 0.0),
        ("committed", 0.02),
        ("drained", 0.05),
        ("command", 0.07),
        ("command_ended", 2.4),
        ("cutover", 2.6),
        ("released", 3.1),
    ]


def test_what_nobody_knows_is_in_its_place_without_a_time() -> None:
    report = report_of(past(event("held", 0.02), event("resumed", 3.1), ended_at=3.1), [])
    assert [one.what for one in report.steps] == SIX
    assert [what for what, at in times(report) if at is None] == ["drained", "command", "cutover"]
    assert all(one.happened is None for one in report.steps if one.at_s is None)


def test_what_was_not_to_be_is_said() -> None:
    drainless = {"at": BEGUN + 0.1, "action": "suspend", "drained": False, "switches": []}
    report = report_of(past(event("held", 0.02), ended="held"), [drainless, resumed(3, None)])
    told = six(report)
    assert [told[what].happened for what in ("drained", "cutover", "released")] == [False] * 3
    assert told["cutover"].words == "none was asked for"


def test_a_cutover_that_a_resume_made_has_its_time_where_it_was_noted() -> None:
    lines = [resumed(3, "applied", cut_at=BEGUN + 2.5)]
    found = six(report_of(past(event("held", 0.02)), lines))["cutover"]
    assert (found.at_s, found.happened, found.words) == (2.5, True, "applied, by the resume")
    found = six(report_of(past(event("held", 0.02)), [resumed(3, "applied")]))["cutover"]
    assert (found.at_s, found.happened, found.words) == (None, True, "applied, by the resume")


def test_a_block_of_python_is_the_command() -> None:
    found = six(report_of(past(event("held", 0.02)), [noted("block", 0.06, "the block began")]))
    assert found["command"].at_s is not None and found["command"].words == "the block began"


def test_what_ended_it_is_its_release_and_what_came_between_stays() -> None:
    events = [event("held", 0.0), event("extended", 9.0), event("resumed", 10.0, still_held=1)]
    report = report_of(past(*events, event("expired", 30.0), ended="expired", ended_at=25.0), [])
    released = six(report)["released"]
    assert (released.at_s, released.words) == (25.0, "expired: it was expired")
    assert [one.what for one in report.steps][-3:] == ["extended", "resumed", "released"]
    by_gate = past(event("held", 0.0), ended="expired", ended_at=15.0)
    assert six(report_of(by_gate, []))["released"].at_s == 15.0
    assert six(report_of(past(ended="unknown"), []))["released"].happened is None


def test_each_way_of_drawing_has_all_of_them() -> None:
    report = whole()
    text = report_text(report, 80, Signs("utf-8"))
    assert "   +2.40 s  command ended  with status 0\n" in text
    assert "+2.60 s</td><td>cutover</td><td>applied</td>" in report_html(report)
    picture = report_svg(report)
    for words in ("checked 0.00 s", "command ended 2.40 s", "cutover 2.60 s", "released 3.10 s"):
        assert f">{words}</text>" in picture
    unknown = report_of(past(event("held", 0.02), ended="unknown"), [resumed(3, None)])
    text = report_text(unknown, 80, Signs("utf-8"))
    assert " not known  drained\n" in text
    assert "         -  cutover        none was asked for\n" in text
    assert "(not known: drained, command, released)</text>" in report_svg(unknown)
    assert "<td>not known</td><td>released</td>" in report_html(unknown)
