"""Cutovers that are given on the spot, by real `fab` processes against real HAProxies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.app import App
from support.fabric.fab import F, Fab
from support.haproxy.server import HAProxy

if TYPE_CHECKING:
    from conftest import Start

FABFILE = """
from fabric import task
from stillgate import Cutover
from stillgate import fabric as gate
from stillgate.fabric import check, cutover, hold, resume, suspend

@task
def release(c):
    gate.cutover(c, Cutover("red", servers={"app/blue": "ready"}))
    gate.hold(c, run="true", serve=["app/green=ready", "app/blue=maint"])
"""
GREEN = ("--serve", "app/green=ready", "--serve", "app/green=7", "--serve", "app/blue=maint")


@pytest.fixture(name="proxy")
def started(haproxy: Start, app: App, fab: Fab) -> HAProxy:
    """blue serves, green is in drain; neither has a check. The inventory has the cutover `old`."""
    proxy = haproxy(
        "3.0",
        extra=[
            *("backend app", "mode http", f"server blue 127.0.0.1:{app.port}"),
            f"server green 127.0.0.1:{app.port}",
        ],
    )
    proxy.cli("set server app/green state drain")
    (fab.folder / "stillgate.toml").write_text(
        f'[fleet.production]\nendpoints = ["lb1={proxy.endpoints[0]}"]\nfrontends = ["{F}"]\n'
        '[fleet.production.cutover.old]\nservers = { "app/blue" = "ready" }\n'
    )
    fab.write_fabfile(FABFILE)
    settings = {"method": "maxconn", "ready_first": 30}
    fab.write(fleet="production", inventory="stillgate.toml", **settings)
    return proxy


def serving(proxy: HAProxy) -> dict[str, str]:
    rows = (one for one in proxy.stat() if one["pxname"] == "app" and one["svname"] != "BACKEND")
    return {one["svname"]: one["status"] for one in rows}


def test_resume_cutover_and_hold_take_it(fab: Fab, proxy: HAProxy) -> None:
    """From Python by words, or as it is."""
    # The setting `ready_first` is for the calls that have a cutover.
    tasks = ["check", "suspend", "resume", "--cutover", "both", "--serve", "app/green=ready"]
    done = fab.run(*tasks, "cutover", "given", *GREEN, "release")
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith("cutover ")]
    where = "in effect on every HAProxy"
    assert told == [f"cutover {name}: {where}" for name in ("both", "given", "red")]
    assert serving(proxy) == {"blue": "MAINT", "green": "no check"}


def test_what_is_wrong_is_named_and_nothing_is_sent(fab: Fab, proxy: HAProxy) -> None:
    before = serving(proxy)
    done = fab.run("hold", "--run", "true", "--cutover", "old", *GREEN)
    assert done.returncode == 2 and "the inventory has a cutover 'old'" in done.stderr
    done = fab.run("check", "--serve", "app/nobody=ready")
    assert done.returncode == 3 and "has no server 'nobody' in 'app'" in done.stderr
    assert serving(proxy) == before


def test_a_dry_run_says_what_would_be_sent_for_it(fab: Fab, proxy: HAProxy) -> None:
    before = serving(proxy)
    done = fab.run("--dry", "hold", "--run", "./migrate", *GREEN)
    assert done.returncode == 0, done.stderr
    there = f"{proxy.endpoints[0]}: "
    lines = [line.replace(there, "") for line in done.stdout.splitlines()]
    undo = "(only if it cannot be had on every HAProxy)"
    in_order = [
        "set server app/green state drain, where it is in maint",
        f"set maxconn frontend {F} 0",
        "run: ./migrate",
        "set server app/green state ready",
        "set server app/green weight 7",
        "set server app/blue state maint",
        f"set server app/blue state <what stood there> {undo}",
        f"set server app/green weight <what stood there> {undo}",
        f"set server app/green state <what stood there> {undo}",
        f"open the gate of {F}, or set maxconn frontend {F} <the limit on record>",
        "dry run: nothing was sent",
    ]
    assert [line for line in lines if line in in_order] == in_order
    assert len([one for one in lines if one.startswith("reads it back, on a new")]) == 1
    assert serving(proxy) == before
