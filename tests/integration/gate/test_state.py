"""The gate where something is wrong: it holds all the same, or refuses, and tells."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import gate
from support.app import App
from support.clients.gated import Http1
from support.haproxy.gate import F, Gated
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

Start = Callable[..., Gated]
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk without any room."""
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,mode=777", "none", folder], check=True)
    try:
        (folder / "filler").write_bytes(b"x" * 4096)
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def holds_and_opens(proxy: Gated, app: App) -> None:
    proxy.hold()
    with Http1(proxy.port).send("held") as client:
        proxy.wait_waiting(1)
        assert app.arrivals() == []
        proxy.open()
        assert client.answer().status == 200


def test_no_folder(haproxy_version: Binary, gated: Start, app: App, tmp_path: Path) -> None:
    proxy = gated(haproxy_version, servers=[app.port], folder=tmp_path / "none")
    assert proxy.ask(f"stillgate prove {F}")["state_error"].endswith("no such folder")
    holds_and_opens(proxy, app)
    assert proxy.whole_status()["state_error"].endswith("no such folder")
    # What could not be written is written as soon as it can be.
    proxy.hold()
    (tmp_path / "none").mkdir()
    wait_until(lambda: proxy.state_file().exists(), "the state")
    assert "state_error" not in proxy.whole_status()
    assert proxy.state_file().read_text().startswith("held ")


@root
def test_a_full_disk(haproxy_version: Binary, gated: Start, app: App, full: Path) -> None:
    proxy = gated(haproxy_version, servers=[app.port], folder=full)
    assert proxy.ask(f"stillgate prove {F}")["state_error"]
    holds_and_opens(proxy, app)
    assert proxy.whole_status()["state_error"]
    assert [path.name for path in full.iterdir()] == ["filler"]


@root
def test_a_folder_that_cannot_be_written(
    haproxy_version: Binary, gated: Start, app: App, tmp_path: Path
) -> None:
    """With the state of an earlier hold in it, which must not end the new one."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.owner() == "root" and parent != Path("/") and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)
    (folder / gate.encode(F)).write_text("open 1.000000\n")
    proxy = gated(haproxy_version, servers=[app.port], folder=folder, extra_global=["user haproxy"])
    holds_and_opens(proxy, app)
    assert "denied" in proxy.whole_status()["state_error"]
    assert (folder / gate.encode(F)).read_text() == "open 1.000000\n"


@root
def test_a_release_that_cannot_be_written_takes_the_hold_away(
    haproxy_version: Binary, gated: Start, app: App, full: Path
) -> None:
    """Else the next reload would hold again."""
    (full / "filler").unlink()
    proxy = gated(haproxy_version, servers=[app.port], folder=full)
    proxy.hold()
    assert proxy.state_file().read_text().startswith("held ")
    with open(full / "filler", "wb", buffering=0) as filler:
        with pytest.raises(OSError):
            while True:
                filler.write(b"x" * 512)
    proxy.open()
    assert not proxy.state_file().exists() or "open" in proxy.state_file().read_text()


@pytest.mark.parametrize(
    "word",
    [
        "nonsense", "2.id.5000.release.0.x", "1.id.5000.perhaps.0.x", "1.id.-1.release.0.x",
        "1.id.99999999999.release.0.x", "1..5000.release.0.x", "1.id.5000.release.0", "open.x",
    ],
)  # fmt: skip
def test_a_malformed_switch_is_ignored_and_told(gated: Start, haproxy_binaries: dict[str, Binary],
                                                app: App, word: str) -> None:  # fmt: skip
    for binary in haproxy_binaries.values():
        if binary.missing:
            continue
        proxy = gated(binary, servers=[app.port])
        proxy.proxy.cli(*proxy.switching(word))
        told = proxy.status()
        assert (told["mode"], told["malformed"]) == ("open", word)
        with Http1(proxy.port) as client:
            assert client.ask().status == 200
        proxy.proxy.stop()


def test_a_malformed_switch_ends_no_hold(haproxy_version: Binary, gated: Start, app: App) -> None:
    proxy = gated(haproxy_version, servers=[app.port])
    proxy.hold(name="good")
    with Http1(proxy.port).send("held") as client:
        proxy.wait_waiting(1)
        proxy.proxy.cli(*proxy.switching("nonsense"))
        told = proxy.status()
        assert (told["mode"], told["id"], told["malformed"]) == ("held", "good", "nonsense")
        proxy.open()
        assert client.answer().status == 200


@pytest.mark.parametrize(
    "text",
    [
        "", "held", "held 1 2", "held 1.0 nonsense\n", "open", "open x\n", "\0\xff" * 50_000,
        "held 1.000000 open\n",
    ],
    ids=["empty", "short", "no-time", "no-token", "no-end", "no-number", "binary", "no-hold"],
)  # fmt: skip
def test_a_malformed_state_file_is_ignored_and_told(
    gated: Start, haproxy_binaries: dict[str, Binary], app: App, tmp_path: Path, text: str
) -> None:
    tmp_path.chmod(0o777)
    for binary in haproxy_binaries.values():
        if binary.missing:
            continue
        (tmp_path / gate.encode(F)).write_bytes(text.encode("latin-1"))
        proxy = gated(binary, servers=[app.port], folder=tmp_path)
        told = proxy.status()
        assert told["mode"] == "open" and "malformed" in told and len(told["malformed"]) <= 200
        holds_and_opens(proxy, app)
        assert "malformed" not in proxy.status()
        proxy.proxy.stop()
        assert app.forget()


def test_without_lines_in_the_frontend_nothing_is_proven(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], bare=["bare"])
    assert proxy.prove() == {"proven": True}
    assert proxy.prove("bare")["proven"] is False
    assert proxy.ask("stillgate prove nobody")["frontends"] == {}


@pytest.mark.parametrize("rule", ["deny", "redirect location /elsewhere", "return status 204"])
def test_a_rule_before_the_gate_is_no_proof(
    haproxy_version: Binary, gated: Start, app: App, rule: str
) -> None:
    proxy = gated(haproxy_version, servers=[app.port], before=[f"http-request {rule}"])
    proof = proxy.prove()
    assert proof["proven"] is False and "HTTP/1.0" in proof["why"] or "HTTP/1.1" in proof["why"]


def test_an_error_inside_refuses_and_is_told(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    here = "local function enter(switch, may_sleep, connection)\n"
    broken = gate.lua().replace(here, here + '  error("broken on purpose")\n')
    assert broken != gate.lua()
    proxy = gated(haproxy_version, servers=[app.port], lua_text=broken)
    proxy.hold()
    with Http1(proxy.port) as client:
        answer = client.ask("held")
    assert answer.status == 503 and "retry-after: 1" in answer.head
    assert app.arrivals() == []
    assert "broken on purpose" in proxy.whole_status()["error"]
    proxy.open()
    with Http1(proxy.port) as client:
        assert client.ask("open").status == 200


def test_an_action_that_cannot_even_start_refuses(
    haproxy_version: Binary, gated: Start, app: App
) -> None:
    here = "  switch.arrived = switch.arrived + 1\n"
    broken = gate.lua().replace(here, '    error("broken at once")\n')
    assert broken != gate.lua()
    proxy = gated(haproxy_version, servers=[app.port], lua_text=broken)
    with Http1(proxy.port) as client:
        assert client.ask("held").status == 503
    assert app.arrivals() == []
