"""A resume whose hold had ended before, on real HAProxies: told once, by whom and when."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import pytest

from stillgate import EndpointFailed, Fleet, HoldExpired, Report
from support.app import App
from support.command import run, run_json
from support.haproxy.gate import Gated
from support.haproxy.guards import active, guards
from support.haproxy.holds import F, Slow, codes, findings, queued, verdicts
from support.haproxy.server import HAProxy
from support.haproxy.versions import REMEMBERING, SAFE
from support.patience import patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

TOO_LATE = 5
pytestmark = pytest.mark.usefixtures("state")


def resumed(proxy: HAProxy, *options: str, **given: Any) -> tuple[int, dict[str, Any]]:
    """The exit status of the command line, and its document."""
    return run_json("resume", F, "-e", proxy.endpoints[0], *options, **given)


def told(document: dict[str, Any]) -> tuple[str, Optional[str]]:
    """How the hold had ended, and by whom."""
    (one,) = document["switches"]
    assert one["error"]["code"] == "hold_ended"
    return one["ended"]["how"], one["ended"]["by"]


def ask(proxy: HAProxy, count: int) -> None:
    """So many requests that are answered."""
    for _ in range(count):
        assert Slow(proxy, 0).join() == 200


def is_well(proxy: HAProxy) -> None:
    """From now on there is nothing to tell."""
    for _ in range(2):
        status, document = resumed(proxy)
        assert (status, document["switches"][0]["error"]) == (0, None)


@contextmanager
def held_client(proxy: HAProxy) -> Iterator[None]:
    """A client that waits in the kernel's queue."""
    with socket.create_connection(("127.0.0.1", proxy.ports[F])) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        wait_until(lambda: queued(proxy) == 1, "the client in the queue")
        yield


def wait_open(proxy: HAProxy) -> None:
    wait_until(lambda: proxy.limit(F) > 0, "the end of the hold")


def wait_guardless(state: Path) -> None:
    wait_until(lambda: not guards(state), "the guards to be gone")


@pytest.mark.parametrize("label", SAFE)
def test_after_its_deadline_by_maxconn(label: str, haproxy: Start, app: App, state: Path) -> None:
    proxy = haproxy(label, servers=[app.port])
    hold = Fleet(proxy.endpoints).suspend(F, max_hold=patient(0.5)).holds[0]
    wait_open(proxy)
    ask(proxy, 3)
    status, document = resumed(proxy)
    assert (status, told(document)) == (TOO_LATE, ("expired", "guard"))
    (one,) = document["switches"]
    assert one["hold_id"] == hold.id
    assert one["ended"]["requests_since"] >= 3
    assert [each["id"] for each in document["holds"]] == [hold.id]
    words = one["error"]["message"]
    assert "deadline" in words and "guard" in words and "stillgate history" in words
    is_well(proxy)
    wait_guardless(state)
    is_well(proxy)


@pytest.mark.parametrize("label", SAFE)
def test_long_after_the_guard_has_left(label: str, haproxy: Start, app: App, state: Path) -> None:
    proxy = haproxy(label, servers=[app.port])
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, max_hold=patient(0.5))
    wait_guardless(state)
    # To be found by whoever asks whether all is well.
    assert "too_late" in [one.code for one in fleet.status(F).switches[0].findings]
    status, document = resumed(proxy)
    assert (status, told(document)) == (TOO_LATE, ("expired", "guard"))
    assert [one.code for one in fleet.status(F).switches[0].findings] == ["expired"]
    is_well(proxy)


def test_after_its_deadline_by_the_gate(
    haproxy_version: Binary, gated: Callable[..., Gated], app: App
) -> None:
    made = gated(haproxy_version, servers=[app.port])
    proxy = made.proxy
    Fleet(proxy.endpoints).suspend(F, method="gate", max_hold=patient(0.5))
    wait_until(lambda: bool(made.status()["mode"] == "open"), "the deadline")
    ask(proxy, 2)
    table = run("resume", F, "-e", proxy.endpoints[0])
    assert (table.returncode, table.stderr) == (TOO_LATE, "")
    assert "TOO LATE" in table.stdout and "HAProxy" in table.stdout
    is_well(proxy)


def test_a_status_in_between_takes_nothing_away(
    haproxy_version: Binary, gated: Callable[..., Gated], app: App
) -> None:
    made = gated(haproxy_version, servers=[app.port])
    proxy = made.proxy
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, method="gate", max_hold=patient(0.5))
    wait_until(lambda: bool(made.status()["mode"] == "open"), "the deadline")
    for _ in range(3):
        assert "too_late" in [one.code for one in fleet.status(F).switches[0].findings]
    status, document = resumed(proxy)
    assert (status, told(document)) == (TOO_LATE, ("expired", "haproxy"))
    is_well(proxy)


@pytest.mark.parametrize("label", REMEMBERING)
def test_after_a_forced_resume_from_another_home(
    label: str, haproxy: Start, app: App, state: Path, tmp_path: Path
) -> None:
    proxy = haproxy(label, servers=[app.port])
    Fleet(proxy.endpoints).suspend(F, max_hold=600, owner="anna")
    elsewhere = {**os.environ, "STILLGATE_STATE_DIR": str(tmp_path / "elsewhere")}
    by_force = ("--owner", "bob", "--force", "--reason", "asleep")
    status, _ = resumed(proxy, *by_force, environment=elsewhere)
    assert status == 0
    status, document = resumed(proxy)
    assert (status, told(document)) == (TOO_LATE, ("resumed", "bob by --force (asleep)"))
    wait_guardless(state)
    is_well(proxy)
    assert resumed(proxy, environment=elsewhere)[0] == 0


def test_after_a_forced_resume_of_a_gate_from_another_home(
    haproxy_version: Binary, gated: Callable[..., Gated], app: App, tmp_path: Path
) -> None:
    proxy = gated(haproxy_version, servers=[app.port]).proxy
    Fleet(proxy.endpoints).suspend(F, method="gate", max_hold=600, owner="anna")
    elsewhere = {**os.environ, "STILLGATE_STATE_DIR": str(tmp_path / "elsewhere")}
    by_force = ("--owner", "bob", "--force", "--reason", "asleep")
    assert resumed(proxy, *by_force, environment=elsewhere)[0] == 0
    status, document = resumed(proxy)
    remembers = haproxy_version.release >= (2, 4)
    assert (status, told(document)) == (
        TOO_LATE,
        ("resumed", "bob by --force (asleep)") if remembers else ("opened", None),
    )
    is_well(proxy)


@pytest.mark.parametrize("label", REMEMBERING)
def test_the_same_owner_elsewhere_is_the_holder(
    label: str, haproxy: Start, app: App, state: Path, tmp_path: Path
) -> None:
    proxy = haproxy(label, servers=[app.port])
    Fleet(proxy.endpoints).suspend(F, max_hold=600, owner="deploy")
    elsewhere = {**os.environ, "STILLGATE_STATE_DIR": str(tmp_path / "elsewhere")}
    assert resumed(proxy, "--owner", "deploy", environment=elsewhere)[0] == 0
    wait_guardless(state)
    is_well(proxy)


@pytest.mark.parametrize("label", SAFE)
@pytest.mark.parametrize("at_once", [True, False])
def test_after_the_limit_was_set_by_hand(
    label: str, at_once: bool, haproxy: Start, app: App, state: Path
) -> None:
    proxy = haproxy(label, servers=[app.port])
    Fleet(proxy.endpoints).suspend(F, max_hold=600)
    proxy.cli(f"set maxconn frontend {F} 100")
    if not at_once:
        wait_guardless(state)
    status, document = resumed(proxy)
    assert (status, told(document)) == (TOO_LATE, ("opened", None))
    is_well(proxy)


@pytest.mark.parametrize("label", SAFE)
def test_after_its_guard_was_told_to_go(label: str, haproxy: Start, app: App, state: Path) -> None:
    proxy = haproxy(label, servers=[app.port])
    Fleet(proxy.endpoints).suspend(F, max_hold=patient(10))
    os.kill(active(state), signal.SIGTERM)
    wait_open(proxy)
    wait_guardless(state)
    status, document = resumed(proxy)
    assert (status, told(document)) == (TOO_LATE, ("guard_ended", "guard"))
    is_well(proxy)


@pytest.mark.parametrize("label", SAFE)
def test_where_nothing_was_held_and_after_a_good_resume_all_is_well(
    label: str, haproxy: Start, app: App, state: Path
) -> None:
    proxy = haproxy(label, servers=[app.port])
    is_well(proxy)
    hold = Fleet(proxy.endpoints).suspend(F, max_hold=600).holds[0]
    is_well(proxy)
    wait_guardless(state)
    is_well(proxy)
    assert resumed(proxy, "--hold", hold.id)[0] == 0


def test_where_a_gate_held_nothing_and_after_its_good_resume_all_is_well(
    haproxy_version: Binary, gated: Callable[..., Gated], app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port]).proxy
    is_well(proxy)
    hold = Fleet(proxy.endpoints).suspend(F, method="gate", max_hold=600).holds[0]
    is_well(proxy)
    assert resumed(proxy, "--hold", hold.id)[0] == 0


@pytest.mark.parametrize("label", SAFE)
def test_the_last_hold_counts_by_name_and_each_by_its_id(
    label: str, haproxy: Start, app: App, state: Path
) -> None:
    proxy = haproxy(label, servers=[app.port])
    fleet = Fleet(proxy.endpoints)
    forgotten = fleet.suspend(F, max_hold=patient(0.5)).holds[0]
    wait_guardless(state)
    fleet.suspend(F, max_hold=600)
    # Of the forgotten hold it does not tell: this one was held until now.
    is_well(proxy)
    status, document = resumed(proxy, "--hold", forgotten.id)
    assert (status, told(document)) == (TOO_LATE, ("expired", "guard"))
    assert resumed(proxy, "--hold", forgotten.id)[0] == 0


@pytest.mark.parametrize("label", REMEMBERING)
def test_elsewhere_it_is_told_by_its_id_only(
    label: str, haproxy: Start, app: App, state: Path, tmp_path: Path
) -> None:
    proxy = haproxy(label, servers=[app.port])
    hold = Fleet(proxy.endpoints).suspend(F, max_hold=patient(0.5)).holds[0]
    wait_guardless(state)
    elsewhere = {**os.environ, "STILLGATE_STATE_DIR": str(tmp_path / "elsewhere")}
    assert resumed(proxy, environment=elsewhere)[0] == 0
    status, document = resumed(proxy, "--hold", hold.id, environment=elsewhere)
    assert (status, told(document)) == (TOO_LATE, ("expired", "guard"))
    # And there it took nothing from who held.
    assert resumed(proxy)[0] == TOO_LATE


@pytest.mark.parametrize("label", SAFE)
def test_a_deadline_in_the_drain_by_maxconn(label: str, haproxy: Start, app: App) -> None:
    proxy = haproxy(label, servers=[app.port])
    slow = Slow(proxy, round(1000 * patient(2)))
    with pytest.raises(EndpointFailed) as caught:
        Fleet(proxy.endpoints).suspend(F, max_hold=0.7)
    assert caught.value.code == "deadline_passed"
    assert codes(caught.value.report) == ["deadline_passed"]
    assert proxy.limit(F) == 100
    slow.join()
    is_well(proxy)


def test_a_deadline_in_the_drain_by_the_gate(
    haproxy_version: Binary, gated: Callable[..., Gated], app: App
) -> None:
    made = gated(haproxy_version, servers=[app.port])
    slow = Slow(made.proxy, round(1000 * patient(2)))
    with pytest.raises(EndpointFailed) as caught:
        Fleet(made.proxy.endpoints).suspend(F, method="gate", max_hold=0.7)
    assert caught.value.code == "deadline_passed"
    assert codes(caught.value.report) == ["deadline_passed"]
    assert made.status()["mode"] == "open"
    slow.join()
    is_well(made.proxy)


def test_work_that_ends_after_its_gate_is_late(
    haproxy_version: Binary, gated: Callable[..., Gated], app: App
) -> None:
    made = gated(haproxy_version, servers=[app.port])
    # Opened in the block's last instant: sooner than anybody looks.
    with pytest.raises(HoldExpired) as caught:
        with Fleet(made.proxy.endpoints).suspended(F, method="gate", max_hold=600) as hold:
            made.open()
    assert isinstance(hold.resumed, Report) and hold.resumed.exit_status == TOO_LATE
    assert "before the work inside it was done" in str(caught.value)


@pytest.mark.parametrize("label", ["2.6", "3.0", "sid"])
def test_a_command_that_ends_after_its_gate_is_late(
    label: str,
    haproxy_binaries: dict[str, Binary],
    gated: Callable[..., Gated],
    app: App,
    tmp_path: Path,
) -> None:
    """Below 2.4 the switch is known by its token only, and cannot be opened by a script."""
    made = gated(haproxy_binaries[label], servers=[app.port])
    script = tmp_path / "open.py"
    path = made.proxy.endpoints[0].replace("unix://", "")
    script.write_text(
        "import socket\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        f"s.connect({path!r})\n"
        f"s.sendall({('; '.join(made.switching('open')) + chr(10))!r}.encode())\n"
        "while s.recv(4096): pass\n"
    )
    done = run(
        "hold",
        F,
        "-e",
        made.proxy.endpoints[0],
        "--method",
        "gate",
        "--max-hold",
        "600",
        "--",
        sys.executable,
        str(script),
    )
    assert done.returncode == 124, done.stderr
    assert "ended" in done.stderr


@pytest.mark.parametrize("nbthread", [1, 2, 4])
def test_an_haproxy_that_dies_of_its_resume_is_not_done(
    nbthread: int, haproxy: Start, app: App
) -> None:
    proxy = haproxy("2.6", servers=[app.port], nbthread=nbthread)
    proxy.may_end = True
    Fleet(proxy.endpoints).suspend(F, no_lease=True, accept_hazard=True)
    with held_client(proxy):
        status, document = resumed(proxy, "--retry-for", "1")
    assert not proxy.alive()
    (one,) = document["switches"]
    assert (status, one["error"]["code"]) == (1, "crashed_on_resume")


def test_an_haproxy_that_survives_a_resume_at_risk_was_watched(haproxy: Start) -> None:
    proxy = haproxy("2.6", nbthread=2)
    Fleet(proxy.endpoints).suspend(F, no_lease=True, accept_hazard=True)
    report = Fleet(proxy.endpoints).resume(F)
    assert verdicts(report) == ["resumed"] and "survived" in findings(report, "info")
