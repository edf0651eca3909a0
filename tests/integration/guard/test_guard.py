"""The guard of a hold by maxconn, on real HAProxies: whoever dies, the hold ends in time."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import pytest

import stillgate
from stillgate import CheckRefused, EndpointFailed, Fleet, StillgateError, TooLate
from stillgate.hold_report import report_of
from support.app import App
from support.haproxy.guards import (
    STANDBY_SOCKETS,
    BareGuard,
    active,
    guards,
    limit_or_none,
    opened_at,
    resident_kb,
    send_all,
    sockets,
    standby,
)
from support.haproxy.holds import COMMIT, F, records, remembered
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.haproxy.versions import REMEMBERING, SAFE, has_wait
from support.patience import patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

# What a hold may last beyond its deadline with a guard slowed by sanitizers; the matrix of faults
# (tests/chaos) holds it to 250 ms.
LATE_S = 2.0
EARLY_S = 0.05
HOLD_S = 5  # of a suspend that fails
CLEAR_S = 0.25  # behind a deadline that was put off
GUARD = Path(
    os.environ.get("STILLGATE_GUARD") or Path(stillgate.__file__).parent / "stillgate-guard"
)
CLI = [sys.executable, "-m", "stillgate"]

pytestmark = pytest.mark.usefixtures("state")


def pair(haproxy: Start, app: App, label: str, **options: Any) -> list[HAProxy]:
    return [haproxy(label, servers=[app.port], maxconn=limit, **options) for limit in (300, 400)]


def endpoints(proxies: list[HAProxy]) -> list[str]:
    """The TCP one where there is one."""
    return [proxy.endpoints[-1] for proxy in proxies]


def suspend(proxies: list[HAProxy], max_hold: float = 1.5) -> stillgate.Report:
    return Fleet(endpoints(proxies)).suspend(F, method="maxconn", max_hold=patient(max_hold))


def events_of(state: Path, kind: str) -> list[dict[str, Any]]:
    lines = (state / "history.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def is_running(pid: int) -> bool:
    """Neither gone nor dead and unreaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends_in_time(proxies: list[HAProxy], deadline: float, state: Path) -> None:
    for when in opened_at(proxies, [300, 400]):
        assert deadline - EARLY_S <= when <= deadline + patient(LATE_S)
    wait_until(lambda: not guards(state), "the guards to leave")
    assert records(state) == []


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
@pytest.mark.parametrize("label", SAFE)
def test_nobody_resumes_and_the_hold_ends_at_its_deadline(
    label: str, tcp: bool, haproxy: Start, app: App, state: Path
) -> None:
    proxies = pair(haproxy, app, label, tcp_socket=tcp)
    report = suspend(proxies)
    wanted = "guard+wait" if has_wait(label) else "guard"
    assert [one.lease for one in report.switches] == [wanted, wanted]
    held = Fleet(endpoints(proxies)).status(F)
    assert [one.lease for one in held.switches] == [wanted, wanted]
    assert len(guards(state)) == 2
    assert all(os.getsid(pid) != os.getsid(0) for pid in guards(state))
    deadline = report.holds[0].deadline
    assert deadline is not None
    ends_in_time(proxies, deadline, state)
    told = Fleet(endpoints(proxies)).status(F)
    assert [one.verdict for one in told.switches] == ["open", "open"]
    # The holder has not heard of it yet.
    assert all({f.code for f in one.findings} == {"expired", "too_late"} for one in told.switches)
    if label in REMEMBERING:
        assert not any(remembered(proxy) for proxy in proxies)


@pytest.mark.parametrize("label", SAFE)
@pytest.mark.parametrize("who", [active, standby], ids=["active", "standby"])
def test_a_guard_that_is_killed_is_replaced_by_its_standby_guard(
    label: str, who: Any, haproxy: Start, app: App, state: Path
) -> None:
    proxies = pair(haproxy, app, label)
    fleet = Fleet(endpoints(proxies))
    report = suspend(proxies)
    before = guards(state)
    os.kill(who(state), signal.SIGKILL)
    wait_until(lambda: len(guards(state)) == 2 and guards(state) != before, "a new pair")
    assert [proxy.limit(F) for proxy in proxies] == [0, 0]
    wait_until(lambda: events_of(state, "guard_died") != [], "the word of the other one")
    (hold,) = fleet.status(F).holds
    assert [one.event for one in hold.events if one.event == "guard_died"] == ["guard_died"]
    assert report.holds[0].deadline is not None
    ends_in_time(proxies, report.holds[0].deadline, state)
    (died,) = events_of(state, "guard_died")
    is_standby = who is standby
    assert died["message"].startswith("the standby guard" if is_standby else "the guard")
    assert died["hold"]["id"] == hold.id and died["source"] == "guard"
    # Afterwards too, on the timeline of the hold.
    (past,) = stillgate.history(F)
    assert "guard_died" in [step.what for step in report_of(past, []).steps]


def test_a_status_counts_the_guards_that_are_alive(haproxy: Start, app: App, state: Path) -> None:
    """The one that is stopped replaces nobody, so the numbers stay to be seen."""
    proxies = pair(haproxy, app, "3.0")
    fleet = Fleet(endpoints(proxies))
    suspend(proxies, 600)

    def alive() -> Optional[int]:
        report = fleet.status(F)
        assert report.document["holds"][0]["guards"] == report.holds[0].guards
        return report.holds[0].guards

    assert alive() == 2
    first, second = active(state), standby(state)
    os.kill(first, signal.SIGSTOP)
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: alive() == 1, "the end of one")
    assert "guards: 1 of 2" in str(fleet.status(F))
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: alive() == 0, "the end of both")
    assert "guards: 0 of 2: NOTHING ENDS THIS HOLD" in str(fleet.status(F))
    fleet.resume(F)


def test_of_a_hold_from_elsewhere_nobody_counts_the_guards(
    haproxy: Start, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = haproxy("3.0")
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, method="maxconn", max_hold=600)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("STILLGATE_STATE_DIR", str(tmp_path / "elsewhere"))
        (hold,) = fleet.status(F).holds
        assert hold.guards is None
    fleet.resume(F)


def test_a_guard_that_dies_with_its_promise_to_hold_has_told_its_standby_guard(
    haproxy: Start, state: Path
) -> None:
    # Newer ones remember who holds, and a bare guard is nobody there.
    proxy = haproxy("2.2", maxconn=100)
    guard = BareGuard(GUARD, state, proxy.endpoints[:1])
    assert guard.answer() == "ready"
    proxy.cli(f"set maxconn frontend {F} 0")
    first, before = active(state), guards(state)
    guard.say("hold")
    assert guard.answer() == "holding"
    os.kill(first, signal.SIGKILL)
    guard.hang_up()
    wait_until(lambda: len(guards(state)) == 2 and guards(state) != before, "a new pair")
    wait_until(
        lambda: sockets(active(state)) > STANDBY_SOCKETS, "the standby guard to survey its endpoint"
    )
    try:
        stays_until = time.monotonic() + 0.3
        while time.monotonic() < stays_until:
            assert proxy.limit(F) == 0
    finally:
        proxy.cli(f"set maxconn frontend {F} 100")
        send_all(state, signal.SIGTERM)
    wait_until(lambda: not guards(state), "the guards to leave")


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
@pytest.mark.parametrize("label", REMEMBERING)
def test_when_all_is_frozen_haproxys_own_wait_ends_the_hold(
    label: str, tcp: bool, haproxy: Start, app: App, state: Path
) -> None:
    proxies = pair(haproxy, app, label, tcp_socket=tcp)
    report = suspend(proxies)
    deadline = report.holds[0].deadline
    send_all(state, signal.SIGSTOP)
    try:
        for when in opened_at(proxies, [300, 400]):
            assert deadline is not None
            assert deadline - EARLY_S <= when <= deadline + patient(LATE_S)
    finally:
        send_all(state, signal.SIGCONT)
    wait_until(lambda: not guards(state), "the guards to leave")
    assert records(state) == [] and not any(remembered(proxy) for proxy in proxies)


@pytest.mark.parametrize("label", ["3.0"])
def test_the_holder_starts_another_guard_when_both_die(
    label: str, haproxy: Start, app: App, state: Path
) -> None:
    proxies = pair(haproxy, app, label)
    with Fleet(endpoints(proxies)).suspended(F, method="maxconn", max_hold=300) as hold:
        before = set(guards(state))
        # At once, so that neither can replace the other.
        for pid in before:
            os.kill(pid, signal.SIGSTOP)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        # One that is killed is still there for a moment.
        wait_until(lambda: len(set(guards(state)) - before) == 2, "another pair of guards")
        assert [proxy.limit(F) for proxy in proxies] == [0, 0] and not hold.expired
    assert [proxy.limit(F) for proxy in proxies] == [300, 400]
    wait_until(lambda: not guards(state), "the guards to leave")


@pytest.mark.parametrize("how", ["reload", "restart"])
@pytest.mark.parametrize("label", SAFE)
def test_a_new_process_is_held_again(
    label: str, how: str, haproxy: Start, app: App, state: Path
) -> None:
    proxies = pair(haproxy, app, label, master_worker=how == "reload")
    report = suspend(proxies, 3)
    if how == "reload":
        proxies[0].reload()
    else:
        proxies[0].kill()
        proxies[0].restart()
    wait_until(lambda: proxies[0].limit(F) == 0, "the hold to be put back")
    # Who waited in the kernel has gone to the new process until then. On a busy machine it is over.
    (one, _) = Fleet(endpoints(proxies)).status(F).switches
    assert one.verdict == "open" or "reloaded" in [found.code for found in one.findings]
    assert report.holds[0].deadline is not None
    ends_in_time(proxies, report.holds[0].deadline, state)
    (reapplied,) = events_of(state, "reapplied")
    assert (reapplied["source"], reapplied["endpoint"]) == ("guard", proxies[0].endpoints[0])


@pytest.mark.moment
@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
@pytest.mark.parametrize("label", REMEMBERING)
def test_the_death_of_all_guards_lets_nothing_fire_early(
    label: str, tcp: bool, haproxy: Start, app: App, state: Path
) -> None:
    proxies = pair(haproxy, app, label, tcp_socket=tcp)
    suspend(proxies, 60)
    send_all(state, signal.SIGSTOP)
    send_all(state, signal.SIGKILL)
    wait_until(lambda: not guards(state), "the death of both")
    # HAProxy has seen the ends of their connections: it answers what came behind them.
    assert [proxy.limit(F) for proxy in proxies] == [0, 0]
    Fleet(endpoints(proxies)).resume(F)


@pytest.mark.parametrize("label", SAFE)
def test_a_resume_sends_it_away(label: str, haproxy: Start, app: App, state: Path) -> None:
    proxies = pair(haproxy, app, label)
    suspend(proxies, 20)
    Fleet(endpoints(proxies)).resume(F)
    wait_until(lambda: not guards(state), "the guards to leave")
    assert [proxy.limit(F) for proxy in proxies] == [300, 400]


@pytest.mark.moment
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
@pytest.mark.parametrize("label", REMEMBERING)
def test_a_resume_right_after_a_reload_ends_it(
    label: str,
    elsewhere: bool,
    haproxy: Start,
    app: App,
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The new worker is open until the guard comes: it must not hold again what was resumed."""
    proxies = pair(haproxy, app, label, master_worker=True)
    for _ in range(4):
        suspend(proxies, 600)
        proxies[0].reload()
        if elsewhere:
            monkeypatch.setenv("STILLGATE_STATE_DIR", str(tmp_path / "elsewhere"))
        # The new worker may have let requests through until then, and the resume says so.
        with suppress(TooLate):
            Fleet(endpoints(proxies)).resume(F, force=True, reason="it must end")
        monkeypatch.setenv("STILLGATE_STATE_DIR", str(state))
        wait_until(lambda: not guards(state), "the guards to leave")
        assert [proxy.limit(F) for proxy in proxies] == [300, 400]


@pytest.mark.parametrize("label", SAFE)
def test_an_extended_hold_keeps_it(label: str, haproxy: Start, app: App, state: Path) -> None:
    proxies = pair(haproxy, app, label)
    hold = suspend(proxies, 1.5).holds[0]
    before, more = hold.deadline, patient(1.5)
    assert before is not None and hold.max_hold_s is not None
    options = [part for url in endpoints(proxies) for part in ("-e", url)]
    done = subprocess.run(
        [*CLI, "extend", F, str(more), "--json", *options],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    document = json.loads(done.stdout)
    assert document["action"] == "extend" and document["ok"]
    longer = document["holds"][0]["max_hold_s"]
    assert longer == pytest.approx(hold.max_hold_s + more, abs=0.002)
    first = before + CLEAR_S
    wait_until(lambda: time.time() > first, "the first deadline")
    assert [proxy.limit(F) for proxy in proxies] == [0, 0]
    ends_in_time(proxies, before + more, state)


def test_a_guard_that_cannot_start_is_a_refusal(
    haproxy: Start, app: App, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxies = pair(haproxy, app, "3.0")
    monkeypatch.setenv("STILLGATE_GUARD", str(state / "no such program"))
    with pytest.raises(CheckRefused) as caught:
        suspend(proxies)
    assert caught.value.code == "guard_failed"
    assert [proxy.limit(F) for proxy in proxies] == [300, 400] and records(state) == []


SLEEPS = """#!/bin/sh
sleep 1000 &
echo $! >"$0.child"
wait
"""


@pytest.mark.parametrize("which", ["cat", "true", "folder", "sleeps"])
def test_a_program_that_is_no_guard_is_a_refusal(
    which: str,
    haproxy: Start,
    app: App,
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It neither hangs the suspend nor is left behind."""
    proxies = pair(haproxy, app, "3.0")
    script = tmp_path / "script"
    script.write_text(SLEEPS)
    script.chmod(0o755)
    paths = {"cat": "/bin/cat", "true": "/bin/true", "folder": str(tmp_path)}
    monkeypatch.setenv("STILLGATE_GUARD", paths.get(which, str(script)))
    with pytest.raises(CheckRefused) as caught:
        suspend(proxies, 600)
    assert caught.value.code == "guard_failed"
    assert paths.get(which, str(script)) in caught.value.message
    assert [proxy.limit(F) for proxy in proxies] == [300, 400] and records(state) == []
    child = tmp_path / "script.child"
    if child.exists():
        wait_until(lambda: not is_running(int(child.read_text())), "the end of what it started")


def test_a_guard_that_starts_behind_the_deadline_is_told_as_that(
    haproxy: Start, app: App, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has ended the hold, and tells of that before it is ready."""
    proxies = pair(haproxy, app, "3.0")
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\nsleep 1\nexec {shlex.quote(str(GUARD))} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("STILLGATE_GUARD", str(script))
    with pytest.raises(StillgateError) as caught:
        Fleet(endpoints(proxies)).suspend(F, method="maxconn", max_hold=0.8)
    assert caught.value.code == "deadline_passed"
    assert [proxy.limit(F) for proxy in proxies] == [300, 400]
    wait_until(lambda: records(state) == [] and not guards(state), "the guard to leave")


def test_a_guard_that_cannot_reach_an_endpoint_is_a_refusal(
    haproxy: Start, app: App, state: Path
) -> None:
    proxies = pair(haproxy, app, "3.0")
    crowded = haproxy("3.0", servers=[app.port], stats_maxconn=1)
    fleet = Fleet([*endpoints(proxies), crowded.endpoints[0]])
    with pytest.raises(CheckRefused) as caught:
        fleet.suspend(F, method="maxconn")
    bad = caught.value.report.switches[2]
    assert bad.error is not None and bad.error.code in ("no_greeting", "stats_maxconn")
    wait_until(lambda: not guards(state), "the guards to leave")
    assert [proxy.limit(F) for proxy in proxies] == [300, 400] and records(state) == []


@pytest.mark.parametrize("label", REMEMBERING)
def test_a_suspend_that_dies_in_the_commit_is_rolled_back(
    label: str, haproxy: Start, app: App, state: Path
) -> None:
    proxies = pair(haproxy, app, label)
    victims: list[int] = []
    max_hold, began = patient(HOLD_S), time.time()

    def kill() -> None:
        wait_until(lambda: bool(victims), "the suspend's pid")
        os.kill(victims[0], signal.SIGKILL)

    with Tap(proxies[0], {COMMIT: kill}) as tap:
        options = ["--method", "maxconn", "--max-hold", str(max_hold)]
        targets = ["-e", tap.endpoint, "-e", proxies[1].endpoints[0]]
        with subprocess.Popen([*CLI, "suspend", F, *options, *targets]) as deploy:
            victims.append(deploy.pid)
        assert deploy.returncode == -signal.SIGKILL
        # Long before its deadline.
        assert max(opened_at(proxies, [300, 400])) < began + max_hold
        # Until the deadline it watches for the commit, which may be on its way.
        wait_until(lambda: not guards(state), "the guards to leave")
    assert [proxy.limit(F) for proxy in proxies] == [300, 400]
    assert records(state) == [] and not any(remembered(proxy) for proxy in proxies)


def test_what_a_rollback_could_not_reach_is_released_later(
    haproxy: Start, app: App, state: Path
) -> None:
    proxies = pair(haproxy, app, "3.0")
    stopped: list[int] = []

    def stop() -> None:
        stopped.append(proxies[0].worker_pid)
        os.kill(stopped[0], signal.SIGSTOP)

    with Tap(proxies[0], {}) as tap:
        tap.after(COMMIT, stop)
        fleet = Fleet([tap.endpoint, proxies[1].endpoints[0]], reply_timeout=patient(0.3))
        with pytest.raises(EndpointFailed) as caught:
            fleet.suspend(F, method="maxconn", max_hold=patient(HOLD_S))
        assert caught.value.report.switches[0].verdict == "unknown"
        assert proxies[1].limit(F) == 400 and len(guards(state)) == 2
        os.kill(stopped[0], signal.SIGCONT)
        wait_until(lambda: limit_or_none(proxies[0]) == 300, "the guard's release")
        wait_until(lambda: not guards(state), "the guards to leave")
    assert records(state) == []


def test_it_is_small(haproxy: Start, state: Path) -> None:
    proxy = haproxy("3.0", unix_sockets=100, stats_maxconn=400)
    guard = BareGuard(GUARD, state, proxy.endpoints)
    assert guard.answer() == "ready"
    try:
        assert resident_kb(active(state)) < 8000
        assert resident_kb(standby(state)) < 4000
    finally:
        guard.leave()
    wait_until(lambda: not guards(state), "the guards to leave")
