"""The gate beside what haproxy.cfg has of its own, Lua above all: each works as without the other,
or it is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import CheckRefused, Fleet, gate
from support.app import App
from support.clients.gated import Http1
from support.haproxy.gate import F, Gated
from support.haproxy.gate_options import GATE
from support.haproxy.holds import codes, findings
from support.haproxy.server import Frontend

if TYPE_CHECKING:
    from conftest import Binary, Start

StartGated = Callable[..., Gated]
SCRIPT = """core.register_action("own", {"http-req"}, function(txn)
  txn:set_var("txn.own", type(txn.f:stopping()))
end)
"""
RULES = ["http-request lua.own", "http-response set-header X-Own %[var(txn.own)]"]
SETTING = "tune.lua.bool-sample-conversion"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "own.lua"
    path.write_text(SCRIPT)
    return path


def seen_by(port: int) -> str:
    with Http1(port) as client:
        return client.ask("own").head.partition("x-own: ")[2].partition("\r")[0]


def test_the_users_scripts_see_what_they_see_without_the_gate(
    haproxy_version: Binary, haproxy: Start, gated: StartGated, app: App, script: Path
) -> None:
    load = [f"lua-load {script}"]
    bare = haproxy(
        haproxy_version,
        frontends=[Frontend("f", lines=tuple(RULES))],
        servers=[app.port],
        extra_global=load,
        extra_defaults=["mode http"],
    )
    beside = gated(haproxy_version, servers=[app.port], extra_global=load, behind=RULES)
    assert seen_by(beside.port) == seen_by(bare.ports["f"]) != ""


SETTINGS = [
    ("3.0", "none"),
    ("sid", "none"),
    ("sid", f"{SETTING} normal"),
    ("sid", f"{SETTING} pre-3.1-bug"),
]


@pytest.mark.parametrize("label, setting", SETTINGS)
def test_the_gate_needs_no_setting_and_no_abstract_socket(
    label: str, setting: str, haproxy_binaries: dict[str, Binary], gated: StartGated, app: App
) -> None:
    """By the lines for 3.1.0, which knows neither; in a chroot, where a path has another name."""
    proxy = gated(
        haproxy_binaries[label],
        servers=[app.port],
        written_for="3.1.0",
        chroot=True,
        master_worker=True,
        first_global=[setting] if setting.startswith(SETTING) else [],
    )
    assert "abns@" not in proxy.proxy.config.read_text()
    assert proxy.prove() == {"proven": True}
    proxy.hold()
    with Http1(proxy.port).send("held") as client:
        proxy.wait_waiting(1)
        proxy.proxy.reload()  # the old process has to see that it is one
        assert proxy.prove() == {"proven": True}
        proxy.open()
        assert client.answer().status == 200


def test_scripts_per_thread_are_told_where_haproxy_breaks_them(
    haproxy_version: Binary, gated: StartGated, app: App, script: Path
) -> None:
    """2.4 to 2.8 have one Lua context for all actions of a request."""
    if haproxy_version.release < (2, 4):
        return  # has no lua-load-per-thread
    load = [f"lua-load-per-thread {script}"]
    proxy = gated(haproxy_version, servers=[app.port], extra_global=load, behind=RULES)
    broken = haproxy_version.release < (2, 9)
    assert (seen_by(proxy.port) == "") is broken
    report = Fleet(proxy.proxy.endpoints).check(F, method="gate")
    assert report.ok and ("gate_beside" in findings(report)) is broken


def test_a_counter_below_the_gate_is_told(
    haproxy_version: Binary, gated: StartGated, app: App
) -> None:
    table = ["backend table", "stick-table type ip size 10 expire 1m store http_req_rate(1s)"]
    track = ["http-request track-sc0 src table table"]
    for below in (True, False):
        rules = {"behind" if below else "before": track}
        proxy = gated(haproxy_version, servers=[app.port], more=table, **rules)
        report = Fleet(proxy.proxy.endpoints).check(F, method="gate")
        assert report.ok and ("gate_beside" in findings(report)) is below


@pytest.mark.parametrize("label", ["2.6", "3.0", "sid"])
def test_an_inspect_delay_above_the_gates_limits_a_hold(
    label: str, haproxy_binaries: dict[str, Binary], gated: StartGated, app: App
) -> None:
    own = ["tcp-request inspect-delay 5s"]
    proxy = gated(haproxy_binaries[label], servers=[app.port], mode="tcp", before=own)
    fleet = Fleet(proxy.proxy.endpoints)
    with pytest.raises(CheckRefused) as refused:
        fleet.suspend(F, method="gate", max_hold=6)
    assert codes(refused.value.report) == ["gate_unproven"]
    assert "inspect-delay" in str(refused.value.report.switches[0].error)
    assert fleet.check(F, method="gate", max_hold=4).ok


@pytest.mark.parametrize("label", ["2.6", "3.0", "sid"])
def test_so_does_one_of_a_named_defaults(
    label: str, haproxy_binaries: dict[str, Binary], haproxy: Start, tmp_path: Path
) -> None:
    binary = haproxy_binaries[label]
    lines = gate.lines(
        F,
        version=binary.version,
        mode="tcp",
        folder=str(tmp_path),
        lua_file=str(GATE),
        probe=f"sg-named-{os.getpid()}",
    )
    times = [f"timeout {what} 9s" for what in ("connect", "client", "server")]
    base = ["defaults base", "mode tcp", *times, "tcp-request inspect-delay 5s"]
    named = [f"frontend {F} from base", *lines.frontend, "default_backend b"]
    servers = ["backend b from base", "server s 127.0.0.1:9"]
    proxy = haproxy(label, whole=[*lines.global_, *base, *named, *servers])
    with pytest.raises(CheckRefused) as refused:
        Fleet(proxy.endpoints).suspend(F, method="gate", max_hold=6)
    assert "inspect-delay" in str(refused.value.report.switches[0].error)
