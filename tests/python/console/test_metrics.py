"""The metrics of a status, and its exit status: from reports made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stillgate.cli.status import HELD, OPEN, OVERDUE, STOPPED, UNKNOWN, state_of
from stillgate.console.metrics import FAMILIES, metrics_text
from stillgate.results.from_core import to_event, to_report
from stillgate.results.report import Report
from support.reports import URL, core_report, error_told, hold_told, switch_told

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
DEADLINE = 1_700_000_003.0  # of hold_told()
GATE = {
    **{"most_waiting": 3, "held": 4, "released": 1, "given_up": 2, "rejected": 5},
    "longest_wait_ms": 12.5,
}
AT = f'endpoint="{URL}"'
HERE = f'{AT},frontend="balanced"'
OVERDUE_TOLD = {"code": "overdue", "level": "warning", "message": "it is"}
DISABLED = {"code": "frontend_stopped", "level": "warning", "message": "disabled"}
REJECTING = {"code": "rejecting", "level": "warning", "message": "503"}
SILENT = switch_told(
    frontend="*", verdict="unknown", version=None, error=error_told("refused", "nobody")
)


def report(*switches: dict[str, Any], holds: Any = ()) -> Report:
    return to_report(core_report("status", switches=switches, holds=holds))


def held(**told: Any) -> dict[str, Any]:
    return switch_told(verdict="held", hold_id="7d", method="gate", lease="haproxy", **told)


def values(of: Report, fleet: str | None = None, now: float = DEADLINE - 1.5) -> dict[str, str]:
    lines = metrics_text(of, fleet, now).splitlines()
    samples = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    assert len(samples) == len({name for name, _, _ in samples})
    return {name.removeprefix("stillgate_"): value for name, _, value in samples}


def with_event(kind: str) -> Report:
    found = report(held(), holds=[hold_told()])
    told = {
        **{"schema": 1, "event": kind, "at": "2023-11-14T22:13:21.000Z", "hold": None},
        **{"source": "guard", "host": "here", "pid": 42, "seq": 1, "endpoint": None},
        **{"frontend": None, "endpoints": [], "message": "lost", "figures": {}},
    }
    found.holds[0].events.append(to_event(json.dumps(told)))
    return found


def test_a_hold_by_the_gate() -> None:
    gate = held(waiting=2, gate=GATE, leaked=7, in_flight=1)
    assert values(report(gate, holds=[hold_told()])) == {
        f"up{{{AT}}}": "1",
        f"held{{{HERE}}}": "1",
        f"frontend_stopped{{{HERE}}}": "0",
        f"overdue{{{HERE}}}": "0",
        f"hold_deadline_timestamp_seconds{{{HERE}}}": "1700000003",
        f"hold_started_timestamp_seconds{{{HERE}}}": "1700000000",
        f"hold_remaining_seconds{{{HERE}}}": "1.5",
        f'hold_lease{{{HERE},lease="haproxy"}}': "1",
        f"in_flight_requests{{{HERE}}}": "1",
        f"leaked_requests{{{HERE}}}": "7",
        f"waiting_requests{{{HERE}}}": "2",
        f"hold_most_waiting_requests{{{HERE}}}": "3",
        f"hold_longest_wait_seconds{{{HERE}}}": "0.0125",
        f"hold_held_requests{{{HERE}}}": "4",
        f"hold_released_requests{{{HERE}}}": "1",
        f"hold_given_up_requests{{{HERE}}}": "2",
        f"hold_rejected_requests{{{HERE}}}": "5",
    }


def test_what_is_unknown_is_left_out() -> None:
    found = values(report(held()))  # no record says until when
    assert found == {
        f"up{{{AT}}}": "1",
        f"held{{{HERE}}}": "1",
        f"frontend_stopped{{{HERE}}}": "0",
        f'hold_lease{{{HERE},lease="haproxy"}}': "1",
    }
    assert values(report(SILENT)) == {f"up{{{AT}}}": "0"}
    missing = switch_told(verdict="unknown", error=error_told("no_such_frontend", "none"))
    assert values(report(missing)) == {f"up{{{AT}}}": "1"}


def test_overdue_and_a_guard_that_was_lost() -> None:
    late = held(findings=[OVERDUE_TOLD])
    assert values(report(late))[f"overdue{{{HERE}}}"] == "1"
    assert values(report(held(findings=[REJECTING])))[f"overdue{{{HERE}}}"] == "1"
    after = values(report(held(), holds=[hold_told()]), now=DEADLINE + 2)
    assert after[f"overdue{{{HERE}}}"] == "1"
    assert after[f"hold_remaining_seconds{{{HERE}}}"] == "-2"
    for kind, lost in (("guard_lost", "1"), ("guard_died", "1"), ("reapplied", "0")):
        assert values(with_event(kind))[f"guard_lost{{{HERE}}}"] == lost


def test_the_guards_are_counted_where_they_are_known() -> None:
    found = report(held(), holds=[hold_told()])
    assert f"guards{{{HERE}}}" not in values(found)
    for alive, lost in ((2, "0"), (1, "0"), (0, "1")):
        found.holds[0] = replace(found.holds[0], guards=alive)
        assert values(found)[f"guards{{{HERE}}}"] == str(alive)
        assert values(found)[f"guard_lost{{{HERE}}}"] == lost


def test_a_family_is_there_once_and_labels_are_escaped() -> None:
    odd = 'unix:///a"b\\c\nd'
    twice = [switch_told(), switch_told(endpoint=odd), switch_told()]
    text = metrics_text(report(*twice), 'a"', 0)
    assert f'stillgate_up{{fleet="a\\"",{AT}}} 1\n' in text
    assert 'endpoint="unix:///a\\"b\\\\c\\nd"' in text
    kinds = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds)) == 4
    assert text.endswith("\n# EOF\n")
    values(report(*twice))


def test_a_name_ends_with_its_unit_and_stands_on_the_page() -> None:
    page = PAGE.read_text()
    for family in FAMILIES:
        assert family.name.endswith(f"_{family.unit}" if family.unit else "")
        assert f"| `{family.name}` |" in page


@pytest.mark.parametrize(
    "switches, status",
    [
        ([], OPEN),
        ([switch_told()], OPEN),
        ([switch_told(), switch_told(findings=[DISABLED])], STOPPED),
        ([switch_told(findings=[DISABLED]), held()], HELD),
        ([switch_told(), held()], HELD),
        ([held(), SILENT], UNKNOWN),
        ([SILENT, held(findings=[OVERDUE_TOLD]), switch_told()], OVERDUE),
        ([held(findings=[REJECTING])], OVERDUE),
    ],
)
def test_the_exit_status_is_that_of_the_worst(switches: list[Any], status: int) -> None:
    assert state_of(report(*switches, holds=[hold_told()]), DEADLINE - 1) == status
