"""Tables for people: successes first and short, failures last and in full."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Protocol, Sequence, Tuple, Union

from stillgate.clock import wall
from stillgate.results.cutover import CutoverResult
from stillgate.results.haproxy import Info, StatRow
from stillgate.results.hold import Hold, PastHold, PastHolds
from stillgate.results.lists import Answers, Outcomes
from stillgate.results.outcome import Answer, Error, Outcome
from stillgate.results.printing import draw, to_width
from stillgate.results.rehearsal import Rehearsal, RehearsedHaproxy, WaitsAfter
from stillgate.results.report import Report, Switch

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


SHOWN_LINES = 3
MOST_PLACES = 5
GUARDS = 2  # of a hold by maxconn: one that works, and its standby
GUARD_WORDS = {
    0: ": NOTHING ENDS THIS HOLD but its holder or a resume",
    1: ": if it dies before another has started, nothing ends this hold but a resume",
    2: "",
}
BETWEEN = 2  # columns of a terminal between two of a table
COLUMNS = (
    "endpoint",
    "frontend",
    "verdict",
    "method",
    "limit",
    "before",
    "waiting",
    "in flight",
    "leaked",
    "HAProxy",
    "rtt ms",
)
VERDICT = COLUMNS.index("verdict")
# Left out where there is no room for all: the first of them first. --json has them.
SPARE_COLUMNS = ("rtt ms", "HAProxy", "before", "limit", "method", "in flight")
HISTORY_COLUMNS = (
    "started",
    "frontends",
    "HAProxies",
    "owner",
    "ended",
    "held s",
    "window ms",
    "skew ms",
    "drain ms",
    "leaked",
    "reapplied",
    "lost",
    "reason",
)
CUTOVER_COLUMNS = ("endpoint", "change", "before", "wanted", "now", "written", "state")
CUTOVER_WORDS = {
    "possible": "possible; nothing was changed",
    "refused": "refused; nothing was changed",
    "applied": "in effect on every HAProxy",
    "undone": "could not be had everywhere, and was undone everywhere",
    "unknown": "could not be had everywhere, nor be undone everywhere",
}
INFO_COLUMNS = ("endpoint", "HAProxy", "node", "pid", "up s", "conns", "maxconn", "stopping")
STAT_COLUMNS = ("endpoint", "proxy", "service", "status", "sessions", "limit", "queued", "so far")
STYLES = {
    "held": "yellow",
    "resumed": "green",
    "open": "green",
    "reverted": "magenta",
    "unknown": "bold red",
}


@draw.register(Outcomes)
def draw_outcomes(outcomes: Sequence[Outcome], out: Console) -> None:
    """The reply itself for one endpoint; a table with the beginnings of replies for many."""
    well = [outcome for outcome in outcomes if outcome.ok]
    if len(outcomes) == 1 and well:
        out.print(well[0].reply, soft_wrap=True)
        return
    if well:
        out.print(_outcome_table(well))
    draw_failed(outcomes, out)


def draw_failed(outcomes: Sequence[Outcome], out: Console) -> None:
    """Without those that are well, which are counted."""
    well = [outcome for outcome in outcomes if outcome.ok]
    _draw_failures(out, [(_place(outcome), outcome.error) for outcome in outcomes])
    out.print(_answered(len(well), len(outcomes)))


@draw.register(Answers)
def draw_answers(answers: Sequence[Answer[Any]], out: Console) -> None:
    """A line for each endpoint's `show info`, or for each row of its `show stat`."""
    table = _table(*(STAT_COLUMNS if _are_rows(answers) else INFO_COLUMNS))
    well = [answer for answer in answers if answer.error is None]
    for answer in well:
        value = answer.value
        for one in value if isinstance(value, list) else [value]:
            table.add_row(_place(answer), *map(_text, _cells(one)))
    if well:
        out.print(table)
    _draw_failures(out, [(_place(answer), answer.error) for answer in answers])
    out.print(_answered(len(well), len(answers)))


@draw.register(Report)
def draw_report(report: Report, out: Console) -> None:
    if report.switches:
        out.print(_switch_table(report.switches, out.width))
    for hold in report.holds:
        out.print(_hold_line(hold, report.switches), soft_wrap=True)
    for line in _guard_lines(report.holds):
        out.print(line, soft_wrap=True)
    for line in _gate_lines(report.switches):
        out.print(line, soft_wrap=True)
    # A suspend shows only warnings; the rest is for the check.
    levels = ("warning",) if report.action == "suspend" else ("warning", "info")
    for line in _finding_lines(report.switches, levels):
        out.print(line, soft_wrap=True)
    _draw_failures(
        out, [(f"{one.frontend} at {_place(one)}", one.error) for one in report.switches]
    )
    if report.cutover:
        _draw_cutover(report.cutover, out)
    if report.error:
        out.print(f"FAILED {report.error}", style="bold red", soft_wrap=True)
    out.print(_summary(report))


def _draw_cutover(cutover: CutoverResult, out: Console) -> None:
    if cutover.changes:
        table = _table(*CUTOVER_COLUMNS)
        for one in cutover.changes:
            table.add_row(
                _place(one),
                one.what,
                _text(one.before),
                one.wanted,
                _text(one.now),
                _text(one.written),
                one.state,
            )
        out.print(table)
    _draw_failures(out, [(f"{one.what} at {_place(one)}", one.error) for one in cutover.changes])
    for words in cutover.unshown:
        out.print(f"note: {words}", soft_wrap=True)
    name = f"{cutover.name} --back" if cutover.back else cutover.name
    out.print(f"cutover {name}: {CUTOVER_WORDS[cutover.state]}", soft_wrap=True)


@draw.register(PastHolds)
def draw_history(holds: Sequence[PastHold], out: Console) -> None:
    """One line per hold, the newest first."""
    if not holds:
        out.print("no hold found")
        return
    table = _table(*HISTORY_COLUMNS)
    for one in holds:
        table.add_row(
            time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(one.started_at)),
            ", ".join(one.frontends),
            _text(one.endpoints),
            one.owner,
            _ending(one),
            "-" if one.held_s is None else f"{one.held_s:.2f}",
            _milliseconds(one.commit_window_ms),
            _milliseconds(one.skew_ms),
            _milliseconds(one.drain_ms),
            _text(one.leaked),
            _text(one.reapplied or None),
            _text(one.endpoints_lost or None),
            one.reason,
        )
    out.print(table)


@draw.register(Rehearsal)
def draw_rehearsal(rehearsal: Rehearsal, out: Console) -> None:
    """80 columns, a line per HAProxy, and what follows from it."""
    names = ", ".join(rehearsal.frontends)
    watched = f"{names}: watched for {rehearsal.watched_s:.1f} s, nothing was held"
    out.print(watched, soft_wrap=True)
    moments = [f"{one.after_s:g} s" for one in rehearsal.waits]
    title = ["HAProxy", "comes/s", *moments, "flight", "drain s", "full first"]
    out.print(_rehearsed_line(title), style="bold", soft_wrap=True)
    for one in rehearsal.haproxies:
        out.print(_rehearsed_line(_rehearsed_cells(one)), soft_wrap=True)
    if len(rehearsal.haproxies) > 1:
        cells = ["all", _rate(rehearsal.arrivals_per_s), *_waiting_cells(rehearsal.waits)]
        out.print(_rehearsed_line([*cells, "", _short(rehearsal.drain_s), ""]), soft_wrap=True)
    for line in [*_herd_lines(rehearsal), *rehearsal.notes]:
        out.print(line, soft_wrap=True)
    for place in (one for one in rehearsal.haproxies if one.error):
        _draw_failures(out, [(_place(place), place.error)])
    _draw_failures(
        out, [(f"{one.frontend} at {_place(one)}", one.error) for one in rehearsal.check.switches]
    )
    out.print(_advice_words(rehearsal), soft_wrap=True)
    out.print(f"check: {_summary(rehearsal.check)}", soft_wrap=True)


REHEARSED_WIDTHS = (14, 8, 7, 7, 7, 6, 7)


def _rehearsed_line(cells: Sequence[str]) -> str:
    told = [to_width(cells[0], REHEARSED_WIDTHS[0])]
    told += [f"{cell:>{width}}" for cell, width in zip(cells[1:], REHEARSED_WIDTHS[1:])]
    return " ".join([*told, cells[-1]]).rstrip()


def _rehearsed_cells(one: RehearsedHaproxy) -> List[str]:
    in_flight = "?" if one.in_flight is None else f"{one.in_flight:.0f}"
    first = one.fills[0] if one.fills else None
    full = "-" if first is None else f"{first.what} {_short(first.at_s)}"
    cells = [_place(one), _rate(one.arrivals_per_s), *_waiting_cells(one.waits)]
    return [*cells, in_flight, _short(one.drain_s), full if one.arrivals_per_s is not None else "?"]


def _waiting_cells(waits: Sequence[WaitsAfter]) -> List[str]:
    return ["?" if one.waiting is None else f"{one.waiting:,}" for one in waits]


def _herd_lines(rehearsal: Rehearsal) -> List[str]:
    """What comes after the release, where it is known: of the HAProxy that takes longest."""
    herds = [(one.herd, _place(one)) for one in rehearsal.haproxies if one.herd]
    known = [(one.servers_s, one, place) for one, place in herds if one.servers_s is not None]
    released = f"released at once after {rehearsal.max_hold_s:g} s: {_text(rehearsal.herd)}"
    if not known:
        return [released]
    servers_s, herd, place = max(known, key=lambda one: one[0])
    if not servers_s:
        return [f"{released}; the servers take all of them at once"]
    return [
        f"{released}; the servers need about {_short(servers_s)} s for them, the last one waits "
        f"{_short(herd.last_wait_s)} s ({place}: backend '{herd.backend}', {herd.slots} at a time)"
    ]


def _advice_words(rehearsal: Rehearsal) -> str:
    asked = f"{rehearsal.max_hold_s:g} s"
    if rehearsal.advised_s is None:
        longest = rehearsal.reason
    else:
        longest = f"at most {rehearsal.advised_s:g} s. {rehearsal.reason}"
    verdict = "can be held" if rehearsal.fits else "is TOO LONG"
    if not rehearsal.fits and (
        rehearsal.advised_s is None or rehearsal.advised_s >= rehearsal.max_hold_s
    ):
        verdict = "CANNOT be held now"
    return f"{asked} {verdict}; advised: {longest}"


def _rate(value: Optional[float]) -> str:
    return "?" if value is None else f"{value:,.1f}"


def _short(seconds: Optional[float]) -> str:
    if seconds is None:
        return "?"
    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:.0f}"


class _Placed(Protocol):
    @property
    def endpoint(self) -> str:
        ...

    @property
    def endpoint_name(self) -> str:
        ...


def _place(one: _Placed) -> str:
    """What people call it."""
    return one.endpoint_name or one.endpoint


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _answered(well: int, asked: int) -> str:
    return f"{well} of {asked} answered" + (f", {asked - well} FAILED" if asked > well else "")


def _are_rows(answers: Sequence[Answer[Any]]) -> bool:
    return any(isinstance(answer.value, list) for answer in answers)


def _cells(value: Union[Info, StatRow]) -> Tuple[object, ...]:
    """In the order of INFO_COLUMNS or STAT_COLUMNS."""
    if isinstance(value, Info):
        stopping = None if value.stopping is None else "yes" if value.stopping else "no"
        connections = (value.curr_conns, value.maxconn)
        return value.version, value.node, value.pid, value.uptime_s, *connections, stopping
    now = (value.scur, value.slim, value.qcur, value.stot)
    return value.pxname, value.svname, value.status, *now


def _ending(hold: PastHold) -> str:
    if hold.ended == "expired" and hold.ended_by == "haproxy":
        return "expired (by HAProxy)"
    return hold.ended.replace("_", " ")


def _milliseconds(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.2f}"


def _hold_line(hold: Hold, switches: Sequence[Switch]) -> str:
    until = until_words(hold, switches)
    why = f": {hold.reason}" if hold.reason else ""
    return f"hold {hold.id} by {hold.owner} since {wall(hold.started_at)} {until}{why}"


def until_words(hold: Hold, switches: Sequence[Switch]) -> str:
    """When it ends, and by whom."""
    if hold.deadline is None:
        return "until somebody resumes"
    leases = sorted({one.lease for one in switches if one.hold_id == hold.id and one.lease})
    by = f" ({', '.join(leases)})" if leases else ""
    return f"until {wall(hold.deadline)}{by}"


def _guard_lines(holds: List[Hold]) -> List[str]:
    """What the guard did to them, of a status, and how many are alive."""
    lines = []
    for hold in holds:
        for event in hold.events:
            what = event.event.replace("_", " ")
            lines.append(f"guard: {wall(event.at)} {what}: {event.message}")
        if hold.guards is not None:
            lines.append(f"guards: {hold.guards} of {GUARDS}{GUARD_WORDS[hold.guards]}")
    return lines


def _gate_lines(switches: List[Switch]) -> List[str]:
    """The gates' counters, a line per frontend over all endpoints; none if nothing waited."""
    lines = []
    for name in dict.fromkeys(one.frontend for one in switches):
        counted = [one.gate for one in switches if one.frontend == name and one.gate]
        held = sum(gate.held for gate in counted)
        rejected = sum(gate.rejected for gate in counted)
        if held + rejected == 0:
            continue
        longest = max(gate.longest_wait_ms for gate in counted) / 1000
        lines.append(
            f"gate of {name}: {held} held, {sum(gate.released for gate in counted)} released, "
            f"{sum(gate.given_up for gate in counted)} given up, {rejected} answered 503, "
            f"longest wait {longest:.2f} s"
        )
    return lines


def _finding_lines(switches: List[Switch], levels: Tuple[str, ...]) -> List[str]:
    """A message that is the same at many switches is shown once."""
    places: Dict[Tuple[str, str], List[str]] = {}
    for level in levels:
        for one in switches:
            for finding in one.findings:
                if finding.level == level:
                    key = (level, finding.message)
                    places.setdefault(key, []).append(f"{one.frontend} at {_place(one)}")
    lines = []
    for (level, message), where in places.items():
        place = where[0] if len(where) == 1 else f"{len(where)} switches"
        lines.append(f"{level}: {place}: {message}")
    return lines


def _draw_failures(out: Console, places: List[tuple[str, Optional[Error]]]) -> None:
    """What is the same at many is there once."""
    same: Dict[Tuple[Optional[str], ...], List[str]] = {}
    errors: List[Error] = []
    for place, error in places:
        if error is None:
            continue
        key = (error.code, error.message, error.haproxy, error.partial)
        if key not in same:
            errors.append(error)
        same.setdefault(key, []).append(place)
    for error, where in zip(errors, same.values()):
        out.print(f"FAILED {_places(where)}", style="bold red", soft_wrap=True)
        out.print(f"       {error.code}: {error.message}", soft_wrap=True)
        if error.haproxy:
            out.print(f"       HAProxy: {error.haproxy}", soft_wrap=True)
        if error.partial:
            out.print(f"       it had sent: {error.partial[:200]!r}", soft_wrap=True)


def _places(places: List[str]) -> str:
    """`lb1`; `balanced at lb1, lb2`: the frontend once, and not more than a line of them."""
    shown, more = places[:MOST_PLACES], len(places) - MOST_PLACES
    first, at, _ = shown[0].partition(" at ")
    if at and all(one.startswith(first + at) for one in places):
        shown = [shown[0], *(one.replace(first + at, "", 1) for one in shown[1:])]
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _outcome_table(outcomes: List[Outcome]) -> Table:
    table = _table("endpoint", "ms", "answer")
    table.columns[1].justify = "right"
    for outcome in outcomes:
        lines = (outcome.reply or "").splitlines()
        shown = lines[:SHOWN_LINES]
        if len(lines) > SHOWN_LINES:
            shown.append(f"... {len(lines) - SHOWN_LINES} more lines")
        table.add_row(
            _place(outcome), f"{outcome.timings.answered_ms or 0:.1f}", "\n".join(shown) or "done"
        )
    return table


def _switch_table(switches: List[Switch], width: int) -> Table:
    from rich.text import Text

    cells = [_switch_cells(one) for one in switches]
    shown = _columns_in(width, cells)
    table = _table(*(COLUMNS[place] for place in shown))
    for one, row in zip(switches, cells):
        told: List[Union[str, Text]] = [row[place] for place in shown]
        told[shown.index(VERDICT)] = Text(one.verdict, style=STYLES.get(one.verdict, ""))
        table.add_row(*told)
    return table


def _switch_cells(one: Switch) -> List[str]:
    return [
        _place(one),
        one.frontend,
        one.verdict,
        _text(one.method),
        _text(one.limit_now),
        _text(one.limit_before),
        _waiting(one),
        _text(one.in_flight),
        _text(one.leaked),
        _text(one.version),
        "-" if one.rtt_ms is None else f"{one.rtt_ms:.1f}",
    ]


def _columns_in(width: int, rows: List[List[str]]) -> List[int]:
    """The places of those that have room beside each other."""
    shown = list(range(len(COLUMNS)))

    def needed() -> int:
        widest = (max(map(len, [COLUMNS[place], *(row[place] for row in rows)])) for place in shown)
        return sum(widest) + BETWEEN * (len(shown) - 1)

    for name in SPARE_COLUMNS:
        if needed() <= width:
            break
        shown.remove(COLUMNS.index(name))
    return shown


def _waiting(one: Switch) -> str:
    """With how many may wait, and how many wait in old workers."""
    shown = _text(one.waiting)
    if one.gate and one.gate.bound is not None:
        shown += f" of {one.gate.bound}"
    if one.old_workers and one.old_workers.waiting:
        shown += f" + {one.old_workers.waiting} old"
    return shown


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _summary(report: Report) -> str:
    if report.action == "check":
        warnings = len(_finding_lines(report.switches, ("warning",)))
        counted = f", {warnings} warning{'' if warnings == 1 else 's'}" if warnings else ""
        return f"ready to hold{counted}" if report.ok else "REFUSED, nothing was changed"
    if report.action == "status":
        held = sum(one.verdict == "held" for one in report.switches)
        asked = f"{held} of {len(report.switches)} switches held"
        return asked if report.ok else f"{asked}, but not all HAProxies answered"
    if report.ok:
        timings = {
            "commit window": report.commit_window_ms,
            "skew": report.skew_ms,
            "drained in": report.drain_ms,
        }
        told = [f"{name} {ms:.2f} ms" for name, ms in timings.items() if ms is not None]
        return ", ".join([f"{report.action}: done", *told])
    if report.exit_status == 5:
        return f"{report.action}: TOO LATE, the hold had ended before; all is open"
    refused = report.exit_status in (3, 4)
    return f"{report.action}: " + ("REFUSED, nothing was changed" if refused else "FAILED")
