"""The tables on standard output: as wide as the terminal, in its colours."""

from __future__ import annotations

import io
import sys
from typing import List, Optional, TextIO

from stillgate.console.streams import put
from stillgate.results.hold import PastHold
from stillgate.results.outcome import Error, Outcome, Timings
from stillgate.results.printing import to_stream
from stillgate.results.rehearsal import Rehearsal
from stillgate.results.report import Report
from stillgate.tables import draw_failed, draw_history, draw_outcomes, draw_rehearsal, draw_report


def get_ready_to_show() -> None:
    """Has what a table takes, as long as that can be had: the work inside a hold may use up the
    descriptors and the memory that imports need.
    """
    unknown = Timings(None, None, None)
    rehearsed = [
        Outcome("one", "reply", None, unknown),
        Outcome("other", None, Error("code", "message"), unknown),
    ]
    draw_outcomes(rehearsed, to_stream(io.StringIO()))


def show_outcomes(outcomes: List[Outcome], raw: bool = False) -> None:
    """A table on a terminal; elsewhere, and where only one was asked, the whole answers."""
    if len(outcomes) == 1 and outcomes[0].ok:
        put(outcomes[0].reply or "")
    elif raw or not sys.stdout.isatty():
        _put_whole(outcomes, raw)
    else:
        draw_outcomes(outcomes, to_stream(sys.stdout))


def _put_whole(outcomes: List[Outcome], raw: bool) -> None:
    for one in outcomes:
        if not one.ok:
            continue
        if not raw:
            put(f"# {one.endpoint_name or one.endpoint}")
        put(one.reply or "")
    if all(one.ok for one in outcomes):
        return
    sys.stdout.flush()
    draw_failed(outcomes, to_stream(sys.stderr if raw else sys.stdout))


def show_report(report: Report, to: Optional[TextIO] = None) -> None:
    draw_report(report, to_stream(to or sys.stdout))


def show_history(holds: List[PastHold]) -> None:
    draw_history(holds, to_stream(sys.stdout))


def show_rehearsal(rehearsal: Rehearsal) -> None:
    draw_rehearsal(rehearsal, to_stream(sys.stdout))
