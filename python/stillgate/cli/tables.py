"""Tables for people: what is well first and short, what failed last and in full."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, List, Optional

from stillgate.report import Error, Outcome, Report, Switch

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_LINES = 3
PIPED_WIDTH = 160  # columns where there is no terminal to ask
STYLES = {
    "held": "yellow",
    "resumed": "green",
    "open": "green",
    "reverted": "magenta",
    "unknown": "bold red",
}


def console() -> Console:
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(width=width, highlight=False, markup=False, emoji=False)


def show_outcomes(outcomes: List[Outcome]) -> None:
    """The reply itself for one endpoint; a table of beginnings for many."""
    out = console()
    well = [outcome for outcome in outcomes if outcome.ok]
    if len(outcomes) == 1 and well:
        print(well[0].reply)
        return
    if well:
        out.print(_outcome_table(well))
    _show_failures(out, [(outcome.endpoint, outcome.error) for outcome in outcomes])
    failed = len(outcomes) - len(well)
    out.print(f"{len(well)} of {len(outcomes)} answered" + (f", {failed} FAILED" if failed else ""))


def show_report(report: Report) -> None:
    out = console()
    if report.switches:
        out.print(_switch_table(report.switches))
    for switch in report.switches:
        for finding in switch.findings:
            if finding.level != "refusal":
                place = f"{switch.frontend} at {switch.endpoint}"
                out.print(f"{finding.level}: {place}: {finding.message}", soft_wrap=True)
    _show_failures(
        out, [(f"{one.frontend} at {one.endpoint}", one.error) for one in report.switches]
    )
    if report.error:
        out.print(f"FAILED {report.error}", style="bold red", soft_wrap=True)
    out.print(_summary(report))


def _show_failures(out: Console, places: List[tuple[str, Optional[Error]]]) -> None:
    for place, error in places:
        if error is None:
            continue
        out.print(f"FAILED {place}", style="bold red", soft_wrap=True)
        out.print(f"       {error.code}: {error.message}", soft_wrap=True)
        if error.haproxy:
            out.print(f"       HAProxy: {error.haproxy}", soft_wrap=True)
        if error.partial:
            out.print(f"       it had sent: {error.partial[:200]!r}", soft_wrap=True)


def _outcome_table(outcomes: List[Outcome]) -> object:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("endpoint", overflow="fold")
    table.add_column("ms", justify="right")
    table.add_column("answer", overflow="fold")
    for outcome in outcomes:
        lines = (outcome.reply or "").splitlines()
        shown = lines[:SHOWN_LINES]
        if len(lines) > SHOWN_LINES:
            shown.append(f"... {len(lines) - SHOWN_LINES} more lines")
        table.add_row(
            outcome.endpoint, f"{outcome.timings.answered_ms or 0:.1f}", "\n".join(shown) or "done"
        )
    return table


def _switch_table(switches: List[Switch]) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("endpoint", "frontend", "verdict", "limit", "before", "HAProxy", "rtt ms"):
        table.add_column(name, overflow="fold")
    for one in switches:
        table.add_row(
            one.endpoint,
            one.frontend,
            Text(one.verdict, style=STYLES.get(one.verdict, "")),
            _text(one.limit_now),
            _text(one.limit_before),
            _text(one.version),
            "-" if one.rtt_ms is None else f"{one.rtt_ms:.1f}",
        )
    return table


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _summary(report: Report) -> str:
    if report.action == "check":
        return "nothing stands against a hold" if report.ok else "REFUSED, nothing was changed"
    if report.ok:
        window = report.commit_window_ms
        within = "" if window is None else f", commit window {window:.2f} ms"
        return f"{report.action}: done{within}"
    refused = report.exit_status in (3, 4)
    return f"{report.action}: " + ("REFUSED, nothing was changed" if refused else "FAILED")
