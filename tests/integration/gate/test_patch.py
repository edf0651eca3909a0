"""`stillgate gate --patch` on real files: HAProxy takes them without a warning, and holds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import CheckRefused, Fleet
from support.app import App
from support.clients.load import Load
from support.haproxy.configurations import CASES, Case, lay, text_of
from support.haproxy.gate_options import GATE
from support.haproxy.holds import F, codes, verdicts
from support.haproxy.server import Frontend
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "stillgate", "gate", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)


def written(config: Path, haproxy: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command(
        *("--patch", str(config), "--haproxy", haproxy, "--lua", str(GATE), "--write"), *arguments
    )


def test_haproxy_takes_the_patched_files_silently(haproxy_version: Binary, tmp_path: Path) -> None:
    """All that this version knows: 2.2 has no gate in tcp mode, and no named defaults."""
    cases = [case for case in CASES if haproxy_version.release >= case.since]
    assert len(cases) >= len(CASES) - 2
    for case in cases:
        folder = tmp_path / case.name
        folder.mkdir()
        takes_silently(haproxy_version.path, case, folder)


def takes_silently(haproxy: str, case: Case, folder: Path) -> None:
    lay(folder)
    config = folder / "haproxy.cfg"
    config.write_text(text_of(case, folder))
    before = set(os.listdir(folder))
    done = written(config, haproxy, case.frontend)
    assert done.returncode == 0, (case.name, done.stderr)
    assert "warns" not in done.stderr and "lua.stillgate" in done.stdout, case.name
    assert set(os.listdir(folder)) - before == {"haproxy.cfg.before-stillgate"}


def test_a_rule_that_released_before_is_held_behind_a_patch(
    haproxy: Start, app: App, load: Callable[..., Load], tmp_path: Path
) -> None:
    """A running HAProxy whose file is patched and reloaded, under load."""
    rule = "http-request allow if { src 127.0.0.0/8 }"
    proxy = haproxy(
        "3.0", frontends=[Frontend(F, lines=(rule,))], servers=[app.port], master_worker=True
    )
    fleet = Fleet(proxy.endpoints)
    with pytest.raises(CheckRefused) as caught:
        fleet.suspend(F, method="gate")
    assert codes(caught.value.report) == ["gate_missing"]
    done = written(
        *(proxy.config, proxy.binary, F, "--exempt", ""),
        *("--state", str(tmp_path), "--probe", f"sg-patch-{os.getpid()}"),
    )
    assert done.returncode == 0, done.stderr
    assert f"{proxy.config}:" in done.stderr and "the gate is above it" in done.stderr
    proxy.reload()
    running = load(proxy.ports[F], rate=100)
    running.wait_for(20)
    with fleet.suspended(F, method="gate", max_hold=300) as hold:
        assert verdicts(hold.report) == ["held"]
        wait_until(lambda: (fleet.status(F).switches[0].waiting or 0) >= 10, "some that wait")
        told = fleet.status(F).switches[0]
        assert told.leaked == 0
    assert [record for record in running.stop() if not record.ok] == []


# --- files ------------------------------------------------------------------------------

PLAIN = (
    "defaults\n    mode http\n    timeout connect 5s\n    timeout client 5s\n"
    "    timeout server 5s\nfrontend f\n    bind 127.0.0.1:1\n    default_backend b\n"
    "backend b\n    server s 127.0.0.1:2\n"
)


@pytest.fixture
def real(haproxy_binaries: dict[str, Binary]) -> str:
    binary = haproxy_binaries["3.0"]
    if binary.missing:
        pytest.skip(binary.missing)
    return binary.path


def test_nothing_is_written_unless_asked(real: str, tmp_path: Path) -> None:
    config = tmp_path / "h.cfg"
    config.write_text(PLAIN)
    shown = command("--patch", str(config), "--haproxy", real, "--lua", str(GATE))
    assert shown.returncode == 0, shown.stderr
    assert "--write" in shown.stderr and shown.stdout.startswith(f"--- {config}\n")
    assert (os.listdir(tmp_path), config.read_text()) == (["h.cfg"], PLAIN)


def test_mode_link_and_the_old_file_are_kept(real: str, tmp_path: Path) -> None:
    config = tmp_path / "real.cfg"
    config.write_text(PLAIN)
    config.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(config, 1, 2)
    link = tmp_path / "h.cfg"
    link.symlink_to(config)
    (tmp_path / "real.cfg.before-stillgate").write_text("another's")
    owner = (config.stat().st_uid, config.stat().st_gid)
    assert written(link, real).returncode == 0
    assert link.is_symlink() and "lua.stillgate" in config.read_text()
    kept = tmp_path / "real.cfg.before-stillgate-2"
    assert kept.read_text() == PLAIN
    assert (tmp_path / "real.cfg.before-stillgate").read_text() == "another's"
    for path in (config, kept):
        status = path.stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o640, *owner)
    again = written(link, real)
    assert (again.returncode, again.stdout) == (0, ""), again.stderr
    assert "nothing to do" in again.stderr


@pytest.mark.parametrize(
    "text, options, status, words",
    [
        (PLAIN + "nonsense\n", [], 1, "even unchanged:"),
        (PLAIN, ["--lua", "/nowhere/stillgate-gate.lua"], 1, "`stillgate gate >/nowhere/"),
        (PLAIN.replace("bind", ".if\n bind"), [], 2, "h.cfg:7: "),
        (PLAIN, ["nobody"], 2, "no frontend or listen nobody"),
        (PLAIN, ["--haproxy", "/nowhere/haproxy"], 2, "--haproxy"),
        (PLAIN, ["--patch", "/"], 2, "is a folder"),
        (PLAIN, ["--mode", "http"], 2, "--mode"),
        # HAProxy, not ours, finds what is wrong with the lines: this is no Lua.
        (PLAIN, ["--lua", __file__], 1, "with the gate's lines:"),
    ],
)
def test_a_refusal_leaves_all_as_it_was(
    real: str, tmp_path: Path, text: str, options: list[str], status: int, words: str
) -> None:
    config = tmp_path / "h.cfg"
    config.write_text(text)
    done = written(config, real, *options)
    assert (done.returncode, words in done.stderr) == (status, True), done.stderr
    assert (os.listdir(tmp_path), config.read_text()) == (["h.cfg"], text)


def test_config_with_a_file_names_the_other_option(tmp_path: Path) -> None:
    config = tmp_path / "h.cfg"
    config.write_text(PLAIN)
    done = command("--config", str(config))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--patch {config}" in done.stderr
    assert command("f").returncode == command("--write").returncode == 2


def test_all_files_are_written_or_none(real: str, tmp_path: Path) -> None:
    head, tail = PLAIN.split("frontend f")
    first, second = tmp_path / "a.cfg", tmp_path / "b.cfg"
    first.write_text(head)
    second.write_text("frontend f" + tail)
    os.link(second, tmp_path / "other-name")
    both = ["--patch", str(second), "f"]
    refused = written(first, real, *both)
    assert refused.returncode == 1 and "hard link" in refused.stderr
    assert sorted(os.listdir(tmp_path)) == ["a.cfg", "b.cfg", "other-name"]
    assert first.read_text() == head
    (tmp_path / "other-name").unlink()
    assert written(first, real, *both).returncode == 0
    assert "lua-load" in first.read_text() and "lua.stillgate" in second.read_text()
