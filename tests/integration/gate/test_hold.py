"""Holds by the gate on real HAProxies, as an operator makes them: every method, every end."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import jsonschema
import pytest

from stillgate import CheckRefused, EndpointFailed, Fleet, HeldByOther, InputError
from support.app import App
from support.clients.load import Load
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F, KeepAlive, Slow, codes, findings, records, verdicts
from support.haproxy.server import HAProxy
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")
SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "docs" / "schema.json").read_text())
LATE_S = 0.25


@pytest.fixture
def gated(
    haproxy: Start, haproxy_binaries: dict[str, Binary], app: App, tmp_path: Path
) -> Callable[..., HAProxy]:
    """gated("2.6") starts a real HAProxy with a gated frontend, before the application."""
    count = itertools.count()

    def start(label: str, **options: Any) -> HAProxy:
        folder = tmp_path / f"gate{next(count)}"
        version = haproxy_binaries[label].version
        settings = gate_options(F, folder, version, servers=[app.port], **options)
        return haproxy(label, **settings)

    return start


def waiting(proxy: HAProxy) -> int:
    return Fleet(proxy.endpoints).status(F).switches[0].waiting or 0


def stillgate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stillgate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )


# --- the good course ------------------------------------------------------------------


@pytest.mark.parametrize("nbthread", [1, 2])
def test_under_load_nobody_fails_and_nobody_passes(
    haproxy_version: Binary,
    nbthread: int,
    gated: Callable[..., HAProxy],
    app: App,
    load: Callable[..., Load],
    state: Path,
) -> None:
    proxies = [gated(haproxy_version.label, nbthread=nbthread) for _ in range(2)]
    fleet = Fleet([proxy.endpoints[0] for proxy in proxies])
    open_before = [KeepAlive(proxy) for proxy in proxies]
    for client in open_before:
        client.ask(2)
    running = [load(proxy.ports[F], rate=100) for proxy in proxies]
    for one in running:
        one.wait_for(30)
    with fleet.suspended(F, reason="a test", max_hold=300) as hold:
        report = hold.report
        assert verdicts(report) == ["held", "held"]
        assert [(one.method, one.lease) for one in report.switches] == [("gate", "haproxy")] * 2
        assert (report.drained, [one.leaked for one in report.switches]) == (True, [0, 0])
        began = time.monotonic()
        wait_until(lambda: all(waiting(proxy) >= 20 for proxy in proxies), "some that wait")
        told = fleet.status(F)
        assert [one.leaked for one in told.switches] == [0, 0]
        assert told.holds[0].reason == "a test"
        ended = time.monotonic()
    for client in open_before:
        client.ask()
        client.close()
    done = [record for one in running for record in one.stop()]
    assert [record for record in done if not record.ok] == []
    assert [one for one in app.arrivals() if began <= one.at < ended] == []
    assert records(state) == []


def test_an_open_connection_waits_too(haproxy_version: Binary, gated: Any, app: App) -> None:
    proxy = gated(haproxy_version.label)
    client = KeepAlive(proxy)
    client.ask(2)
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F)
    before = proxy.served(F)
    slow = Waiter(client)
    wait_until(lambda: waiting(proxy) == 1, "the one that waits")
    assert proxy.served(F) == before
    resumed = fleet.resume(F).switches[0]
    slow.join()
    client.close()
    assert resumed.gate is not None
    assert (resumed.waiting, resumed.gate.held, resumed.gate.released) == (0, 1, 1)
    assert resumed.gate.longest_wait_ms > 0


def test_what_was_let_in_before_is_waited_for(haproxy_version: Binary, gated: Any) -> None:
    proxy = gated(haproxy_version.label)
    slow = Slow(proxy, 400)
    report = Fleet(proxy.endpoints).suspend(F)
    assert report.drained
    assert slow.join() == 200
    assert slow.ended_at <= time.monotonic()
    Fleet(proxy.endpoints).resume(F)


def test_the_command_line_tells_the_counters(haproxy_version: Binary, gated: Any) -> None:
    proxy = gated(haproxy_version.label)
    options = ("-e", proxy.endpoints[0], "--json")
    held = stillgate("suspend", F, *options)
    slow = Waiter(KeepAlive(proxy))
    wait_until(lambda: waiting(proxy) == 1, "the one that waits")
    told = stillgate("status", F, *options)
    resumed = stillgate("resume", F, "-e", proxy.endpoints[0])
    slow.join()
    for done in (held, told):
        assert done.returncode == 0, done.stderr
        jsonschema.validate(json.loads(done.stdout), SCHEMA)
    assert json.loads(told.stdout)["switches"][0]["waiting"] == 1
    assert "gate of balanced: 1 held, 1 released, 0 given up, 0 answered 503" in resumed.stdout


# --- the lease ------------------------------------------------------------------------


def test_it_ends_by_itself_with_nobody_alive(haproxy_version: Binary, gated: Any) -> None:
    """As the command line says it; the process is long gone when the deadline comes."""
    proxy = gated(haproxy_version.label)
    max_hold, begun = patient(1.5), time.time()
    options = ("--method", "gate", "--max-hold", str(max_hold), "--json")
    held = stillgate("suspend", F, *options, "-e", proxy.endpoints[0])
    told = time.time()
    assert held.returncode == 0, held.stderr
    document = json.loads(held.stdout)
    assert document["switches"][0]["lease"] == "haproxy"
    client = KeepAlive(proxy)
    client.ask()
    client.close()
    # Not before the deadline, which counts from when the hold began, and right behind it.
    assert begun + max_hold <= time.time() <= told + max_hold + patient(LATE_S)
    assert Fleet(proxy.endpoints).status(F).switches[0].verdict == "open"


def test_the_holder_killed_leaves_nothing_held(
    haproxy_version: Binary, gated: Any, tmp_path: Path
) -> None:
    proxy = gated(haproxy_version.label)
    code = (
        "import sys, time\nfrom stillgate import Fleet\n"
        f"with Fleet([sys.argv[1]]).suspended('{F}', max_hold=float(sys.argv[2])):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, proxy.endpoints[0], str(patient(1.0))],
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGKILL)
    told = Fleet(proxy.endpoints).status(F).switches[0]
    assert told.verdict == "held"
    client = KeepAlive(proxy)
    client.ask()
    client.close()


def test_on_expiry_reject_answers_503_until_resumed(haproxy_version: Binary, gated: Any) -> None:
    proxy = gated(haproxy_version.label)
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, max_hold=patient(0.3), drain_timeout=0.1, on_expiry="reject")
    wait_until(lambda: "rejecting" in findings(fleet.status(F)), "the deadline")
    assert answer(proxy) == (503, "1")
    report = fleet.status(F)
    assert verdicts(report) == ["held"]
    fleet.resume(F)
    assert answer(proxy)[0] == 200
    counters = fleet.status(F).switches[0].gate
    assert counters is not None and counters.rejected == 1


# --- what is refused ------------------------------------------------------------------


def test_a_second_hold_is_refused_with_the_holders_name(
    haproxy_version: Binary, gated: Any
) -> None:
    proxy = gated(haproxy_version.label)
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, owner="alice@there", reason="first")
    with pytest.raises(HeldByOther) as caught:
        fleet.suspend(F)
    assert caught.value.report.holds[0].owner == "alice@there"
    assert codes(caught.value.report) == ["already_held"]
    fleet.resume(F)


def test_lua_without_lines_is_no_gate(haproxy_version: Binary, gated: Any) -> None:
    proxy = gated(haproxy_version.label, lines=False)
    fleet = Fleet(proxy.endpoints)
    with pytest.raises(CheckRefused) as caught:
        fleet.suspend(F, method="gate")
    assert codes(caught.value.report) == ["gate_unproven"]
    assert "gate_unproven" in findings(fleet.check(F, accept_hazard=True))
    assert fleet.check(F, method="gate", accept_unproven=True).ok


def test_without_the_lua_file_there_is_none(haproxy_version: Binary, haproxy: Start) -> None:
    proxy = haproxy(haproxy_version.label)
    with pytest.raises(CheckRefused) as caught:
        Fleet(proxy.endpoints).suspend(F, method="gate")
    assert codes(caught.value.report) == ["gate_missing"]


@pytest.mark.parametrize("option", [{"on_expiry": "reject"}, {"max_waiting": 5}])
def test_what_maxconn_cannot_do_is_refused(option: dict[str, Any], gated: Any) -> None:
    proxy = gated("3.0")
    with pytest.raises(InputError):
        Fleet(proxy.endpoints).suspend(F, method="maxconn", no_lease=True, **option)
    bare = Fleet(gated("3.0", lines=False).endpoints)
    with pytest.raises(CheckRefused) as caught:
        bare.suspend(F, no_lease=True, **option)
    assert codes(caught.value.report) == ["gate_unproven"]


def test_a_crash_hazard_names_the_gate_as_the_way_out(haproxy: Start) -> None:
    report = Fleet(haproxy("2.6").endpoints).check(F)
    assert codes(report) == ["crash_hazard"]
    assert "stillgate gate --config balanced" in str(report.switches[0].error)


def test_the_bound_answers_503_past_it(haproxy_version: Binary, gated: Any) -> None:
    proxy = gated(haproxy_version.label)
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, max_waiting=1)
    slow = Waiter(KeepAlive(proxy))
    wait_until(lambda: waiting(proxy) == 1, "the one that waits")
    assert answer(proxy) == (503, "1")
    counters = fleet.resume(F).switches[0].gate
    slow.join()
    assert counters is not None and (counters.rejected, counters.released) == (1, 1)


# --- a mixed fleet, and failures ------------------------------------------------------


def test_a_fleet_may_mix_methods(gated: Any, haproxy: Start, app: App) -> None:
    proxies = [gated("2.6"), haproxy("3.0", servers=[app.port]), gated("sid")]
    fleet = Fleet([proxy.endpoints[0] for proxy in proxies])
    report = fleet.suspend(F, no_lease=True)
    assert [one.method for one in report.switches] == ["gate", "maxconn", "gate"]
    assert [one.lease for one in report.switches] == ["haproxy", "none", "haproxy"]
    assert verdicts(fleet.resume(F, ramp=0.3)) == ["resumed"] * 3
    assert [proxy.limit(F) for proxy in proxies] == [100, 100, 100]
    assert verdicts(fleet.status(F)) == ["open"] * 3


def test_one_that_dies_in_the_drain_opens_the_others(gated: Any, app: App) -> None:
    proxies = [gated("3.0"), gated("2.6")]
    fleet = Fleet([proxy.endpoints[0] for proxy in proxies])
    slow = [Slow(proxies[0], 60_000), Slow(proxies[1], 60_000)]
    proxies[1].may_end = True

    def kill_in_the_drain() -> None:
        wait_until(lambda: verdicts(fleet.status(F)) == ["held", "held"], "the drain")
        proxies[1].kill()
        app.finish()

    killing = threading.Thread(target=kill_in_the_drain)
    killing.start()
    with pytest.raises(EndpointFailed) as caught:
        fleet.suspend(F, drain_timeout=300, max_hold=600)
    killing.join()
    assert verdicts(caught.value.report)[0] == "reverted"
    assert verdicts(Fleet(proxies[0].endpoints).status(F)) == ["open"]
    assert slow[0].join() == 200


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_a_reload_does_not_end_it(haproxy_version: Binary, how: str, gated: Any, app: App) -> None:
    proxy = gated(haproxy_version.label, master_worker=how == "reload")
    fleet = Fleet(proxy.endpoints)
    held = fleet.suspend(F, reason="through it")
    if how == "reload":
        proxy.reload()
    else:
        proxy.stop()
        proxy.restart()
    told = fleet.status(F)
    assert verdicts(told) == ["held"]
    assert told.holds[0].id == held.holds[0].id
    before = proxy.served(F)
    slow = Waiter(KeepAlive(proxy))
    wait_until(lambda: waiting(proxy) == 1, "the one that waits")
    assert proxy.served(F) == before
    assert verdicts(fleet.resume(F)) == ["resumed"]
    slow.join()


def test_a_state_folder_that_is_gone_is_told(
    haproxy_version: Binary, gated: Any, tmp_path: Path
) -> None:
    proxy = gated(haproxy_version.label)
    fleet = Fleet(proxy.endpoints)
    shutil.rmtree(tmp_path / "gate0")
    assert "gate_state_unsaved" in findings(fleet.check(F))
    assert verdicts(fleet.suspend(F)) == ["held"]
    assert "gate_state_unsaved" in findings(fleet.status(F))
    fleet.resume(F)


# --- its own helpers ------------------------------------------------------------------


class Waiter:
    """One request of a client that is not answered at once."""

    def __init__(self, client: KeepAlive) -> None:
        self._failed: Optional[BaseException] = None
        self._client = client
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        try:
            self._client.ask()
        except BaseException as error:
            self._failed = error

    def join(self) -> None:
        self._thread.join(HANG_S)
        self._client.close()
        assert self._failed is None, self._failed


def answer(proxy: HAProxy) -> tuple[int, Optional[str]]:
    """The status of one request, and its Retry-After."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.ports[F], timeout=HANG_S)
    connection.request("GET", "/")
    got = connection.getresponse()
    got.read()
    connection.close()
    return got.status, got.headers["Retry-After"]


def test_every_level_reads_owner_and_reason_of_a_hold_by_the_gate(
    haproxy_version: Binary, gated: Callable[..., HAProxy], tmp_path: Path
) -> None:
    """SECURITY.md says so: the gate cannot know the level of who asks it."""
    levels = {level: tmp_path / f"{level}.sock" for level in ("operator", "user")}
    sockets = [f"stats socket {path} level {level}" for level, path in levels.items()]
    proxy = gated(haproxy_version.label, extra_global=sockets)
    Fleet(proxy.endpoints).suspend(F, method="gate", owner="ada", reason="ticket 4711")
    for path in levels.values():
        (held,) = Fleet([f"unix://{path}"]).status(F).holds
        assert (held.owner, held.reason) == ("ada", "ticket 4711")
    Fleet(proxy.endpoints).resume(F)
