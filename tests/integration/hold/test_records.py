"""Where a hold is known: in the HAProxies themselves, and in the journal of who suspended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import CheckRefused, EndpointFailed, Fleet, HeldByOther, TooLate
from support.haproxy.holds import VARIABLE, F, codes, findings, records, remembered, verdicts
from support.haproxy.server import Frontend
from support.haproxy.versions import REMEMBERING, SAFE

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The journal of another machine, for calls that come after its first use."""
    return tmp_path / "elsewhere"


@pytest.mark.parametrize("label", REMEMBERING)
def test_another_machine_sees_the_hold_and_ends_it(
    label: str, haproxy: Start, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxies = [haproxy(label, maxconn=limit, tcp_socket=True) for limit in (123, 456)]
    Fleet([proxy.endpoints[0] for proxy in proxies]).suspend(
        F, no_lease=True, owner="anna@lb", reason="comma, 100 % (sure)"
    )
    monkeypatch.setenv("STILLGATE_STATE_DIR", str(elsewhere))
    # It may also name the endpoints in its own way.
    fleet = Fleet([proxy.endpoints[1] for proxy in proxies])
    report = fleet.status()
    assert [one.limit_before for one in report.switches] == [123, 456]
    (hold,) = report.holds
    assert (hold.owner, hold.reason) == ("anna@lb", "comma, 100 % (sure)")
    with pytest.raises(HeldByOther) as caught:
        fleet.suspend(F, no_lease=True)
    assert "anna@lb" in caught.value.message
    assert verdicts(fleet.resume(F, hold=hold.id)) == ["resumed", "resumed"]
    assert [proxy.limit(F) for proxy in proxies] == [123, 456]
    assert not any(remembered(proxy) for proxy in proxies)
    assert records(elsewhere) == []


def test_below_2_4_another_machine_must_be_told_the_number(
    haproxy: Start, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = haproxy("2.2", maxconn=123)
    fleet = Fleet(proxy.endpoints)
    assert "journal_only" in findings(fleet.suspend(F, no_lease=True))
    monkeypatch.setenv("STILLGATE_STATE_DIR", str(elsewhere))
    assert findings(fleet.status(F)) == {"limit_is_zero"}
    with pytest.raises(CheckRefused):
        fleet.suspend(F, no_lease=True)
    with pytest.raises(EndpointFailed) as caught:
        fleet.resume(F)
    assert codes(caught.value.report) == ["limit_is_zero"]
    assert verdicts(fleet.resume(F, limit=123)) == ["resumed"]
    assert proxy.limit(F) == 123


@pytest.mark.parametrize("label", SAFE)
def test_the_records_survive_a_killed_holder(label: str, haproxy: Start, state: Path) -> None:
    proxy = haproxy(label, maxconn=123)
    code = "import os, signal, stillgate, sys; f = stillgate.Fleet([sys.argv[1]])\n"
    code += "with f.suspended('balanced'): os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code, proxy.endpoints[0]], check=False)
    assert proxy.limit(F) == 0
    assert len(records(state)) == 1
    (one,) = Fleet(proxy.endpoints).resume(F).switches
    assert (one.verdict, one.limit_before, proxy.limit(F)) == ("resumed", 123, 123)


@pytest.mark.parametrize("label", REMEMBERING)
def test_names_that_no_variable_could_have(label: str, haproxy: Start) -> None:
    names = ["a-b", "a_2db", "c.d:e", "x" * 100]
    proxy = haproxy(label, frontends=[Frontend(name, 50 + i) for i, name in enumerate(names)])
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(*names, no_lease=True)
    assert [one.limit_before for one in fleet.status().switches] == [50, 51, 52, 53]
    fleet.resume(*names)
    assert [proxy.limit(name) for name in names] == [50, 51, 52, 53]


@pytest.mark.parametrize("label", REMEMBERING)
def test_a_record_that_somebody_overwrote_is_told(label: str, haproxy: Start) -> None:
    proxy = haproxy(label)
    proxy.cli("experimental-mode on", f"set var proc.{VARIABLE} str(nonsense)")
    fleet = Fleet(proxy.endpoints)
    assert "record_unreadable" in findings(fleet.check(F))
    # It is no hold: the limit is not 0.
    fleet.suspend(F, no_lease=True)
    assert verdicts(fleet.resume(F)) == ["resumed"]


def test_a_reload_forgets_and_the_journal_remembers(haproxy: Start) -> None:
    proxy = haproxy("3.0", master_worker=True, maxconn=150)
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, no_lease=True)
    proxy.reload()
    (one,) = fleet.status(F).switches
    assert (one.verdict, [f.code for f in one.findings]) == ("open", ["already_open", "too_late"])
    with pytest.raises(TooLate) as caught:
        fleet.resume(F)
    (one,) = caught.value.report.switches
    assert (one.verdict, one.limit_now) == ("resumed", 150)
    assert fleet.status(F).switches[0].findings == []


def test_status_on_every_version(haproxy_version: Binary, haproxy: Start) -> None:
    proxy = haproxy(haproxy_version, frontends=[Frontend("a", 10), Frontend("b", 20)])
    fleet = Fleet(proxy.endpoints)
    fleet.suspend("b", no_lease=True, accept_hazard=True)
    report = fleet.status()
    assert report.ok
    told = [(one.frontend, one.verdict, one.limit_before, one.lease) for one in report.switches]
    assert told == [("a", "open", None, None), ("b", "held", 20, "none")]
    fleet.resume("b")
    assert verdicts(fleet.status()) == ["open", "open"]


def test_status_of_a_fleet_that_is_partly_away(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    report = Fleet([*proxy.endpoints, "/nowhere"]).status()
    assert [(one.frontend, one.verdict) for one in report.switches] == [
        (F, "open"),
        ("*", "unknown"),
    ]
    assert (report.ok, report.exit_status, codes(report)[1]) == (False, 1, "no_such_socket")
