"""`fab hold`: a command inside a hold, under load, past its time, and stopped."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from support.app import App
from support.clients.load import Load
from support.fabric.fab import F, Fab, limits, one
from support.haproxy.faulty_peer import FaultyPeer, silence
from support.haproxy.holds import Slow, queued, quiet
from support.haproxy.stuck import Stuck
from support.haproxy.tap import Tap
from support.patience import patient
from support.process import running_in_group, wait_until
from support.screen import Terminal

if TYPE_CHECKING:
    from conftest import Start


# Asks HAProxy itself, on its stats socket, and writes the limit where it is told to.
READ_LIMIT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    connection.sendall(b"show stat\\n")
    rows = connection.makefile().read().splitlines()
column = rows[0].lstrip("# ").split(",").index("slim")
(row,) = [row for row in rows if row.startswith("balanced,FRONTEND,")]
with open(sys.argv[2], "w") as file:
    file.write(row.split(",")[column])
"""


# --- hold -----------------------------------------------------------------------------


def test_the_command_runs_while_nobody_passes_and_its_status_comes_through(
    fab: Fab, haproxy: Start
) -> None:
    proxy = haproxy("3.0", maxconn=77)
    fab.write(endpoints=proxy.endpoints, frontends=F, progress="none")
    (fab.folder / "read_limit.py").write_text(READ_LIMIT)
    command = f"{sys.executable} read_limit.py {proxy.sockets[0]} seen; echo word; exit 7"
    done = fab.run("hold", "--run", command)
    assert (fab.folder / "seen").read_text() == "0"
    # Standard output is the command's alone.
    assert (done.returncode, done.stdout, limits(proxy)) == (7, "word\n", [77])
    assert done.stderr == (
        "stillgate: hold: the command ended with status 7; "
        "migration failed, undo none, cutover none, traffic released\n"
        "now: nothing is held; traffic flows\n"
    )
    done = fab.run("hold", "--run", "true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert limits(proxy) == [77]


def test_on_a_terminal_a_hold_has_the_screen_of_the_command_line(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fab.write(endpoints=[f"lb1={proxy.endpoints[0]}"], frontends=F, max_hold=300)
    words = ["-m", "fabric", "hold", "--keys", "--run", "sleep 600"]
    with Terminal(
        *words, program=[sys.executable], folder=fab.folder, environment=fab.environment()
    ) as terminal:
        lines = terminal.wait_for_words("r end the command and resume   e extend   q leave")
        assert any(line.startswith("HELD ") for line in lines)
        assert any(line.startswith("lb1 ") for line in lines)
        terminal.press("r")
        terminal.wait_for_words("? y/n")
        terminal.press("y")
        assert terminal.finish() == 130
        assert limits(proxy) == [100]


@pytest.mark.parametrize("status", [0, 3])
def test_hold_as_json_keeps_standard_output_for_the_document(
    status: int, fab: Fab, haproxy: Start
) -> None:
    proxy = haproxy("3.0")
    fab.write(endpoints=proxy.endpoints, frontends=F)
    code, document = fab.run_json("hold", "--run", f"echo word; exit {status}")
    assert (code, one(document["suspend"])["verdict"], limits(proxy)) == (status, "held", [100])
    assert one(document["resume"])["verdict"] == "resumed"
    assert document["command"] == {"status": status, "ended_by_deadline": False}


def test_a_command_that_takes_too_long_is_ended_before_the_hold(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fab.write(endpoints=proxy.endpoints, frontends=F, max_hold=patient(1), grace=0.4)
    began = time.monotonic()
    done = fab.run("hold", "--run", "trap '' TERM; echo $$ >leader; sleep 60 & sleep 60; :")
    assert time.monotonic() - began < patient(20)
    assert (done.returncode, limits(proxy)) == (124, [100])
    assert "the command was ended, because the hold ended or was about to end" in done.stderr
    leader = int((fab.folder / "leader").read_text())
    wait_until(lambda: running_in_group(leader) == [], "the end of the command")


def test_a_hold_that_is_refused_runs_nothing(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("2.6")
    fab.write(endpoints=proxy.endpoints, frontends=F)
    done = fab.run("hold", "--run", "touch ran")
    # A status of its own: 3 could be the command's.
    assert (done.returncode, limits(proxy)) == (125, [100])
    assert "crash_hazard" in done.stdout and "crash_hazard" in done.stderr
    assert not (fab.folder / "ran").exists()


def test_under_load_nobody_fails_and_nobody_passes(
    fab: Fab, haproxy: Start, app: App, load: Callable[..., Load]
) -> None:
    proxies = [haproxy("3.0", servers=[app.port], maxconn=limit) for limit in (300, 400)]
    fab.write(
        endpoints=[proxy.endpoints[0] for proxy in proxies],
        frontends=F,
        grace=0,
        max_hold=300,
        progress="none",
    )
    running = [load(proxy.ports[F], rate=100) for proxy in proxies]
    for generator in running:
        generator.wait_for(30)
    started, over = fab.folder / "started", fab.folder / "over"
    command = "touch started; while [ ! -e over ]; do sleep 0.01; done"
    with fab.start("hold", "--run", command) as process:
        wait_until(started.exists, "the command")
        wait_until(lambda: all(map(quiet, proxies)), "the end of what was let in before")
        began = time.monotonic()
        already = [len(generator.records()) for generator in running]
        came = sum(map(queued, proxies))
        wait_until(lambda: sum(map(queued, proxies)) > came + 40, "some that wait")
        assert limits(*proxies) == [0, 0]
        ended = time.monotonic()
        over.touch()
        _, talk = process.communicate(timeout=60)
    assert (process.returncode, talk, limits(*proxies)) == (0, "", [300, 400])
    for generator, count in zip(running, already):
        generator.wait_for(count + 50)
    everything = [record for generator in running for record in generator.stop()]
    assert [record for record in everything if not record.ok] == []
    assert app.arrived_between(began, ended) == []
    assert sum(began < record.sent_at < ended for record in everything) > 20


# --- signals --------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_a_hold_leaves_nothing_held_and_nothing_running(
    number: signal.Signals, options: list[str], fab: Fab, haproxy: Start
) -> None:
    proxy = haproxy("3.0")
    fab.write(endpoints=proxy.endpoints, frontends=F, progress="none")
    leader = fab.folder / "leader"
    command = "trap 'echo told >word; exit 9' INT; echo $$ >leader; while :; do sleep 0.01; done"
    with fab.start("hold", "--run", command, *options) as process:
        wait_until(lambda: leader.exists() and "\n" in leader.read_text(), "the command")
        assert limits(proxy) == [0]
        process.send_signal(number)
        out, talk = process.communicate(timeout=60)
    assert (process.returncode, limits(proxy)) == (130, [100])
    assert talk == "stillgate: hold: stopped\n"
    assert (fab.folder / "word").read_text() == "told\n"
    assert running_in_group(int(leader.read_text())) == []
    if options:
        assert json.loads(out)["error"]["code"] == "cancelled"


def test_ctrl_c_during_a_suspend_leaves_nothing_held(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    with FaultyPeer([silence()]) as peer:
        fab.write(
            endpoints=[*proxy.endpoints, peer.endpoint],
            frontends=F,
            no_lease=True,
            greeting_timeout=60,
        )
        with fab.start("suspend") as process:
            wait_until(lambda: peer.lines != [], "the first line")
            process.send_signal(signal.SIGINT)
            _, talk = process.communicate(timeout=60)
    assert (process.returncode, limits(proxy)) == (130, [100])
    assert talk.endswith("stillgate: suspend: stopped\n")


@pytest.mark.parametrize("task, status", [("suspend", 1), ("hold", 125)])
def test_what_could_not_be_ended_is_said(
    task: str, status: int, fab: Fab, haproxy: Start, app: App
) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    slow = Slow(proxy, 60_000)
    with Tap(proxy, {}) as tap:
        stuck = Stuck(proxy, tap)
        fab.write(endpoints=[tap.endpoint], frontends=F, max_hold=600, drain_timeout=600)
        command = ["--run", "true"] if task == "hold" else []
        with fab.start(task, "--json", *command) as process:
            wait_until(stuck.is_held, "the hold")
            process.send_signal(signal.SIGTERM)
            out, talk = process.communicate(timeout=60)
        assert process.returncode == status and f"stillgate: {task}: still_held: " in talk
        stuck.assert_ended_by(json.loads(out)["error"]["message"], fab.environment())
    app.finish()
    slow.join()
