"""Draws a live state as lines of a terminal: as many as there is room for, none wider than it."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from stillgate.clock import wall
from stillgate.console.live_state import LiveState, Row, Waiting, summed
from stillgate.results.printing import in_width, styled, tamed, to_width

if TYPE_CHECKING:
    from stillgate.results.printing import Text

STYLES = {
    "unknown": "bold red",
    "OVERDUE": "bold red",
    "503": "bold red",
    "mixed": "yellow",
    "held": "yellow",
    "open": "green",
}
COLUMNS = (("HAProxy", 20), ("state", 8), ("waiting", 9), ("in flight", 9), ("leaked", 6))
HEAD_LINES = 5


class Signs:
    """What bars and graphs are made of: blocks, where the terminal can show them."""

    def __init__(self, encoding: Optional[str]) -> None:
        blocks = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
        try:
            blocks.encode(encoding or "ascii")
        except (UnicodeError, LookupError):
            self.steps, self.full, self.empty = "_.-=+*#@", "#", "-"
        else:
            self.steps, self.full, self.empty = blocks, "\u2588", "\u2591"


def live_lines(
    state: LiveState,
    now: float,
    size: Tuple[int, int],
    signs: Signs,
    last: str = "",
    colours: bool = True,
) -> List[str]:
    """`size`: columns and lines. `last` is the bottom line: keys, a question, what came of it."""
    columns, lines = size
    drawn = [
        styled(state.totals(now), _totals_style(state)),
        *_time_lines(state, now, columns, signs),
        _graph_line(state, columns, signs),
        _hold_line(state),
    ]
    drawn = drawn[: max(1, lines - 1)]
    room = lines - len(drawn) - 2 - bool(last)
    rows = state.rows()
    if rows and (room > 0 or len(rows) <= room + 1):
        drawn.append(styled(_cells([name for name, _ in COLUMNS], "note"), "bold"))
        shown = rows if len(rows) <= room + 1 else rows[:room]
        drawn += [_row_line(row) for row in shown]
        if len(shown) < len(rows):
            left = len(shown)
            drawn.append(styled(summed(rows[left:]), "dim"))
    if last:
        drawn += [styled("", "")] * (lines - len(drawn) - 1)
        drawn.append(styled(last, "reverse"))
    return in_width(drawn, columns, colours)


def sparkline(samples: Sequence[Tuple[float, Waiting]], width: int, signs: Signs) -> str:
    """The most that waited in each of `width` spans of time."""
    if not samples or width < 1:
        return ""
    begun, ended = samples[0][0], samples[-1][0]
    width = min(width, len(samples))
    seen: List[Optional[int]] = [None] * width
    for at, waiting in samples:
        span = (at - begun) / (ended - begun) if ended > begun else 0.0
        place = min(width - 1, int(span * width))
        seen[place] = max(seen[place] or 0, waiting.about)
    most: List[int] = []
    for one in seen:
        # Where nobody looked, it is as it was seen last.
        most.append(one if one is not None else most[-1])
    top = max(most)
    if top == 0:
        return signs.steps[0] * width
    highest = len(signs.steps) - 1
    return "".join(signs.steps[-(-one * highest // top)] for one in most)


def bar(share: float, width: int, signs: Signs) -> str:
    filled = round(min(1.0, max(0.0, share)) * width)
    return signs.full * filled + signs.empty * (width - filled)


def _time_lines(state: LiveState, now: float, columns: int, signs: Signs) -> List[Text]:
    time, hold = state.time(now), state.hold
    if time is None or hold is None:
        return []
    if time.whole_s is None or time.left_s is None or hold.deadline is None:
        return [styled("no deadline: nothing ends it by itself", "bold red")]
    words = f" {max(0.0, time.left_s):.1f} s left, until {wall(hold.deadline)}"
    share = time.held_s / time.whole_s if time.whole_s else 1.0
    return [styled(bar(share, max(10, columns - len(words)), signs) + words, "cyan")]


def _graph_line(state: LiveState, columns: int, signs: Signs) -> Text:
    most = max((waiting.about for _, waiting in state.samples), default=0)
    guessed = any(waiting.guessed for _, waiting in state.samples)
    words = f" at most {most:,}" + (" (by the arrivals)" if guessed else "")
    graph = sparkline(list(state.samples), columns - len("waiting ") - len(words), signs)
    return styled(f"waiting {graph}{words}", "magenta")


def _hold_line(state: LiveState) -> Text:
    hold = state.hold
    if hold is None:
        return styled("nothing is held", "green")
    holds = state.report.holds if state.report else []
    others = f" (and {len(holds) - 1} more holds)" if len(holds) > 1 else ""
    why = f": {hold.reason}" if hold.reason else ""
    names = ", ".join(hold.frontends)
    return styled(f"{names} by {hold.owner} since {wall(hold.started_at)}{why}{others}", "")


def _totals_style(state: LiveState) -> str:
    worst = min((row.badness for row in state.rows()), default=9)
    if worst < 3:
        return "bold red"
    return "bold yellow" if state.hold else "bold green"


def _row_line(row: Row) -> Text:
    waiting = row.waiting
    count = f"{waiting.counted:,}" if waiting.whole or waiting.counted else "?"
    if not waiting.whole and waiting.guessed is not None:
        count = f"~{waiting.about:,}"
    cells = [row.name, row.state, count, _number(row.in_flight), _number(row.leaked)]
    # Why nobody knows is all that there is to say, and needs the room.
    shown = cells[:2] if row.state == "unknown" and row.note else cells
    text = styled(_cells(shown, row.note), "")
    begin = COLUMNS[0][1] + 1
    text.stylize(STYLES.get(row.state, ""), begin, begin + len(row.state))
    return text


def _cells(cells: Sequence[str], note: str) -> str:
    told = []
    for number, (cell, (_, width)) in enumerate(zip(cells, COLUMNS)):
        fitted = to_width(tamed(cell).replace("\n", " "), width)
        told.append(fitted if number < 2 else " " * (width - len(cell)) + cell)
    return " ".join([*told, note])


def _number(value: Optional[int]) -> str:
    return "?" if value is None else f"{value:,}"
