"""A reload that begins before the release and ends after it: each call that cuts over and releases
sees that the new worker serves what is configured, says so, and applies the cutover again.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import stillgate.aio
from stillgate import Cutover, EndpointFailed, Fleet, HoldExpired
from stillgate.clock import boot_time
from support.app import App
from support.command import COMMAND, run
from support.haproxy.blue_green import (
    ASKS,
    BACKEND,
    LAST,
    NEW_CODE,
    OLD_CODE,
    SERVE,
    SERVERS,
    serving,
)
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F, verdicts
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")
GREEN = Cutover("given", SERVERS)
OPTIONS: dict[str, Any] = {"max_hold": patient(30.0), "retry_for": 1.0}
ENDS = ("--retry-for", "1", *SERVE)
DEAD = """\
backend dead
    mode http
    server none 127.0.0.1:9 disabled
"""
LOST = "the cutover was lost after the release"


@pytest.fixture(name="start")
def starter(
    haproxy: Start, haproxy_binaries: dict[str, Binary], tmp_path: Path
) -> Callable[[str], HAProxy]:
    def start(label: str) -> HAProxy:
        version = haproxy_binaries[label].version
        options = gate_options(
            F, tmp_path / "gate", version, extra=[*BACKEND.splitlines(), *DEAD.splitlines()]
        )
        return haproxy(label, **{**options, "master_worker": True})

    return start


def reload_behind(proxy: HAProxy, tap: Tap, again: bool = True) -> None:
    """What is asked in the old worker is as it was set; the look after the first one behind the
    release is at the new worker. Not `again`: that cannot be had a second time.
    """

    def swallow() -> bool:
        tap.hook(LAST, swallow)
        return False

    def reload() -> None:
        proxy.reload()
        if not again:
            swallow()

    at_the_first_look(tap, reload)


def at_the_first_look(tap: Tap, act: Callable[[], None]) -> None:
    """After the release; before it what was set is read back."""
    tap.hook(LAST, lambda: tap.hook(ASKS, lambda: tap.hook(ASKS, act)))


def by_hold(url: str) -> str:
    hold = ["hold", F, "--max-hold", str(patient(30.0)), *ENDS, "-e", url, "--", "true"]
    held = run(*hold)
    assert held.returncode == 125, held.stderr
    return held.stderr


def by_resume(url: str) -> str:
    Fleet([url]).suspend(F, max_hold=patient(30.0))
    resumed = run("resume", F, *ENDS, "-e", url)
    assert resumed.returncode == 1, resumed.stderr
    assert "now: nothing is held; traffic flows" in resumed.stdout
    return resumed.stdout


def by_json(url: str) -> str:
    Fleet([url]).suspend(F, max_hold=patient(30.0))
    resumed = run("resume", F, *ENDS, "-e", url, "--json")
    told = json.loads(resumed.stdout)
    assert (resumed.returncode, told["ok"], told["error"]["code"]) == (1, False, "cutover_lost")
    assert [one["verdict"] for one in told["switches"]] == ["resumed"]
    return str(told["error"]["message"])


def told_of(error: EndpointFailed) -> str:
    assert error.code == "cutover_lost" and verdicts(error.report) == ["resumed"]
    return error.message


def by_block(url: str) -> str:
    with pytest.raises(EndpointFailed) as failed:
        with Fleet([url]).suspended(F, cutover=GREEN, **OPTIONS):
            pass
    return told_of(failed.value)


def by_block_that_applies_it(url: str) -> str:
    with pytest.raises(EndpointFailed) as failed:
        with Fleet([url]).suspended(F, cutover=GREEN, **OPTIONS) as held:
            held.apply_cutover()
    assert held.resumed is not None and held.resumed.ok
    return told_of(failed.value)


def by_asyncio(url: str) -> str:
    async def cut_over() -> None:
        async with stillgate.aio.Fleet([url]).suspended(F, cutover=GREEN, **OPTIONS):
            pass

    with pytest.raises(EndpointFailed) as failed:
        asyncio.run(cut_over())
    return told_of(failed.value)


def by_asyncio_resume(url: str) -> str:
    async def cut_over() -> None:
        fleet = stillgate.aio.Fleet([url])
        await fleet.suspend(F, max_hold=patient(30.0))
        await fleet.resume(F, cutover=GREEN, retry_for=1.0)

    with pytest.raises(EndpointFailed) as failed:
        asyncio.run(cut_over())
    return told_of(failed.value)


WAYS = [
    *(by_hold, by_resume, by_json, by_block, by_block_that_applies_it),
    *(by_asyncio, by_asyncio_resume),
]


@pytest.mark.parametrize(
    ("label", "way"),
    [
        *(("3.0", way) for way in WAYS),
        *((label, way) for label in ("2.2", "2.6", "sid") for way in (by_hold, by_resume)),
    ],
)
def test_it_is_seen_told_and_applied_again(
    label: str, way: Callable[[str], str], start: Callable[[str], HAProxy]
) -> None:
    proxy = start(label)
    with Tap(proxy, {}) as tap:
        reload_behind(proxy, tap)
        told = way(tap.endpoint)
    assert LOST in told and "server app/blue state is ready, not maint" in told
    assert "it was applied again" in told
    assert serving(proxy) == NEW_CODE, told


@pytest.mark.parametrize("way", [by_hold, by_resume, by_block])
def test_where_it_cannot_be_applied_again_the_command_is_told(
    way: Callable[[str], str], start: Callable[[str], HAProxy]
) -> None:
    proxy = start("3.0")
    with Tap(proxy, {}) as tap:
        reload_behind(proxy, tap, again=False)
        told = way(tap.endpoint)
    assert LOST in told and "run 'stillgate cutover given" in told
    assert serving(proxy) == OLD_CODE, told


def test_what_stays_in_effect_is_no_news(start: Callable[[str], HAProxy]) -> None:
    """Though it is looked at, on new connections, ten times."""
    proxy = start("3.0")
    with Tap(proxy, {}) as tap:
        Fleet([tap.endpoint]).suspend(F, max_hold=patient(30.0))
        seen = tap.lines.count(ASKS)
        report = Fleet([tap.endpoint]).resume(F, cutover=GREEN)
        assert report.ok and tap.lines.count(ASKS) - seen > 5
    assert serving(proxy) == NEW_CODE


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_block_that_takes_its_cutover_back_has_lost_nothing(
    by_hand: bool, start: Callable[[str], HAProxy]
) -> None:
    """The same process has other values: that is somebody's will, and nobody overrides it."""
    proxy = start("3.0")
    fleet = Fleet(proxy.endpoints)
    with fleet.suspended(F, cutover=GREEN, **OPTIONS) as held:
        held.apply_cutover()
        if by_hand:
            proxy.cli("set server app/blue state ready", "set server app/green state maint")
        else:
            fleet.twin().cutover(GREEN, back=True)
    assert serving(proxy) == OLD_CODE


def test_a_block_that_fails_behind_its_cutover_is_looked_after_too(
    start: Callable[[str], HAProxy]
) -> None:
    proxy = start("3.0")
    with Tap(proxy, {}) as tap:
        reload_behind(proxy, tap)
        with pytest.raises(EndpointFailed) as failed:
            with Fleet([tap.endpoint]).suspended(F, cutover=GREEN, **OPTIONS) as held:
                held.apply_cutover()
                raise ValueError("the block's own")
    assert LOST in told_of(failed.value)
    assert isinstance(failed.value.__context__, ValueError)
    assert serving(proxy) == NEW_CODE


def back(url: str) -> None:
    Fleet([url]).cutover(GREEN, back=True)


def sets_it_back(url: str) -> None:
    for command in ("set server app/blue state ready", "set server app/green state maint"):
        assert Fleet([url]).execute(command)[0].ok


@pytest.mark.parametrize("takes_back", [back, sets_it_back])
def test_who_takes_it_back_while_it_is_looked_at_is_not_overruled(
    takes_back: Callable[[str], None], start: Callable[[str], HAProxy]
) -> None:
    """Between the second look and the third one after a resume."""
    proxy = start("3.0")
    with Tap(proxy, {}) as tap:
        later: list[Callable[[], None]] = [lambda: takes_back(tap.endpoint)]
        for _ in range(3):
            later.append(lambda: tap.hook(ASKS, later.pop()))
        # Proven, read back and looked at once before.
        tap.hook(LAST, lambda: tap.hook(ASKS, later.pop()))
        Fleet([tap.endpoint]).suspend(F, max_hold=patient(30.0))
        assert Fleet([tap.endpoint]).resume(F, cutover=GREEN).ok
        assert not later
    assert serving(proxy) == OLD_CODE


def test_a_block_takes_its_cutover_back_behind_a_reload_too(
    start: Callable[[str], HAProxy]
) -> None:
    """The process is none that was there before the hold; but the record has ended."""
    proxy = start("3.0")
    fleet = Fleet(proxy.endpoints)
    with fleet.suspended(F, cutover=GREEN, **OPTIONS) as held:
        proxy.reload()
        held.apply_cutover()
        back(proxy.endpoints[0])
    assert serving(proxy) == OLD_CODE


def test_what_happened_long_behind_the_deadline_is_left_alone(
    start: Callable[[str], HAProxy]
) -> None:
    """As after each later reload: somebody may have wanted it."""
    proxy = start("3.0")
    with pytest.raises(HoldExpired):
        with Fleet(proxy.endpoints).suspended(F, cutover=GREEN, max_hold=patient(3.0)) as held:
            held.apply_cutover()
            wait_until(lambda: held.over_at is not None, "the release")
            wait_until(lambda: boot_time() - (held.over_at or 0.0) > 1.0, "a second")
            proxy.reload()
    assert serving(proxy) == OLD_CODE


CHECKED = """\
backend app
    mode http
    server blue 127.0.0.1:{port}
    server green 127.0.0.1:{port} check inter 100ms rise 1 disabled
"""


def checks_first(url: str) -> str:
    held = run(
        "hold", F, "--max-hold", "30", "--ready-first", "10", *SERVE, "-e", url, "--", "true"
    )
    assert held.returncode == 125, held.stderr
    return held.stderr


def was_drained(url: str) -> str:
    Fleet([url]).cutover(Cutover("drained", {"app/green": "drain"}))
    Fleet([url]).suspend(F, max_hold=patient(30.0))
    resumed = run("resume", F, *SERVE, "-e", url)
    assert resumed.returncode == 1, resumed.stderr
    return resumed.stdout


@pytest.mark.parametrize("way", [checks_first, was_drained])
def test_servers_that_a_reload_has_disabled_are_checked_before_it_is_applied_again(
    way: Callable[[str], str], haproxy: Start, haproxy_binaries: dict[str, Binary], tmp_path: Path
) -> None:
    with App() as app:
        lines = CHECKED.format(port=app.port).splitlines()
        version = haproxy_binaries["3.0"].version
        options = gate_options(F, tmp_path / "gate", version, extra=lines)
        proxy = haproxy("3.0", **{**options, "master_worker": True})
        with Tap(proxy, {}) as tap:
            reload_behind(proxy, tap)
            told = way(tap.endpoint)
        assert LOST in told and "it was applied again" in told
        assert serving(proxy) == ["blue MAINT", "green UP"], told


def test_a_stop_of_the_next_call_stops_a_hold_with_a_cutover(
    start: Callable[[str], HAProxy]
) -> None:
    proxy = start("3.0")
    fleet = Fleet(proxy.endpoints)
    fleet.stop()
    with pytest.raises(KeyboardInterrupt):
        with fleet.suspended(F, cutover=GREEN, **OPTIONS):
            pass
    assert serving(proxy) == OLD_CODE


def test_where_nothing_is_released_nothing_is_lost_after_the_release(
    start: Callable[[str], HAProxy]
) -> None:
    """The hold stays in effect: the next resume looks."""
    proxy = start("3.0")
    Fleet(proxy.endpoints).suspend(F, max_hold=patient(30.0))
    with Tap(proxy, {}) as tap:
        reload_behind(proxy, tap)
        with pytest.raises(EndpointFailed) as failed:
            waits: dict[str, Any] = {"wait_up": True, "wait_up_for": "dead", "retry_for": 0.2}
            Fleet([tap.endpoint]).resume(F, cutover=GREEN, **waits)
    assert failed.value.code == "application_down" and verdicts(failed.value.report) == ["held"]


def test_a_stop_of_the_look_takes_nothing_from_what_is_told(
    start: Callable[[str], HAProxy]
) -> None:
    """All is released by then: neither people nor programs are to hear that it was stopped."""
    proxy = start("3.0")
    with Tap(proxy, {}) as tap:
        Fleet([tap.endpoint]).suspend(F, max_hold=patient(30.0))
        words = [*COMMAND, "resume", F, *SERVE, "-e", tap.endpoint, "--json"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as resuming:
            at_the_first_look(tap, partial(resuming.send_signal, signal.SIGINT))
            told = json.loads(resuming.communicate(timeout=HANG_S)[0])
    assert (resuming.returncode, told["ok"], told["cutover"]["state"]) == (0, True, "applied")
    assert [one["verdict"] for one in told["switches"]] == ["resumed"]


def test_what_goes_back_is_not_told_to_be_in_effect(start: Callable[[str], HAProxy]) -> None:
    proxy = start("3.0")
    there = [*SERVE, "-e", proxy.endpoints[0]]
    done = run("cutover", "given", *there)
    assert "cutover given: in effect on every HAProxy" in done.stdout
    done = run("cutover", "given", "--back", "-e", proxy.endpoints[0])
    assert "cutover given --back: in effect on every HAProxy" in done.stdout


def test_a_stop_of_the_look_takes_nothing_from_what_a_hold_tells(
    start: Callable[[str], HAProxy]
) -> None:
    proxy = start("3.0")
    with Tap(proxy, {}) as tap:
        words = ["hold", F, "--max-hold", str(patient(30.0)), *SERVE, "-e", tap.endpoint, "--json"]
        words = [*COMMAND, *words, "--", "true"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holding:
            at_the_first_look(tap, partial(holding.send_signal, signal.SIGINT))
            told = json.loads(holding.communicate(timeout=HANG_S)[0])
    assert (holding.returncode, told["ok"], told["error"]) == (0, True, None)
    four = [told[one] for one in ("migration", "undo", "cutover", "traffic")]
    assert four == ["done", "none", "applied", "released"]
