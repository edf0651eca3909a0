"""stillgate_hold by the real chef-client: a command or resources inside it, and every way out."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from support.chef.client import Chef
from support.chef.stage import STAGES, ChefStage
from support.haproxy.faulty_peer import FaultyPeer
from support.patience import patient
from support.process import running_in_group, wait_until

if TYPE_CHECKING:
    from conftest import Start

    from support.app import App

F = "balanced"


def wait_inside(chef: Chef, process: subprocess.Popen[str]) -> None:
    """Until what runs inside the hold does."""

    def inside_or_ended() -> bool:
        return chef.inside.exists() or process.poll() is not None

    wait_until(inside_or_ended, "the block")
    assert chef.inside.exists(), process.communicate()[0]


@pytest.mark.parametrize("method, label", STAGES)
def test_a_block_converges_inside_the_hold(
    method: str, label: str, chef_stage: ChefStage, chef: Chef, chef_client: str
) -> None:
    print(f"{chef_client}, {method} on HAProxy {label}")
    chef.fleet = chef_stage.open(method, label)
    chef_stage.start_load()
    with chef.start("hold_block", method=method, max_hold=60) as process:
        wait_inside(chef, process)
        chef_stage.nothing_passed_for(0.5)
        chef.over.touch()
        done = chef.ended(process)
    assert (done.status, done.updated) == (0, 4)
    # A notification inside the block is delayed to the end of the block, not of the run.
    assert done.text.index("file[told] action create") < done.text.index("release the requests")
    chef_stage.flows_again()
    chef_stage.nobody_failed()


@pytest.mark.parametrize("method, label", STAGES)
def test_a_block_that_raises_is_resumed_and_the_run_fails(
    method: str, label: str, chef_stage: ChefStage, chef: Chef
) -> None:
    chef.fleet = chef_stage.open(method, label)
    chef_stage.start_load()
    done = chef.run("hold_raises", method=method, max_hold=60)
    assert (done.status, chef_stage.held()) == (1, [False] * 2)
    assert "received '9'" in done.text and "half of it is done" in done.text
    assert chef.inside.exists() and not (chef.folder / "never").exists()
    chef_stage.flows_again()
    chef_stage.nobody_failed()


def test_a_block_that_cannot_be_compiled_holds_nobody(chef: Chef, nobody: FaultyPeer) -> None:
    chef.fleet = [nobody.endpoint]
    done = chef.run("hold_uncompiled")
    assert (done.status, (chef.folder / "never").exists()) == (1, False)
    assert "undefined method `contents'" in done.text


def test_a_hold_that_is_refused_converges_nothing(chef: Chef, haproxy: Start) -> None:
    proxy = haproxy("2.6")
    chef.fleet = proxy.endpoints
    done = chef.run("hold_block")
    assert (done.status, proxy.limit(F), chef.inside.exists()) == (1, 100, False)
    assert "crash_hazard" in done.text


@pytest.mark.parametrize("method, label", STAGES)
def test_the_lease_ends_the_hold_of_a_chef_that_was_killed(
    method: str, label: str, chef_stage: ChefStage, chef: Chef
) -> None:
    chef.fleet = chef_stage.open(method, label)
    chef_stage.start_load()
    max_hold = round(patient(4))
    with chef.start("hold_block", method=method, max_hold=max_hold) as process:
        wait_inside(chef, process)
        chef.kill(process)
        killed = time.monotonic()
        assert running_in_group(process.pid) == []
        # What Chef started goes on; with nobody to resume, only the lease ends this.
        chef_stage.nothing_passed_for(1)
        chef_stage.flows_again()
        first = min(chef_stage.arrivals_since(killed + 1))
        # Not before what was left of its time, and not long behind it.
        assert killed + 1 < first < killed + max_hold + patient(1)
        assert chef_stage.held() == [False] * 2
    chef_stage.nobody_failed()


def test_ctrl_c_resumes_at_once(chef_stage: ChefStage, chef: Chef) -> None:
    chef.fleet = chef_stage.open("gate", "3.0")
    chef_stage.start_load()
    with chef.start("hold_block", max_hold=100) as process:
        wait_inside(chef, process)
        os.killpg(process.pid, signal.SIGINT)
        done = chef.ended(process)
        assert (done.status, chef_stage.held()) == (2, [False] * 2)
        assert "SIGINT received, stopping" in done.text and "release the requests" in done.text
    chef_stage.flows_again()
    chef_stage.nobody_failed()


def test_a_block_that_outlasts_the_hold_fails_the_run(chef: Chef, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    chef.fleet = proxy.endpoints
    with chef.start("hold_block", max_hold=round(patient(1))) as process:
        wait_inside(chef, process)
        wait_until(lambda: proxy.limit(F) == 100, "the end of the lease")
        chef.over.touch()
        done = chef.ended(process)
    assert done.status == 1
    assert "hold_expired: the hold ended before the work inside it was done" in done.text


def test_a_block_that_was_rehearsed_holds_only_where_it_would_change_something(
    chef: Chef, haproxy: Start
) -> None:
    proxy = haproxy("3.0")
    chef.fleet = proxy.endpoints
    chef.over.touch()
    done = chef.run("hold_block", rehearse=True)
    # The rehearsal is not told: each resource counts once.
    assert (done.status, done.updated) == (0, 4)
    assert done.text.count("action run") == 2 and "Would" not in done.text
    chef.fleet = ["/nowhere/a.sock"]
    done = chef.run("hold_block", rehearse=True)
    assert (done.status, done.updated, done.of) == (0, 0, 1)


@pytest.mark.parametrize("method, label", STAGES[1:])
def test_a_command_runs_inside_the_hold(
    method: str, label: str, chef_stage: ChefStage, chef: Chef
) -> None:
    chef.fleet = chef_stage.open(method, label)
    chef_stage.start_load()
    command = "touch inside; until [ -e over ]; do sleep 0.01; done"
    with chef.start("hold_command", method=method, max_hold=60, command=command) as process:
        wait_inside(chef, process)
        chef_stage.nothing_passed_for(0.5)
        chef.over.touch()
        done = chef.ended(process)
    assert (done.status, done.updated, done.of) == (0, 1, 1)
    assert f"while it runs: {command}" in done.text
    chef_stage.flows_again()
    chef_stage.nobody_failed()


def test_a_command_that_fails_fails_the_run_and_keeps_its_secrets(
    chef: Chef, haproxy: Start
) -> None:
    proxy = haproxy("3.0")
    chef.fleet = proxy.endpoints
    done = chef.run("hold_command", command="echo it is $PGPASSWORD >&2; exit 7")
    assert (done.status, proxy.limit(F)) == (1, 100)
    assert "the command ended with status 7" in done.text and "it is *****" in done.text
    assert "hunter2" not in done.text


def test_a_release_is_undone_or_cut_over(chef: Chef, haproxy: Start, app: App) -> None:
    proxy = haproxy(
        "3.0",
        servers=[app.port, app.port],
        extra_defaults=["default-server check inter 100ms fall 2 rise 1"],
    )
    proxy.cli(f"set server {F}_servers/s2 state drain")
    inventory = chef.folder / "fleets.toml"
    inventory.write_text(
        f'[fleet.here]\nendpoints = ["{proxy.endpoints[0]}"]\n[fleet.here.cutover.green]\n'
        f'servers = {{ "{F}_servers/s2" = "ready", "{F}_servers/s1" = "maint" }}\n'
    )
    chef.fleet = "here"

    def converged(command: str, cutover: object = "green") -> tuple[int, list[str], str]:
        done = chef.run(
            "hold_command",
            stillgate={"inventory": str(inventory)},
            command=command,
            on_failure="touch undone",
            cutover=cutover,
            wait_up=True,
        )
        states = [row["status"] for row in proxy.stat() if row["svname"] in ("s1", "s2")]
        return done.status, states, done.text

    status, states, text = converged("exit 7")
    assert (status, states) == (1, ["UP", "DRAIN"]), text
    assert "migration failed, undo done, cutover none, traffic released" in text
    assert (chef.folder / "undone").exists()
    status, states, text = converged("true")
    assert (status, states) == (0, ["MAINT", "UP"]), text
    # And back, by one that is in no inventory.
    chef.fleet = proxy.endpoints
    blue = {"servers": {f"{F}_servers/s1": "ready", f"{F}_servers/s2": "drain"}}
    proxy.cli(f"set server {F}_servers/s1 state drain")
    status, states, text = converged("true", blue)
    assert (status, states) == (0, ["UP", "DRAIN"]), text


def test_a_list_of_words_is_read_by_no_shell(chef: Chef, haproxy: Start) -> None:
    chef.fleet = haproxy("3.0").endpoints
    assert chef.run("hold_command", command=["touch", "a b; $HOME"]).status == 0
    assert (chef.folder / "a b; $HOME").exists()


def test_a_command_past_its_time_is_ended_before_the_hold(chef: Chef, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    chef.fleet = proxy.endpoints
    done = chef.run("hold_command", command=["sleep", "60"], max_hold=round(patient(1)))
    assert (done.status, proxy.limit(F)) == (1, 100)
    assert "the command was ended, because the hold ended or was about to end" in done.text
