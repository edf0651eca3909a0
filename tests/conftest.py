"""Fixtures of all Python tests: real HAProxies of four versions, a real application, load.

    def test_something(haproxy_version, haproxy, app, load):        runs once per version
        proxy = haproxy(haproxy_version, servers=[app.port])        also: haproxy("3.0", ...)
"""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import pytest

from support.app import App
from support.browser import NO_BROWSER, Browser, browser_program
from support.chef import client as real_chef
from support.chef.client import Chef
from support.chef.stage import ChefStage
from support.clients.load import Load
from support.fabric import fetch as fetch_fabric
from support.fabric.fab import Fab
from support.haproxy.faulty_peer import FaultyPeer
from support.haproxy.fetch import SUITES, CannotFetch, cache_folder, ensure, read_versions
from support.haproxy.gate import Gated
from support.haproxy.guards import end_guards
from support.haproxy.server import HAProxy
from support.haproxy.versions import FURTHER, LABELS
from support.haproxy.ways import Ways
from support.patience import scheduling
from support.ssh.home import SshHome
from support.ssh.server import PROGRAM, SshServer

# Whoever starts the tests in the background may have them ignore Ctrl-C, or with nohup the end of
# the terminal, and every process that a test starts would inherit that. What has a handler here, or
# the default, has the default there.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Before the first test, and as long as there are tests.
scheduling.start()

STARTED = pytest.StashKey[list[HAProxy]]()
STARTED_SSH = pytest.StashKey[list[SshServer]]()


@dataclass(frozen=True)
class Binary:
    """A real HAProxy to run; where it cannot be had, `missing` is the reason."""

    label: str
    version: str
    path: str
    missing: Optional[str] = None

    @property
    def release(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("-")[0].split(".")[:2])


Start = Callable[..., HAProxy]


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "how often a test that is marked 'moment' is run (make chaos: ROUNDS)"
    parser.addoption("--rounds", type=int, default=1, help=words)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What a fault at a chance moment breaks may need many rounds to be seen."""
    rounds = metafunc.config.getoption("rounds")
    if rounds > 1 and metafunc.definition.get_closest_marker("moment"):
        metafunc.fixturenames.append("round_number")
        metafunc.parametrize("round_number", range(rounds))


def pytest_report_header() -> str:
    versions = read_versions(cache_folder())
    known = [f"{label}: {versions[label]['version']}" for label in SUITES if label in versions]
    further = [f"{label}: {path}" for label, path in FURTHER.items()]
    return "HAProxy " + (
        ", ".join([*known, *further]) or "not in the cache, fetched when a test needs it"
    )


def _refuse_skip(report: pytest.TestReport) -> None:
    """In CI a test that tests nothing is an error, whoever has skipped it: only what needs root may
    be left out, where the tests are run by somebody else.
    """
    if not report.skipped or os.environ.get("CI") != "true" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if os.geteuid() == 0 or "only root" not in reason:
        report.outcome = "failed"
        report.longrepr = f"{reason}\nCI refuses to skip a test (tests/conftest.py)"


@pytest.hookimpl(hookwrapper=True)  # type: ignore[misc]
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    outcome = yield
    report = outcome.get_result()
    _refuse_skip(report)
    if report.failed:
        for proxy in item.stash.get(STARTED, []):
            title = f"HAProxy {proxy.binary}, {'alive' if proxy.alive() else 'ended'}"
            report.sections.append((title, proxy.log() or "(printed nothing)"))
        for server in item.stash.get(STARTED_SSH, []):
            title = f"sshd at port {server.port}, {'alive' if server.alive() else 'ended'}"
            report.sections.append((title, server.log() or "(printed nothing)"))


@pytest.fixture(scope="session")
def haproxy_binaries() -> dict[str, Binary]:
    """All four by label, and those of $STILLGATE_HAPROXY. One that cannot be had is an error
    in CI; elsewhere the tests that need it are skipped.
    """
    found = {label: Binary(label, label.partition("+")[0], path) for label, path in FURTHER.items()}
    for label in SUITES:
        try:
            entry = ensure([label])[label]
            found[label] = Binary(label, entry["version"], entry["path"])
        except CannotFetch as error:
            if os.environ.get("CI") == "true":
                raise
            found[label] = Binary(label, "", "", str(error))
    return found


def _there(binary: Binary) -> Binary:
    if binary.missing:
        pytest.skip(f"HAProxy {binary.label}: {binary.missing}")
    return binary


@pytest.fixture(params=LABELS)
def haproxy_version(request: pytest.FixtureRequest, haproxy_binaries: dict[str, Binary]) -> Binary:
    return _there(haproxy_binaries[request.param])


@pytest.fixture
def haproxy(request: pytest.FixtureRequest, haproxy_binaries: dict[str, Binary]) -> Iterator[Start]:
    """Starts HAProxies, by label or binary, with HAProxy's own options; ends them all, and none
    may have ended by itself.

    A test in which one may crash says so: `proxy.may_end = True`.
    """
    started: list[HAProxy] = []
    request.node.stash[STARTED] = started

    def start(which: Union[str, Binary], **options: Any) -> HAProxy:
        binary = _there(which if isinstance(which, Binary) else haproxy_binaries[which])
        started.append(HAProxy(binary.path, **options))
        return started[-1]

    yield start
    ended = [proxy for proxy in started if not proxy.alive() and not proxy.may_end]
    for proxy in started:
        proxy.stop()
    left = [pid for proxy in started for pid in proxy.left_running()]
    logs = "\n".join(proxy.log() for proxy in ended)
    for proxy in started:
        proxy.close()
    assert not ended, f"{len(ended)} HAProxy ended by itself\n{logs}"
    assert not left, f"processes left running: {left}"


@pytest.fixture
def ssh_home(tmp_path: Path) -> SshHome:
    """Keys, ssh_config and known_hosts of the test's own."""
    return SshHome(tmp_path / "ssh")


@pytest.fixture
def sshd(request: pytest.FixtureRequest, ssh_home: SshHome) -> Iterator[Callable[..., SshServer]]:
    """Starts OpenSSH servers, with SshServer's options: sshd(MaxStartups="3"). They let in who has
    `ssh_home`'s ed25519 key, unless `authorized` says otherwise. Where OpenSSH is missing, an
    error in CI and a skip elsewhere. None may have ended by itself.
    """
    if PROGRAM is None:
        reason = "there is no sshd (Debian: openssh-server)"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    started: list[SshServer] = []
    request.node.stash[STARTED_SSH] = started

    def start(**options: Any) -> SshServer:
        options.setdefault("authorized", [ssh_home.key()])
        started.append(SshServer(**options))
        return started[-1]

    yield start
    ended = [server for server in started if not server.alive() and not server.may_end]
    logs = "\n".join(server.log() for server in ended)
    for server in started:
        server.close()
    assert not ended, f"{len(ended)} sshd ended by itself\n{logs}"


@pytest.fixture
def ways(sshd: Callable[..., SshServer], ssh_home: SshHome, tmp_path: Path) -> Iterator[Ways]:
    """ways(proxy, "ssh"): the fleet that this HAProxy is by that way."""
    with Ways(sshd, ssh_home, tmp_path) as made:
        yield made


@pytest.fixture
def gated(haproxy: Start) -> Iterator[Callable[..., Gated]]:
    """Starts HAProxies with the gate: gated(binary, servers=[app.port]) as Gated's options."""
    started: list[Gated] = []

    def start(binary: Binary, **options: Any) -> Gated:
        started.append(Gated(haproxy, binary, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a journal of the test's own."""
    folder = tmp_path / "state"
    monkeypatch.setenv("STILLGATE_STATE_DIR", str(folder))
    yield folder
    end_guards(folder)


@pytest.fixture(scope="session")
def apps() -> Iterator[list[App]]:
    started: list[App] = []
    yield started
    for application in started:
        application.close()


@pytest.fixture
def app(apps: list[App]) -> App:
    """One process for test after test, which has forgotten what came before."""
    if not apps or not apps[-1].forget():
        apps.append(App())
    return apps[-1]


@pytest.fixture
def load() -> Iterator[Callable[..., Load]]:
    """Starts load: load(port, rate=200, seconds=None) as Load's own options; what a test did not
    stop is killed.
    """
    started: list[Load] = []

    def start(port: int, **options: Any) -> Load:
        started.append(Load(port, **options).start())
        return started[-1]

    yield start
    for generator in started:
        generator.kill()


@pytest.fixture(scope="session")
def fabric_libraries() -> dict[str, Union[None, Path, CannotFetch]]:
    """Where each Fabric lies: this machine's own (None), a folder, or why it cannot be had."""
    found: dict[str, Union[None, Path, CannotFetch]] = {"2.6": None}
    if importlib.util.find_spec("fabric") is None:
        found["2.6"] = CannotFetch("is not installed (Debian: fabric)")
    try:
        found["3"] = fetch_fabric.ensure()
    except CannotFetch as error:
        found["3"] = error
    return found


@pytest.fixture(params=["2.6", "3"])
def fab(
    request: pytest.FixtureRequest,
    fabric_libraries: dict[str, Union[None, Path, CannotFetch]],
    tmp_path: Path,
) -> Iterator[Fab]:
    """Where Fabric is missing, an error in CI and a skip elsewhere. Nothing is held in the end."""
    where = fabric_libraries[request.param]
    if isinstance(where, CannotFetch):
        reason = f"Fabric {request.param}: {where}"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    made = Fab(tmp_path, where)
    yield made
    assert made.records() == []


@pytest.fixture(scope="session")
def chef_client() -> str:
    """Its version. Where Chef is missing, an error in CI and a skip elsewhere."""
    reason = real_chef.missing()
    if reason is not None:
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    version = real_chef.version()
    print(version)
    return version


@pytest.fixture
def chef(chef_client: str, tmp_path: Path) -> Chef:
    return Chef(tmp_path / "chef")


@pytest.fixture
def chef_stage(
    haproxy: Start,
    gated: Callable[..., Gated],
    haproxy_binaries: dict[str, Binary],
    app: App,
    load: Callable[..., Load],
) -> ChefStage:
    return ChefStage(haproxy, gated, haproxy_binaries, app, load)


@pytest.fixture
def nobody() -> Iterator[FaultyPeer]:
    """An endpoint to which nothing may be sent."""
    with FaultyPeer() as peer:
        yield peer
        assert (peer.connections, peer.lines) == (0, [])


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real one, for all pages that are looked at."""
    if browser_program() is None:
        pytest.skip(NO_BROWSER)
    with Browser() as running:
        yield running
