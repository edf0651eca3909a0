"""When a hold by gates counts as ended by somebody else."""

from __future__ import annotations

import dataclasses
import logging
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Optional

import pytest

from stillgate.results.hold import Hold
from stillgate.results.outcome import Error
from stillgate.results.report import Report, Switch
from stillgate.watching import GateWatch

LONG_S = 10.0


def switch(endpoint: str, verdict: str, hold: Optional[str], failed: bool = False) -> Switch:
    error = Error("connect_timeout", "no connection within 2000 ms") if failed else None
    return Switch(
        endpoint, "balanced", hold, verdict, "gate", None, 100, 100, 0, None, 0, 0, "3.0", 0.1, [],
        error,
    )  # fmt: skip


def report(*switches: Switch) -> Report:
    hold = Hold("ours", "deploy", "", ["balanced"], 1.0, 31.0, 30.0)
    return Report("status", True, 0, [hold], list(switches), None, None, None, None, None)


HELD = switch("a", "held", "ours"), switch("b", "held", "ours")
OPEN = switch("a", "open", None), switch("b", "open", None)


@contextmanager
def watching(*seen: Report, last: Report) -> Iterator[tuple[GateWatch, threading.Event]]:
    """A watch that sees these one after the other, and from then on the last one; told when it has
    seen that twice.
    """
    left, enough = list(seen), threading.Event()
    count = 0

    def look() -> Report:
        nonlocal count
        if left:
            return left.pop(0)
        count += 1
        if count == 3:
            enough.set()
        return last

    watch = GateWatch(report(*HELD), look, lambda: None)
    watch.EVERY_S = watch.AGAIN_S = 0.001
    watch.start()
    try:
        yield watch, enough
    finally:
        watch.stop()
        watch.close()


def test_a_deadline_has_moved_when_all_gates_say_so() -> None:
    def until(deadline: float, *switches: Switch) -> Report:
        (hold,) = report().holds
        moved = [dataclasses.replace(hold, deadline=deadline)]
        return dataclasses.replace(report(*switches), holds=moved)

    silent = switch("b", "unknown", None, failed=True)
    with watching(last=until(51.0, HELD[0], silent)) as (watch, enough):
        assert enough.wait(LONG_S)
        assert not is_over(watch, 0) and watch.deadline == 31.0
    with watching(last=until(51.0, *HELD)) as (watch, _):
        assert is_over(watch, LONG_S) and watch.attend()
        assert watch.deadline == 51.0
        assert not watch.saw_others


def is_over(watch: GateWatch, within: float) -> bool:
    return select.select([watch.descriptor], [], [], within)[0] != []


@pytest.mark.parametrize(
    "last",
    [
        OPEN,
        (OPEN[0], switch("b", "unknown", None, failed=True)),
        (switch("a", "held", "another"), switch("b", "held", "another")),
    ],
    ids=["open", "all that answer are open", "somebody else holds"],
)
def test_it_is_over(last: tuple[Switch, ...]) -> None:
    with watching(report(*HELD), last=report(*last)) as (watch, _):
        assert is_over(watch, LONG_S)
        assert not watch.saw_others
        assert watch.attend() is False and watch.saw_others


@pytest.mark.parametrize(
    "last",
    [
        HELD,
        (HELD[0], OPEN[1]),
        (HELD[0], switch("b", "unknown", None, failed=True)),
        tuple(switch(name, "unknown", None, failed=True) for name in "ab"),
        (switch("elsewhere", "open", None),),
        (),
    ],
    ids=["held", "one is open", "one is silent", "all are silent", "not ours", "nothing"],
)
def test_it_goes_on(last: tuple[Switch, ...]) -> None:
    with watching(last=report(*last)) as (watch, enough):
        assert enough.wait(LONG_S)
        assert not is_over(watch, 0)


def test_once_seen_is_not_enough() -> None:
    with watching(report(*OPEN), last=report(*HELD)) as (watch, enough):
        assert enough.wait(LONG_S)
        assert not is_over(watch, 0)


def test_a_look_that_hangs_is_stopped() -> None:
    looking, stopped = threading.Event(), threading.Event()

    def look() -> Report:
        looking.set()
        assert stopped.wait(LONG_S)
        return report(*OPEN)

    watch = GateWatch(report(*HELD), look, stopped.set)
    watch.start()
    assert looking.wait(LONG_S)
    assert not stopped.is_set()
    watch.stop()
    assert stopped.is_set()
    watch.close()
    assert not watch.saw_others


def test_a_look_that_fails_ends_the_watch_and_not_the_hold(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failed = threading.Event()

    def look() -> Report:
        failed.set()
        raise RuntimeError("broken on purpose")

    watch = GateWatch(report(*HELD), look, lambda: None)
    with caplog.at_level(logging.ERROR, "stillgate"):
        watch.start()
        assert failed.wait(LONG_S)
        assert not is_over(watch, 0)
        watch.stop()
        watch.close()
    assert "broken on purpose" in caplog.text


def test_without_gates_there_is_nothing_to_watch() -> None:
    held = [dataclasses.replace(one, method="maxconn") for one in HELD]
    never: Callable[[], Report] = lambda: pytest.fail("it looked")
    watch = GateWatch(report(*held), never, lambda: None)
    watch.start()
    assert watch.descriptor == -1
    watch.stop()
    watch.close()
