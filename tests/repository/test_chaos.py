"""The parts of the fault matrix that need no HAProxy: phases, judges, exceptions, the table."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Optional

import pytest

from chaos import table
from chaos.again import AMONG_OTHERS, BUSY, spoilt
from chaos.cell import Result
from chaos.expect import NAMED, Named, reason_for
from chaos.faults import DEPLOY_SIGNALS, Effects, Fault
from chaos.judge import Broken, Seen, promises_broken
from chaos.matrix import (
    CUTOVER_PHASES,
    FAULTS,
    PHASES,
    VARIANTS,
    Cell,
    Variant,
    all_cells,
    means_nothing,
    short_cells,
)
from chaos.phases import Course
from chaos.traffic import Request
from chaos.witness import Look

GATE, MAXCONN = Variant("gate", "3.0"), Variant("maxconn", "3.0")
RECORD = base64.urlsafe_b64encode(
    b"stillgate-hold 2\nid a1\ndeadline 1795456408536\nend\n"
).decode()
PACKED = RECORD.rstrip("=")
SURVEY = ["prompt", "set severity-output number", "show info", "show stat -1 7 -1"]
SURVEY += ["show cli level", "stillgate prove balanced", "stillgate status balanced", "show fd"]
LOOK = ["show info", "show stat -1 3 -1", "show cli level"]


def phases(lines: Sequence[str]) -> list[tuple[str, str]]:
    course = Course()
    begun = [("", course.connected() or "")]
    begun += [(line, course.line(line) or "") for line in lines]
    return [(line, phase) for line, phase in begun if phase]


# --- phases ---------------------------------------------------------------------------


def test_the_phases_of_a_hold_by_the_gate_are_known_from_its_lines() -> None:
    commits = f"set var proc.stillgate_gate_balanced str(1.a1.1997.release.0.{PACKED})"
    opens = "set var proc.stillgate_gate_balanced str(open)"
    sync = "stillgate sync balanced"
    lines = [*SURVEY, "show cli level", "experimental-mode on", commits, sync, *LOOK, *LOOK]
    lines += [commits, sync, *LOOK, opens, sync, *LOOK]
    assert phases(lines) == [
        ("", "connecting"),
        ("show info", "checking"),
        ("show cli level", "arming"),
        (sync, "committing"),
        ("show info", "verifying"),
        ("show info", "draining"),
        (sync, "resuming"),
    ]


@pytest.mark.parametrize(
    "arms",
    [
        f"set var proc.stillgate_maxconn_balanced str({PACKED})",
        "set var proc.stillgate_next_balanced_0,ifnotset str(a1.1795456408536.x)",
        "set var proc.stillgate_lock_balanced str(a1)",
    ],
)
def test_the_phases_of_a_hold_by_maxconn_are_known_from_its_lines(arms: str) -> None:
    holds, releases = (f"set maxconn frontend balanced {number}" for number in (0, 300))
    lines = [*SURVEY, "experimental-mode on", arms, holds, *LOOK, *LOOK, releases, *LOOK]
    assert phases(lines)[2:] == [
        (arms, "arming"),
        (holds, "committing"),
        ("show info", "verifying"),
        ("show info", "draining"),
        (releases, "resuming"),
    ]


def test_the_deadline_is_read_from_the_record_that_passes() -> None:
    for line in (
        f"set var proc.stillgate_gate_balanced str(1.a1.1997.release.0.{PACKED})",
        f"set var proc.stillgate_maxconn_balanced str({PACKED})",
    ):
        course = Course()
        course.line(line)
        assert course.deadline_ms == 1795456408536


# --- the judges -----------------------------------------------------------------------


def seen(**changes: Any) -> Seen:
    looks = [Look(at / 10, at / 10, 1 <= at <= 20, 300) for at in range(30)]
    requests = [Request("new", 0.05, 0.06, 0.07, 200), Request("new", 0.5, 2.1, 2.11, 200)]
    values: dict[str, Any] = {"name": "A", "looks": looks, "requests": requests, "deadline": 2.0}
    values.update(began=0.3, effects=Effects(), limit_at_end=300, held_at_end=False)
    values.update(limit=300, by_gate=True)
    values.update(changes)
    return Seen(**values)


def promises(found: list[Broken]) -> list[str]:
    return [one.promise for one in found]


def request(
    sent: float,
    arrived: Optional[float],
    finished: float,
    status: Optional[int] = 200,
    kind: str = "new",
) -> Request:
    return Request(kind, sent, arrived, finished, status, None if status else "reset")


def test_what_was_kept_breaks_nothing() -> None:
    assert promises_broken(seen()) == []


@pytest.mark.parametrize(
    ("struck", "promise"),
    [(Effects(), "wrong_code"), (Effects(at=1.0), "wrong_code_there")],
    ids=["the other HAProxy", "the one that the fault struck"],
)
def test_a_request_that_meets_the_wrong_schema_is_told_with_where(
    struck: Effects, promise: str
) -> None:
    wrong = Request("new", 2.1, 2.2, 2.3, 200, wrong=True)
    found = promises_broken(seen(requests=[wrong], effects=struck))
    assert [one.promise for one in found] == [promise]
    assert promises_broken(seen(requests=[Request("new", 2.1, 2.2, 2.3, 200)])) == []


@pytest.mark.parametrize(
    "changes, promise",
    [
        ({"looks": [Look(2.3, 2.31, True, 300)]}, "held_late"),
        ({"requests": [request(0.5, 2.3, 2.4)]}, "held_late"),
        ({"requests": [request(0.5, None, 1.0, None)]}, "request_failed"),
        ({"requests": [request(0.5, 1.05, 1.2)]}, "leak"),
        ({"limit_at_end": 0, "by_gate": False}, "limit"),
        ({"held_at_end": True}, "limit"),
        ({"deadline": None}, "held_late"),
    ],
)
def test_each_promise_that_is_broken_is_told(changes: dict[str, Any], promise: str) -> None:
    assert promises(promises_broken(seen(**changes))) == [promise]


def test_a_slower_pace_has_as_many_times_as_long() -> None:
    late, later = [Look(2.9, 2.91, True, 300)], [Look(3.1, 3.11, True, 300)]
    assert promises(promises_broken(seen(looks=late))) == ["held_late"]
    assert promises_broken(seen(looks=late, pace=4.0)) == []
    assert promises(promises_broken(seen(looks=later, pace=4.0))) == ["held_late"]


@pytest.mark.parametrize(
    "broken, lag, among_others, again",
    [
        ([], BUSY * 2, True, False),
        ([Broken("leak", "x")], BUSY / 2, True, False),
        ([Broken("leak", "x")], BUSY * 2, False, True),
        ([Broken("held_late", "x", AMONG_OTHERS / 2)], BUSY / 2, True, True),
        ([Broken("held_late", "x", AMONG_OTHERS / 2)], BUSY / 2, False, False),
        ([Broken("held_late", "x", AMONG_OTHERS * 2)], BUSY / 2, True, False),
        ([Broken("held_late", "never committed")], BUSY / 2, True, False),
        ([Broken("held_late", "x", 0.3), Broken("leak", "x")], BUSY / 2, True, False),
    ],
)
def test_what_the_machine_has_spoilt_is_run_again(
    broken: list[Broken], lag: float, among_others: bool, again: bool
) -> None:
    cell = Cell(GATE, "holding", "socket_removed")
    assert spoilt(cell, Result(broken=broken, lag=lag), among_others) == again


def test_what_is_named_beside_it_does_not_make_lateness_worse() -> None:
    broken = [Broken("record_left", "x.hold"), Broken("held_late", "A: 469 ms", 0.469)]
    killed = Cell(GATE, "holding", "kill_deploy")
    assert spoilt(killed, Result(broken=broken, lag=0.0), True)
    assert not spoilt(Cell(GATE, "holding", "delay"), Result(broken=broken, lag=0.0), True)


def test_how_late_it_was_is_told_with_what_was_late() -> None:
    (late,) = promises_broken(seen(looks=[Look(2.5, 2.51, True, 300)]))
    assert late.late == pytest.approx(0.5)
    (waited,) = promises_broken(seen(requests=[request(0.5, 2.3, 2.4)]))
    assert waited.late == pytest.approx(0.3)


def test_a_haproxy_that_was_killed_is_excused_for_that_time_alone() -> None:
    down = Effects(at=1.0, down_from=1.0, down_to=2.0, replaced=True)
    lost, later = request(0.5, None, 1.0, None), request(2.1, None, 2.2, None)
    assert promises_broken(seen(requests=[lost], effects=down)) == []
    assert promises(promises_broken(seen(requests=[later], effects=down))) == ["request_failed"]


def test_a_reload_excuses_an_idle_connection_closed_and_nothing_that_waited() -> None:
    reloaded = Effects(at=1.0, replaced=True)
    idle = request(1.1, None, 1.101, None, "keep0")
    waited = request(0.6, None, 1.101, None, "keep0")
    assert promises_broken(seen(requests=[idle], effects=reloaded)) == []
    assert promises(promises_broken(seen(requests=[waited], effects=reloaded))) == [
        "request_failed"
    ]


# --- the matrix -----------------------------------------------------------------------


def test_the_short_form_is_about_a_tenth_and_has_every_fault_and_phase() -> None:
    whole = [cell for cell in all_cells() if means_nothing(cell) is None]
    short = short_cells()
    assert len(whole) / 15 <= len(short) <= len(whole) / 8
    assert set(short) <= set(whole) and len(set(short)) == len(short)
    for method in ("gate", "maxconn"):
        own = [one for one in short if one.variant.method == method and not one.variant.cutover]
        assert {cell.phase for cell in own} == set(PHASES)
        meaningful = {cell.fault for cell in whole if cell.variant.method == method}
        assert {cell.fault for cell in own} == meaningful
    # A cutover on one version: CI has no time for more of them.
    assert {cell.variant for cell in short} == {
        one for one in VARIANTS if not one.cutover or one.label == "3.0"
    }


def test_every_fault_can_be_done() -> None:
    for name in FAULTS:
        known = name in DEPLOY_SIGNALS or name.startswith("clock_")
        assert known or hasattr(Fault, f"_{name}")


def test_no_exception_is_for_a_cell_that_does_not_exist() -> None:
    for one in NAMED:
        assert any(one.covers(cell) and means_nothing(cell) is None for cell in all_cells())
        assert set(one.faults) <= set(FAULTS) and set(one.phases) <= {*PHASES, *CUTOVER_PHASES}


def test_an_exception_covers_its_promise_and_no_other() -> None:
    cell = Cell(GATE, "holding", "kill_deploy")
    named = [Named("gate-*", ("kill_deploy",), ("record_left",), "why", ("holding",))]
    assert reason_for(cell, ["record_left"], named) == "why"
    assert reason_for(cell, ["record_left", "held_late"], named) is None
    assert reason_for(Cell(MAXCONN, "holding", "kill_deploy"), ["record_left"], named) is None
    assert reason_for(Cell(GATE, "draining", "kill_deploy"), ["record_left"], named) is None


# --- what is told ---------------------------------------------------------------------


def test_the_table_marks_each_cell() -> None:
    named = [Named("gate-*", ("kill_deploy",), ("record_left",), "why", ("holding", "resuming"))]
    left, late = Result([Broken("record_left", "x")]), Result([Broken("held_late", "y")])
    results = {"connecting": Result(), "checking": late, "holding": left, "resuming": Result()}
    cells = [Cell(GATE, phase, "kill_deploy") for phase in results]
    rows = [table.row_of(cell, results[cell.phase], named) for cell in cells]
    rows.append(table.row_of(Cell(GATE, "holding", "kill_guard"), None, named))
    assert [row.mark for row in rows] == ["ok", "FAIL", "named", "better", "n/a"]
    by_name = {row.cell.name: row for row in rows}
    lines = table.text(by_name).splitlines()
    assert lines[1] == "gate-3.0"
    assert lines[3].split() == ["kill_deploy", "ok", "FAIL", "named", "better"]
    told = table.notes(rows)
    assert "Named: why" in told and "FAIL gate-3.0/checking/kill_deploy\n  held_late: y" in told
    found = table.document(rows, 61.04)
    assert found["counts"] == {"ok": 1, "FAIL": 1, "named": 1, "better": 1, "n/a": 1}
    assert (found["seconds"], found["cells"][1]["result"]["broken"][0]["evidence"]) == (61.0, "y")
