"""A hold that could not be ended again: what leaves in place of the report says what is held, where
and until when, and the command that ends it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

import stillgate.fleet
import stillgate.held_after
import stillgate.suspension
from stillgate import EndpointFailed, Fleet, Report, StillHeld, aio
from support.app import App
from support.command import COMMAND, SCHEMA
from support.haproxy.holds import F, Slow
from support.haproxy.stuck import TO_END, Stuck
from support.haproxy.tap import Tap
from support.patience import HANG_S
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")


class Broken(Exception):
    """What no one foresees."""


@pytest.fixture
def stuck(haproxy: Start, app: App) -> Iterator[Stuck]:
    proxy = haproxy("3.0", servers=[app.port])
    with Tap(proxy, {}) as tap:
        yield Stuck(proxy, tap)


@pytest.fixture
def draining(stuck: Stuck, app: App) -> Iterator[Stuck]:
    slow = Slow(stuck.proxy, 60_000)
    yield stuck
    app.finish()
    slow.join()


def assert_said(held: Any, stuck: Stuck, lease: str = "(guard") -> None:
    assert isinstance(held, StillHeld) and isinstance(held, EndpointFailed)
    assert (held.code, held.exit_status, held.report.exit_status) == ("still_held", 1, 1)
    (hold,) = held.report.holds
    assert hold.deadline is not None
    until = time.strftime("%H:%M:%S %Z", time.localtime(hold.deadline))
    assert f"until {until} {lease}" in held.message
    jsonschema.validate(held.report.document, SCHEMA)
    stuck.assert_ended_by(held.message)


@pytest.mark.parametrize("kind", [Broken, KeyboardInterrupt, SystemExit])
def test_the_exception_that_leaves_says_it(kind: type[BaseException], stuck: Stuck) -> None:
    def receive(report: Report) -> None:
        raise kind("why") from ValueError("the cause before")

    with pytest.raises(kind) as caught:
        Fleet([stuck.endpoint]).suspend_then(receive, F, max_hold=600)
    held = StillHeld.of(caught.value)
    assert caught.value.__cause__ is held is not None
    assert isinstance(held.__cause__, ValueError)
    assert_said(held, stuck)


def test_a_second_signal_does_not_keep_it_from_being_said(
    stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = stillgate.held_after.held_behind
    times = iter(range(3))

    def interrupted(custody: Any) -> Any:
        if next(times) < 2:
            raise KeyboardInterrupt
        return told(custody)

    def receive(report: Report) -> None:
        monkeypatch.setattr(stillgate.fleet, "held_behind", interrupted)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        Fleet([stuck.endpoint]).suspend_then(receive, F, max_hold=600)
    assert_said(StillHeld.of(caught.value), stuck)


def test_nothing_is_said_where_nothing_is_held(haproxy: Start) -> None:
    def receive(report: Report) -> None:
        raise Broken

    proxy = haproxy("3.0")
    with pytest.raises(Broken) as caught:
        Fleet(proxy.endpoints[:1]).suspend_then(receive, F, max_hold=600)
    assert StillHeld.of(caught.value) is None and caught.value.__cause__ is None
    assert proxy.limit(F) == 100


def test_a_block_that_is_not_entered_says_it(stuck: Stuck, monkeypatch: pytest.MonkeyPatch) -> None:
    """What must be had for the block was not to be had, and then the release failed."""

    def no_reserve(connections: int) -> None:
        raise OSError("no descriptors")

    monkeypatch.setattr(stillgate.suspension, "Reserve", no_reserve)
    with pytest.raises(OSError, match="no descriptors") as caught:
        with Fleet([stuck.endpoint]).suspended(F, max_hold=600):
            raise AssertionError("the block must not run")
    assert_said(StillHeld.of(caught.value), stuck)


# --- stopped in the drain -------------------------------------------------------------


def stopped(words: Sequence[str], stuck: Stuck) -> tuple[int, str, str]:
    command = [*COMMAND, *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(stuck.is_held, "the hold")
        process.send_signal(signal.SIGTERM)
        out, talk = process.communicate(timeout=HANG_S)
    return process.returncode, out, talk


def words_of(verb: str, stuck: Stuck, *options: str) -> list[str]:
    words = [verb, F, "--max-hold", "600", "--drain-timeout", "600", "-e", stuck.endpoint]
    return [*words, *options, *(["--", "true"] if verb == "hold" else [])]


@pytest.mark.parametrize("verb, status", [("suspend", 1), ("hold", 125)])
def test_the_command_line_says_it(verb: str, status: int, draining: Stuck) -> None:
    ended, out, talk = stopped(words_of(verb, draining), draining)
    assert (ended, out) == (status, "")
    (words,) = [line for line in talk.splitlines() if TO_END in line]
    draining.assert_ended_by(words)


@pytest.mark.parametrize("verb, status", [("suspend", 1), ("hold", 125)])
def test_the_document_says_it(verb: str, status: int, draining: Stuck) -> None:
    ended, out, _ = stopped(words_of(verb, draining, "--json"), draining)
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    assert (ended, document["ok"], document["error"]["code"]) == (status, False, "still_held")
    report = document["suspend"] if verb == "hold" else document
    assert [one["verdict"] for one in report["switches"]] == ["held"]
    draining.assert_ended_by(document["error"]["message"])


async def _suspend(fleet: aio.Fleet) -> None:
    await fleet.suspend(F, max_hold=600, drain_timeout=600)


async def _enter(fleet: aio.Fleet) -> None:
    async with fleet.suspended(F, max_hold=600, drain_timeout=600):
        raise AssertionError("the block must not run")


@pytest.mark.parametrize("work", [_suspend, _enter])
def test_a_cancelled_call_says_it(work: Callable[[aio.Fleet], Any], draining: Stuck) -> None:
    async def cancel() -> BaseException:
        task = asyncio.ensure_future(work(aio.Fleet([draining.endpoint])))
        await asyncio.get_running_loop().run_in_executor(
            None, wait_until, draining.is_held, "the hold"
        )
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value

    assert_said(StillHeld.of(asyncio.run(cancel())), draining)
