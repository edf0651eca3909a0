"""The screen of `status --watch`, through a real terminal: looked at as a terminal shows it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jsonschema
import pytest

from stillgate import Fleet
from support.command import COMMAND, SCHEMA
from support.haproxy.holds import F
from support.process import wait_until
from support.screen import Terminal

if TYPE_CHECKING:
    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")


def watch(endpoints: Sequence[str]) -> Terminal:
    return Terminal("status", F, "--watch", *(word for one in endpoints for word in ("-e", one)))


def test_a_watch_shows_a_hold_and_a_key_ends_it_asked_once(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fleet = Fleet([f"lb1={proxy.endpoints[0]}"])
    with watch([f"lb1={proxy.endpoints[0]}"]) as terminal:
        terminal.wait_for_words("OPEN, 1 of 1 HAProxies answer")
        fleet.suspend(F, max_hold=600, reason="migration 42")
        lines = terminal.wait_for_words("HELD")
        assert lines[0].endswith("1 of 1 HAProxies")
        assert any(line.startswith("lb1 ") and " held " in line for line in lines)
        assert any("migration 42" in line for line in lines)
        terminal.press("r")
        terminal.wait_for_words("? y/n")
        terminal.press("n")
        terminal.wait_for_words("r resume   e extend")
        assert proxy.limit(F) == 0
        terminal.press("e")
        terminal.wait_for_words("Extend by 15 s")
        terminal.press("y")
        terminal.wait_for_words("of 615")
        terminal.press("r")
        terminal.wait_for_words("? y/n")
        terminal.press("y")
        wait_until(lambda: proxy.limit(F) == 100, "the release")
        terminal.wait_for_words("Resumed after")
        terminal.press("q")
        assert terminal.finish() == 0
        # What it was last stays to be read, and the screen of before is back.
        assert "OPEN, 1 of 1 HAProxies answer" in terminal.lines()


def test_looks_open_no_connection_each(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fleet = Fleet([proxy.endpoints[0]])
    fleet.look(F)
    # That of `execute` itself is counted, too.
    before = count_connections(fleet)
    for _ in range(5):
        fleet.look(F)
    assert count_connections(fleet) == before + 1


def count_connections(fleet: Fleet) -> int:
    reply = fleet.execute("show info")[0].reply
    assert reply is not None
    told = dict(line.split(": ", 1) for line in reply.splitlines() if ": " in line)
    return int(told["CumConns"])


def test_a_look_after_a_reload_sees_the_new_worker(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fleet = Fleet([proxy.endpoints[0]])
    assert fleet.look(F).switches[0].verdict == "open"
    Fleet([proxy.endpoints[0]]).suspend(F, max_hold=600)
    assert fleet.look(F).switches[0].verdict == "held"
    Fleet([proxy.endpoints[0]]).resume(F)


def test_under_maxconn_the_kernels_queue_is_counted(haproxy: Start) -> None:
    import socket

    proxy = haproxy("3.0")
    fleet = Fleet([proxy.endpoints[0]])
    fleet.suspend(F, max_hold=600, method="maxconn")
    waiting = [socket.create_connection(("127.0.0.1", proxy.ports[F])) for _ in range(3)]
    try:
        wait_until(lambda: fleet.look(F).switches[0].waiting == 3, "the queue")
    finally:
        for one in waiting:
            one.close()
        fleet.resume(F)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_where_there_is_no_terminal_it_is_a_line_a_look(form: list[str], haproxy: Start) -> None:
    proxy = haproxy("3.0")
    command = [*COMMAND, "status", F, "--watch", *form, "-e", proxy.endpoints[0]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        lines = [watching.stdout.readline() for _ in range(2)]
        watching.terminate()
        watching.stdout.read()
    for line in lines:
        if form:
            document = json.loads(line)
            jsonschema.validate(document, SCHEMA)
            assert document["totals"]["words"] == "OPEN, 1 of 1 HAProxies answer"
            assert (document["totals"]["held"], document["totals"]["held_s"]) == (0, None)
        else:
            assert line.endswith("OPEN, 1 of 1 HAProxies answer\n")
