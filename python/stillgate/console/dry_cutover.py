"""What a cutover would send, in order: what would be checked first, the changes, and what would put
them back. Tests hold it against what a real one sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from stillgate.results.cutover import Cutover, CutoverChange, CutoverResult


@dataclass(frozen=True)
class Line:
    """`sent` is a line of the runtime API, or None where `words` say all. Those of one phase go to
    all HAProxies before the next phase begins.
    """

    phase: str
    sent: Optional[str]
    words: str = ""


@dataclass(frozen=True)
class DryHaproxy:
    endpoint: str
    endpoint_name: str
    lines: List[Line]


ONLY_IF = "only if it cannot be had on every HAProxy"
ONLY_IF_NOT = "only if one is not up in time, or what follows is refused"
_WAITS_FOR_CHECKS = Line(
    "ready", None, "reads until a check has shown each to be up (--ready-first)"
)
BEFORE = "<what stood there>"


def dry_cutover_of(found: CutoverResult, ready_first: bool) -> List[DryHaproxy]:
    """Without a hold, as `stillgate cutover` would."""
    return [
        DryHaproxy(
            url,
            those[0].endpoint_name,
            [*ready_lines(those, ready_first), *lines_of(those, ready_first)],
        )
        for url, those in changes_by_endpoint(found).items()
    ]


def changes_by_endpoint(found: Optional[CutoverResult]) -> Dict[str, List[CutoverChange]]:
    """In their order."""
    by_endpoint: Dict[str, List[CutoverChange]] = {}
    for one in found.changes if found else []:
        by_endpoint.setdefault(one.endpoint, []).append(one)
    return by_endpoint


def ready_lines(changes: Sequence[CutoverChange], ready_first: bool) -> List[Line]:
    """Before anything is held or changed."""
    if not ready_first:
        return []
    moved = [one for one in changes if _is_made_ready(one) and one.now == "maint"]
    lines = [Line("ready", setting(one.what, "drain")) for one in moved]
    if moved:
        words = "of a server with 'fall 1' then also: set server ... health down"
        lines.append(Line("ready", None, words))
    lines.append(_WAITS_FOR_CHECKS)
    if moved:
        lines.append(Line("undo", None, f"{ONLY_IF_NOT}:"))
    lines += [Line("undo", setting(one.what, "maint"), ONLY_IF_NOT) for one in moved]
    return lines


def lines_of(changes: Sequence[CutoverChange], ready_first: bool) -> List[Line]:
    """From its reading to what would put it back. What was checked first is in drain then."""
    found = [(one.what, _found(one, ready_first), one.wanted) for one in changes]
    return _lines([one for one in found if one[1] != one[2]], changes)


def dry_run_words(haproxies: Sequence[DryHaproxy], notes: Sequence[str] = ()) -> List[str]:
    """What is the same at many is there once."""
    same: Dict[Tuple[Line, ...], List[str]] = {}
    for one in haproxies:
        same.setdefault(tuple(one.lines), []).append(one.endpoint_name or one.endpoint)
    told = []
    for lines, places in same.items():
        told.append(f"{', '.join(places)}:")
        told += [f"  {line.phase:8} {line.sent or line.words}" for line in lines]
    told += [f"note: {words}" for words in notes]
    return [*told, "dry run: nothing was changed"]


def planned_lines(cutover: Cutover, ready_first: bool) -> List[Line]:
    """Where nobody has been asked what is there."""
    rows = rows_of(cutover)
    lines: List[Line] = []
    if ready_first:
        moved = [what for what, value in rows if _makes_ready(what, value)]
        lines = [Line("ready", f"{setting(what, 'drain')}, where it is in maint") for what in moved]
        lines.append(_WAITS_FOR_CHECKS)
    return [*lines, *_lines([(what, BEFORE, value) for what, value in rows], [])]


def rows_of(cutover: Cutover) -> List[Tuple[str, str]]:
    """In the order in which they are written: what begins to serve first, what ends last."""
    states = [(f"server {name} state", value) for name, value in sorted(cutover.servers.items())]
    weights = [
        (f"server {name} weight", str(value)) for name, value in sorted(cutover.weights.items())
    ]
    maps = [
        (f"map {file} {key}", value)
        for file, entries in sorted(cutover.maps.items())
        for key, value in sorted(entries.items())
    ]
    return sorted([*states, *weights, *maps], key=_turn)


def setting(what: str, value: str) -> str:
    """`server app/green1 state` and `ready`, as HAProxy gets it."""
    escaped = value.replace(" ", "\\ ") if value != BEFORE else value
    return f"set {what} {escaped}"


def reading(whats: Iterable[str]) -> str:
    """The commands of it."""
    files = [what.split(" ")[1] for what in whats if what.startswith("map ")]
    return "; ".join(
        [
            "show stat",
            "show servers state",
            "show map",
            *(f"show map {one}" for one in _once(files)),
        ]
    )


def _lines(rows: Sequence[Tuple[str, str, str]], changes: Sequence[CutoverChange]) -> List[Line]:
    reads = reading([one.what for one in changes] or [what for what, _, _ in rows])
    lines = [Line("cutover", None, f"reads what is there: {reads}")]
    if not rows:
        return [*lines, Line("cutover", None, "all of it is already in effect: changes nothing")]
    lines += [Line("cutover", setting(what, wanted)) for what, _, wanted in rows]
    lines.append(Line("cutover", None, f"reads it back, on a new connection: {reads}"))
    lines.append(Line("undo", None, f"{ONLY_IF}, in this order, and read back:"))
    lines += [Line("undo", setting(what, before), ONLY_IF) for what, before, _ in reversed(rows)]
    return lines


def _found(change: CutoverChange, ready_first: bool) -> str:
    if ready_first and _is_made_ready(change) and change.now == "maint":
        return "drain"
    return BEFORE if change.now is None else change.now


def _is_made_ready(change: CutoverChange) -> bool:
    return _makes_ready(change.what, change.wanted)


def _makes_ready(what: str, value: str) -> bool:
    return what.startswith("server ") and what.endswith(" state") and value == "ready"


def _turn(row: Tuple[str, str]) -> int:
    what, value = row
    if what.startswith("map "):
        return 2
    if what.endswith(" weight"):
        return 3 if value == "0" else 1
    return 0 if value == "ready" else 3


def _once(files: Iterable[str]) -> List[str]:
    return list(dict.fromkeys(files))
