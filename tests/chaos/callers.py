"""Each way to call a verb, as tests/chaos/instants.py calls it, and what must be true behind it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import stillgate
import stillgate.aio
from chaos.chef_calls import converge, serving
from stillgate.cli.main import main

F = "balanced"
LASTS = 600.0  # seconds that a hold would last
MAX_HOLD = f"--max-hold={LASTS:g}"
STOPPED = 130
Run = Callable[[str, str, Path], int]
Judge = Callable[[int, bool, str], str]


@dataclass(frozen=True)
class Caller:
    """`run` gets the endpoint, the id of a hold where it wants one, and a folder, and returns the
    exit status. `broken` gets that, whether anything is held, and what was said on standard output.
    One that cuts over has OLD served before, and NEW behind it if it ends well; else one of them.
    The calls are made `within`, and a slow one is struck at that `part` of the instants.
    """

    run: Run
    broken: Judge
    wants_hold: bool = False
    cuts_over: bool = False
    within: Callable[[Path], AbstractContextManager[None]] = lambda folder: nullcontext()
    part: float = 1.0


def _holds_if_well(status: int, held: bool, said: str) -> str:
    if held != (status == 0):
        return f"status {status}, and {'held' if held else 'not held'}"
    return ""


def _never_held(status: int, held: bool, said: str) -> str:
    return f"status {status}, and held" if held else ""


def _open_if_well(status: int, held: bool, said: str) -> str:
    """One that was stopped may have come too early or too late."""
    return f"status {status}, and held" if held and status == 0 else ""


def _holds_if_told(status: int, held: bool, said: str) -> str:
    """Behind the task's end a signal is Fabric's own."""
    if held and status != 0 and "suspend: done" in said:
        return ""
    return _holds_if_well(status, held, said)


def _always_held(status: int, held: bool, said: str) -> str:
    return "" if held else f"status {status}, and not held"


def _cli(*words: str) -> Run:
    def run(endpoint: str, hold_id: str, folder: Path) -> int:
        return main([one.format(id=hold_id, folder=folder) for one in (*words, "-e", endpoint)])

    return run


OLD, NEW = f"{F}_servers/s1", f"{F}_servers/s2"
CUT = ("--serve", f"{NEW}=ready", "--serve", f"{OLD}=maint")


def _command(*words: str) -> Run:
    def run(endpoint: str, hold_id: str, folder: Path) -> int:
        return main(["hold", F, MAX_HOLD, "-e", endpoint, *words, "--", "true"])

    return run


def _api_suspend(endpoint: str, hold_id: str, folder: Path) -> int:
    report: Optional[stillgate.Report] = None
    try:
        report = stillgate.Fleet([endpoint]).suspend(F, max_hold=LASTS)
    finally:
        # Here it is ours, whatever comes now.
        if report is not None:
            os._exit(0)
    return 1


def _api_suspended(endpoint: str, hold_id: str, folder: Path) -> int:
    with stillgate.Fleet([endpoint]).suspended(F, max_hold=LASTS):
        pass
    return 0


def _api_decorated(endpoint: str, hold_id: str, folder: Path) -> int:
    @stillgate.Fleet([endpoint]).suspended(F, max_hold=LASTS)
    def work() -> None:
        pass

    work()
    return 0


def _aio_suspend(endpoint: str, hold_id: str, folder: Path) -> int:
    given = []

    async def work() -> None:
        given.append(await stillgate.aio.Fleet([endpoint]).suspend(F, max_hold=LASTS))

    try:
        asyncio.run(work())
    finally:
        if given:
            os._exit(0)
    return 1


def _aio_suspended(endpoint: str, hold_id: str, folder: Path) -> int:
    async def work() -> None:
        async with stillgate.aio.Fleet([endpoint]).suspended(F, max_hold=LASTS):
            pass

    asyncio.run(work())
    return 0


def _fab(*words: str) -> Run:
    def run(endpoint: str, hold_id: str, folder: Path) -> int:
        from fabric.main import program

        (folder / "fabfile.py").write_text(
            "from stillgate.fabric import check, extend, hold, resume, status, suspend\n"
        )
        (folder / "fabric.yaml").write_text(
            f'{{"stillgate": {{"endpoints": ["{endpoint}"], "frontends": ["{F}"]}}}}'
        )
        os.chdir(folder)
        sys.argv = ["fab", *words]
        program.run(["fab", *words])
        return 0

    return run


def _holds_if_converged(status: int, held: bool, said: str) -> str:
    """Behind the resource it is the recipe's hold, whatever stops the run."""
    if held and "- hold all requests of" in said:
        return ""
    return f"status {status}, and {'held' if held else 'not held'}" if held != (status == 0) else ""


def _chef(recipe: str, broken: Judge) -> Caller:
    def run(endpoint: str, hold_id: str, folder: Path) -> int:
        return converge(recipe, endpoint, folder)

    return Caller(run, broken, within=serving, part=0.1)


CALLERS = {
    "suspend": Caller(_cli("suspend", F, MAX_HOLD), _holds_if_well),
    "suspend-json": Caller(_cli("suspend", F, MAX_HOLD, "--json"), _holds_if_well),
    "hold": Caller(_command(), _never_held),
    "hold-json": Caller(_command("--json"), _never_held),
    "resume": Caller(_cli("resume", F, "--hold", "{id}"), _open_if_well, True),
    "extend": Caller(_cli("extend", F, "30"), _always_held, True),
    "cutover": Caller(_cli("cutover", "new", *CUT), _never_held, cuts_over=True),
    "hold-cutover": Caller(_command(*CUT), _never_held, cuts_over=True),
    "status": Caller(_cli("status", F), _always_held, True),
    "api-suspend": Caller(_api_suspend, _holds_if_well),
    "api-suspended": Caller(_api_suspended, _never_held),
    "api-decorated": Caller(_api_decorated, _never_held),
    "aio-suspend": Caller(_aio_suspend, _holds_if_well),
    "aio-suspended": Caller(_aio_suspended, _never_held),
    "fab-suspend": Caller(_fab("suspend", f"--max-hold={LASTS:g}"), _holds_if_told),
    "fab-hold": Caller(_fab("hold", "-c", "true", f"--max-hold={LASTS:g}"), _never_held),
    "chef-suspend": _chef("suspend", _holds_if_converged),
    "chef-hold": _chef("hold_nothing", _never_held),
}
