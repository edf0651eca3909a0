"""Continues a cutover whose caller was killed in it: the leash runs it.

A change of the dead may still be on its way, and all that it may have sent leads to the new code.
So the way is forward: the cutover is applied to all HAProxies, as the holder would have done it.
Only if it cannot be had everywhere, it is undone, and with --on-failure the command, too.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import sys
import time
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, NoReturn, Optional

import stillgate._core as _core
from stillgate.clock import boot_time
from stillgate.postgres import OPTIONS as PG_OPTIONS
from stillgate.postgres import libpq_environment
from stillgate.results.from_core import to_report
from stillgate.results.printing import tamed

SHELL = "/bin/sh"
CONTINUES = "STILLGATE_CONTINUES"
# Of the path of the dead process, not of the folder that it stood in.
MODULE = "import sys; sys.path[:] = sys.argv[2:]; import stillgate.continuing as it; it.main()"
FOR_THE_UNDO = 0.5  # of the time that is left, what the cutover leaves for --on-failure
TO_TAKE_BACK = 0.5  # seconds that it leaves at most to be taken back in, where that is all
RETRY_BACK = 1.0  # seconds of one attempt to take it back
LOOK = 0.05  # seconds
F_SETPIPE_SZ = 1031  # of fcntl.h; in Python from 3.10 on
LEAST_PIPE = 1 << 16


def undo_argv(command: str) -> List[str]:
    """Runs the command, if it is not empty; with CONTINUES in its environment it continues the
    cutover first.
    """
    path = [one for one in sys.path if one]
    me = [sys.executable, "-I", "-c", MODULE, command, *path]
    script = f'if [ -n "${CONTINUES}" ]; then exec {shlex.join(me)}; fi; exec {SHELL} -c "$1"'
    return [SHELL, "-c", script, "sh", command]


def command_environment(
    hold: str,
    seconds: float,
    until: float,
    cutover: str,
    statements: Optional[float] = None,
    check_interval: bool = False,
) -> Dict[str, str]:
    """What a command gets inside a hold: it has so many seconds, `until` so many from now, and so
    many for its statements in PostgreSQL, if that is asked for.
    """
    moment = datetime.fromtimestamp(time.time() + until, timezone.utc)
    told = {
        "STILLGATE_HOLD_ID": hold,
        "STILLGATE_DEADLINE": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "STILLGATE_SECONDS": f"{max(seconds, 0.0):.1f}",
        "STILLGATE_CUTOVER": cutover,
    }
    if statements is not None:
        told.update(libpq_environment(statements, os.environ.get(PG_OPTIONS, ""), check_interval))
    return told


def will(told: Mapping[str, Any], left: float, grace: float, pg: Optional[bool]) -> int:
    """A descriptor to read what main() needs: what Suspension.told() says, the seconds that are
    left of the hold, and whether PostgreSQL knows the check interval (None: not asked for).
    """
    text = json.dumps({**told, "deadline": boot_time() + left, "grace": grace, "postgres": pg})
    # A pipe: where no file may grow, neither may one in memory.
    reading, writing = os.pipe()
    try:
        rest = text.encode()
        fcntl.fcntl(writing, F_SETPIPE_SZ, max(LEAST_PIPE, len(rest)))
        while rest:
            written = os.write(writing, rest)
            rest = rest[written:]
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return reading


class _Release:
    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        fleet = told["fleet"]
        self._core = _core.Fleet(fleet["endpoints"], on_event="", **fleet["options"])

    @property
    def left(self) -> float:
        """Seconds of the hold."""
        return max(0.0, float(self._told["deadline"]) - boot_time())

    def complete(self, undoes: bool) -> str:
        """What became of the cutover: applied, refused, undone or unknown. `undoes`: there is an
        --on-failure to run if it cannot be had.
        """
        inside = {"hold": self._told["hold"], "frontends": self._told["frontends"]}
        keep = self.left * FOR_THE_UNDO
        if not undoes:
            keep = min(keep, TO_TAKE_BACK)
        state = "busy"
        while state == "busy" and self.left > keep:
            # A call of somebody else's may be at it.
            retry_for = min(self._told["retry_for"], self.left - keep)
            state = self._call(retry_for=retry_for, keep=keep, **inside)
        if state == "applied":
            return state
        keep = self.left / 2
        while True:
            back = self._call(retry_for=min(RETRY_BACK, self.left / 4), back=True)
            if back == "applied":
                return "undone"
            if back == "no record":
                # Not even the dead has begun it, or it was undone a moment ago.
                return "undone" if state == "undone" else "refused"
            if self.left <= keep:
                return "unknown"

    def _call(self, **options: Any) -> str:
        core = self._core.cutover(cutover=self._told["cutover"], **options)
        report = to_report(core)
        code = report.error.code if report.error else ""
        if code == "cutover_busy":
            time.sleep(LOOK)
            return "busy"
        if code == "cutover_no_record":
            return "no record"
        if report.error:
            _say(report.error.message)
        return report.cutover.state if report.cutover else "unknown"

    def environment(self, state: str) -> Dict[str, str]:
        grace, pg = self._told["grace"], self._told["postgres"]
        statements = None if pg is None else self.left - grace
        return command_environment(
            self._told["hold"], self.left, self.left, state, statements, bool(pg)
        )


def _say(words: str) -> None:
    try:
        print(tamed(f"stillgate: {words}"), file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        pass


def main() -> NoReturn:
    """What it continues is on standard input, and the command of --on-failure in sys.argv[1]."""
    release = _Release(json.load(sys.stdin))
    state = release.complete(bool(sys.argv[1]))
    if state == "applied":
        _say("the holder was killed in the cutover, which was completed: the new code serves")
        sys.exit(0)
    if not sys.argv[1]:
        _say(f"the holder was killed in the cutover, which is {state} now")
        sys.exit(1)
    _say(f"the holder was killed, the cutover is {state}; running --on-failure")
    environment = {**os.environ, **release.environment(state)}
    del environment[CONTINUES]
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.execve(SHELL, [SHELL, "-c", sys.argv[1]], environment)
