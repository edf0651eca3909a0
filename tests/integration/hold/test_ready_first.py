"""The new code is up before anything is held, on real HAProxies of all versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import CheckRefused, Cutover, Fleet, InputError
from support.app import App
from support.command import run
from support.haproxy.holds import F, records
from support.haproxy.server import HAProxy
from support.haproxy.versions import LABELS
from support.patience import patient
from support.ports import Reserved
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

LONG = patient(30.0)
SHORT = 0.5
GREEN = Cutover("green", servers={"app/green": "ready", "app/blue": "maint"})


@pytest.fixture(name="dead")
def refusing_port() -> Iterator[int]:
    """Until somebody listens there, a connection is refused."""
    with closing(Reserved()) as nobody:
        yield nobody.port


def started(haproxy: Start, label: str, blue: int, green: int, fall: int = 3) -> HAProxy:
    """blue serves, and green is in maintenance. A check begins within 200 ms."""
    check = f"check inter 200ms rise 2 fall {fall}"
    return haproxy(
        label,
        extra=[
            "backend app",
            "mode http",
            f"server blue 127.0.0.1:{blue}",
            f"server green 127.0.0.1:{green} {check} disabled",
        ],
    )


def status(proxy: HAProxy, server: str = "green") -> str:
    (row,) = (one for one in proxy.stat() if one["pxname"] == "app" and one["svname"] == server)
    return row["status"]


def held(proxy: HAProxy) -> bool:
    return proxy.limit(F) == 0


@pytest.mark.parametrize("fall", [3, 1])
@pytest.mark.parametrize("label", LABELS)
def test_new_code_that_is_dead_is_named_and_nothing_is_held(
    label: str, fall: int, haproxy: Start, app: App, dead: int, state: Path
) -> None:
    """HAProxy calls it up from leaving maintenance until its first check."""
    proxy = started(haproxy, label, app.port, dead, fall)
    fleet = Fleet([f"lb1={proxy.endpoints[0]}"], cutovers=[GREEN])
    with pytest.raises(CheckRefused) as refused:
        with fleet.suspended(F, cutover="green", ready_first=SHORT):
            raise AssertionError("nothing is held")
    assert refused.value.code == "cutover_not_ready"
    assert "app/green at lb1 is DOWN" in str(refused.value)
    assert (status(proxy), held(proxy)) == ("MAINT", False)
    assert records(state) == [] and [one.name for one in state.glob("cutovers/*.cutover")] == []
    # So likewise where its state alone says that it is there.
    with pytest.raises(CheckRefused) as hasty:
        fleet.cutover("green")
    assert hasty.value.code == "cutover_none_up"
    assert "green is in maint, where nothing checks it" in str(hasty.value)


@pytest.mark.parametrize("fall", [3, 1])
@pytest.mark.parametrize("label", LABELS)
def test_new_code_that_a_check_shows_up_is_there_before_the_cutover(
    label: str, fall: int, haproxy: Start, app: App, state: Path
) -> None:
    proxy = started(haproxy, label, app.port, app.port, fall)
    fleet = Fleet(proxy.endpoints, cutovers=[GREEN])
    done = fleet.cutover("green", ready_first=LONG)
    assert done.cutover is not None and done.cutover.state == "applied"
    assert status(proxy) == "UP"
    # What stood before the first step of it, not before the second.
    fleet.cutover("green", back=True)
    assert (status(proxy), status(proxy, "blue")) == ("MAINT", "no check")
    assert [one.name for one in state.glob("cutovers/*.cutover")] == []


def test_the_command_line_waits_for_it_before_it_holds(
    haproxy: Start, app: App, dead: int, tmp_path: Path
) -> None:
    proxies = [started(haproxy, "3.0", app.port, port) for port in (app.port, dead)]
    there = [word for n, one in enumerate(proxies) for word in ("-e", f"lb{n}={one.endpoints[0]}")]
    serve = ["--serve", "app/green=ready", "--serve", "app/blue=maint", "--method", "maxconn"]
    ran = tmp_path / "ran"
    hold = ["hold", F, *there, *serve, "--ready-first", str(SHORT), "--", "touch", str(ran)]
    refused = run(*hold)
    assert refused.returncode == 125, refused.stderr
    assert "app/green at lb1 is DOWN" in refused.stderr
    assert not ran.exists() and [status(proxy) for proxy in proxies] == ["MAINT", "MAINT"]

    good = ["hold", F, *there[:2], *serve, "--ready-first", str(LONG), "--", "touch", str(ran)]
    done = run(*good)
    assert done.returncode == 0, done.stderr
    assert ran.exists() and [status(proxies[0]), status(proxies[0], "blue")] == ["UP", "MAINT"]


def test_a_hold_that_is_refused_behind_it_puts_all_back(haproxy: Start, app: App) -> None:
    proxy = started(haproxy, "3.0", app.port, app.port)
    fleet = Fleet(proxy.endpoints, cutovers=[GREEN])
    with pytest.raises(CheckRefused) as refused:
        with fleet.suspended("nosuch", cutover="green", ready_first=LONG):
            raise AssertionError("nothing is held")
    assert refused.value.code == "no_such_frontend"
    wait_until(lambda: status(proxy) == "MAINT", "green is put back")


def test_a_server_without_a_check_counts_and_that_is_said(haproxy: Start, app: App) -> None:
    """Nothing shows it up, whatever one waits for."""
    proxy = haproxy("3.0", extra=["backend app", "mode http", f"server green :{app.port} disabled"])
    fleet = Fleet(proxy.endpoints)
    green = Cutover("green", servers={"app/green": "ready"})
    with fleet.suspended(F, cutover=green, ready_first=LONG) as hold:
        told = hold.report.cutover
        assert told is not None and told.state == "possible"
        assert "green has no health check" in " ".join(told.unshown)
    done = run("cutover", "x", "-e", proxy.endpoints[0], "--serve", "app/green=ready")
    assert "note: " in done.stdout and "green has no health check" in done.stdout


def test_check_names_what_it_would_have_checked_first_and_changes_nothing(
    haproxy: Start, app: App, dead: int
) -> None:
    proxies = [started(haproxy, "3.0", app.port, port) for port in (app.port, dead)]
    there = [word for n, one in enumerate(proxies) for word in ("-e", f"lb{n}={one.endpoints[0]}")]
    serve = ["--serve", "app/green=ready", "--serve", "app/blue=maint"]
    method = ["--method", "maxconn"]
    for command in (
        ["check", F, *method, "--ready-first", "30"],
        ["cutover", "given", "--ready-first", "30", "--dry-run"],
    ):
        asked = run(*command, *there, *serve)
        assert asked.returncode == 0, asked.stdout + asked.stderr
        assert asked.stdout.count("would be checked first") == 2, asked.stdout
        assert "lb1: would be checked first, in drain, and must each be up then: app/green" in (
            asked.stdout
        )
    assert [status(proxy) for proxy in proxies] == ["MAINT", "MAINT"]

    refused = run("check", F, *method, *there, *serve)
    assert refused.returncode == 3 and "green is in maint, where nothing" in refused.stdout
    # Where a check says already that it is down, the hold would wait for it in vain.
    proxies[1].cli("set server app/green state drain")
    wait_until(lambda: status(proxies[1]).startswith("DOWN"), "a check has failed")
    late = run("check", F, *method, *there, *serve, "--ready-first", "30")
    assert late.returncode == 3, late.stdout
    assert "lb1: app/green is DOWN" in late.stdout and "--ready-first would wait" in late.stdout


def test_it_goes_with_a_cutover(haproxy: Start) -> None:
    fleet = Fleet(haproxy("3.0").endpoints)
    with pytest.raises(InputError, match="ready_first: goes with a cutover"):
        with fleet.suspended(F, ready_first=1.0):
            raise AssertionError("nothing is held")
