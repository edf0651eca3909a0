"""stillgate_gate and stillgate_package by the real chef-client: installed, proven, left alone."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stillgate import Fleet, gate
from support.app import App
from support.chef.client import ROOT, Chef
from support.clients.load import Load
from support.haproxy.server import HAProxy
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

F = "balanced"
# Whose the state folder is to be; only root can give it to somebody else.
ROOT_RUNS = os.geteuid() == 0
USER = "haproxy" if ROOT_RUNS else pwd.getpwuid(os.geteuid()).pw_name
GROUP = "haproxy" if ROOT_RUNS else grp.getgrgid(os.getegid()).gr_name


def gate_attributes(proxy: HAProxy, binary: Binary, app: App, folder: Path) -> dict[str, Any]:
    """For the recipe `gate`: that HAProxy's own haproxy.cfg is Chef's from then on."""
    return {
        "version": binary.version,
        "haproxy": binary.path,
        "config": str(proxy.config),
        "pid": proxy.pid,
        "socket": str(proxy.sockets[0]),
        "port": proxy.ports[F],
        "server": app.port,
        "lua_file": str(folder / "gate.lua"),
        "state_folder": str(folder / "state"),
        "probe": f"sgc-{proxy.pid}",
        "user": USER,
        "group": GROUP,
    }


def reloads(chef: Chef) -> int:
    told = chef.folder / "reloads"
    return len(told.read_text().splitlines()) if told.exists() else 0


@pytest.mark.parametrize("label", ["2.6", "3.0", "sid"])
def test_the_gate_is_installed_proven_and_reloaded_once_under_load(
    label: str,
    haproxy: Start,
    haproxy_binaries: dict[str, Binary],
    app: App,
    load: Callable[..., Load],
    chef: Chef,
    chef_client: str,
) -> None:
    print(f"{chef_client}, HAProxy {label}")
    own = dict(level="admin expose-fd listeners", master_worker=True, shared_ports=True)
    proxy = haproxy(label, servers=[app.port], **own)
    binary = haproxy_binaries[label]
    attributes = gate_attributes(proxy, binary, app, chef.folder / "gate")
    (chef.folder / "gate").mkdir()
    generator = load(proxy.ports[F], rate=50)
    generator.wait_for(20)
    before = proxy.worker_pid
    fleet = Fleet(proxy.endpoints)
    assert fleet.check(F).switches[0].method != "gate"

    done = chef.run("gate", "--why-run", **attributes)
    assert (done.status, list((chef.folder / "gate").iterdir()), reloads(chef)) == (0, [], 0)

    done = chef.run("gate", **attributes)
    assert done.status == 0
    wait_until(lambda: proxy.worker_pid != before, "the reload")
    assert reloads(chef) == 1
    assert Path(attributes["lua_file"]).read_text() == gate.lua()
    state = Path(attributes["state_folder"])
    assert (state.stat().st_mode & 0o7777, state.owner(), state.group()) == (0o700, USER, GROUP)
    subprocess.run([binary.path, "-c", "-f", str(proxy.config)], check=True, capture_output=True)
    # The probe shows that requests come through it.
    assert fleet.check(F, method="gate").switches[0].method == "gate"

    done = chef.run("gate", **attributes)
    assert (done.status, done.updated, reloads(chef)) == (0, 0, 1)
    generator.wait_for(len(generator.records()) + 20)
    assert [record for record in generator.stop() if not record.ok] == []


def test_a_configuration_that_does_not_load_takes_the_gate_back(
    haproxy: Start, haproxy_binaries: dict[str, Binary], app: App, chef: Chef
) -> None:
    proxy = haproxy("3.0", servers=[app.port], master_worker=True, shared_ports=True)
    attributes = gate_attributes(proxy, haproxy_binaries["3.0"], app, chef.folder / "gate")
    (chef.folder / "gate").mkdir()
    lua = Path(attributes["lua_file"])
    good = proxy.config.read_text()
    for before in (None, "-- an older gate\n"):
        if before is not None:
            lua.write_text(before)
        proxy.config.write_text(good + "\nfrontend broken\n    no-such-keyword\n")
        done = chef.run("gate", **attributes)
        assert (done.status, reloads(chef)) == (1, 0)
        assert (
            "config: HAProxy does not load it with the gate; the gate was rolled back" in done.text
        )
        assert "unknown keyword 'no-such-keyword'" in done.text
        assert (lua.read_text() if lua.exists() else None) == before
    proxy.config.write_text(good)
    assert chef.run("gate", **attributes).status == 0
    wait_until(lambda: reloads(chef) == 1, "the reload")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of this tree, built in the tree's CMake folder."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_package_is_installed_from_a_wheel_and_kept(wheel: Path, chef: Chef) -> None:
    path = chef.folder / "venv"
    given = {"path": str(path), "source": str(wheel)}
    done = chef.run("package", "--why-run", stillgate=given)
    assert (done.status, path.exists()) == (0, False)
    assert f"Would install {wheel} into {path}" in done.text
    done = chef.run("package", stillgate=given)
    assert (done.status, done.updated) == (0, 1)
    version = subprocess.run(
        [str(path / "bin" / "stillgate"), "--version"], capture_output=True, text=True, check=True
    )
    assert (ROOT / "VERSION").read_text().strip() in version.stdout
    done = chef.run("package", stillgate=given)
    assert (done.status, done.updated, done.of) == (0, 0, 1)
    done = chef.run("package", stillgate={**given, "source": "/nowhere/stillgate-1.whl"})
    assert (done.status, done.updated) == (0, 0), "a version that is there is kept"
