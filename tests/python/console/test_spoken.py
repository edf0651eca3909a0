"""Sentences, hints and tables for whoever was woken up: what is true, and what to type next."""

from __future__ import annotations

from datetime import datetime, timezone
from io import StringIO
from typing import Any

import pytest

import stillgate.tables  # noqa: F401  (by which results print)
from stillgate.console.hints import hinted, hinted_report, options_of_call
from stillgate.console.next_step import after_hold, next_step
from stillgate.console.sentences import rejecting_words, resumed_words
from stillgate.results.from_core import to_report
from stillgate.results.printing import draw, to_stream
from stillgate.results.report import Report
from support.reports import core_report, error_told, hold_told, switch_told


def gate(**told: Any) -> dict[str, Any]:
    return {
        "most_waiting": 0,
        "held": 0,
        "released": 0,
        "given_up": 0,
        "rejected": 0,
        "longest_wait_ms": 0.0,
        "bound": None,
        "bound_by": None,
        **told,
    }


def resumed(*switches: dict[str, Any]) -> Report:
    return to_report(core_report("resume", switches=switches))


def drawn(report: Report) -> str:
    out = StringIO()
    draw(report, to_stream(out))
    return out.getvalue()


def test_a_resume_ends_with_who_waited() -> None:
    one = switch_told(gate=gate(held=250, longest_wait_ms=2950.0), leaked=0)
    other = switch_told(gate=gate(held=350, longest_wait_ms=3010.0), leaked=0)
    words = "Resumed after 3.1 s: 600 requests waited, the longest 3.0 s; 0 leaked."
    assert resumed_words(resumed(one, other), 3.1) == words


@pytest.mark.parametrize(
    "switch, words",
    [
        ({"gate": gate(), "leaked": 0}, "no request waited; 0 leaked."),
        ({"leaked": 2}, "how many requests waited is unknown; 2 leaked."),
        (
            {"gate": gate(held=1)},
            "1 request waited, the longest 0.0 s; how many leaked is unknown.",
        ),
        (
            {"gate": gate(held=9, given_up=2, rejected=3, longest_wait_ms=100.0), "leaked": 0},
            "9 requests waited, the longest 0.1 s, 2 gave up, 3 got 503; 0 leaked.",
        ),
    ],
)
def test_what_nobody_counted_is_not_known(switch: dict[str, Any], words: str) -> None:
    assert resumed_words(resumed(switch_told(**switch)), None) == f"Resumed: {words}"


def test_where_one_did_not_count_it_is_at_least_so_many() -> None:
    switches = [switch_told(gate=gate(held=5)), switch_told()]
    assert "at least 5 requests waited" in resumed_words(resumed(*switches), 1.0)


def test_who_answers_503_from_the_deadline_on_is_told_with_what_to_type() -> None:
    away = switch_told(verdict="unknown", endpoint="unix:///a.sock", hold_id="7")
    gone = switch_told(verdict="resumed", endpoint="unix:///b.sock", hold_id="7")
    words = rejecting_words(resumed(away, gone).switches, True)
    assert words is not None and "unix:///b.sock" not in words
    assert words.endswith("--back); then: stillgate resume balanced --hold=7 -e unix:///a.sock")
    assert "--back" not in str(rejecting_words(resumed(away).switches, False))
    assert rejecting_words(resumed(gone).switches, True) is None


def test_a_hint_can_be_typed_as_it_is() -> None:
    there = options_of_call("production", [], "/etc/fleets.toml")
    words = "overdue; run 'stillgate resume balanced'"
    wanted = "'stillgate resume balanced -f production --inventory /etc/fleets.toml'"
    assert hinted(words, there) == f"overdue; run {wanted}"
    given = options_of_call(None, ["/run/a.sock", "tcp://lb:1"], None)
    limit = hinted("'stillgate resume balanced --limit N' sets it", given)
    assert limit == "'stillgate resume balanced --limit N -e /run/a.sock -e tcp://lb:1' sets it"


def test_a_verb_that_is_spoken_of_is_no_hint() -> None:
    words = "so 'suspend' refuses, see 'stillgate status' and 'stillgate history balanced'"
    assert hinted(words, ["-f", "production"]) == words
    assert hinted("run 'stillgate resume x'", []) == "run 'stillgate resume x'"


def test_the_document_keeps_its_words() -> None:
    error = error_told("already_held", "'stillgate resume balanced' ends it")
    report = hinted_report(resumed(switch_told(error=error)), ["-f", "p"])
    assert report.switches[0].error is not None
    assert report.switches[0].error.message == "'stillgate resume balanced -f p' ends it"
    assert report.document["switches"][0]["error"] == error


def test_what_is_the_same_at_all_of_them_is_told_once() -> None:
    error = error_told("no_such_frontend", "this HAProxy has no frontend 'balancd'")
    told = {"frontend": "balancd", "verdict": "unknown", "error": error}
    switches = [switch_told(endpoint_name=f"lb{one}", **told) for one in range(7)]
    shown = drawn(to_report(core_report("status", 1, switches=switches)))
    assert shown.count("no_such_frontend") == 1
    assert "FAILED balancd at lb0, lb1, lb2, lb3, lb4 and 2 more" in shown


def test_a_check_counts_its_warnings() -> None:
    finding = {"code": "keep_alive", "level": "warning", "message": "clients stay"}
    switches = [switch_told(endpoint_name=name, findings=[finding]) for name in ("lb1", "lb2")]
    assert drawn(to_report(core_report("check", switches=switches))).endswith(
        "ready to hold, 1 warning\n"
    )
    assert drawn(resumed()).endswith("resume: done\n")


def test_tables_use_the_short_name() -> None:
    shown = drawn(to_report(core_report("status", switches=[switch_told(endpoint_name="lb1")])))
    assert "lb1" in shown and "unix://" not in shown


NOW = 1_000_000.0
UNKNOWN = {"verdict": "unknown"}
HELD = {"verdict": "held", "hold_id": "a1", "endpoint_name": "lb1"}
FINDING = {"code": "rejecting", "level": "warning", "message": "503"}


def at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def step(action: str, ending: int, *switches: dict[str, Any], deadline: Any = None) -> str:
    """At NOW, of a hold with that deadline."""
    holds = [hold_told(id="a1", deadline=deadline and at(deadline))]
    report = to_report(core_report(action, ending, switches=switches, holds=holds))
    return next_step(report, NOW) or ""


@pytest.mark.parametrize("action", ["suspend", "extend", "status"])
def test_while_it_is_held_the_time_and_the_commands_are_said(action: str) -> None:
    words = step(action, 0, switch_told(**HELD), deadline=NOW + 7.2)
    assert words.startswith("now: traffic waits until ") and ", 8 s left; " in words
    assert "'stillgate resume balanced' releases it" in words
    assert "'stillgate extend balanced 10' gives more time" in words
    assert "'stillgate resume balanced -f p'" in hinted(words, ["-f", "p"])
    assert "'stillgate extend balanced 10 -f p'" in hinted(words, ["-f", "p"])


def test_whose_hold_it_is_decides_what_is_to_be_typed() -> None:
    holds = [hold_told(id="a1", owner="anna@ci", deadline=at(NOW + 7.2))]
    report = to_report(core_report("status", switches=[switch_told(**HELD)], holds=holds))
    words = next_step(report, NOW, lambda hold: hold.owner == "me@here") or ""
    assert words.endswith(
        "8 s left; anna@ci can release it sooner, "
        "'stillgate resume balanced --force --reason TEXT' overrules"
    )
    assert "'stillgate resume balanced' releases it" in (next_step(report, NOW) or "")


def test_a_limit_of_zero_by_hand_is_resumed_with_a_number() -> None:
    zero = {"limit_now": 0, "version": "3.0.11"}
    words = step("status", 0, switch_told(verdict="held", **zero))
    assert words == ("now: traffic waits, and only 'stillgate resume balanced --limit N' ends that")
    refused = {"verdict": "unchanged", "error": error_told("limit_is_zero", "the limit is 0")}
    words = step("suspend", 3, switch_told(**refused, **zero), switch_told(frontend="other"))
    assert "new connections wait at balanced" in words and "--limit N' ends that" in words


def test_what_refuses_its_clients_does_not_flow() -> None:
    finding = {"code": "frontend_stopped", "level": "info", "message": "disabled"}
    stopped = switch_told(findings=[finding])
    assert step("status", 0, stopped) == "now: nothing is held; balanced refuses its clients"
    error = {"error": error_told("frontend_stopped", "disabled")}
    words = step("suspend", 3, switch_told(**error), switch_told(frontend="other"))
    assert words.endswith("balanced refuses its clients, and elsewhere traffic flows")


def test_what_was_not_seen_is_not_said_to_flow() -> None:
    error = error_told("no_such_socket", "the path does not exist")
    gone = switch_told(verdict="unchanged", version=None, endpoint_name="lb9", error=error)
    words = step("suspend", 3, switch_told(verdict="unchanged"), gone)
    assert words == "now: nothing is held; traffic flows, and is at lb9 as before"


def test_a_hold_that_did_not_go_well_ends_with_what_is_true_now() -> None:
    done = resumed(switch_told(verdict="resumed"))
    assert after_hold(0, None, done, NOW) is None
    assert after_hold(7, None, done, NOW) == "now: nothing is held; traffic flows"
    assert after_hold(125, None, None, NOW) == "now: nothing was held; traffic is as before"
    lost = to_report(core_report("resume", 1, switches=[switch_told(**{**HELD, **UNKNOWN})]))
    assert "may wait at lb1" in (after_hold(125, done, lost, NOW) or "")


def test_beyond_the_deadline_it_says_so() -> None:
    late = step("status", 0, switch_told(**HELD), deadline=NOW - 3)
    assert late.startswith("now: traffic waits, 3 s beyond the deadline; 'stillgate resume")
    rejecting = switch_told(**HELD, findings=[FINDING])
    assert step("status", 0, rejecting, deadline=NOW - 3).startswith("now: requests get 503, 3 s")
    assert "only a resume ends that" in step("status", 0, switch_told(**HELD))


def test_somebody_elses_hold_is_not_released_by_a_bare_resume() -> None:
    words = step("resume", 4, switch_told(**HELD), deadline=NOW + 5)
    assert words.endswith("5 s left")
    assert step("suspend", 4, switch_told()) == ""


def test_where_nothing_is_held_traffic_flows() -> None:
    for action, ending in (("resume", 0), ("status", 0), ("suspend", 1), ("suspend", 3)):
        assert step(action, ending, switch_told()) == "now: nothing is held; traffic flows"


def test_what_does_not_answer_is_named() -> None:
    lost = switch_told(verdict="unknown", endpoint_name="lb2")
    words = step("resume", 1, switch_told(), lost)
    assert words.startswith("now: traffic flows elsewhere, and may wait at lb2; repair")
    assert words.endswith("'stillgate resume balanced'")
    assert step("status", 1, {**lost, "frontend": "*"}).endswith("then this again")
    held = {"error": error_told("still_held", "held at lb2 until 12:00")}
    assert step("suspend", 1, {**lost, **held}) == ""
