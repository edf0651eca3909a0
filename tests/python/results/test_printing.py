"""Results as print() shows them and as a notebook does: tables, whole, and nobody else's markup."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from stillgate import (
    Answer,
    Error,
    Event,
    Fleet,
    Hold,
    Info,
    Outcome,
    PastHold,
    Report,
    StatRow,
    Switch,
    Timings,
    history,
)
from stillgate.console.show import show_history, show_report
from stillgate.results import printing
from stillgate.results.hold import PastHolds
from stillgate.results.lists import Answers, Outcomes
from stillgate.results.printing import Printed, to_stream
from stillgate.results.report import Finding
from stillgate.tables import draw_outcomes

NASTY = "<script>a</script>&amp;[red]"
STEERS = "\x1b[2J\r\x07\x9b\x7f\u202e"
SHOWN = r"\x1b[2J\x0d\x07\x9b\x7f\u202e"
FOREIGN = f"{NASTY} {STEERS}"
TIMES = Timings(0.1, 0.2, 0.3)


def error(words: str) -> Error:
    return Error("reply_refused", f"ours {words}", f"HAProxy {words}", f"sent {words}")


def report(words: str = "well", **changes: Any) -> Report:
    switch = Switch(
        endpoint="unix:///a",
        frontend="balanced",
        hold_id="h1",
        verdict="held",
        method="maxconn",
        lease="guard",
        limit_before=2000,
        limit_now=0,
        waiting=None,
        gate=None,
        in_flight=3,
        leaked=0,
        version=words,
        rtt_ms=0.25,
        findings=[Finding("keep_alive", "warning", f"finding {words}")],
        error=error(words),
    )
    event = Event("reapplied", 1.0, None, "guard", "lb", 1, 1, None, None, [], f"event {words}")
    hold = Hold("h1", f"owner {words}", f"reason {words}", ["balanced"], 1.0, 9.0, 8.0, [event])
    given: dict[str, Any] = {"ok": False, "exit_status": 1, "error": error(words), **changes}
    return Report(
        action="suspend",
        holds=[hold],
        switches=[switch],
        commit_window_ms=1.5,
        skew_ms=0.5,
        drained=True,
        drain_ms=2.5,
        **given,
    )


def past(words: str) -> PastHolds:
    figures = (1.5, 0.5, 2.5, 0, 1, 0)
    one = PastHold(
        *("h1", "anna", words, ["balanced"], 2, 1.0, 9.0, 5.0, "expired", "guard", 4.0),
        *figures,
        [],
    )
    return PastHolds([one])


def outcomes(words: str) -> Outcomes:
    failed = Outcome("unix:///b", None, error(words), TIMES)
    return Outcomes([Outcome("unix:///a", f"{words}\ntwo", None, TIMES), failed])


def infos(words: str) -> Answers[Info]:
    value = Info(words, 7, 60, words, words, False, 4000, 12, {})
    return Answers([Answer("unix:///a", value, None), Answer("unix:///b", None, error(words))])


def stats(words: str) -> Answers[list[StatRow]]:
    rows = [StatRow(words, "FRONTEND", "OPEN", {"scur": "3", "slim": "100"})]
    return Answers([Answer("unix:///a", rows, None)])


ALL: dict[str, Callable[[str], Any]] = {
    "report": report,
    "past": past,
    "outcomes": outcomes,
    "info": infos,
    "stat": stats,
}


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", page)).rstrip("\n")


@pytest.mark.parametrize("kind", ALL)
def test_what_others_say_is_text_and_nothing_else(kind: str) -> None:
    result: Printed = ALL[kind](FOREIGN)
    printed = str(result)
    page = result._repr_html_()
    assert NASTY in printed and SHOWN in printed
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", printed + page)
    assert "<script" not in page and "&lt;script" in page
    assert set(re.findall(r"</?([a-z]+)", page)) <= {"pre", "span"}


@pytest.mark.parametrize("kind", ALL)
def test_a_notebook_shows_what_a_terminal_does(kind: str) -> None:
    result: Printed = ALL[kind]("well")
    assert result._repr_html_().startswith("<pre ")
    lines = [line.rstrip() for line in text_of(result._repr_html_()).splitlines()]
    assert lines == str(result).splitlines()


def test_a_report_is_a_table() -> None:
    lines = str(report(ok=True, exit_status=0, error=None)).splitlines()
    assert lines[0].split() == (
        "endpoint frontend verdict method limit before waiting in flight leaked HAProxy rtt ms"
    ).split(" ")
    assert lines[1].split() == "unix:///a balanced held maxconn 0 2000 - 3 0 well 0.2".split()
    assert lines[2].startswith("hold h1 by owner well since ")
    assert "reapplied: event well" in lines[3]
    assert lines[-1] == "suspend: done, commit window 1.50 ms, skew 0.50 ms, drained in 2.50 ms"
    assert str(report()).splitlines()[-1] == "suspend: FAILED"
    assert re.search(r'<span style="color[^>]*>held', report()._repr_html_()), "in colour"


@pytest.mark.parametrize("width, last", [(160, "ms"), (80, "leaked"), (60, "leaked")])
def test_on_a_small_terminal_a_report_leaves_out_columns_and_breaks_none(
    width: int, last: str
) -> None:
    from rich.console import Console

    out = Console(file=StringIO(), width=width)
    printing.draw(report(), out)
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0].split()[-1] == last and len(lines[0].rstrip()) <= width
    assert lines[1].split()[:3] == ["unix:///a", "balanced", "held"]
    assert lines[2].startswith("hold h1 by ")


def test_outcomes_are_a_table_and_one_is_its_reply() -> None:
    lines = str(outcomes("well")).splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["endpoint", "ms", "answer"],
        ["unix:///a", "0.3", "well"],
        ["two"],
    ]
    assert lines[3] == "FAILED unix:///b" and lines[-1] == "1 of 2 answered, 1 FAILED"
    whole = "a\n  b " + "long " * 100 + "\nc"
    assert str(Outcomes([Outcome("unix:///a", whole, None, TIMES)])) == whole.replace(" \n", "\n")
    assert str(Outcomes()) == "0 of 0 answered"


def test_answers_are_a_table() -> None:
    lines = str(infos("3.0")).splitlines()
    assert lines[0].split() == "endpoint HAProxy node pid up s conns maxconn stopping".split()
    assert lines[1].split() == "unix:///a 3.0 3.0 7 60 12 4000 no".split()
    assert lines[2] == "FAILED unix:///b" and lines[-1] == "1 of 2 answered, 1 FAILED"
    lines = str(stats("balanced")).splitlines()
    assert lines[1].split() == "unix:///a balanced FRONTEND OPEN 3 100 - -".split()
    assert lines[-1] == "1 of 1 answered"


def test_calls_give_what_prints(tmp_path: Path) -> None:
    fleet = Fleet([str(tmp_path / "nowhere")])
    for result in (fleet.execute("show info"), fleet.info(), fleet.stat(), fleet.status("f")):
        assert isinstance(result, Printed)
        assert "FAILED" in str(result) and "no_such_socket" in result._repr_html_()
    assert str(history(folder=str(tmp_path))) == "no hold found"


def test_the_command_line_prints_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    shows: dict[str, Callable[[Any], None]] = {
        "report": show_report,
        "past": show_history,
        # On a terminal; elsewhere answers are printed whole.
        "outcomes": lambda outcomes: draw_outcomes(outcomes, to_stream(sys.stdout)),
    }
    for kind, show in shows.items():
        show(ALL[kind](FOREIGN))
        out = capsys.readouterr().out
        assert [line.rstrip() for line in out.splitlines()] == str(ALL[kind](FOREIGN)).splitlines()


def test_rich_is_imported_by_the_first_print_alone() -> None:
    code = """
import sys
from stillgate import Fleet
found = Fleet(["/nowhere"]).status("balanced")
assert not [name for name in sys.modules if name.split(".")[0] in ("rich", "IPython")]
print(found)
assert "rich" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_inside_a_notebook_nothing_is_displayed_behind_the_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There rich takes every console for the notebook's."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    displayed: list[object] = []
    monkeypatch.setattr("rich.jupyter.display", lambda *given: displayed.append(given))
    assert str(report()).startswith("endpoint") and "held" in report()._repr_html_()
    assert displayed == []


def test_a_signal_that_comes_while_rich_is_loaded_is_no_crash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before Python 3.12 what a descriptor raises while a class is made comes wrapped."""
    (tmp_path / "interrupted.py").write_text(
        "class Field:\n"
        "    def __set_name__(self, owner, name):\n"
        "        raise KeyboardInterrupt\n"
        "class Locals:\n"
        "    field = Field()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(printing, "import_module", lambda name: import_module("interrupted"))
    printing._console_class.cache_clear()
    with pytest.raises(KeyboardInterrupt):
        printing.to_stream(StringIO())
