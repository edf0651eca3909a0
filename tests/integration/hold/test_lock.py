"""Two who hold the same frontend at the same moment, and who may end a hold, on real HAProxies."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stillgate import Fleet, HeldByOther, InputError
from support.app import App
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F, findings, records, verdicts
from support.haproxy.server import HAProxy
from support.haproxy.versions import REMEMBERING

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")
ROUNDS = 5


@pytest.fixture
def proxies(
    haproxy: Start, haproxy_binaries: dict[str, Binary], app: App, tmp_path: Path
) -> Callable[[str, str], list[HAProxy]]:
    """proxies("2.6", "gate") starts three HAProxies that can be held so."""
    count = itertools.count()

    def start(label: str, method: str) -> list[HAProxy]:
        if method == "maxconn":
            return [haproxy(label, maxconn=100 + i) for i in range(3)]
        version = haproxy_binaries[label].version
        return [
            haproxy(
                label,
                **gate_options(F, tmp_path / f"gate{next(count)}", version, servers=[app.port]),
            )
            for _ in range(3)
        ]

    return start


class Machine:
    """A machine of its own, as far as a process can tell: with its home and its journal."""

    def __init__(self, folder: Path, proxies: Sequence[HAProxy]) -> None:
        self.folder = folder
        self._endpoints = [word for proxy in proxies for word in ("-e", proxy.endpoints[0])]

    def start(self, verb: str, *options: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "HOME": str(self.folder),
            "STILLGATE_STATE_DIR": str(self.folder / "state"),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "stillgate", verb, F, "--json", *options, *self._endpoints],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, verb: str, *options: str) -> tuple[int, Any]:
        return ended(self.start(verb, *options))


def ended(process: subprocess.Popen[str]) -> tuple[int, Any]:
    out, _ = process.communicate(timeout=60)
    return process.returncode, json.loads(out)


@pytest.mark.moment
@pytest.mark.parametrize(
    "label, method",
    [
        ("2.2", "gate"),
        ("2.6", "gate"),
        ("3.0", "gate"),
        ("3.0", "maxconn"),
        ("sid", "gate"),
        ("sid", "maxconn"),
    ],
)
def test_of_two_machines_at_the_same_moment_one_holds(
    label: str, method: str, proxies: Callable[[str, str], list[HAProxy]], tmp_path: Path
) -> None:
    fleet = proxies(label, method)
    machines = [Machine(tmp_path / "a", fleet), Machine(tmp_path / "b", fleet[::-1])]
    lease = ["--no-lease"] if method == "maxconn" else []
    for number in range(ROUNDS):
        started = [
            one.start("suspend", "--method", method, "--reason", f"round {number}", *lease)
            for one in machines
        ]
        results = [ended(process) for process in started]
        assert sorted(status for status, _ in results) == [0, 4], results
        winner = 0 if results[0][0] == 0 else 1
        (hold,) = results[winner][1]["holds"]
        refused = results[1 - winner][1]
        assert [(one["id"], one["reason"]) for one in refused["holds"]] == [
            (hold["id"], f"round {number}")
        ]
        status, told = machines[0].run("status")
        assert [(one["verdict"], one["hold_id"]) for one in told["switches"]] == [
            ("held", hold["id"])
        ] * 3
        assert records(machines[1 - winner].folder / "state") == []
        assert machines[winner].run("resume")[0] == 0
        assert verdicts(Fleet([proxy.endpoints[0] for proxy in fleet]).status(F)) == ["open"] * 3


def refused_words(fleet: Fleet, **options: Any) -> str:
    with pytest.raises(HeldByOther) as caught:
        fleet.resume(F, **options)
    assert caught.value.code == "not_the_holder"
    assert verdicts(caught.value.report) == ["held"] * 2
    return caught.value.message


@pytest.mark.parametrize("label", REMEMBERING)
def test_a_hold_is_ended_by_its_holder_or_by_force(
    label: str, haproxy: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet([haproxy(label, maxconn=50 + i).endpoints[0] for i in range(2)])
    ways: list[dict[str, Any]] = [
        {"owner": "anna@lb"},
        {"hold": None},
        {"force": True, "reason": "anna is asleep"},
    ]
    for number, way in enumerate(ways):
        monkeypatch.setenv("STILLGATE_STATE_DIR", str(tmp_path / f"here{number}"))
        (hold,) = fleet.suspend(F, no_lease=True, owner="anna@lb", reason="migration 42").holds
        monkeypatch.setenv("STILLGATE_STATE_DIR", str(tmp_path / "elsewhere"))
        words = refused_words(fleet)
        assert "anna@lb" in words and "migration 42" in words and hold.id in words
        assert "if it is yours, or with their word" in words
        assert hold.id in refused_words(fleet, hold="another", owner="anna@lb")
        with pytest.raises(InputError) as caught:
            fleet.resume(F, force=True)
        assert caught.value.field == "reason"
        if "hold" in way:
            way["hold"] = hold.id
        report = fleet.resume(F, **way)
        assert verdicts(report) == ["resumed"] * 2
        assert ("forced" in findings(report)) == ("force" in way)


@pytest.mark.parametrize("label", ["2.6", "sid"])
def test_the_command_line_tells_who_holds(
    label: str, proxies: Callable[[str, str], list[HAProxy]], tmp_path: Path
) -> None:
    fleet = proxies(label, "gate")
    urls = [proxy.endpoints[0] for proxy in fleet]
    (hold,) = Fleet(urls).suspend(F, owner="anna@lb", max_hold=60).holds
    elsewhere = Machine(tmp_path / "b", fleet)
    status, told = elsewhere.run("resume")
    assert (status, told["switches"][0]["error"]["code"]) == (4, "not_the_holder")
    assert "s left" in told["switches"][0]["error"]["message"]
    assert [one["id"] for one in told["holds"]] == [hold.id]
    assert elsewhere.run("resume", "--hold", "another")[0] == 4
    assert elsewhere.run("resume", "--hold", hold.id)[0] == 0
    assert f"{hold.id}.resumed." in fleet[1].cli(f"get var proc.stillgate_ended_{F}")


@pytest.mark.parametrize("label", REMEMBERING)
def test_an_owner_that_is_named_ends_its_hold_from_any_machine(
    label: str, proxies: Callable[[str, str], list[HAProxy]], tmp_path: Path
) -> None:
    fleet = proxies(label, "maxconn")
    here, elsewhere = Machine(tmp_path / "a", fleet), Machine(tmp_path / "b", fleet)
    status, told = here.run("suspend", "--owner", "chef@lb1", "--max-hold", "60")
    assert (status, [one["owner"] for one in told["holds"]]) == (0, ["chef@lb1"])
    assert elsewhere.run("resume", "--owner", "chef@lb2")[0] == 4
    assert elsewhere.run("resume", "--owner", "chef@lb1")[0] == 0
