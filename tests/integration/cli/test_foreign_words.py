"""What HAProxies and others say steers no terminal, whichever way it is shown."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.command import run, to_fleet
from support.haproxy.faulty_peer import FaultyPeer
from support.haproxy.gate import Gated
from support.haproxy.holds import F
from support.haproxy.tap import Tap
from support.terminal import AtTerminal

if TYPE_CHECKING:
    from conftest import Binary

STEERS = "\x1b]0;mine\x07\x1b[2J\x9b\x7f\u202e"
SHOWN = r"\x1b]0;mine\x07\x1b[2J\x9b\x7f\u202e"

pytestmark = pytest.mark.usefixtures("state")


class OddVersion(Tap):
    """An HAProxy whose version is no UTF-8."""

    def pass_back(self, client: socket.socket, piece: bytes) -> None:
        super().pass_back(client, piece.replace(b"Version: 3.0.11", b"Version: 3.0.11\xff"))


def at_terminal(*words: str) -> str:
    with AtTerminal(*words, environment=os.environ, on_it=True) as terminal:
        terminal.finish()
        return terminal.shown


def is_tame(shown: str) -> bool:
    return not any(piece in shown for piece in ("\x1b]", "\x07", "\x1b[2J", "\x9b", "\u202e"))


@pytest.mark.parametrize("count", [1, 2], ids=["the answer itself", "a table"])
def test_an_answer(count: int) -> None:
    answers = {"show info": f"Name: {STEERS}\n"}
    with ExitStack() as stack:
        peers = [stack.enter_context(FaultyPeer(answers=answers)) for _ in range(count)]
        urls = to_fleet(*(peer.endpoint for peer in peers))
        shown = at_terminal("exec", "show info", *urls)
        assert SHOWN in shown and is_tame(shown)
        if count == 1:
            # A file and a program get it byte for byte.
            assert STEERS in run("exec", "show info", *urls).stdout
        assert "\x7f" not in run("exec", "show info", *urls, "--json").stdout


def test_an_error_of_an_inventory(tmp_path: Path) -> None:
    path = tmp_path / "stillgate.toml"
    path.write_text('[fleet."\\u001b[2J\\u009b"]\nendpoints = ["/a"]\n')
    shown = at_terminal("status", "--fleet", "none", "--inventory", str(path))
    assert r"fleets there: \x1b[2J\x9b" in shown and is_tame(shown)


def test_wrong_usage() -> None:
    # What click knows as a colour it leaves out.
    shown = at_terminal("status", "--\x1b]0;mine\x07\x9b\u202e")
    assert r"No such option: --\x1b]0;mine\x07\x9b\u202e" in shown and is_tame(shown)
    assert is_tame(run("status", "-e", "/a", "--fleet", "x", STEERS).stderr)


def test_a_version_that_is_no_text_ends_no_call_behind_the_hold(
    haproxy_binaries: dict[str, Binary], gated: Callable[..., Gated]
) -> None:
    """By neither method; it is written wherever a report is."""
    proxy = gated(haproxy_binaries["3.0"]).proxy
    with OddVersion(proxy, {}) as tap:
        urls = to_fleet(tap.endpoint)
        for method in (["gate"], ["maxconn", "--accept-hazard"]):
            for verb in (["suspend", F, "--max-hold", "60", "--method", *method], ["resume", F]):
                done = run(*verb, *urls, "--json")
                assert done.returncode == 0, done.stderr + done.stdout
                report = json.dumps(json.loads(done.stdout), ensure_ascii=False)
                assert '"version": "3.0.11\ufffd' in report
            assert run("status", F, *urls, "--exit-code").returncode == 0


def test_the_lines_of_a_history(state: Path) -> None:
    line = (
        '{"schema":1,"event":"held","at":"2023-11-14T22:13:20.007Z","hold":null,'
        '"source":"suspend","host":"lb","pid":42,"seq":1,"endpoint":null,"frontend":null,'
        '"endpoints":[],"message":"\x9b2J\u202e","figures":{}}\n'
    )
    state.mkdir()
    (state / "history.jsonl").write_text(line)
    for form in ("json", "syslog", "journald"):
        shown = at_terminal("history", "--events", "--format", form)
        assert r"\x9b2J\u202e" in shown and is_tame(shown), form
        assert "\x9b2J" in run("history", "--events", "--format", form).stdout
