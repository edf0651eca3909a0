"""Holds by maxconn on real HAProxies under load: none fails, none slips through, limits return."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import CheckRefused, EndpointFailed, Fleet, HeldByOther, TooLate
from support.app import App
from support.clients.load import Load
from support.haproxy.faulty_peer import FaultyPeer, serve, silence
from support.haproxy.holds import VARIABLE, codes, connected, queued, quiet, records, verdicts
from support.haproxy.server import Frontend
from support.haproxy.versions import SAFE, has_wait
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start


pytestmark = pytest.mark.usefixtures("state")

STAT = (
    "# pxname,svname,qcur,scur,slim,stot,rate,status,req_tot,\n"
    "balanced,FRONTEND,,0,70,0,0,OPEN,0,\n"
)


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
@pytest.mark.parametrize("nbthread", [1, 2])
@pytest.mark.parametrize("label", SAFE)
def test_under_load_nobody_fails_and_nobody_passes(
    label: str,
    nbthread: int,
    tcp: bool,
    haproxy: Start,
    app: App,
    load: Callable[..., Load],
    state: Path,
) -> None:
    proxies = [
        haproxy(label, servers=[app.port], maxconn=limit, nbthread=nbthread, tcp_socket=tcp)
        for limit in (300, 400)
    ]
    fleet = Fleet([proxy.endpoints[-1] for proxy in proxies])
    running = [load(proxy.ports["balanced"], rate=100) for proxy in proxies]
    for one in running:
        one.wait_for(30)
    with fleet.suspended("balanced", reason="a test", max_hold=300) as hold:
        report = hold.report
        assert verdicts(report) == ["held", "held"]
        assert (report.drained, [one.leaked for one in report.switches]) == (True, [0, 0])
        assert report.commit_window_ms is not None and report.skew_ms is not None
        assert 0 <= report.skew_ms <= report.commit_window_ms
        lease = "guard+wait" if has_wait(label) else "guard"
        assert all(one.lease == lease for one in report.switches)
        assert [one.limit_before for one in report.switches] == [300, 400]
        assert all(quiet(proxy) for proxy in proxies)
        began = time.monotonic()
        already = [len(one.records()) for one in running]
        came = sum(map(queued, proxies))
        wait_until(lambda: sum(map(queued, proxies)) > came + 40, "some that wait")
        ended = time.monotonic()
        assert [proxy.limit("balanced") for proxy in proxies] == [0, 0]
        assert len(records(state)) == 1
    assert hold.resumed is not None
    assert [one.leaked for one in hold.resumed.switches] == [0, 0]
    assert [proxy.limit("balanced") for proxy in proxies] == [300, 400]
    for one, count in zip(running, already):
        one.wait_for(count + 50)
    everything = [record for one in running for record in one.stop()]
    assert [record for record in everything if not record.ok] == []
    assert app.arrived_between(began, ended) == []
    assert sum(began < record.sent_at < ended for record in everything) > 20
    assert records(state) == []


def test_a_release_that_crashes_is_refused_and_stays_alive(haproxy: Start, app: App) -> None:
    proxy = haproxy("2.6", servers=[app.port])
    good = haproxy("3.0", servers=[app.port])
    fleet = Fleet([*good.endpoints, *proxy.endpoints])
    with pytest.raises(CheckRefused) as caught:
        fleet.suspend("balanced", no_lease=True)
    assert caught.value.code == "crash_hazard"
    assert codes(caught.value.report) == [None, "crash_hazard"]
    assert "2.6.20" in caught.value.message and "--accept-hazard" in caught.value.message
    assert [one.limit("balanced") for one in (good, proxy)] == [100, 100]
    assert proxy.alive() and proxy.info()["Pid"] == str(proxy.pid)


def test_the_hazard_can_be_overruled(haproxy: Start) -> None:
    # Nobody waits in this hold, and then even an affected release survives its resume.
    proxy = haproxy("2.6")
    fleet = Fleet(proxy.endpoints)
    report = fleet.suspend("balanced", no_lease=True, accept_hazard=True)
    assert ("crash_hazard", "warning") in [(f.code, f.level) for f in report.switches[0].findings]
    # The operator's word is on record: resume does not ask again.
    assert verdicts(fleet.resume("balanced")) == ["resumed"]
    assert proxy.limit("balanced") == 100


@pytest.mark.parametrize("label", SAFE)
def test_what_the_check_refuses_changes_nothing(label: str, haproxy: Start, state: Path) -> None:
    good = haproxy(label)
    low = haproxy(label, level="operator")
    other = haproxy(label, frontends=["elsewhere"])
    for bad, code in ((low, "permission_denied"), (other, "no_such_frontend")):
        with pytest.raises(CheckRefused) as caught:
            Fleet([*good.endpoints, *bad.endpoints]).suspend("balanced", no_lease=True)
        assert codes(caught.value.report) == [None, code]
    with pytest.raises(CheckRefused) as caught:
        Fleet([*good.endpoints, "/nowhere"]).suspend("balanced", no_lease=True)
    assert codes(caught.value.report) == [None, "no_such_socket"]
    assert good.limit("balanced") == 100
    assert records(state) == []


def test_two_frontends_in_one_hold(haproxy: Start) -> None:
    names = [Frontend("a", 50), Frontend("b", None), Frontend("c", 70)]
    proxy = haproxy("3.0", frontends=names, global_maxconn=333)
    fleet = Fleet(proxy.endpoints)
    report = fleet.suspend("a", "b", no_lease=True)
    assert [(s.frontend, s.limit_before, s.limit_now) for s in report.switches] == [
        ("a", 50, 0),
        ("b", 333, 0),
    ]
    assert proxy.limit("c") == 70
    fleet.resume("a", "b")
    assert [proxy.limit(name) for name in "abc"] == [50, 333, 70]


def test_a_second_suspend_is_told_who_holds(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fleet = Fleet(proxy.endpoints)
    fleet.suspend("balanced", no_lease=True, owner="anna@lb", reason="migration 42")
    with pytest.raises(HeldByOther) as caught:
        fleet.suspend("balanced", no_lease=True)
    assert "anna@lb" in caught.value.message and "migration 42" in caught.value.message
    assert [hold.owner for hold in caught.value.report.holds] == ["anna@lb"]
    fleet.resume("balanced")
    assert verdicts(fleet.resume("balanced")) == ["open"]


def test_a_limit_set_to_zero_by_hand(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fleet = Fleet(proxy.endpoints)
    proxy.cli("set maxconn frontend balanced 0")
    with pytest.raises(CheckRefused) as refused:
        fleet.suspend("balanced", no_lease=True)
    assert refused.value.code == "limit_is_zero"
    with pytest.raises(EndpointFailed) as failed:
        fleet.resume("balanced")
    assert failed.value.code == "limit_is_zero" and "--limit N" in failed.value.message
    assert verdicts(fleet.resume("balanced", limit=77)) == ["resumed"]
    assert proxy.limit("balanced") == 77


def test_one_that_dies_while_held(haproxy: Start, state: Path) -> None:
    proxies = [haproxy("3.0") for _ in range(3)]
    fleet = Fleet([proxy.endpoints[0] for proxy in proxies])
    fleet.suspend("balanced", no_lease=True)
    proxies[1].kill()
    with pytest.raises(EndpointFailed) as caught:
        fleet.resume("balanced", retry_for=0.6)
    assert verdicts(caught.value.report) == ["resumed", "unknown", "resumed"]
    assert codes(caught.value.report)[1] == "connection_refused"
    assert [proxies[i].limit("balanced") for i in (0, 2)] == [100, 100]
    # What could not be reached stays on record, and a later resume finds it open.
    assert len(records(state)) == 1
    proxies[1].restart()
    with pytest.raises(TooLate) as late:
        fleet.resume("balanced")
    assert verdicts(late.value.report) == ["open", "resumed", "open"]
    # The restart has ended the hold there.
    assert codes(late.value.report) == [None, "hold_ended", None]
    assert records(state) == []


def test_resume_retries_until_it_is_back(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fleet = Fleet(proxy.endpoints, greeting_timeout=patient(0.2))
    fleet.suspend("balanced", no_lease=True)
    os.kill(proxy.pid, signal.SIGSTOP)
    command = [sys.executable, "-m", "stillgate", "resume", "balanced", "--json"]
    command += [
        "--greeting-timeout",
        str(patient(0.2)),
        "--retry-for",
        "300",
        "-e",
        proxy.endpoints[0],
    ]
    resuming = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: connected(resuming.pid) == 1, "the first attempt")
    wait_until(lambda: connected(resuming.pid) == 0, "its failure")
    assert resuming.poll() is None
    os.kill(proxy.pid, signal.SIGCONT)
    output, _ = resuming.communicate(timeout=60)
    assert resuming.returncode == 0, output
    assert proxy.limit("balanced") == 100


@pytest.mark.parametrize(
    "ending",
    ["pass", "sys.exit(3)", "raise RuntimeError", "time.sleep(60)", "os.kill(os.getpid(), 2)"],
)
def test_a_block_never_outlives_its_deadline(ending: str, haproxy: Start, state: Path) -> None:
    """Left in any way, or not at all."""
    proxy = haproxy("3.0")
    code = "import os, stillgate, sys, time\n"
    code += (
        "hold = stillgate.suspended('balanced', fleet=[sys.argv[1]], max_hold=float(sys.argv[2]))\n"
    )
    code += f"hold.__enter__()\n{ending}\n"
    max_hold = patient(1.0)
    with subprocess.Popen(
        [sys.executable, "-c", code, proxy.endpoints[0], str(max_hold)], stderr=subprocess.DEVNULL
    ) as holder:
        wait_until(lambda: proxy.limit("balanced") == 0, "the hold")
        wait_until(lambda: proxy.limit("balanced") == 100, "its end")
        wait_until(lambda: records(state) == [], "the end of the record")
        holder.kill()


def test_a_child_that_leaves_the_block_ends_nothing(haproxy: Start, state: Path) -> None:
    """As one does whose exec has failed."""
    proxy = haproxy("3.0")
    with Fleet([proxy.endpoints[0]]).suspended("balanced", max_hold=300) as hold:
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            hold.ending.leave()
            hold.finish()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        # It was not told to, and what it would have told has nobody to hear it now.
        assert not hold.expired and proxy.limit("balanced") == 0
        assert hold.extend(1.0).ok
    assert hold.resumed is not None and proxy.limit("balanced") == 100


def test_one_that_hangs_in_the_commit_leaves_the_others_as_they_were(
    haproxy: Start, state: Path
) -> None:
    """A fake, because no real HAProxy can be made to hang at exactly that command."""
    proxy = haproxy("3.0")
    answers = {
        "show info": "Version: 3.0.11\nPid: 1\nUptime_sec: 5\n",
        "show stat -1 3 -1": STAT,
        "show stat -1 7 -1": STAT,
        f"get var proc.{VARIABLE}": "[6]: Unknown command. Please enter one of the following\n",
        "show cli level": "[6]: admin\n",
        "stillgate status balanced": "[6]: Unknown command. Please enter one of the following\n",
        "stillgate prove balanced": "[6]: Unknown command. Please enter one of the following\n",
        "set maxconn frontend balanced 70": "",
    }
    unknown = answers["stillgate status balanced"]
    answers |= {f"get var proc.stillgate_{mark}_balanced": unknown for mark in ("lock", "ended")}
    # The greeting's two lines, the check's nine, the second look's seven and the arming are
    # answered, the commit is not.
    with FaultyPeer([serve(19), silence()], [serve()], answers=answers) as peer:
        fleet = Fleet([*proxy.endpoints, peer.endpoint], reply_timeout=patient(0.5))
        with pytest.raises(EndpointFailed) as caught:
            fleet.suspend("balanced", no_lease=True)
        assert peer.lines.count("set maxconn frontend balanced 0") == 1
        assert peer.lines.count("set maxconn frontend balanced 70") == 1
    assert verdicts(caught.value.report) == ["reverted", "reverted"]
    assert codes(caught.value.report) == ["rolled_back", "reply_timeout"]
    assert proxy.limit("balanced") == 100
    assert records(state) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_suspend_leaves_nothing_held(
    number: signal.Signals, haproxy: Start, state: Path
) -> None:
    proxies = [haproxy("3.0"), haproxy("3.0")]
    os.kill(proxies[1].pid, signal.SIGSTOP)
    command = [sys.executable, "-m", "stillgate", "suspend", "balanced", "--no-lease", "--json"]
    command += ["--greeting-timeout", "300"]
    for proxy in proxies:
        command += ["-e", proxy.endpoints[0]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as suspending:
        wait_until(lambda: connected(suspending.pid) == 2, "both connections")
        suspending.send_signal(number)
        sent = time.monotonic()
        suspending.wait(HANG_S)
        assert time.monotonic() - sent < patient(2)
    os.kill(proxies[1].pid, signal.SIGCONT)
    assert suspending.returncode == 130
    assert [proxy.limit("balanced") for proxy in proxies] == [100, 100]
    assert records(state) == []


def test_a_journal_that_cannot_be_written_holds_nothing(
    haproxy: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = haproxy("3.0")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STILLGATE_STATE_DIR", str(tmp_path / "file"))
    with pytest.raises(CheckRefused) as caught:
        Fleet(proxy.endpoints).suspend("balanced", no_lease=True)
    assert caught.value.code == "journal_failed"
    assert proxy.limit("balanced") == 100
