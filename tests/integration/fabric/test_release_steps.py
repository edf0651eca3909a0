"""`fab release` on a real PostgreSQL under load of all kinds of clients, and who is killed in it at
which step: the holder, or one of two HAProxies. No request meets code that is unlike its schema.

A few of the steps; with $STILLGATE_ALL_STEPS all of them, as `make chaos` has it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

import pytest

from demo.kinds import KINDS
from demo.stage import FRONTEND, HERE, NEW, OLD, Stage, row_of
from support.clients.load import Load, Record
from support.haproxy.tap import Tap
from support.patience import patient
from support.postgres import why_missing
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

LABELS = ("3.0", "2.6")  # what dies is the first
HISTORY, RATE, MAX_HOLD = 500, 8, patient(5.0)
ASKS, SYNC = "show servers state", f"stillgate sync {FRONTEND}"
DRAINS, FIRST, LAST = (
    f"set server {FRONTEND}_servers/{what}"
    for what in ("s2 state drain", "s2 state ready", "s1 state maint")
)


@dataclass(frozen=True)
class Step:
    """`lines` pass in this order, and with the last one the fault comes; `migrated`: they count
    from the migration on, and without any it comes while that runs. `holder` and `haproxy` are
    the code that serves in the end, where that one was killed.
    """

    name: str
    lines: Sequence[str]
    holder: int = OLD
    haproxy: int = OLD
    migrated: bool = False


STEPS = (
    Step("asking", ["show info"]),
    Step("draining", [DRAINS]),
    Step("holding", [SYNC]),
    Step("migrating", [], migrated=True),
    # The proof asks, and then the cutover itself.
    Step("beginning", [ASKS, ASKS], holder=NEW, migrated=True),
    Step("cutting", [FIRST], holder=NEW),
    Step("cut", [LAST], holder=NEW),
    Step("reading", [LAST, ASKS], holder=NEW),
    Step("releasing", [LAST, SYNC], holder=NEW, haproxy=NEW),
)
CELLS = [(victim, step) for victim in ("holder", "haproxy") for step in STEPS]
SHORT = [("holder", "beginning"), ("haproxy", "migrating")]


class Watched(Stage):
    """Something happens while its migration runs, once."""

    at_migration: Optional[Callable[[], object]] = None

    def _carry_out(self, words: list[str]) -> None:
        fault, self.at_migration = (
            (self.at_migration, None) if words == ["held"] else (None, self.at_migration)
        )
        if fault is not None:
            fault()
        super()._carry_out(words)


@pytest.fixture(name="stage", scope="module")
def made_stage(request: pytest.FixtureRequest) -> Iterator[Watched]:
    binaries: dict[str, Binary] = request.getfixturevalue("haproxy_binaries")
    chosen = [binaries[label] for label in LABELS]
    if missing := [why for why in (why_missing(), *(one.missing for one in chosen)) if why]:
        pytest.skip(missing[0])
    made = Watched([(one.path, one.version) for one in chosen], HISTORY, MAX_HOLD, RATE)
    with made:
        made.start_load()
        answered(made.loads)
        yield made


def answered(loads: Sequence[Load]) -> None:
    """To each kind of clients, from now on."""
    for load in loads:
        load.wait_for(sum(one.ok for one in load.records()) + 5)


def since(loads: Sequence[Load], begin: float) -> list[Record]:
    return [one for load in loads for one in load.records() if one.sent_at >= begin]


def put_fault(tap: Tap, stage: Watched, step: Step, fault: Callable[[], None]) -> None:
    def come(lines: Sequence[str]) -> None:
        if lines:
            tap.hook(lines[0], lambda: come(lines[1:]))
        else:
            fault()

    if step.migrated:
        stage.at_migration = lambda: come(step.lines)
    else:
        come(step.lines)


def put_back(stage: Watched) -> None:
    """The old code on the old schema, at every HAProxy."""
    first = stage.fleet[0]
    if not first.alive():
        first.restart()
    stage.fab.shell("stillgate resume -f production --force --reason over")
    stage.postgres.psql(file=HERE / "undo.sql")
    for proxy in stage.fleet:
        proxy.cli(f"set server {FRONTEND}_servers/s1 state ready")
        proxy.cli(f"set server {FRONTEND}_servers/s2 state maint")
    stage.applications["s1"].restart(OLD)
    for proxy in stage.fleet:
        wait_until(lambda: row_of(proxy, "s1")["status"] == "UP", "s1 is up")
    stage.told.clear()
    answered(stage.loads)


@pytest.mark.parametrize(
    ("victim", "step"),
    CELLS
    if os.environ.get("STILLGATE_ALL_STEPS")
    else [c for c in CELLS if (c[0], c[1].name) in SHORT],
    ids=lambda one: one if isinstance(one, str) else one.name,
)
def test_no_request_meets_the_wrong_code_whoever_is_killed_at_whatever_step(
    victim: str, step: Step, stage: Watched
) -> None:
    put_back(stage)
    first = stage.fleet[0]
    code = step.holder if victim == "holder" else step.haproxy
    with Tap(first, {}) as tap:
        stage.write_inventory([tap.endpoint, stage.fleet[1].endpoints[0]])
        begin = time.monotonic()
        with stage.fab.start("release", **stage.database()) as release:
            struck: list[float] = []

            def fault() -> None:
                struck.append(time.monotonic())
                if victim == "holder":
                    release.kill()
                else:
                    first.kill()

            put_fault(tap, stage, step, fault)
            # Whoever completes it has come to its end, too.
            _, told = release.communicate()
        assert struck, told
        if victim == "holder":
            # What it left held: an operator does not wait for the deadline.
            back = stage.fab.shell("stillgate resume -f production --force --reason over")
            assert back.returncode in (0, 5), back.stderr
    dead = 0 if victim == "holder" else 1
    its_loads = dead * len(KINDS)
    alive = stage.loads[its_loads:]
    answered(alive)
    assert [str(one) for one in since(alive, begin) if not one.ok] == [], told
    # What a dead HAProxy held has no answer; and nothing else has.
    assert [str(one) for one in since(stage.loads, begin) if one.status == 500] == [], told
    for proxy in stage.fleet[dead:]:
        new = row_of(proxy, "s2")
        assert (row_of(proxy, "s1")["status"], new["status"]) == (
            ("UP", new["status"]) if code == OLD else ("MAINT", "UP")
        ), told
