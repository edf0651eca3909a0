"""docs/examples/deploy.py, run as it stands: on real HAProxies, in each way that it can end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.app import App
from support.clients.load import Load
from support.haproxy.holds import F, records
from support.haproxy.server import HAProxy

if TYPE_CHECKING:
    from conftest import Start

SCRIPT = Path(__file__).resolve().parents[3] / "docs" / "examples" / "deploy.py"


@pytest.fixture
def proxies(haproxy: Start, app: App, state: Path) -> list[HAProxy]:
    return [haproxy("3.0", servers=[app.port]) for _ in range(2)]


def deploy(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def endpoints(proxies: list[HAProxy]) -> list[str]:
    return [word for proxy in proxies for word in ("-e", proxy.endpoints[0])]


def is_held(proxies: list[HAProxy]) -> str:
    """A step that succeeds only where all are held."""
    fleet = ",".join(proxy.endpoints[0] for proxy in proxies)
    code = f"import stillgate; s = stillgate.Fleet('{fleet}'.split(',')).status('{F}').switches; "
    return f"{sys.executable} -c \"{code} assert all(one.verdict == 'held' for one in s), s\""


def test_it_migrates_under_load_and_nobody_fails(
    proxies: list[HAProxy], load: Callable[..., Load], state: Path
) -> None:
    running = [load(proxy.ports[F], rate=50) for proxy in proxies]
    for one in running:
        one.wait_for(20)
    step = is_held(proxies)
    # Three steps that may take 5 s each, in a hold that begins with 5 s: it has to be extended.
    done = deploy(F, *endpoints(proxies), "--step-time", 5, *("--step", step) * 3)
    assert done.returncode == 0, done.stdout + done.stderr
    for one in running:
        one.wait_for(len(one.records()) + 20)
    everything = [record for one in running for record in one.stop()]
    assert everything and [record for record in everything if not record.ok] == []
    assert "ready to hold" in done.stdout and "resume: done" in done.stdout
    events = [line.split()[1].rstrip(":") for line in done.stderr.splitlines() if "Z " in line]
    assert [events[0], events[-1]] == ["checked", "resumed"]
    assert {"held", "drained", "extended"} <= set(events)
    assert [proxy.limit(F) for proxy in proxies] == [100, 100] and records(state) == []


@pytest.mark.parametrize(
    "step, seconds, status, words",
    [
        ("exit 3", 5, 1, "a step failed: Command 'exit 3' returned non-zero exit status 3"),
        ("exec tail -f /dev/null", 1, 5, "a step took too long"),
    ],
)
def test_a_step_that_goes_wrong(
    proxies: list[HAProxy], state: Path, step: str, seconds: int, status: int, words: str
) -> None:
    done = deploy(F, *endpoints(proxies), "--step-time", seconds, "--step", step)
    assert done.returncode == status, done.stderr
    assert f"traffic flows again; {words}" in done.stderr
    assert [proxy.limit(F) for proxy in proxies] == [100, 100] and records(state) == []


def test_nothing_is_run_where_nothing_is_held(proxies: list[HAProxy], tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    step = ("--step", f"touch {ran}")
    refused = deploy("nowhere", *endpoints(proxies), *step)
    assert refused.returncode == 3 and "no_such_frontend" in refused.stderr
    wrong = deploy(F, "-e", "http://a", *step)
    assert wrong.returncode == 2 and wrong.stderr.startswith("bad_endpoint: ")
    assert deploy(F, *step).returncode == 2
    fleet = Fleet(proxies[0].endpoints)
    fleet.suspend(F, owner="anna", reason="migration 42")
    held = deploy(F, *endpoints(proxies), *step)
    assert held.returncode == 4 and "anna holds it: migration 42\n" in held.stderr
    fleet.resume(F, owner="anna")
    assert not ran.exists()


def test_a_fleet_of_the_inventory(
    proxies: list[HAProxy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = tmp_path / "stillgate.toml"
    inventory.write_text(f'[fleet.production]\nendpoints = ["{proxies[0].endpoints[0]}"]\n')
    monkeypatch.setenv("STILLGATE_INVENTORY", str(inventory))
    done = deploy(F, "--fleet", "production", "--step", is_held(proxies[:1]))
    assert done.returncode == 0, done.stdout + done.stderr
    absent = deploy(F, "--fleet", "staging", "--step", "true")
    assert absent.returncode == 2 and "no fleet 'staging'" in absent.stderr
