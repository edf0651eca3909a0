"""What `hold --dry-run` says would be sent, against what a real hold sends, line for line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from support.app import App
from support.command import SCHEMA, run
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.patience import patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")
CHANGING = (
    "set var",
    "set table",
    "set maxconn",
    "stillgate lock",
    "stillgate sync",
    "experimental-mode on",
    "set server",
    "set map",
)


def sent_by(tap: Tap) -> list[str]:
    """What changes anything; not what the guard has wait in HAProxy, which is told in words."""
    lines = [one for one in tap.lines if one.startswith(CHANGING)]
    return [one for one in lines if "wait" not in one]


def pattern_of(line: str) -> str:
    """A value that is made only then is anything."""
    return re.sub(r"<[^>]*>", lambda _: r"[\w.-]+", re.escape(line).replace(r"\<", "<"))


def told_by(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = run("hold", "--dry-run", "--json", *arguments, "--", "true")
    told = json.loads(done.stdout)
    jsonschema.validate(told, SCHEMA)
    return done.returncode, told


def is_undo(line: dict[str, Any]) -> bool:
    return str(line["phase"]) == "undo"


def assert_sent(proxy: HAProxy, method: str, *more: str) -> None:
    with Tap(proxy, {}) as tap:
        there = ["--max-hold", "60", "--method", method, "-e", tap.endpoint, *more]
        status, told = told_by(F, *there)
        assert status == 0 and sent_by(tap) == []
        tap.lines.clear()
        assert run("hold", F, *there, "--", "true").returncode == 0
        sent = sent_by(tap)
    (haproxy,) = told["haproxies"]
    foretold = [line["sent"] for line in haproxy["lines"] if line["sent"] and not is_undo(line)]
    assert len(foretold) == len(sent), (foretold, sent)
    for line, truth in zip(foretold, sent):
        assert re.fullmatch(pattern_of(line), truth), (line, truth)
    phases = [line["phase"] for line in haproxy["lines"]]
    assert phases.index("hold") < phases.index("drain") < phases.index("run")
    assert phases.index("run") < phases.index("release")


@pytest.mark.parametrize("label", ["2.2", "2.6", "3.0", "sid"])
def test_by_gate(
    label: str, haproxy: Start, haproxy_binaries: dict[str, Binary], tmp_path: Path
) -> None:
    version = haproxy_binaries[label].version
    proxy = haproxy(label, **gate_options(F, tmp_path / "gate", version))
    assert_sent(proxy, "gate")


@pytest.mark.parametrize("label", ["2.2", "3.0", "sid"])
def test_by_maxconn(label: str, haproxy: Start) -> None:
    assert_sent(haproxy(label), "maxconn")


def cutting(haproxy: Start, app: App, tmp_path: Path) -> tuple[HAProxy, list[str]]:
    """blue serves and green is in maintenance; and a cutover of everything that there is."""
    release_map = tmp_path / "release.map"
    release_map.write_text("active app\n")
    up = f"127.0.0.1:{app.port} check inter 200ms rise 2 fall 3"
    proxy = haproxy(
        "3.0",
        extra=[
            *("backend app", "mode http", f"server blue {up}", f"server green {up} disabled"),
            *("frontend maps", "mode http"),
            f"http-request set-var(txn.b) str(active),map({release_map})",
        ],
    )
    serve = ("app/green=ready", "app/green=7", "app/blue=maint", f"{release_map}:active=two words")
    wait_until(lambda: status_of(proxy, "blue") == "UP", "a check has shown blue up")
    return proxy, [word for one in serve for word in ("--serve", one)]


def status_of(proxy: HAProxy, server: str) -> str:
    rows = (one for one in proxy.stat() if (one["pxname"], one["svname"]) == ("app", server))
    return str(next(rows)["status"])


def test_the_cutover_and_what_is_checked_first(haproxy: Start, app: App, tmp_path: Path) -> None:
    proxy, serve = cutting(haproxy, app, tmp_path)
    first = ["--ready-first", str(patient(30.0))]
    assert_sent(proxy, "maxconn", *serve, *first)
    assert (status_of(proxy, "green"), status_of(proxy, "blue")) == ("UP", "MAINT")


def test_what_would_put_a_cutover_back_is_what_does(
    haproxy: Start, app: App, tmp_path: Path
) -> None:
    proxy, serve = cutting(haproxy, app, tmp_path)
    proxy.cli("set server app/green state drain")
    wait_until(lambda: status_of(proxy, "green") == "DRAIN", "a check has shown green up")
    last = "set server app/blue state maint"
    with Tap(proxy, {last: lambda: "set server app/nobody state maint"}) as tap:
        there = ["-e", tap.endpoint, *serve]
        told = run("cutover", "given", "--dry-run", *there)
        assert told.returncode == 0 and sent_by(tap) == [], told.stderr
        tap.lines.clear()
        assert run("cutover", "given", *there).returncode == 1
        sent = sent_by(tap)
    shown = [one.strip() for one in told.stdout.splitlines() if " set " in one]
    assert [one.split(maxsplit=1)[1] for one in shown if one.startswith("cutover")] == sent[:4]
    back = [one.split(maxsplit=1)[1] for one in shown if one.startswith("undo")]
    # What HAProxy refused is what was not changed.
    assert back[0] == "set server app/blue state ready" and back[1:] == sent[4:]


def test_of_several_frontends_the_order_of_their_locks_is_told(haproxy: Start) -> None:
    proxy = haproxy("3.0", frontends=["b", "a"])
    with Tap(proxy, {}) as tap:
        there = ["--max-hold", "60", "-e", tap.endpoint]
        status, told = told_by("b", "a", *there)
        assert status == 0 and sent_by(tap) == []
        assert run("hold", "b", "a", *there, "--", "true").returncode == 0
        sent = sent_by(tap)
    lines = told["haproxies"][0]["lines"]
    for line in lines:
        if line["sent"]:
            assert any(re.fullmatch(pattern_of(line["sent"]), truth) for truth in sent), line
    (behind,) = [line["words"] for line in lines if line["phase"] == "lock" and not line["sent"]]
    assert behind == "the same for b, at the first HAProxy only if a's was had"


def test_nothing_is_run_and_many_are_told_once(haproxy: Start, tmp_path: Path) -> None:
    proxies = [haproxy("3.0"), haproxy("3.0")]
    there = [word for n, one in enumerate(proxies) for word in ("-e", f"lb{n}={one.endpoints[0]}")]
    made = tmp_path / "made"
    done = run("hold", F, "--dry-run", *there, "--", "touch", str(made))
    assert done.returncode == 0 and not made.exists()
    lines = done.stdout.splitlines()
    assert lines[0] == "lb0, lb1:" and lines[-1] == "dry run: nothing was changed"
    assert f"  run      touch {made}" in lines
    assert f"  hold     set maxconn frontend {F} 0" in lines
    assert f"  release  set maxconn frontend {F} 100" in lines


def test_what_is_refused_would_send_nothing(haproxy: Start) -> None:
    status, told = told_by("nowhere", "-e", haproxy("3.0").endpoints[0])
    assert status == 125 and told["haproxies"] == []
    assert "no_such_frontend" in str(told["check"])
