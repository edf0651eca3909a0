"""The fleet's own logic, with the compiled call replaced: what is raised, and how a block ends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import pytest

from stillgate import (
    CheckRefused,
    Cutover,
    EndpointFailed,
    Fleet,
    HeldByOther,
    HoldExpired,
    StillgateError,
    StillHeld,
    TooLate,
)
from stillgate.console.documents import rfc3339
from stillgate.errors import ReportError
from stillgate.results.haproxy import Info, StatRow
from support.haproxy.faulty_peer import FaultyPeer, serve
from support.process import wait_until
from support.reports import core_report, error_told, hold_told

NOBODY = "unix:///nowhere/a.sock"
INFO = "Name: HAProxy\nVersion: 3.0.11\nPid: 7\nUptime_sec: 60\nnode: lb1\n"


class Core:
    """Stands for the compiled fleet; notes its calls and ends them as it is told."""

    def __init__(self, **statuses: int) -> None:
        self.statuses = statuses
        self.calls: list[tuple[str, list[str]]] = []
        self.cutovers: list[dict[str, object]] = []  # of what ended a hold
        self.watched: list[bool] = []  # whether somebody continues its cutovers, from call to call

    def guard_descriptor(self) -> int:
        return -1

    def custody(self, **release: object) -> Custody:
        return Custody(self)

    def watch_cutovers(self, begins: object, ended: object) -> None:
        self.watched.append(begins is not None and ended is not None)

    def execute(self, command: str, payload: Optional[str]) -> list[Any]:
        return []

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def call(frontends: list[str], **options: Any) -> Any:
            self.calls.append((verb, list(frontends)))
            status = self.statuses.get(verb, 0)
            error = error_told("permission_denied", f"{verb} failed")
            return core_report(
                verb,
                status,
                holds=[hold_told(started_at=rfc3339(time.time()), deadline=None)],
                error=None if status == 0 else error,
            )

        return call


class Custody:
    """Stands for the compiled one: what ends the hold is the core's resume."""

    suspended = ended = None
    failure = ""

    def __init__(self, core: Core) -> None:
        self._core = core

    def stop(self) -> None:
        pass

    def end(self, at_deadline: bool, plain: bool, cutover: dict[str, object]) -> None:
        self._core.cutovers.append(cutover)
        self.ended = self._core.resume(["balanced"])

    def take_back(self, left: BaseException, tell: Callable[..., object]) -> None:
        tell(self, left)


def fleet_over(core: Core, frontends: tuple[str, ...] = ()) -> Fleet:
    fleet = Fleet([NOBODY], frontends=frontends)
    fleet._core = core  # type: ignore[assignment]
    setattr(fleet, "twin", lambda: fleet)
    return fleet


def test_a_suspend_that_failed_inside_and_left_its_hold_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compiled code says it by its report: an exception of the engine would mean nothing held."""
    fleet = Fleet([NOBODY])
    words = "the suspend failed inside Stillgate (no memory), and then its end (no memory): ..."
    told = core_report(
        "suspend", 1, holds=[hold_told(deadline=None)], error=error_told("still_held", words)
    )
    core = Core()
    monkeypatch.setattr(core, "suspend", lambda *names, **options: told, raising=False)
    monkeypatch.setattr(fleet, "_core", core)
    with pytest.raises(StillHeld, match="no memory") as caught:
        fleet.suspend("balanced")
    assert (caught.value.code, caught.value.exit_status) == ("still_held", 1)
    assert StillHeld.of(caught.value) is caught.value and len(caught.value.report.holds) == 1


@pytest.mark.parametrize(
    "status, kind", [(1, EndpointFailed), (3, CheckRefused), (4, HeldByOther), (5, TooLate)]
)
def test_a_suspend_that_is_not_ok_raises_with_its_report(
    status: int, kind: type[ReportError]
) -> None:
    with pytest.raises(kind) as caught:
        fleet_over(Core(suspend=status)).suspend("balanced", no_lease=True)
    assert caught.value.report.exit_status == status


def test_check_returns_its_report_whatever_it_says() -> None:
    assert fleet_over(Core(check=3)).check("balanced").exit_status == 3


def test_a_stopped_call_is_a_keyboard_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        fleet_over(Core(suspend=130)).suspend("balanced", no_lease=True)


def test_the_inventory_names_the_frontends() -> None:
    core = Core()
    fleet = fleet_over(core, ("a", "b"))
    fleet.check()
    fleet.check("c")
    assert core.calls == [("check", ["a", "b"]), ("check", ["c"])]


def test_frontends_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "stillgate.toml"
    path.write_text(f'[fleet.p]\nendpoints = ["{NOBODY}"]\nfrontends = ["balanced"]\n')
    assert Fleet.load("p", str(path)).frontends == ["balanced"]


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_block_is_resumed_whatever_leaves_it(kind: type[BaseException]) -> None:
    core = Core()
    with pytest.raises(kind):
        with fleet_over(core).suspended("balanced"):
            raise kind
    assert core.calls == [("suspend", ["balanced"]), ("resume", ["balanced"])]


def test_a_block_that_ends_well_is_resumed() -> None:
    core = Core()
    with fleet_over(core).suspended("balanced", max_hold=60) as hold:
        assert hold.report.action == "suspend"
        assert 50 < hold.remaining <= 60 and not hold.expired
        assert hold.resumed is None
    assert hold.resumed is not None and hold.resumed.action == "resume"
    assert [verb for verb, _ in core.calls] == ["suspend", "resume"]


def test_only_a_block_that_ends_well_is_cut_over() -> None:
    green = Cutover("green", {"app/s1": "ready"})
    core = Core()
    fleet = fleet_over(core)
    with fleet.suspended("balanced", cutover=green):
        pass
    with fleet.suspended("balanced", cutover=green) as hold:
        hold.cut_over = False
    with pytest.raises(KeyError):
        with fleet.suspended("balanced", cutover=green):
            raise KeyError
    with pytest.raises(HoldExpired):
        with fleet.suspended("balanced", cutover=green, max_hold=0.1) as hold:
            wait_until(lambda: hold.expired, "the deadline")
    assert core.cutovers == [green.told(), {}, {}, {}]


def test_without_a_leash_no_cutover_is_begun_and_nothing_held(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody would continue it, should this process be killed in it."""
    green = Cutover("green", {"app/s1": "ready"})
    core = Core()
    fleet = fleet_over(core)
    fleet.resume("balanced", cutover=green)
    assert core.watched == [True, False]
    fleet.resume("balanced")
    assert core.watched == [True, False] and len(core.calls) == 2
    monkeypatch.setenv("STILLGATE_LEASH", str(tmp_path / "nothing"))
    without = "No such file.*; nothing was changed"
    with pytest.raises(StillgateError, match=without) as caught:
        fleet.resume("balanced", cutover=green)
    assert caught.value.code == "leash_failed"
    with pytest.raises(StillgateError, match=without):
        fleet.suspended("balanced", cutover=green).__enter__()
    assert len(core.calls) == 2
    fleet.resume("balanced")


def test_the_deadline_resumes_while_the_block_still_runs() -> None:
    core = Core()
    with pytest.raises(HoldExpired) as caught:
        with fleet_over(core).suspended("balanced", max_hold=0.1) as hold:
            wait_until(lambda: len(core.calls) == 2, "the resume")
            assert hold.expired and hold.remaining == 0
    assert caught.value.code == "hold_expired"
    assert [verb for verb, _ in core.calls] == ["suspend", "resume"]


def test_the_deadline_comes_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing wakes the keeper at that instant: its wait stands still with the machine."""
    core = Core()
    awake = time.clock_gettime
    slept = {"seconds": 0.0}

    def with_sleep(which: int) -> float:
        return awake(which) + (slept["seconds"] if which == time.CLOCK_BOOTTIME else 0.0)

    monkeypatch.setattr(time, "clock_gettime", with_sleep)
    with pytest.raises(HoldExpired):
        with fleet_over(core).suspended("balanced", max_hold=600) as hold:
            assert hold.remaining > 500
            slept["seconds"] = 600.0
            wait_until(lambda: len(core.calls) == 2, "the resume")
            assert hold.remaining == 0


def test_a_resume_that_fails_at_the_deadline_is_told_before_the_deadline() -> None:
    with pytest.raises(EndpointFailed) as caught:
        with fleet_over(Core(resume=1)).suspended("balanced", max_hold=0.1) as hold:
            wait_until(lambda: hold.expired, "the deadline")
    assert isinstance(caught.value.__cause__, HoldExpired)


def test_a_block_whose_hold_was_over_before_its_end_has_expired() -> None:
    with pytest.raises(HoldExpired) as caught:
        with fleet_over(Core(resume=5)).suspended("balanced") as hold:
            assert not hold.expired
    assert caught.value.code == "hold_expired" and "resume failed" in caught.value.message
    assert hold.expired and hold.resumed is not None and hold.resumed.exit_status == 5


def test_ctrl_c_while_it_resumes_waits_for_the_resume() -> None:
    core = Core()
    resuming, go_on = threading.Event(), threading.Event()

    def slow(names: list[str], **options: Any) -> Any:
        resuming.set()
        go_on.wait(10)
        core.calls.append(("resume", names))
        return core_report("resume")

    core.resume = slow  # type: ignore[attr-defined]

    def interrupt() -> None:
        resuming.wait(10)
        signal.raise_signal(signal.SIGINT)
        go_on.set()

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        with fleet_over(core).suspended("balanced"):
            pass
    assert [verb for verb, _ in core.calls] == ["suspend", "resume"]
    wait_until(lambda: running() == [], "the end of the hold's threads")


def running() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("stillgate")]


def test_nothing_is_resumed_where_nothing_was_held() -> None:
    core = Core(suspend=3)
    with pytest.raises(CheckRefused):
        with fleet_over(core).suspended("balanced"):
            raise AssertionError("the block must not run")
    assert [verb for verb, _ in core.calls] == ["suspend"]


def test_a_failed_resume_keeps_the_blocks_exception() -> None:
    with pytest.raises(EndpointFailed) as caught:
        with fleet_over(Core(resume=1)).suspended("balanced"):
            raise RuntimeError("the migration")
    assert isinstance(caught.value.__context__, RuntimeError)


def test_info_says_what_the_release_says() -> None:
    info = Info.parse(INFO)
    assert (info.version, info.pid, info.uptime_s, info.node) == ("3.0.11", 7, 60, "lb1")
    assert (info.stopping, info.maxconn, info.curr_conns) == (None, None, None)
    info = Info.parse(INFO + "Stopping: 1\nMaxconn: 4000\nCurrConns: 3\n")
    assert (info.stopping, info.maxconn, info.curr_conns) == (True, 4000, 3)
    assert Info.parse(INFO + "Stopping: 0\n").stopping is False
    assert info.fields["Name"] == info.name == "HAProxy"


def test_a_row_of_stat_has_numbers_or_none() -> None:
    text = "# pxname,svname,qcur,scur,slim,stot,status,type,\nf,FRONTEND,,2,100,9,OPEN,0,\n"
    (row,) = StatRow.parse(text)
    assert (row.pxname, row.svname, row.status, row.type) == ("f", "FRONTEND", "OPEN", 0)
    assert (row.qcur, row.scur, row.slim, row.stot) == (None, 2, 100, 9)
    assert row.number("nothing") is None


def test_a_reply_that_is_no_info_is_that_endpoints_error() -> None:
    good = {"show info": INFO}
    bad = {"show info": "nonsense\n"}
    with FaultyPeer([serve()], answers=good) as one, FaultyPeer([serve()], answers=bad) as two:
        first, second = Fleet([one.endpoint, two.endpoint]).info()
    assert first.value is not None and first.value.pid == 7 and first.error is None
    assert second.value is None and second.error is not None
    assert (second.error.code, second.error.partial) == ("malformed_reply", "nonsense")
