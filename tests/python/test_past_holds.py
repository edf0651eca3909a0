"""The audit journal: events folded into holds, broken files, the table, JSON and the formats."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Optional

import jsonschema
import pytest
from click.testing import CliRunner

import stillgate
from stillgate import _core
from stillgate.cli.main import cli
from stillgate.console.documents import rfc3339
from stillgate.events import to_listener
from stillgate.options import EVENT_FORMATS
from stillgate.past_holds import FILES, fold, read_events, with_history
from stillgate.results.from_core import to_event, to_report
from support.reports import URL, core_report, hold_told, switch_told

NOW = 1_700_000_000.0
SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs" / "schema.json").read_text())


def line(event: str, at: float, **told: Any) -> str:
    """One line as the engine writes it; the hold began at NOW, for 3 s."""
    hold = {
        "id": told.pop("id", "aa"),
        "owner": "deploy@host",
        "reason": "why",
        "frontends": told.pop("frontends", ["balanced"]),
        "started_at": rfc3339(told.pop("started", NOW)),
        "deadline": rfc3339(told.pop("deadline", NOW + 3)),
        "max_hold_s": 3.0,
    }
    document = {
        "schema": 1,
        "event": event,
        "at": rfc3339(at),
        "hold": hold,
        "source": "suspend",
        "host": "here",
        "pid": 42,
        "seq": 1,
        "endpoint": None,
        "frontend": None,
        "endpoints": [URL] if event == "held" else [],
        "message": f"it is {event}",
        "figures": {},
        **told,
    }
    jsonschema.validate(document, {**SCHEMA, "$ref": "#/$defs/event_line", "oneOf": [{}]})
    return json.dumps(document)


BY_GATE: dict[str, Any] = {
    "endpoints": 1,
    "switches": 1,
    "gate_switches": 1,
    "commit_window_ms": 1.5,
}
BY_MAXCONN = {**BY_GATE, "gate_switches": 0}
HELD = line("held", NOW + 0.1, figures=BY_GATE)


def write(state: Path, *lines: str, name: str = FILES[1]) -> None:
    state.mkdir(exist_ok=True)
    text = "".join(f"{one}\n" for one in lines)
    (state / name).write_bytes(text.encode("utf-8", "surrogateescape"))


def folded(*lines: str, now: float = NOW + 60) -> Any:
    (hold,) = fold([to_event(one) for one in lines], now)
    return hold


def test_a_hold_that_was_resumed() -> None:
    hold = folded(
        HELD,
        line("drained", NOW + 0.2, figures={"drain_ms": 12.0}),
        line("resumed", NOW + 2, source="resume", figures={"leaked": 0, "still_held": 0}),
    )
    assert (hold.ended, hold.ended_by, hold.ended_at) == ("resumed", "resume", NOW + 2)
    assert (hold.held_s, hold.drain_ms, hold.commit_window_ms) == (2, 12.0, 1.5)
    assert (hold.endpoints, hold.leaked, hold.reapplied) == (1, 0, 0)


def test_a_hold_in_effect_lasts_until_now() -> None:
    hold = folded(HELD, now=NOW + 1)
    assert (hold.ended, hold.ended_at, hold.held_s) == ("held", None, 1)


@pytest.mark.parametrize(
    "figures, ended", [(BY_GATE, ("expired", "haproxy", 3)), (BY_MAXCONN, ("unknown", None, None))]
)
def test_past_the_deadline_without_a_word(figures: dict[str, Any], ended: Any) -> None:
    hold = folded(line("held", NOW + 0.1, figures=figures))
    assert (hold.ended, hold.ended_by, hold.held_s) == ended


@pytest.mark.parametrize("late", [0.05, 600])
def test_an_expiry_is_at_the_deadline_whenever_it_is_told(late: float) -> None:
    hold = folded(HELD, line("expired", NOW + 3 + late, source="guard"))
    assert (hold.ended, hold.ended_by, hold.ended_at) == ("expired", "guard", NOW + 3)


def test_what_the_guard_did_is_counted_and_the_deadline_moves() -> None:
    hold = folded(
        HELD,
        line("reapplied", NOW + 1, source="guard", endpoint=URL),
        line("endpoint_lost", NOW + 1.5, source="guard", endpoint=URL),
        line("endpoint_lost", NOW + 1.6, source="guard", endpoint=URL),
        line("extended", NOW + 2, source="extend", deadline=NOW + 13),
        now=NOW + 5,
    )
    assert (hold.reapplied, hold.endpoints_lost) == (1, 1)
    assert (hold.deadline, hold.ended) == (NOW + 13, "held")


def test_a_resume_that_reached_a_part_ends_nothing() -> None:
    part = line("resumed", NOW + 1, source="resume", figures={"released": 1, "still_held": 1})
    assert folded(HELD, part, now=NOW + 2).ended == "held"
    rest = line("resumed", NOW + 2, source="resume", figures={"released": 1, "still_held": 0})
    assert folded(HELD, part, rest, now=NOW + 3).held_s == 2


def test_a_suspend_that_failed() -> None:
    hold = folded(line("rolled_back", NOW + 0.3, figures={"endpoints": 2}))
    assert (hold.ended, hold.endpoints) == ("rolled_back", 2)


def test_the_newest_first_of_those_that_are_asked_for(state: Path) -> None:
    older = line("held", NOW - 9, id="older", started=NOW - 9, frontends=["api"])
    write(state, older, name=FILES[0])
    write(state, "", HELD)
    assert [one.id for one in stillgate.history()] == ["aa", "older"]
    assert [one.id for one in stillgate.history(limit=1)] == ["aa"]
    assert [one.id for one in stillgate.history("api", folder=str(state))] == ["older"]


def test_no_history_is_no_error(state: Path) -> None:
    assert stillgate.history() == []


def test_lines_that_make_no_sense_are_skipped_and_told(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(state, HELD, '{"schema":1,"ev', "{}", "7", HELD[:80])
    assert (len(read_events().events), read_events().skipped) == (1, 4)
    assert cli.main(["history"], standalone_mode=False) == 0
    told = capsys.readouterr()
    assert "4 lines were cut short, and skipped" in told.err
    assert "balanced" in told.out


HOSTILE = {
    "half a line": HELD[:80],
    "infinity": HELD.replace('"switches": 1', '"switches": Infinity'),
    "beyond a double": HELD.replace('"switches": 1', '"switches": 1e400'),
    "beyond a double, where we know no field": HELD.replace("{", '{"more": [{"a": 1e400}], ', 1),
    "a text for a figure": HELD.replace('"endpoints": 1', '"endpoints": "many"'),
    "a number for an endpoint": HELD.replace('"endpoint": null', '"endpoint": 7'),
    "a text for a list": HELD.replace('["balanced"]', '"balanced"'),
    "a number for a time": HELD.replace(f'"{rfc3339(NOW)}"', "1700000000"),
    "no month of the year": HELD.replace("2023-11", "2023-13"),
    "another schema": HELD.replace('"schema": 1', '"schema": 2'),
    "an unknown kind": HELD.replace('"event": "held"', '"event": "lost"'),
    "no UTF-8": HELD.replace("it is held", "it is \udcff"),
    "half a surrogate": HELD.replace("it is held", "it is \\ud800"),
    "a name that would begin another field": HELD.replace('"switches"', '"a\\nMESSAGE=b"'),
    "deeper than the stack": "[" * 100_000,
    "no object": "7",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "arguments",
    [[], ["--json"], *(["--events", "--format", one] for one in EVENT_FORMATS)],
    ids=" ".join,
)
def test_a_hostile_line_is_skipped_and_told(
    state: Path, capsys: pytest.CaptureFixture[str], name: str, arguments: list[str]
) -> None:
    assert HOSTILE[name] != HELD
    write(state, HELD, HOSTILE[name], HELD)
    assert cli.main(["history", *arguments], standalone_mode=False) == 0
    told = capsys.readouterr()
    assert told.err == "stillgate: history: 1 line was cut short, and skipped\n"
    write(state, HELD, HELD)
    assert cli.main(["history", *arguments], standalone_mode=False) == 0
    well = capsys.readouterr()
    assert (well.out, well.err) == (told.out, "")


def test_the_last_part_alone_begins_with_a_whole_line(state: Path) -> None:
    write(state, HELD, name=FILES[0])
    write(state, *[HELD] * 10)
    assert len(read_events(last_bytes=3 * len(HELD)).events) == 2
    assert len(read_events(last_bytes=11 * len(HELD)).events) == 10
    assert read_events(last_bytes=1_000_000).skipped == 0
    assert len(read_events(last_bytes=1_000_000).events) == 11


# --- the command ----------------------------------------------------------------------


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["history", *arguments], standalone_mode=False)


def test_the_table_says_how_it_ended(state: Path) -> None:
    write(state, HELD)
    told = run().stdout
    assert "expired (by HAProxy)" in told
    assert "deploy@host" in told and "1.50" in told and "why" in told
    write(state)
    assert run().stdout == "no hold found\n"


def test_the_json_keeps_to_the_schema(state: Path) -> None:
    end = line("rolled_back", NOW + 1, figures={"skew_ms": None})
    write(state, HELD, end, line("checked", NOW, hold=None, source="check"))
    document = json.loads(run("--json").stdout)
    jsonschema.validate(document, SCHEMA)
    (hold,) = document["history"]
    assert (hold["ended"], hold["started_at"]) == ("rolled_back", "2023-11-14T22:13:20.000Z")
    assert [one["event"] for one in hold["events"]] == ["held", "rolled_back"]


def test_the_events_come_out_as_they_went_in(state: Path) -> None:
    write(state, HELD)
    assert run("--events").stdout == HELD + "\n"
    syslog = run("--events", "--format", "syslog", "balanced").stdout
    assert syslog.startswith("<29>1 2023-11-14T22:13:20.100Z here stillgate 42 held [stillgate@0 ")
    assert 'commit_window_ms="1.500"] it is held\n' in syslog
    journald = run("--events", "--format", "journald").stdout
    assert journald.startswith("MESSAGE=it is held\nPRIORITY=5\n")
    assert journald.endswith("\n\n")
    assert run("--events", "another").stdout == ""


def test_options_that_do_not_go_together() -> None:
    assert "lines" in str(run("--events", "--json").exception)
    assert "--events" in str(run("--format", "syslog").exception)


def test_a_history_that_cannot_be_read(state: Path) -> None:
    (state / FILES[1]).mkdir(parents=True)
    done = run("--json")
    assert done.return_value == 1
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert document["error"]["code"] == "journal_failed"
    report = to_report(core_report("status", holds=[hold_told()]))
    assert with_history(report).holds[0].events == []


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(stillgate.InputError, match="json, syslog or journald"):
        _core.event_lines(b"", [], "xml")


# --- status ---------------------------------------------------------------------------


def expiry(monkeypatch: Any, now: float, **told: Any) -> Optional[str]:
    monkeypatch.setattr("stillgate.past_holds.time.time", lambda: now)
    report = with_history(to_report(core_report("status", switches=[switch_told(**told)])))
    jsonschema.validate(report.document, SCHEMA)
    (one,) = report.switches
    assert report.document["switches"][0]["findings"] == [vars(each) for each in one.findings]
    return next((f.message for f in one.findings if f.code == "expired"), None)


def test_a_status_names_the_last_hold_that_expired(state: Path, monkeypatch: Any) -> None:
    write(state, HELD)
    words = "the last hold, by deploy@host, expired at 22:13:23 UTC"
    assert expiry(monkeypatch, NOW + 60) == words
    assert expiry(monkeypatch, NOW + 2) is None
    assert expiry(monkeypatch, NOW + 90_000) is None
    for other in ({"endpoint": "unix:///b"}, {"frontend": "api"}, {"verdict": "held"}):
        assert expiry(monkeypatch, NOW + 60, **other) is None


def test_a_status_says_once_that_a_hold_expired(state: Path, monkeypatch: Any) -> None:
    write(state, HELD)
    mark = {"code": "expired", "level": "info", "message": "the last hold ended at its deadline"}
    told = expiry(monkeypatch, NOW + 60, findings=[mark])
    assert told is not None and "deploy@host" in told


def test_a_later_hold_that_was_resumed_comes_first(state: Path, monkeypatch: Any) -> None:
    later = {"id": "bb", "started": NOW + 10, "deadline": NOW + 13}
    resumed = line("resumed", NOW + 12, **later)
    write(state, HELD, line("held", NOW + 10, figures=BY_GATE, **later), resumed)
    assert expiry(monkeypatch, NOW + 60) is None


def test_a_status_has_what_the_guard_did(state: Path) -> None:
    write(state, HELD, line("reapplied", NOW + 1, source="guard", endpoint=URL))
    held = switch_told(verdict="held", hold_id="aa")
    report = with_history(
        to_report(core_report("status", holds=[hold_told(id="aa")], switches=[held]))
    )
    assert [one.event for one in report.holds[0].events] == ["reapplied"]
    jsonschema.validate(report.document, SCHEMA)
    (told,) = report.document["holds"][0]["events"]
    assert (told["endpoint"], "hold" in told, "schema" in told) == (URL, False, False)


# --- the listener ---------------------------------------------------------------------


def test_a_listener_gets_the_line_and_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    told: list[dict[str, Any]] = []
    good = to_listener(told.append)
    assert good is not None
    good(HELD)
    assert told[0]["hold"]["id"] == "aa"

    def broken(event: dict[str, Any]) -> None:
        raise RuntimeError("the chat is down")

    bad = to_listener(broken)
    assert bad is not None
    with caplog.at_level(logging.ERROR, "stillgate"):
        bad(HELD)
    assert "the hold continues" in caplog.text and "the chat is down" in caplog.text


@pytest.mark.parametrize(
    "options",
    [
        {"on_event": 7},
        {"on_event": "x" * 5000},
        {"on_event": "a\0b"},
        {"event_format": "xml"},
    ],
)
def test_wrong_input_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(stillgate.InputError) as caught:
        stillgate.Fleet([URL], **options)
    assert caught.value.field in options
