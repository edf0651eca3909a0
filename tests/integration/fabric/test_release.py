"""`fab release` of docs/examples on a real PostgreSQL: two versions of the code that each fail on
the other's schema, under load of all kinds of clients. However it ends, no request fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.stage import NEW, OLD, Stage, row_of
from support.haproxy.server import HAProxy
from support.patience import patient
from support.postgres import why_missing
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

TESTS = Path(__file__).resolve().parents[2]
HISTORY = 500
GOOD = ("2.2", "2.6", "3.0", "sid")
FAILING = ("2.6", "3.0")
MAX_HOLD = patient(4.0)
RATE = 8


def stage_of(binaries: dict[str, Binary], labels: tuple[str, ...]) -> Iterator[Stage]:
    chosen = [binaries[label] for label in labels]
    if missing := [why for why in (why_missing(), *(one.missing for one in chosen)) if why]:
        pytest.skip(missing[0])
    with Stage([(one.path, one.version) for one in chosen], HISTORY, MAX_HOLD, RATE) as stage:
        stage.start_load()
        answered(stage)
        yield stage


@pytest.fixture
def everywhere(haproxy_binaries: dict[str, Binary]) -> Iterator[Stage]:
    yield from stage_of(haproxy_binaries, GOOD)


@pytest.fixture
def two(haproxy_binaries: dict[str, Binary]) -> Iterator[Stage]:
    yield from stage_of(haproxy_binaries, FAILING)


def answered(stage: Stage) -> None:
    """By each HAProxy, to each kind of clients, from now on."""
    for load in stage.loads:
        load.wait_for(sum(one.ok for one in load.records()) + 10)


def failed(stage: Stage) -> list[str]:
    return [str(one) for load in stage.loads for one in load.records() if not one.ok]


def states(stage: Stage) -> list[list[str]]:
    return [[row_of(proxy, name)["status"] for name in ("s1", "s2")] for proxy in stage.fleet]


def test_the_six_steps_are_one_command_on_four_versions(everywhere: Stage) -> None:
    stage = everywhere
    done = stage.release()
    assert done.returncode == 0, done.stderr
    answered(stage)
    records = [record for load in stage.loads for record in load.stop()]
    assert [str(record) for record in records if not record.ok] == []
    assert states(stage) == [["UP", "UP"]] * len(GOOD)
    for application in stage.applications.values():
        application.stop()
    applications = stage.applications.values()
    old = [one for application in applications for one in application.arrivals(OLD)]
    new = [one for application in applications for one in application.arrivals(NEW)]
    assert old and new
    assert max(one.at for one in old) < stage.told["held"]
    assert stage.told["migrated"] < min(one.at for one in new)
    waited = [one for one in records if one.sent_at < stage.told["migrated"] < one.finished_at]
    assert waited and len(records) == len(old) + len(new)
    assert sorted(one.id for one in records) == sorted(stage.written())


class Releases:
    """One after the other on one stage, each of which leaves the old code at work."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def fails(self, status: int, words: str, **variables: str) -> None:
        """With this status and these words; the old code goes on, and nobody sees an error."""
        stage = self._stage
        done = stage.release(**variables)
        assert (done.returncode, words in done.stderr) == (status, True), done.stderr
        answered(stage)
        assert failed(stage) == []
        for proxy in stage.fleet:
            served = row_of(proxy, "s1")["status"], row_of(proxy, "s2")["stot"]
            assert served == ("UP", "0"), done.stderr
        stage.put_back()


def test_a_release_that_fails_leaves_the_old_code_at_work_and_nobody_fails(two: Stage) -> None:
    stage, releases = two, Releases(two)
    migrate = (stage.fab.folder / "migrate").read_text()

    # The migration is committed, and what follows it fails: undone.
    stage.write_script("migrate", f"{migrate}exit 7\n")
    releases.fails(7, "migration failed, undo done, cutover none, traffic released")
    assert "undone" in stage.told

    # It changes nothing, for it is one transaction, and the undo fails, too.
    stage.write_script("migrate", "#!/bin/sh\nexit 7\n")
    stage.write_script("undo", "#!/bin/sh\nexit 8\n")
    releases.fails(123, "migration failed, undo failed, cutover none, traffic released")

    # It takes longer than the hold.
    stage.write_script("migrate", f"{migrate}sleep 60\n")
    releases.fails(124, "migration ended, undo done, cutover none, traffic released")

    # The machine with the new code does not come up.
    stage.write_script("deploy", "#!/bin/sh\nexit 1\n")
    stage.told.clear()
    releases.fails(1, "")
    assert stage.told == {}

    # The new code is dead when the hold is to begin: refused, and nothing is held.
    stage.applications["s2"].stop()
    stage.write_script("deploy", "#!/bin/sh\n")
    for proxy in stage.fleet:
        proxy.cli("set server balanced_servers/s2 state maint")
    stage.told.clear()
    words = "all are as before, and nothing was held; migration none"
    releases.fails(125, words, FABRIC_STILLGATE_READY_FIRST="1")
    assert stage.told == {}
    assert [one[1] for one in states(stage)] == ["MAINT"] * len(FAILING)

    # One HAProxy has no server of that name.
    with HAProxy(stage.fleet[0].binary, servers=[1]) as other:
        stage.write_inventory([one.endpoints[0] for one in (*stage.fleet, other)])
        releases.fails(125, "has no server 's2'")


def test_a_release_that_is_killed_leaves_the_old_code_at_work_and_nobody_fails(two: Stage) -> None:
    """In the migration, whose transaction PostgreSQL ends as soon as its client is gone."""
    stage = two
    endless = (TESTS / "demo" / "migrate.sql").read_text().replace("COMMIT", "SELECT pg_sleep(600)")
    (stage.fab.folder / "endless.sql").write_text(endless)
    psql = stage.psql(stage.fab.folder / "endless.sql")
    stage.write_script("migrate", f"#!/bin/sh\n./tell held\n{psql} && ./tell migrated\n")
    with stage.fab.start("release", **stage.database()) as release:
        wait_until(lambda: "held" in stage.told or release.poll() is not None, "the hold")
        assert release.poll() is None
        release.kill()
        release.communicate()
    answered(stage)
    assert failed(stage) == [] and "migrated" not in stage.told
    assert [one[0] for one in states(stage)] == ["UP"] * len(FAILING)
    held = [gate["held"] for gate in stage.gates()]
    assert min(held) > 0, "no gate held"


def test_new_code_that_dies_in_the_hold_has_the_migration_undone(two: Stage) -> None:
    """The migration is good, and no cutover is to be had: the old code on the old schema."""
    stage = two
    stage.write_script(
        "migrate",
        f"#!/bin/sh\n./tell held && {stage.psql(TESTS / 'demo' / 'migrate.sql')} && ./tell die\n",
    )
    done = stage.release()
    assert "undone" in stage.told, done.stderr
    answered(stage)
    assert failed(stage) == [], done.stderr
    assert [one[0] for one in states(stage)] == ["UP"] * len(FAILING)
    words = "migration done, undo done, cutover refused, traffic released"
    assert (done.returncode, words in done.stderr) == (125, True), done.stderr
