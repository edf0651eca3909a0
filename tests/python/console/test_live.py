"""The live screen without a terminal: what it knows after each look, and its lines in 80x24."""

from __future__ import annotations

import time
from typing import Any

import pytest

from stillgate.console import looker
from stillgate.console.live_drawing import Signs, bar, live_lines, sparkline
from stillgate.console.live_keys import Keys
from stillgate.console.live_state import LiveState, Waiting
from stillgate.results.from_core import to_report
from stillgate.results.report import Report
from support.reports import core_report, error_told, hold_told, switch_told

BEGUN = 1_700_000_000.0  # that of hold_told()
SIZE = (80, 24)
ASCII = Signs("ascii")


def held(number: int = 1, **told: Any) -> dict[str, Any]:
    place: dict[str, Any] = {
        "endpoint": f"unix:///run/lb{number}/a.sock",
        "endpoint_name": f"lb{number}",
    }
    state: dict[str, Any] = {
        "hold_id": "7d",
        "verdict": "held",
        "method": "gate",
        "lease": "haproxy",
    }
    return switch_told(**{**place, **state, "waiting": 10, "in_flight": 0, "leaked": 0, **told})


def report(*switches: dict[str, Any], deadline: Any = "2023-11-14T22:13:35.000Z") -> Report:
    hold = hold_told(deadline=deadline, max_hold_s=15.0)
    return to_report(core_report("status", holds=[hold], switches=switches))


def seen(*switches: dict[str, Any], after: float = 6.3, **told: Any) -> LiveState:
    state = LiveState()
    state.see(report(*switches, **told), BEGUN + after)
    return state


def lines_of(state: LiveState, last: str = "", size: tuple[int, int] = SIZE) -> list[str]:
    drawn = live_lines(state, state.at, size, ASCII, last, colours=False)
    return [line.rstrip() for line in drawn]


def test_the_first_line_says_it_all() -> None:
    state = seen(held(1, waiting=1000), held(2, waiting=200), held(3, waiting=4))
    assert state.totals(state.at) == "HELD 6.3 s of 15, 1,204 waiting, 0 leaked, 3 of 3 HAProxies"
    assert lines_of(state)[0] == state.totals(state.at)


def test_a_line_of_json_says_the_same() -> None:
    state = seen(held(1, waiting=1000), held(2, waiting=200, leaked=3), held(3, waiting=4))
    document = state.document(state.at)
    totals = document.pop("totals")
    assert state.report is not None and document == state.report.document
    assert totals["words"] == state.totals(state.at)
    assert (totals["held_s"], totals["left_s"]) == pytest.approx((6.3, 8.7))
    assert (totals["waiting"], totals["waiting_about"], totals["leaked"]) == (1204, 1204, 3)
    assert (totals["held"], totals["haproxies"]) == (3, 3)


def test_a_line_of_json_has_the_estimate_where_nobody_counts() -> None:
    state = LiveState({("unix:///run/lb1/a.sock", "balanced"): 100.0})
    state.see(report(held(1, waiting=None, leaked=None)), BEGUN + 3)
    totals = state.document(state.at)["totals"]
    assert (totals["waiting"], totals["waiting_about"], totals["leaked"]) == (None, 300, None)
    unknown = seen(held(1, waiting=None)).document(BEGUN)["totals"]
    assert (unknown["waiting"], unknown["waiting_about"]) == (None, None)


def test_what_refuses_its_clients_is_seen() -> None:
    disabled = {"code": "frontend_stopped", "level": "warning", "message": "it is disabled"}
    open_one = {"verdict": "open", "hold_id": None}
    state = seen(held(1, **open_one, findings=[disabled]), held(2, **open_one))
    assert state.totals(state.at) == "OPEN, STOPPED at 1, 2 of 2 HAProxies answer"
    assert [(row.name, row.state) for row in state.rows()] == [("lb1", "stopped"), ("lb2", "open")]


def test_what_is_open_on_one_of_them_is_seen_in_the_count() -> None:
    state = seen(held(1), held(2, verdict="open", hold_id=None))
    assert state.totals(state.at).endswith("1 of 2 HAProxies")
    assert [row.name for row in state.rows()] == ["lb2", "lb1"]


def test_beyond_its_deadline_it_is_overdue() -> None:
    state = seen(held(1), after=18.0)
    assert state.totals(state.at).startswith("OVERDUE by 3.0 s")
    assert state.rows()[0].state == "OVERDUE"


def test_the_bad_ones_come_first_and_then_those_where_most_wait() -> None:
    lost = held(5, verdict="unknown", error=error_told("refused", "connection refused"))
    leaking = held(4, leaked=3)
    state = seen(held(1, waiting=1), held(2, waiting=50), leaking, lost)
    assert [row.name for row in state.rows()] == ["lb5", "lb4", "lb2", "lb1"]
    assert state.rows()[0].note == "connection refused"


def test_a_hundred_haproxies_fit_and_the_rest_is_counted() -> None:
    drawn = lines_of(seen(*(held(number) for number in range(100))), "r resume")
    assert len(drawn) == 24
    assert max(map(len, drawn)) <= 80
    shown = sum(line.startswith("lb") for line in drawn)
    assert f"and {100 - shown} more: {100 - shown} held, {10 * (100 - shown)} waiting" in drawn[-2]
    assert drawn[-1] == "r resume"


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (20, 6), (10, 2), (200, 60)])
def test_no_line_is_wider_than_the_terminal_and_none_is_below_it(size: tuple[int, int]) -> None:
    drawn = lines_of(seen(*(held(one, endpoint_name="x" * 99) for one in range(50))), "q", size)
    assert len(drawn) <= size[1]
    assert max(map(len, drawn)) <= size[0]


def test_names_of_others_steer_no_terminal() -> None:
    drawn = lines_of(seen(held(1, endpoint_name="a\x1b[31m\nb")))
    assert "\x1b" not in "".join(drawn)


def test_where_nobody_counts_the_arrivals_before_the_hold_let_one_guess() -> None:
    state = LiveState({("unix:///run/lb1/a.sock", "balanced"): 100.0})
    state.see(report(held(1, method="maxconn", waiting=None)), BEGUN + 5)
    assert state.waiting() == Waiting(0, 500, False)
    assert "waiting unknown (about 500 by the arrivals)" in state.totals(state.at)
    unheard = seen(held(1, method="maxconn", waiting=None))
    assert "waiting unknown, " in unheard.totals(unheard.at)


def test_what_was_seen_while_it_was_open_is_the_rate_of_arrivals() -> None:
    state = LiveState()
    state.see(report(held(1, verdict="open", rate=20, hold_id=None)), BEGUN - 1)
    state.see(report(held(1, waiting=None, rate=0)), BEGUN + 2)
    assert state.waiting().guessed == 40


def test_a_leak_that_is_unknown_anywhere_is_unknown() -> None:
    state = seen(held(1), held(2, leaked=None))
    assert "leaked unknown" in state.totals(state.at)


def test_what_is_unknown_of_one_is_said_of_all() -> None:
    lost = held(3, verdict="unknown", leaked=None, error=error_told("refused", "nothing listens"))
    assert ", leaked unknown, " in seen(held(1), lost).totals(BEGUN)
    assert ", at least 3 leaked, " in seen(held(1, leaked=3), lost).totals(BEGUN)
    assert ", 3 leaked, " in seen(
        held(1, leaked=3), held(2, verdict="open", hold_id=None, leaked=None)
    ).totals(BEGUN)


def test_why_an_haproxy_is_unknown_is_read_in_80_columns() -> None:
    why = "nothing listens on that socket; is HAProxy running?"
    lost = held(3, verdict="unknown", waiting=None, error=error_told("connection_refused", why))
    drawn = lines_of(seen(held(1), lost))
    (line,) = [line for line in drawn if line.startswith("lb3 ")]
    assert line.split(None, 2) == ["lb3", "unknown", why[: 80 - 30]]
    assert not any("by the arrivals" in line for line in drawn)


def test_another_hold_begins_another_graph() -> None:
    state = seen(held(1))
    state.see(report(held(1)), BEGUN + 7)
    assert len(state.samples) == 2
    other = core_report("status", holds=[hold_told(id="8e")], switches=[held(1, hold_id="8e")])
    state.see(to_report(other), BEGUN + 8)
    assert len(state.samples) == 1


def test_nothing_held_is_said() -> None:
    state = LiveState()
    switches = [switch_told(endpoint_name="lb1")]
    state.see(to_report(core_report("status", switches=switches)), BEGUN)
    assert state.totals(BEGUN) == "OPEN, 1 of 1 HAProxies answer"
    assert "nothing is held" in lines_of(state)


def test_the_graph_has_the_most_of_each_span() -> None:
    samples = [(float(at), Waiting(at, 0, True)) for at in range(8)]
    assert sparkline(samples, 8, ASCII) == "_.-=+*#@"
    assert sparkline(samples, 2, ASCII)[-1] == "@"
    assert sparkline([], 8, ASCII) == ""
    assert sparkline([(0.0, Waiting(0, 0, True))] * 3, 8, ASCII) == "___"


def test_where_nobody_looked_the_graph_stays_as_it_was() -> None:
    samples = [(0.0, Waiting(7, 0, True)), (0.1, Waiting(7, 0, True)), (8.0, Waiting(7, 0, True))]
    assert sparkline(samples, 3, ASCII) == "@@@"


def test_the_bar_is_as_full_as_the_time_is_over() -> None:
    assert bar(0.5, 10, ASCII) == "#####-----"
    assert bar(7.0, 4, ASCII) == "####"


def test_a_terminal_that_has_no_blocks_gets_none() -> None:
    assert Signs("utf-8").full == "\u2588"
    assert Signs("latin-1").full == Signs(None).full == "#"


# --- keys -----------------------------------------------------------------------------


@pytest.mark.parametrize("key, action", [("r", "resume"), ("e", "extend"), ("q", "quit")])
def test_each_key_is_asked_once(key: str, action: str) -> None:
    state, keys = seen(held(1)), Keys(15.0)
    assert keys.press(key, state) is None
    assert keys.line.endswith("? y/n")
    assert keys.press("y", state) == action
    assert keys.press(key, state) is None
    assert keys.press("n", state) is None
    assert keys.press("y", state) is None


def test_a_question_says_whose_hold_it_is() -> None:
    state, keys = seen(held(1)), Keys(15.0)
    keys.press("r", state)
    assert keys.line == "Resume balanced, held by deploy@host? y/n"


def test_where_nothing_is_held_there_is_nothing_to_ask() -> None:
    state, keys = LiveState(), Keys(15.0)
    assert keys.press("q", state) == "quit"
    assert keys.press("r", state) is None and "nothing is held" in keys.line
    assert keys.press("y", state) is None


def test_a_look_does_not_take_a_question_away() -> None:
    state, keys = seen(held(1)), Keys(15.0)
    keys.press("e", state)
    keys.rest(state)
    assert keys.line == "Extend by 15 s: balanced, held by deploy@host? y/n"


class Looked:
    """Stands for a fleet: notes when somebody looks."""

    def __init__(self) -> None:
        self.looks: list[float] = []

    def look(self, *frontends: str) -> Report:
        self.looks.append(time.monotonic())
        return report(held())

    def stop(self) -> None:
        pass


def test_it_looks_no_more_than_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a shorter second."""
    assert looker.EVERY == 1.0
    monkeypatch.setattr(looker, "EVERY", 0.2)
    fleet: Any = Looked()
    begun = time.monotonic()
    with looker.Looker(fleet, ["balanced"]) as looking:
        for _ in range(3):
            assert isinstance(looking.news.get(timeout=60), Report)
    assert fleet.looks[2] - begun >= 2 * 0.2
