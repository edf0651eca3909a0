"""Draws a hold as it went: as text for a terminal, as an SVG picture, as one HTML file."""

from __future__ import annotations

import time
from html import escape
from typing import List, Optional, Sequence, Tuple

from stillgate.console.live_drawing import Signs, sparkline
from stillgate.console.live_state import Waiting
from stillgate.console.picture import Marker, Picture
from stillgate.console.picture_svg import svg
from stillgate.hold_report import HoldReport, OfHaproxy, Step
from stillgate.results.printing import tamed

UNKNOWN = "not known"
SMALL_WIDTH, SMALL_HEIGHT = 140, 20
STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --soft: #6a737d;
  --line: #0b69c7; --fill: #0b69c733; --mark: #b35900; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #14181d; --soft: #9aa4af;
  --line: #58a6ff; --fill: #58a6ff33; --mark: #f0a04b; } }
"""
PAGE_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }
th { color: var(--soft); font-weight: 600; } svg { max-width: 100%; height: auto; }
"""
COLUMNS = ("HAProxy", "waited", "longest s", "at most", "gave up", "503", "leaked", "in flight")


def report_facts(report: HoldReport) -> List[Tuple[str, str]]:
    """What there is to say, in order."""
    hold = report.hold
    return [
        ("hold", f"{hold.id}, of {', '.join(hold.frontends)}"),
        ("by", hold.owner),
        ("why", hold.reason or "-"),
        ("began", _date(hold.started_at)),
        ("ended", _ended(report)),
        ("waited", _count(report.waited)),
        ("longest wait", _seconds(report.longest_s)),
        ("median wait", _about(report.median_s)),
        ("at most at once", _count(report.most_waiting)),
        ("gave up", _count(report.given_up)),
        ("answered 503", _count(report.rejected)),
        ("leaked", _count(report.leaked)),
        ("in flight at the hold", _count(report.in_flight)),
        ("commit window", _milliseconds(hold.commit_window_ms)),
        ("skew", _milliseconds(hold.skew_ms)),
        ("drained in", _milliseconds(hold.drain_ms)),
    ]


def report_text(report: HoldReport, columns: int, signs: Signs) -> str:
    """For a terminal, or a file."""
    lines = [f"{name:22} {words}" for name, words in report_facts(report)]
    lines += ["", "timeline"]
    lines += [
        f"{_at(step):>10}  {_plain(step.what):14} {step.words}".rstrip() for step in report.steps
    ]
    if report.samples:
        samples = [(at, Waiting(count, 0, True)) for at, count in report.samples]
        graph = sparkline(samples, max(1, columns - 22), signs)
        lines += ["", f"{'waiting over time':22} {graph}"]
    if report.haproxies:
        lines += ["", _row(COLUMNS)]
        lines += [_row(_cells(one)) for one in report.haproxies]
    return tamed("\n".join(line.rstrip() for line in lines))


def report_picture(report: HoldReport) -> Picture:
    """The timeline, and how many waited over time."""
    hold = report.hold
    ended = next((one.at_s for one in report.steps if one.what == "released"), None)
    unknown = [
        _plain(one.what) for one in report.steps if one.at_s is None and one.happened is not False
    ]
    why = f": {hold.reason}" if hold.reason else ""
    return Picture(
        title=f"Hold of {', '.join(hold.frontends)}{why}",
        subtitle=f"{_date(hold.started_at)}, by {hold.owner}; {_ended(report)}",
        points=[],
        markers=[
            Marker(one.at_s, f"{_plain(one.what)} {one.at_s:.2f} s")
            for one in report.steps
            if one.at_s is not None
        ],
        held=None if ended is None else (0.0, ended),
        curve=report.samples,
        axis_x="seconds since the hold began"
        + (f" ({UNKNOWN}: {', '.join(unknown)})" if unknown else ""),
        axis_y="requests that wait",
        counts=True,
    )


def report_svg(report: HoldReport) -> str:
    """One picture, light or dark as its reader."""
    return svg(report_picture(report))


def report_html(report: HoldReport) -> str:
    """One file, with no script, and nothing from elsewhere."""
    facts = "".join(
        f"<tr><th>{escape(name)}</th><td>{_text(words)}</td></tr>"
        for name, words in report_facts(report)
    )
    steps = "".join(
        f"<tr><td>{_at(step)}</td><td>{_text(_plain(step.what))}</td>"
        f"<td>{_text(step.words)}</td></tr>"
        for step in report.steps
    )
    head = "".join(f"<th>{escape(name)}</th>" for name in (*COLUMNS, "over time"))
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{_text(cell)}</td>" for cell in _cells(one))
        + f"<td>{_small_svg(one, report)}</td></tr>"
        for one in report.haproxies
    )
    title = f"Hold of {_text(', '.join(report.hold.frontends))}"
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{STYLE}{PAGE_STYLE}</style></head><body><h1>{title}</h1>"
        f"<table>{facts}</table><h2>Over time</h2>{report_svg(report)}"
        f"<h2>Timeline</h2><table>{steps}</table>"
        f"<h2>Each HAProxy</h2><table><tr>{head}</tr>{rows}</table></body></html>\n"
    )


def _small_svg(one: OfHaproxy, report: HoldReport) -> str:
    """How many waited there over time; all HAProxies on the same scales."""
    if not one.samples:
        return UNKNOWN
    ended = max(at for other in report.haproxies for at, _ in other.samples) or 1.0
    counts = (count for other in report.haproxies for _, count in other.samples)
    most = max([1, *counts])
    points = " ".join(
        f"{at / ended * SMALL_WIDTH:.1f},{SMALL_HEIGHT - count / most * SMALL_HEIGHT:.1f}"
        for at, count in one.samples
    )
    return (
        f'<svg viewBox="0 -1 {SMALL_WIDTH} {SMALL_HEIGHT + 2}" width="{SMALL_WIDTH}" '
        f'height="{SMALL_HEIGHT}" role="img"><title>Requests that waited there</title>'
        f'<polyline points="{points}" fill="none" stroke="var(--line)" stroke-width="1.5"/></svg>'
    )


def _cells(one: OfHaproxy) -> List[str]:
    numbers = (one.most_waiting, one.given_up, one.rejected, one.leaked, one.in_flight)
    longest = UNKNOWN if one.longest_s is None else f"{one.longest_s:.2f}"
    return [one.name, _count(one.waited), longest, *map(_count, numbers)]


def _row(cells: Sequence[str]) -> str:
    return " ".join([f"{cells[0]:20}", *(f"{cell:>9}" for cell in cells[1:])])


def _ended(report: HoldReport) -> str:
    hold = report.hold
    if hold.ended == "held":
        return "it is in effect"
    by = f" (by {hold.ended_by})" if hold.ended_by else ""
    after = "" if hold.held_s is None else f" after {hold.held_s:.2f} s"
    ended = "how it ended is unknown" if hold.ended == "unknown" else hold.ended
    return f"{ended.replace('_', ' ')}{by}{after}"


def _at(step: Step) -> str:
    if step.at_s is not None:
        return f"{step.at_s:+.2f} s"
    return "-" if step.happened is False else UNKNOWN


def _plain(what: str) -> str:
    return what.replace("_", " ")


def _text(words: str) -> str:
    return escape(tamed(words))


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))


def _count(value: Optional[int]) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _seconds(value: Optional[float]) -> str:
    return UNKNOWN if value is None else f"{value:.2f} s"


def _about(value: Optional[float]) -> str:
    return UNKNOWN if value is None else f"about {value:.1f} s, by the looks"


def _milliseconds(value: Optional[float]) -> str:
    return UNKNOWN if value is None else f"{value:.2f} ms"
