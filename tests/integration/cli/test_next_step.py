"""The last line for whoever was woken up: what is true now, how long still, what to type."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from stillgate.console.next_step import next_step
from support.command import run
from support.haproxy.holds import F
from support.haproxy.versions import SAFE

if TYPE_CHECKING:
    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")


def last_line(*arguments: str, status: int) -> str:
    """Of standard output, or of a hold's standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "stillgate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == status, done.stdout
    return done.stdout.splitlines()[-1]


def test_whose_hold_it_is_decides_what_is_suggested(
    haproxy: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = haproxy("3.0")
    there = ["-e", proxy.endpoints[0]]
    resume = f"'stillgate resume {F} -e {proxy.endpoints[0]}' releases it"
    long = ["--max-hold", "600", "--no-lease"]
    owners: list[list[str]] = [[], ["--owner", "anna@ci"]]
    for owner in owners:
        said = last_line("suspend", F, *long, *owner, *there, status=0)
        assert said.startswith("now: traffic waits") and resume.partition(" rel")[0] in said
        # From another machine, as it were, the owner decides.
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("STILLGATE_STATE_DIR", str(tmp_path / "elsewhere"))
            said = last_line("status", *there, status=0)
        assert ("anna@ci can release it sooner" in said) == bool(owner), said
        words = said.split("'")[1]
        typed = shlex.split(words.replace("TEXT", "now"))[1:]
        assert last_line(*typed, status=0) == "now: nothing is held; traffic flows"


def test_times_are_in_the_local_zone_with_the_zone(
    haproxy: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one form everywhere: of the engine's messages, the tables and the last line."""
    proxy = haproxy("3.0")
    there = ["-e", proxy.endpoints[0]]
    (hold,) = Fleet(proxy.endpoints).suspend(F, max_hold=600, owner="anna").holds
    assert hold.deadline is not None
    monkeypatch.setenv("TZ", "XYZ-14:30")
    moment = time.gmtime(hold.deadline + 14.5 * 3600)
    until = time.strftime("until %H:%M:%S XYZ", moment)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("STILLGATE_STATE_DIR", str(tmp_path / "elsewhere"))
        for verb, status in (("status", 0), ("suspend", 4), ("resume", 4)):
            said = run(verb, F, *there)
            told = said.stdout + said.stderr
            assert said.returncode == status and until in told, told
            # Nowhere is there another one.
            times = re.findall(r"\d\d:\d\d:\d\d.{0,4}", told)
            assert times and all(one.endswith(" XYZ") for one in times), told
    assert run("resume", F, *there).returncode == 0


def test_a_limit_of_zero_is_nobodys_and_does_not_flow(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    there = ["-e", proxy.endpoints[0]]
    last_line("exec", f"set maxconn frontend {F} 0", *there, status=0)
    ends = f"'stillgate resume {F} --limit N -e {proxy.endpoints[0]}' ends that"
    for verb, status in (("status", 0), ("suspend", 3), ("resume", 1)):
        said = last_line(verb, F, *there, status=status)
        assert said.startswith("now: ") and said.endswith(ends), said
        assert "flows" not in said
    typed = shlex.split(said.split("'")[1].replace(" N ", " 100 "))[1:]
    assert last_line(*typed, status=0) == "now: nothing is held; traffic flows"


@pytest.mark.parametrize("label", SAFE)
def test_a_frontend_that_is_disabled_does_not_flow(label: str, haproxy: Start) -> None:
    proxy = haproxy(label)
    fleet = Fleet([f"lb1={proxy.endpoints[0]}"])
    there = ["--exit-code", "-e", f"lb1={proxy.endpoints[0]}"]
    for ends in (f"enable frontend {F}", None):
        proxy.cli(f"{'disable' if ends else 'shutdown'} frontend {F}")
        report = fleet.status(F)
        if report.switches[0].error is not None:
            # 2.2 knows a frontend no more that was shut down.
            assert (label, ends) == ("2.2", None)
            break
        assert [one.code for one in report.switches[0].findings] == ["frontend_stopped"]
        assert next_step(report, 0) == f"now: nothing is held; {F} refuses its clients"
        refused = fleet.check(F).switches[0].error
        assert refused is not None and refused.code == "frontend_stopped"
        if ends is None:
            break
        if label == "3.0":
            refuses = f"now: nothing is held; {F} refuses its clients"
            assert last_line("status", F, *there, status=9) == refuses
            typed = report.switches[0].findings[0].message.split("'")[1]
            last_line("exec", typed, "-e", proxy.endpoints[0], status=0)
        else:
            proxy.cli(ends)
        assert fleet.status(F).switches[0].findings == []


def test_a_hold_that_did_not_go_well_ends_with_it(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    there = ["--progress", "none", "-e", proxy.endpoints[0]]
    flows = "now: nothing is held; traffic flows"
    assert last_line("hold", F, *there, "--", "false", status=1) == flows
    assert last_line("hold", "balancd", *there, "--", "true", status=125) == flows
    assert last_line("hold", F, *there, "--", "true", status=0).endswith("0 leaked.")
    gone = ["-e", "/nowhere/lb9.sock"]
    said = last_line("hold", F, *there, *gone, "--", "true", status=125)
    assert said == f"{flows}, and is at lb9 as before"
