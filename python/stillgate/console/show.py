"""The tables on standard output: as wide as the terminal, in its colours."""

from __future__ import annotations

import sys
from typing import List, Optional, TextIO

from stillgate.results.hold import PastHold
from stillgate.results.outcome import Outcome
from stillgate.results.printing import to_stream
from stillgate.results.report import Report
from stillgate.tables import draw_history, draw_outcomes, draw_report


def show_outcomes(outcomes: List[Outcome]) -> None:
    if len(outcomes) == 1 and outcomes[0].ok:
        # Byte for byte: it may go into a pipe.
        print(outcomes[0].reply)
        return
    draw_outcomes(outcomes, to_stream(sys.stdout))


def show_report(report: Report, to: Optional[TextIO] = None) -> None:
    draw_report(report, to_stream(to or sys.stdout))


def show_history(holds: List[PastHold]) -> None:
    draw_history(holds, to_stream(sys.stdout))
