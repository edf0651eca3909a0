"""What was measured of a hold, kept beside the history: a line per look while it lasts, and one at
its end. What fails here fails no hold.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import stillgate._core as _core
from stillgate.files import append_line, read_plain
from stillgate.results.report import Report, Switch

MOST_BYTES = 4 * 1024 * 1024  # of one hold
MOST_HOLDS = 200  # the oldest go
STEP = "step"  # in place of an action: what was done inside the hold
ENDED = "ended"  # in place of an action: what a gate says of a hold that is over
ENDS = (ENDED, "resume")
_ID = re.compile(r"^[0-9a-f]{1,64}$")
_COUNTED = ("held", "released", "given_up", "rejected", "longest_wait_ms", "most_waiting")


def note(report: Report, at: Optional[float] = None, cut_at: Optional[float] = None) -> None:
    """The report of a suspend, a look or a resume: a line for each of its holds. `cut_at` is when
    the cutover of a resume was over.
    """
    moment = time.time() if at is None else at
    with suppress(OSError):
        for hold in {one.hold_id for one in report.switches if one.hold_id}:
            switches = [one for one in report.switches if one.hold_id == hold]
            path = _path(hold)
            if path is None:
                continue
            line = {"at": moment, "action": report.action, "switches": [_told(s) for s in switches]}
            if report.action == "suspend":
                line["drained"] = report.drained
                _make_room(path.parent)
            if report.action == "resume":
                line["cutover"] = report.cutover.state if report.cutover else None
                line["cut_at"] = cut_at
            append_line(path, json.dumps(line, separators=(",", ":")), MOST_BYTES)


def note_step(hold: str, what: str, words: str, at: float) -> None:
    """Something that was done inside a hold: `what` is command, cutover and so on."""
    path = _path(hold)
    if path is None:
        return
    line = {"at": at, "action": STEP, "what": what, "words": words, "switches": []}
    with suppress(OSError):
        append_line(path, json.dumps(line, separators=(",", ":")), MOST_BYTES)


def note_ended(
    report: Report,
    expired: Mapping[str, Sequence[Switch]],
    ask: Callable[[Sequence[str], Sequence[str]], Mapping[str, Mapping[str, str]]],
    at: Optional[float] = None,
) -> None:
    """A status after holds that HAProxy itself has ended: `expired` has switches of it
    by the id of their last hold. Their counters are kept, once, where `ask(endpoints, frontends)`
    says that the gates still count for that hold: ids by endpoint and frontend.
    """
    for hold, switches in expired.items():
        counted = [one for one in switches if one.gate is not None]
        lines = read(hold)
        path = _path(hold)
        if not counted or path is None or any(line["action"] in ENDS for line in lines):
            continue
        endpoints = list(dict.fromkeys(one.endpoint for one in counted))
        of = ask(endpoints, list(dict.fromkeys(one.frontend for one in counted)))
        sure = [one for one in counted if of.get(one.endpoint, {}).get(one.frontend) == hold]
        if len(sure) != len(switches):
            continue
        told = [{**_told(one), "waiting": None, "in_flight": None} for one in sure]
        line = {"at": time.time() if at is None else at, "action": ENDED, "switches": told}
        with suppress(OSError):
            append_line(path, json.dumps(line, separators=(",", ":")), MOST_BYTES)


def read(hold: str, folder: Optional[str] = None) -> List[Dict[str, Any]]:
    """The lines of a hold, the oldest first; none where nothing was measured."""
    path = _path(hold, folder)
    lines: List[Dict[str, Any]] = []
    if path is None:
        return lines
    try:
        text = read_plain(path, MOST_BYTES).data.decode("utf-8", "replace")
    except OSError:
        return lines
    for line in text.splitlines():
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(line)
            if isinstance(told["switches"], list) and isinstance(told["at"], (int, float)):
                lines.append(told)
    return lines


def _told(one: Switch) -> Dict[str, Any]:
    gate = one.gate
    return {
        "endpoint": one.endpoint,
        "endpoint_name": one.endpoint_name,
        "frontend": one.frontend,
        "verdict": one.verdict,
        "method": one.method,
        "waiting": one.waiting,
        "in_flight": one.in_flight,
        "leaked": one.leaked,
        "rate": one.rate,
        **{name: getattr(gate, name) if gate else None for name in _COUNTED},
    }


def _path(hold: str, folder: Optional[str] = None) -> Optional[Path]:
    """None for what is no id: it would be the name of another file."""
    if not _ID.match(hold):
        return None
    return Path(folder or _core.state_directory()) / "measured" / f"{hold}.jsonl"


def _make_room(folder: Path) -> None:
    if not folder.is_dir():
        return
    files = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    for path in files[: max(0, len(files) - MOST_HOLDS + 1)]:
        os.unlink(path)
