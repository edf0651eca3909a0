"""docs/examples, run as they stand: a release in six steps under load, and lines as typed."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate.inventory import load_fleet
from support.app import App
from support.clients.load import Load, Record
from support.fabric.fab import F, Fab
from support.haproxy.gate import Gated
from support.patience import patient
from support.release_app import ReleaseApp

if TYPE_CHECKING:
    from conftest import Binary, Start

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"
BY_HAND = (
    "./deploy s2 && fab cutover staged && fab suspend && ./migrate && "
    "fab resume --cutover green --wait-up && ./deploy s1 && fab cutover whole"
)
CHECKED = "default-server check inter 100ms fall 2 rise 1"

MIGRATE = """#!{python}
import time
with open("times", "w") as file:
    for wait in ({seconds}, 0):
        print(time.monotonic(), file=file)
        time.sleep(wait)
"""


@pytest.fixture
def release_app(fab: Fab) -> Iterator[ReleaseApp]:
    with ReleaseApp(fab.folder) as application:
        yield application


class Release:
    """The examples in the folder of `fab`, for two HAProxies with the gate, under load."""

    def __init__(self, fab: Fab, proxies: list[Gated], load: Callable[..., Load]) -> None:
        shutil.copy(EXAMPLES / "fabfile.py", fab.folder)
        (fab.folder / "fabric.yaml").unlink()
        text = (EXAMPLES / "stillgate.toml").read_text()
        places = ", ".join(f'"{one.proxy.endpoints[0]}"' for one in proxies)
        text, count = re.subn(r"endpoints = \[.*?\]", f"endpoints = [{places}]", text, flags=re.S)
        assert count == 1
        (fab.folder / "stillgate.toml").write_text(text)
        for one in proxies:
            one.proxy.cli("set server balanced_servers/s2 state maint")
        self._loads = [
            load(one.port, rate=60, kind=kind, clients=clients)
            for one in proxies
            for kind, clients in (("new", 1), ("keep-alive", 20))
        ]
        for running in self._loads:
            running.wait_for(20)

    def records(self) -> list[Record]:
        """All of them, and some of what came last."""
        for one in self._loads:
            one.wait_for(len(one.records()) + 30)
        return [record for one in self._loads for record in one.stop()]


@pytest.fixture
def release(
    fab: Fab,
    gated: Callable[..., Gated],
    load: Callable[..., Load],
    release_app: ReleaseApp,
    haproxy_binaries: dict[str, Binary],
) -> Release:
    servers = [release_app.ports[name] for name in ("s1", "s2")]
    proxies = [
        gated(haproxy_binaries[label], servers=servers, extra_defaults=[CHECKED])
        for label in ("2.6", "3.0")
    ]
    return Release(fab, proxies, load)


def failed(records: list[Record]) -> list[Record]:
    return [record for record in records if not record.ok]


@pytest.mark.parametrize("line", ["fab release", BY_HAND], ids=["one", "by hand"])
def test_six_steps_and_nobody_fails(
    line: str, fab: Fab, release: Release, release_app: ReleaseApp
) -> None:
    done = fab.shell(line)
    records = release.records()
    assert (done.returncode, failed(records)) == (0, []), done.stderr
    # The old code served before, the new code on both machines behind it, and nothing else.
    first, second = release_app.answered("s1"), release_app.answered("s2")
    assert (set(first), set(second)) == ({"1", "2"}, {"2"})
    assert sum(first.values()) + sum(second.values()) == len(records)
    assert max(record.finished_at - record.sent_at for record in records) > 0.3


def test_a_migration_that_fails_is_undone_and_the_old_code_goes_on(
    fab: Fab, release: Release, release_app: ReleaseApp
) -> None:
    (fab.folder / "broken").touch()
    done = fab.shell("fab release")
    records = release.records()
    assert (done.returncode, failed(records)) == (1, []), done.stderr
    assert "the command ended with status 1" in done.stderr
    assert "undo done, cutover none, traffic released" in done.stderr
    assert set(release_app.answered("s1")) == {"1"} and release_app.answered("s2") == {}


def test_the_examples_inventory_is_one() -> None:
    entry = load_fleet("production", str(EXAMPLES / "stillgate.toml"))
    assert (entry.frontends, len(entry.endpoints)) == ([F], 2)


def test_suspend_migrate_resume_as_typed(
    fab: Fab, haproxy: Start, app: App, load: Callable[..., Load]
) -> None:
    proxies = [haproxy("3.0", servers=[app.port], maxconn=limit) for limit in (300, 400)]
    fab.write(endpoints=[proxy.endpoints[0] for proxy in proxies], frontends=F)
    script = fab.folder / "migrate"
    script.write_text(MIGRATE.format(python=sys.executable, seconds=patient(0.5)))
    script.chmod(0o755)
    running = [load(proxy.ports[F], rate=100) for proxy in proxies]
    for one in running:
        one.wait_for(30)
    done = fab.shell("fab suspend && ./migrate && fab resume")
    for one in running:
        one.wait_for(len(one.records()) + 50)
    records = [record for one in running for record in one.stop()]
    assert (done.returncode, failed(records)) == (0, []), done.stderr
    began, ended = map(float, (fab.folder / "times").read_text().split())
    assert [proxy.limit(F) for proxy in proxies] == [300, 400]
    # Who came meanwhile has waited, and nobody reached the application.
    assert app.arrived_between(began, ended) == []
    assert sum(began < one.sent_at < ended < one.finished_at for one in records) > 20
