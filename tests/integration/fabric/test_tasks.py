"""Fabric's manners: whose hold it is, events, settings' order, collections, pre and post."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.fabric.fab import FABFILE, F, Fab, limits
from support.haproxy.faulty_peer import FaultyPeer
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start


# --- holds ----------------------------------------------------------------------------


def test_extend_moves_the_deadline(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fab.write(endpoints=proxy.endpoints, frontends=F, max_hold=30)
    assert fab.run("suspend").returncode == 0
    (before,) = Fleet(proxy.endpoints).status(F).holds
    status, document = fab.run_json("extend", "20")
    (after,) = Fleet(proxy.endpoints).status(F).holds
    assert (status, document["action"], document["switches"][0]["verdict"]) == (0, "extend", "held")
    assert before.deadline is not None and after.deadline == pytest.approx(before.deadline + 20)
    assert fab.run("resume").returncode == 0
    done = fab.run("extend", "--seconds", "20")
    assert (done.returncode, "not_held" in done.stderr) == (3, True)


@pytest.mark.parametrize("way", ["force", "hold"])
def test_somebody_elses_hold(
    way: str, fab: Fab, haproxy: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = haproxy("3.0")
    fab.write(endpoints=proxy.endpoints, frontends=F)
    monkeypatch.setenv("STILLGATE_STATE_DIR", str(tmp_path / "elsewhere"))
    held = Fleet(proxy.endpoints).suspend(F, owner="anna", no_lease=True).holds[0]
    done = fab.run("resume")
    assert (done.returncode, "anna" in done.stdout + done.stderr, limits(proxy)) == (4, True, [0])
    other = {"hold": "0123456789abcdef"}.get(way)
    if other:
        assert fab.run("resume", "--hold", other).returncode == 4
    options = {"force": ("--force", "--reason", "anna is away"), "hold": ("--hold", held.id)}[way]
    assert (fab.run("resume", *options).returncode, limits(proxy)) == (0, [100])


def test_a_command_is_told_what_happens(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fab.write(endpoints=proxy.endpoints, frontends=F, no_lease=True, on_event="cat >>events")
    events = fab.folder / "events"
    assert fab.run("suspend").returncode == 0
    wait_until(lambda: events.exists() and "suspend" in events.read_text(), "the event")
    assert json.loads(events.read_text().splitlines()[0])["schema"] == 1
    arguments = ("--on-event", "cat >>typed", "--event-format", "syslog")
    assert fab.run("resume", *arguments).returncode == 0
    typed = fab.folder / "typed"
    wait_until(lambda: typed.exists() and "resume" in typed.read_text(), "the event")
    assert not typed.read_text().startswith("{")


# --- flags, and where settings come from ----------------------------------------------


def test_a_short_flag_is_the_same_in_every_task(fab: Fab) -> None:
    verbs = ("check", "suspend", "resume", "status", "extend", "hold")
    letters: dict[str, set[str]] = {}
    for verb in verbs:
        told = fab.run("--help", verb)
        assert told.returncode == 0
        for letter, word in re.findall(r"-(\w)(?: \w+)?, --([\w-]+)", told.stdout):
            letters.setdefault(letter, set()).add(word)
        # Each flag has its help beside it, or below it.
        flags = re.findall(r"^ +(?:-\w.*, )?--[\w-]+\S*(.*\n +\S.*)", told.stdout, re.MULTILINE)
        assert flags and all(re.search(r"[a-z]{2,}\b.*[.;]?", text) for text in flags)
    wanted = {"f": "frontend", "j": "json", "r": "reason", "m": "max-hold", "d": "drain-timeout"}
    wanted |= {"c": "run", "g": "grace", "s": "seconds", "l": "limit", "w": "wait-up"}
    assert letters == {letter: {word} for letter, word in wanted.items()}


def asked(fab: Fab, *arguments: str, **variables: str) -> list[str]:
    """The endpoints that a dry run would ask."""
    done = fab.run("--dry", *arguments, **variables)
    assert done.returncode == 0, done.stderr
    lines = [line.partition(": ") for line in done.stdout.splitlines()]
    return [endpoint for endpoint, _, what in lines if what.startswith("status")]


TASKS = """
from invoke import task
from stillgate.fabric import status

@task
def change(c):
    c.config.stillgate.fleet = "third"

@task(pre=[change])
def own(c):
    status(c)
"""


def test_a_setting_comes_from_file_environment_and_task_in_fabrics_order(fab: Fab) -> None:
    names = ("first", "second", "third")
    fleets = [f'[fleet.{n}]\nfrontends = ["a"]\nendpoints = ["/{n}.sock"]\n' for n in names]
    (fab.folder / "stillgate.toml").write_text("".join(fleets))
    fab.write_fabfile(TASKS)
    variable = {"FABRIC_STILLGATE_FLEET": "second"}
    fab.write_all({})
    # Invoke alone would not see it: the key stands nowhere.
    assert asked(fab, "status", **variable) == ["unix:///second.sock"]
    fab.write(fleet="first")
    assert asked(fab, "status") == ["unix:///first.sock"]
    assert asked(fab, "status", **variable) == ["unix:///second.sock"]
    assert asked(fab, "own", **variable) == ["unix:///third.sock"]
    (fab.folder / "runtime.json").write_text('{"stillgate": {"fleet": "third"}}')
    assert asked(fab, "-f", "runtime.json", "status", **variable) == ["unix:///third.sock"]


def test_a_wrong_variable_is_named_and_nothing_is_sent(fab: Fab, nobody: FaultyPeer) -> None:
    fab.write(endpoints=[nobody.endpoint], frontends=F)
    done = fab.run("suspend", FABRIC_STILLGATE_MAX_HOLD="long")
    assert done.returncode == 2
    assert "FABRIC_STILLGATE_MAX_HOLD: must be a number of seconds, not 'long'" in done.stderr


COLLECTIONS = """
from invoke import Collection
from stillgate.fabric import ns as gate

ns = Collection()
gate.configure({"stillgate": {"frontends": "a", "socket": "/a.sock"}})
ns.add_collection(gate, name="lb")
"""


def test_a_collection_under_a_name_of_ones_own(fab: Fab) -> None:
    fab.write_fabfile(COLLECTIONS)
    fab.write(endpoints=["/first.sock"])
    listed = re.findall(r"^ +lb\.(\w+)", fab.run("--list").stdout, re.MULTILINE)
    names = ["check", "cutover", "extend", "hold", "rehearse", "resume", "status", "suspend"]
    assert sorted(listed) == names
    assert asked(fab, "lb.status") == ["unix:///first.sock"]
    # A collection's own settings hold for its tasks, also where they act on hosts.
    hosts = asked(fab, "-H", "u@lb1,u@lb2", "lb.status")
    assert hosts == ["ssh://u@lb1:22/a.sock", "ssh://u@lb2:22/a.sock"]


def test_the_collection_may_be_the_whole_fabfile(fab: Fab) -> None:
    fab.write_fabfile("from stillgate.fabric import ns\n")
    fab.write(endpoints=["/first.sock"], frontends="a")
    assert asked(fab, "status") == ["unix:///first.sock"]


# --- before and after tasks of one's own ----------------------------------------------

AROUND = """
from fabric import task
from invoke import call
from stillgate import Fleet, fabric as gate
from stillgate.fabric import resume, suspend

def limit(c):
    return Fleet(c.config.stillgate.endpoints).status("balanced").switches[0].limit_now

@task(pre=[call(suspend, reason="migration 42")], post=[resume])
def migrate(c):
    holds = Fleet(c.config.stillgate.endpoints).status("balanced").holds
    print("within", limit(c), [one.reason for one in holds])

@task(pre=[suspend], post=[resume])
def broken(c):
    raise SystemExit(9)

@task
def caught(c):
    try:
        suspend(c, accept_unproven=True, method="gate")
    except gate.TaskFailed as failure:
        print("failed", failure.code, failure.error.code)
        print("failed", [(one.frontend, one.error.code) for one in failure.report.switches])
    try:
        gate.hold(c, run="exit 7")
    except gate.TaskFailed as failure:
        print("ended", failure.code, failure.error, failure.result.status, failure.report.action)
"""


def test_before_and_after_a_task(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fab.write_fabfile(AROUND)
    fab.write(endpoints=proxy.endpoints, frontends=F, no_lease=True)
    done = fab.run("migrate")
    assert (done.returncode, limits(proxy)) == (0, [100]), done.stderr
    assert "within 0 ['migration 42']" in done.stdout
    # Tasks before and after get no hosts from Fabric: they take the settings' fleet, once.
    done = fab.run("-H", "lb1,lb2", "migrate")
    assert (done.returncode, limits(proxy)) == (0, [100]), done.stderr
    assert done.stdout.count("within 0 ") == 2 and done.stdout.count("suspend: done") == 1


def test_after_a_task_that_fails_nobody_resumes_and_hold_does(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fab.write_fabfile(AROUND + "\nhold = gate.hold\n")
    fab.write(endpoints=proxy.endpoints, frontends=F, no_lease=True)
    assert (fab.run("broken").returncode, limits(proxy)) == (9, [0])
    assert fab.run("resume").returncode == 0
    fab.write(endpoints=proxy.endpoints, frontends=F)
    assert (fab.run("hold", "--run", "exit 9").returncode, limits(proxy)) == (9, [100])


def test_a_failure_has_the_outcomes_in_it(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fab.write_fabfile(AROUND)
    fab.write(endpoints=proxy.endpoints, frontends=F)
    done = fab.run("caught")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("failed", "ended"))]
    code = lines[0].split()[-1]
    assert lines == [
        f"failed 3 {code}",
        f"failed [('balanced', '{code}')]",
        "ended 7 None 7 resume",
    ]


def test_several_tasks_of_one_run(fab: Fab) -> None:
    fab.write_fabfile(FABFILE)
    fab.write(socket="/a.sock", frontends="a")
    done = fab.run("--dry", "-H", "u@lb1,u@lb2", "suspend", "-m", "5", "resume", "-l", "7")
    shut = "close the gate of a, or set maxconn frontend a 0"
    opened = "open the gate of a, or set maxconn frontend a 7"
    hosts = ["ssh://u@lb1:22/a.sock", "ssh://u@lb2:22/a.sock"]
    dry = "dry run: nothing was sent"
    assert done.stdout.splitlines() == [
        *(f"{host}: {shut}" for host in hosts),
        dry,
        *(f"{host}: {opened}" for host in hosts),
        dry,
    ]
