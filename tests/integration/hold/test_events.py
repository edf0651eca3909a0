"""Events of real holds: the command, the function, their order, and the history behind them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

import stillgate
from stillgate import EndpointFailed, Fleet, HoldExpired, TooLate
from support.app import App
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F, Slow
from support.haproxy.server import HAProxy
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

    from stillgate.options import EventFormat

pytestmark = pytest.mark.usefixtures("state")
SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "docs" / "schema.json").read_text())
LINE = {**SCHEMA, "$ref": "#/$defs/event_line", "oneOf": [{}]}


@pytest.fixture
def gated(
    haproxy: Start, haproxy_binaries: dict[str, Binary], app: App, tmp_path: Path
) -> Callable[..., HAProxy]:
    """gated() starts HAProxy 3.0 with a gated frontend, before the application."""
    count = itertools.count()

    def start(**options: Any) -> HAProxy:
        folder = tmp_path / f"gate{next(count)}"
        version = haproxy_binaries["3.0"].version
        return haproxy("3.0", **gate_options(F, folder, version, servers=[app.port], **options))

    return start


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stillgate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )


def into(folder: Path) -> str:
    """A command that puts each event into a file of its own, whole or not at all."""
    folder.mkdir()
    return f"cat > {folder}/$$.part && mv {folder}/$$.part {folder}/$STILLGATE_EVENT"


def children() -> str:
    """Of this process's main thread, dead or alive."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def wait_for(folder: Path, *names: str) -> None:
    wait_until(lambda: all((folder / name).exists() for name in names), f"{names}")


def history_events(state: Path) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in (state / "history.jsonl").read_text().splitlines()]
    for event in events:
        jsonschema.validate(event, LINE)
    return events


def test_the_command_gets_each_event(gated: Any, tmp_path: Path, state: Path) -> None:
    proxy = gated()
    told = tmp_path / "told"
    options = ("-e", proxy.endpoints[0], "--on-event", into(told))
    for verb, *more in (("check",), ("suspend", "--reason", "a 'test'"), ("resume",)):
        assert run(verb, F, *options, *more).returncode == 0
    wait_for(told, "checked", "held", "drained", "resumed")
    lines = {path.name: json.loads(path.read_text()) for path in told.iterdir()}
    for line in lines.values():
        jsonschema.validate(line, LINE)
    assert lines["held"]["hold"]["reason"] == "a 'test'"
    assert lines["held"]["figures"]["gate_switches"] == 1
    assert lines["resumed"]["figures"]["released"] == 1
    order = [event["event"] for event in history_events(state)]
    assert order == ["checked", "held", "drained", "resumed"]
    (hold,) = stillgate.history(F)
    assert (hold.ended, hold.endpoints, hold.leaked) == ("resumed", 1, 0)
    shown = run("history")
    assert shown.returncode == 0 and "resumed" in shown.stdout


@pytest.mark.parametrize(
    "line_format, begin", [("syslog", "<29>1 "), ("journald", "MESSAGE=balanced held by ")]
)
def test_the_command_gets_its_format(
    gated: Any, tmp_path: Path, line_format: EventFormat, begin: str
) -> None:
    proxy = gated()
    told = tmp_path / "told"
    fleet = Fleet(proxy.endpoints, on_event=into(told), event_format=line_format)
    with fleet.suspended(F, drain_timeout=0):
        wait_for(told, "held")
    wait_for(told, "resumed")
    assert (told / "held").read_text().startswith(begin)
    if line_format == "syslog" and shutil.which("logger"):
        parsed = run("history", "--events", "--format", "syslog").stdout.splitlines()
        assert parsed[0] == (told / "held").read_text().rstrip("\n")


def test_the_function_is_told_in_order_while_the_call_runs(gated: Any, app: App) -> None:
    proxy = gated()
    told: list[tuple[str, int]] = []
    held = threading.Event()

    def listen(event: dict[str, Any]) -> None:
        told.append((event["event"], threading.get_ident()))
        if event["event"] == "held":
            held.set()

    fleet = Fleet(proxy.endpoints, on_event=listen)
    slow = Slow(proxy, 60_000)
    watcher: list[bool] = []

    def watch() -> None:
        # The drain waits for the slow request, and `held` is told before that.
        watcher.append(held.wait(HANG_S) and slow.status is None)
        app.finish()

    thread = threading.Thread(target=watch)
    thread.start()
    fleet.suspend(F)
    fleet.resume(F)
    thread.join()
    assert slow.join() == 200
    assert watcher == [True]
    assert [name for name, _ in told] == ["held", "drained", "resumed"]
    assert {ident for _, ident in told} == {threading.get_ident()}


def test_a_function_that_raises_ends_no_hold(gated: Any, caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: dict[str, Any]) -> None:
        raise RuntimeError("the chat is down")

    fleet = Fleet(gated().endpoints, on_event=broken)
    with fleet.suspended(F) as hold:
        assert hold.report.ok
    assert caplog.text.count("the chat is down") >= 3


def test_ctrl_c_in_the_function_rolls_back(gated: Any, app: App) -> None:
    told: list[str] = []

    def stop(event: dict[str, Any]) -> None:
        told.append(event["event"])
        if event["event"] == "held":
            raise KeyboardInterrupt

    proxy = gated()
    slow = Slow(proxy, 60_000)
    with pytest.raises(KeyboardInterrupt):
        Fleet(proxy.endpoints, on_event=stop).suspend(F)
    app.finish()
    slow.join()
    assert [one.verdict for one in Fleet(proxy.endpoints).status(F).switches] == ["open"]
    assert told[0] == "held" and told[-1] in ("rolled_back", "resumed")


def test_the_deadline_of_a_block_is_an_expiry(gated: Any) -> None:
    told: list[str] = []
    fleet = Fleet(gated().endpoints, on_event=lambda event: told.append(event["event"]))
    with pytest.raises(HoldExpired):
        with fleet.suspended(F, max_hold=patient(0.6)) as hold:
            wait_until(lambda: hold.resumed is not None, "the deadline")
    assert told == ["held", "drained", "expired"]
    assert stillgate.history()[0].ended == "expired"


def test_a_rollback_names_its_cause_and_the_endpoint_that_is_lost(
    gated: Any, app: App, state: Path
) -> None:
    proxy = gated()
    slow = Slow(proxy, 60_000)
    with pytest.raises(EndpointFailed):
        Fleet(proxy.endpoints).suspend(F, drain_timeout=0.3)
    app.finish()
    slow.join()
    events = history_events(state)
    assert [one["event"] for one in events] == ["held", "rolled_back"]
    assert "drain_timeout" in events[1]["message"]


def test_a_command_that_hangs_delays_nothing(gated: Any, tmp_path: Path) -> None:
    proxy = gated()
    pids = tmp_path / "pids"
    pids.mkdir()
    hang = f"touch {pids}/$$; exec tail -f /dev/null"
    fleet = Fleet(proxy.endpoints, on_event=hang)
    before = children()
    fleet.suspend(F)
    fleet.resume(F)
    # All three are there, or on their way, and not one of them has ended.
    wait_until(lambda: len(list(pids.iterdir())) == 3, "three that hang")
    for path in pids.iterdir():
        os.kill(int(path.name), signal.SIGKILL)
    # A child of ours that was not waited for would stay as a zombie.
    assert children() == before


def test_a_bare_hold_expires_and_status_and_history_say_so(gated: Any) -> None:
    proxy = gated()
    options = ("-e", proxy.endpoints[0])
    max_hold = round(patient(1), 3)
    held = json.loads(run("suspend", F, "--max-hold", str(max_hold), *options, "--json").stdout)
    jsonschema.validate(held, SCHEMA)
    fleet = Fleet(proxy.endpoints)
    wait_until(lambda: fleet.status(F).switches[0].verdict == "open", "the deadline")
    told = run("status", F, *options)
    assert "the last hold, by " in told.stdout and "expired at" in told.stdout
    document = json.loads(run("status", F, *options, "--json").stdout)
    jsonschema.validate(document, SCHEMA)
    assert "expired" in [one["code"] for one in document["switches"][0]["findings"]]
    (hold,) = stillgate.history()
    assert (hold.ended, hold.ended_by) == ("expired", "haproxy")
    assert hold.id == held["holds"][0]["id"]
    assert hold.held_s == pytest.approx(max_hold)
    # Who resumes it later on finds it over.
    with pytest.raises(TooLate):
        fleet.resume(F)
    assert fleet.resume(F).ok
    assert stillgate.history()[0].ended == "expired"


def test_the_history_outlives_a_holder_that_was_killed(gated: Any) -> None:
    proxy = gated()
    holder = subprocess.Popen(
        [sys.executable, "-m", "stillgate", "hold", F, "-e", proxy.endpoints[0]]
        + ["--max-hold", "10", "--reason", "killed", "--", "sleep", "60"],
        start_new_session=True,
    )
    wait_until(lambda: bool(stillgate.history()), "the hold")
    os.killpg(holder.pid, signal.SIGKILL)
    holder.wait()
    (hold,) = stillgate.history()
    assert (hold.ended, hold.reason) == ("held", "killed")
    wait_until(lambda: stillgate.history()[0].ended == "expired", "the deadline")
