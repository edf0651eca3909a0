"""What a hold would send, in order; tests hold it against what a real one sends. Values that are
made only then are in <>.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from stillgate.console.dry_cutover import (
    DryHaproxy,
    Line,
    changes_by_endpoint,
    lines_of,
    ready_lines,
)
from stillgate.gate import encode
from stillgate.results.cutover import CutoverChange
from stillgate.results.report import Report, Switch

VARIABLES, COMPARES, WAITS = (2, 4), (2, 6), (3, 0)  # the HAProxies that have them


def dry_run_of(check: Report, command: str, options: Mapping[str, Any]) -> List[DryHaproxy]:
    """`options` are those of Fleet.suspended(), `command` what is run inside the hold."""
    by_endpoint: Dict[str, List[Switch]] = {}
    for one in check.switches:
        by_endpoint.setdefault(one.endpoint, []).append(one)
    changes = changes_by_endpoint(check.cutover)
    return [
        DryHaproxy(
            url, those[0].endpoint_name, _lines(those, changes.get(url, []), command, options)
        )
        for url, those in by_endpoint.items()
    ]


def dry_run_document(haproxies: Sequence[DryHaproxy], check: Report) -> Dict[str, Any]:
    """hold --dry-run, but for the schema and the action."""
    return {
        "ok": check.ok,
        "haproxies": [
            {**vars(one), "lines": [vars(line) for line in one.lines]} for one in haproxies
        ],
        "check": check.document,
    }


# --- in order -------------------------------------------------------------------------


def _lines(
    switches: Sequence[Switch],
    changes: Sequence[CutoverChange],
    command: str,
    options: Mapping[str, Any],
) -> List[Line]:
    ready_first = bool(options.get("ready_first"))
    lines = ready_lines(changes, ready_first)
    if options.get("cutover"):
        lines.append(Line("check", None, "reads whether the cutover would be possible"))
    lines.append(
        Line("check", None, "reads what it is and what it holds (as stillgate check does)")
    )
    lines += [line for one in switches for line in _guard(one)]
    lines += _locks(switches)
    for phase in (_arm, _hold):
        lines += [line for one in switches for line in phase(one)]
    lines.append(Line("drain", None, "reads until nothing is in flight (--drain-timeout)"))
    lines += [line for one in switches for line in _record(one)]
    lines.append(Line("run", None, command))
    if options.get("cutover"):
        words = "extends the hold on every HAProxy, where it has too little time left for this"
        lines += [Line("cutover", None, words), *lines_of(changes, ready_first)]
    if options.get("wait_up") or options.get("wait_up_for"):
        lines.append(Line("wait", None, "reads until a server of each backend is up (--wait-up)"))
    ramp_ms = round(1000 * (options.get("ramp") or 0.0))
    lines += [line for one in switches for line in _release(one, ramp_ms)]
    lines += [line for one in switches for line in _ended(one)]
    if options.get("cutover"):
        words = "reads for 1 s whether a reload has lost the cutover, and then applies it again"
        lines.append(Line("look", None, words))
    return lines


def _guard(one: Switch) -> List[Line]:
    if one.method == "gate":
        return []
    words = "starts the guard of this machine, which reads the HAProxy once more"
    if _has(one, WAITS):
        words += " and has a release wait in it: set timeout cli ...; wait ...; set maxconn ..."
    return [Line("guard", None, words)]


def _lock(one: Switch) -> List[Line]:
    name = one.frontend
    if _has(one, COMPARES):
        return _set(one, "lock", f"proc.stillgate_next_{encode(name)}_<last>,ifnotset", "lock")
    if one.method == "gate":
        return [Line("lock", f"stillgate lock {name} <id> <milliseconds> <record>")]
    return []


def _locks(switches: Sequence[Switch]) -> List[Line]:
    """By name. Which HAProxy comes first is known only then: there each lock is taken only if the
    one before it was had, at the others all are taken at once.
    """
    locked = [one for one in sorted(switches, key=lambda one: one.frontend) if _lock(one)]
    lines = _lock(locked[0]) if locked else []
    for before, one in zip(locked, locked[1:]):
        words = (
            f"the same for {one.frontend}, at the first HAProxy only if {before.frontend}'s was had"
        )
        lines.append(Line("lock", None, words))
    return lines


def _arm(one: Switch) -> List[Line]:
    lines = []
    if one.method != "gate" and _has(one, VARIABLES):
        lines += _set(one, "arm", f"proc.stillgate_maxconn_{encode(one.frontend)}", "record")
    if _has(one, COMPARES):
        lines += _set(one, "arm", f"proc.stillgate_lock_{encode(one.frontend)}", "lock")
    return lines


def _hold(one: Switch) -> List[Line]:
    if one.method != "gate":
        return [Line("hold", f"set maxconn frontend {one.frontend} 0")]
    return _switch(one, "hold", "<hold>")


def _record(one: Switch) -> List[Line]:
    """What is in flight no more is counted from now."""
    if not _has(one, VARIABLES):
        return []
    if one.method == "gate":
        return _switch(one, "record", "<hold>")
    return _set(one, "record", f"proc.stillgate_maxconn_{encode(one.frontend)}", "record")


def _release(one: Switch, ramp_ms: int) -> List[Line]:
    if one.method == "gate":
        return _switch(one, "release", f"open.{ramp_ms}.<id>")
    limit = one.limit_now
    if ramp_ms:
        words = f"set maxconn frontend {one.frontend}, in steps up to {limit}"
        return [Line("release", None, words)]
    return [Line("release", f"set maxconn frontend {one.frontend} {limit}")]


def _ended(one: Switch) -> List[Line]:
    lines = []
    if _has(one, COMPARES):
        lines += _set(one, "release", f"proc.stillgate_ended_{encode(one.frontend)}", "end")
    if one.method != "gate" and _has(one, VARIABLES):
        lines += _set(one, "release", f"proc.stillgate_maxconn_{encode(one.frontend)}", "")
    return lines


# --- a line ---------------------------------------------------------------------------


def _switch(one: Switch, phase: str, word: str) -> List[Line]:
    if _has(one, VARIABLES):
        setting = f"set var proc.stillgate_gate_{encode(one.frontend)} str({word})"
        lines = [Line(phase, "experimental-mode on"), Line(phase, setting)]
    else:
        lines = [Line(phase, f"set table stillgate key {one.frontend}/<hold> data.gpt0 <number>")]
    return [*lines, Line(phase, f"stillgate sync {one.frontend}")]


def _set(one: Switch, phase: str, variable: str, value: str) -> List[Line]:
    told = f"<{value}>" if value else ""
    on = Line(phase, "experimental-mode on")
    return [on, Line(phase, f"set var {variable} str({told})")]


def _has(one: Switch, release: Tuple[int, int]) -> bool:
    parts = (one.version or "").split(".")[:2]
    return (
        len(parts) == 2
        and all(part.isdigit() for part in parts)
        and (
            int(parts[0]),
            int(parts[1]),
        )
        >= release
    )
