"""How a hold went, after it: on a real HAProxy, by the gate, with clients that waited."""

from __future__ import annotations

import json
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from stillgate import Fleet
from support.command import run, run_json
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

    from support.app import App

pytestmark = pytest.mark.usefixtures("state")


def test_who_waited_is_in_the_report(
    haproxy: Start, haproxy_binaries: dict[str, Binary], app: App, tmp_path: Path
) -> None:
    version = haproxy_binaries["3.0"].version
    proxy = haproxy("3.0", **gate_options(F, tmp_path / "gate", version, servers=[app.port]))
    fleet = Fleet([f"lb1={proxy.endpoints[0]}"])

    def ask() -> None:
        urllib.request.urlopen(f"http://127.0.0.1:{proxy.ports[F]}/").read()

    clients = [threading.Thread(target=ask) for _ in range(5)]
    with fleet.suspended(F, max_hold=600, reason="migration 42") as hold:
        for one in clients:
            one.start()
        wait_until(lambda: fleet.look(F).switches[0].waiting == 5, "the clients")
    for one in clients:
        one.join()
    status, told = run_json("report", hold.holds[0].id)
    assert status == 0
    known = (told["waited"], told["most_waiting"], told["leaked"], told["rejected"])
    assert known == (5, 5, 0, 0)
    assert told["hold"]["ended"] == "resumed"
    assert 0 < told["longest_s"] <= told["hold"]["held_s"] + 1
    assert [one["name"] for one in told["haproxies"]] == ["lb1"]
    steps = {one["what"]: one for one in told["steps"]}
    assert list(steps) == ["checked", "committed", "drained", "command", "cutover", "released"]
    began = [steps[what]["at_s"] for what in ("checked", "committed", "drained", "command")]
    assert None not in began and began == sorted(began)
    assert steps["released"]["at_s"] == pytest.approx(told["hold"]["held_s"])
    assert (steps["cutover"]["at_s"], steps["cutover"]["happened"]) == (None, False)
    assert max(count for _, count in told["samples"]) == 5
    text = run("report").stdout
    assert "waited                 5\n" in text and "migration 42" in text
    page, picture = tmp_path / "hold.html", tmp_path / "hold.svg"
    assert run("report", "--html", str(page), "--svg", str(picture)).returncode == 0
    html = page.read_text()
    assert html.count("<title>Requests that waited there</title>") == 1
    assert "<script" not in html and "src=" not in html and "migration 42" in html
    assert ElementTree.fromstring(picture.read_text()).tag.endswith("svg")


def test_a_hold_that_haproxy_ended_has_what_its_gate_still_says(
    haproxy: Start, haproxy_binaries: dict[str, Binary], app: App, tmp_path: Path
) -> None:
    """As at the next status; nobody has looked meanwhile."""
    version = haproxy_binaries["3.0"].version
    proxy = haproxy("3.0", **gate_options(F, tmp_path / "gate", version, servers=[app.port]))
    fleet = Fleet([f"lb1={proxy.endpoints[0]}"])
    hold = fleet.suspend(F, max_hold=1.5, method="gate").holds[0].id
    answer = urllib.request.urlopen(f"http://127.0.0.1:{proxy.ports[F]}/")
    assert answer.status == 200
    wait_until(lambda: fleet.status(F).switches[0].verdict == "open", "the deadline")
    fleet.status(F)
    text = run("report", hold).stdout
    assert "ended                  expired (by haproxy)" in text
    assert "waited                 1\n" in text
    _, told = run_json("report", hold)
    assert (told["waited"], told["haproxies"][0]["most_waiting"]) == (1, 1)
    assert all(at <= 1.6 for at, _ in told["samples"])
    # Of another hold the gate's numbers are not this one's.
    fleet.suspend(F, max_hold=600, method="gate")
    fleet.resume(F)
    assert run_json("report", hold)[1]["waited"] == 1


def test_a_hold_that_is_not_there_is_wrong_usage() -> None:
    done = run("report", "7d", "--json")
    assert done.returncode == 2
    error: Any = json.loads(done.stdout)["error"]
    assert "no hold" in error["message"]


def test_under_maxconn_who_waited_is_not_known(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, max_hold=600, method="maxconn")
    fleet.resume(F)
    text = run("report").stdout
    assert "waited                 not known\n" in text
    assert "leaked                 0\n" in text
