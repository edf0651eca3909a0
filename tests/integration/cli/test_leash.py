"""What `hold -- COMMAND` started is ended before the hold is, whoever is stopped or killed: the
last word that COMMAND wrote is older than the first request that came through.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import pytest

from support.app import App
from support.command import COMMAND, run
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F, Slow
from support.haproxy.server import HAProxy
from support.patience import HANG_S, patient
from support.process import children_of, state_of, wait_until
from support.terminal import AtTerminal

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")
MOUNTS = Path("/proc/self/mountinfo")
SUSPEND = "\x1a"
WORKER = """
import os, sys, time
with open(sys.argv[1], "a", buffering=1) as out:
    while True:
        print(os.getpid(), time.monotonic(), file=out)
        time.sleep(0.002)
"""
# What a command may do with its work; {} is the work.
FORMS = {
    "plain": "exec {}",
    "deaf": "trap '' TERM; {}",
    "background": "{} & sleep 600",
    "setsid": "setsid {} & sleep 600",
    "daemon": "(setsid sh -c '{} &' &) ; sleep 600",
}


class Work:
    """A migration that writes a line every few milliseconds: who wrote it, and when."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "work"
        script = folder / "work.py"
        script.write_text(WORKER)
        self.words = shlex.join([sys.executable, "-S", str(script), str(self._file)])

    def shell(self, form: str) -> list[str]:
        return ["sh", "-c", FORMS[form].format(self.words)]

    def _last(self) -> tuple[int, float]:
        # The last line may be half written.
        pid, at = self._file.read_text().rpartition("\n")[0].rpartition("\n")[2].split()
        return int(pid), float(at)

    def begun(self) -> bool:
        return self._file.exists() and self._file.read_text().count("\n") > 2

    @property
    def pid(self) -> int:
        return self._last()[0]

    @property
    def last_at(self) -> float:
        return self._last()[1]

    def is_over(self) -> bool:
        return state_of(self.pid) in ("", "Z")


class Client:
    """One request, which waits as long as all is held."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.status = 0
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=HANG_S)
        connection.request("GET", "/")
        self.status = connection.getresponse().status
        connection.close()

    def join(self) -> int:
        self._thread.join(HANG_S)
        return self.status


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    made = Work(tmp_path)
    yield made
    # What got away is not to work for ever.
    if made.begun() and not made.is_over():
        os.kill(made.pid, signal.SIGKILL)


@pytest.fixture(params=["maxconn", "gate"])
def proxy(
    request: pytest.FixtureRequest,
    haproxy: Start,
    haproxy_binaries: dict[str, Binary],
    app: App,
    tmp_path: Path,
) -> HAProxy:
    if request.param == "maxconn":
        return haproxy("3.0", servers=[app.port])
    version = haproxy_binaries["3.0"].version
    return haproxy("3.0", **gate_options(F, tmp_path / "gate", version, servers=[app.port]))


def hold(proxy: HAProxy, *options: str) -> list[str]:
    return ["hold", F, "-e", proxy.endpoints[0], *options, "--"]


def hold_words(proxy: HAProxy, seconds: float) -> list[str]:
    return hold(proxy, "--max-hold", f"{patient(seconds):g}", "--grace", "0.5")


@contextmanager
def holding(
    proxy: HAProxy, work: Work, form: str, seconds: float, prefix: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    words = [*prefix, *COMMAND, *hold_words(proxy, seconds), *work.shell(form)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(work.begun, "the command")
            yield process
        finally:
            # What a failed test has stopped, too.
            for pid in (*leashes(process.pid), process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            process.kill()


def group_of(pid: int) -> Optional[Path]:
    """The control group that a leash has made; None where none can be made."""
    found = re.search(
        r"^0::(/.*stillgate-leash-.*)$", Path(f"/proc/{pid}/cgroup").read_text(), re.M
    )
    mounts = re.findall(r"^\S+ \S+ \S+ / (\S+) .* - cgroup2 ", MOUNTS.read_text(), re.M)
    return Path(mounts[0] + found[1]) if found else None


def leashes(holder: int) -> list[int]:
    """Outer and inner process of the leash."""
    found: list[int] = []
    parent = holder
    while True:
        below = [one for one in children_of(parent) if _name(one) == "stillgate-leash"]
        if not below:
            return found
        (parent,) = below
        found.append(parent)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def assert_held_to_the_end(work: Work, app: App, client: Client) -> None:
    assert client.join() == 200
    (first,) = app.arrivals()
    assert work.is_over(), "it works while requests pass"
    assert work.last_at < first.at


# --- the deadline ---------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_ctrl_z_keeps_nothing_from_its_deadline(
    form: str, proxy: HAProxy, app: App, work: Work
) -> None:
    words = shlex.join([*COMMAND, *hold_words(proxy, 2.5), *work.shell(form)])
    script = f"set -m; {words}; echo status $?; read _; fg; echo status $?"
    with AtTerminal("-c", script, program=["bash"], environment=os.environ, on_it=True) as terminal:
        wait_until(work.begun, "the command")
        client = Client(proxy.ports[F])
        terminal.enter(SUSPEND)
        terminal.wait_for("status 148")
        assert_held_to_the_end(work, app, client)
        terminal.enter("\n")
        terminal.wait_for("the command was ended")
        terminal.wait_for("status 124")


@pytest.mark.parametrize("form", FORMS)
def test_at_the_deadline_all_that_was_started_is_ended(
    form: str, proxy: HAProxy, app: App, work: Work
) -> None:
    with holding(proxy, work, form, 2) as process:
        client = Client(proxy.ports[F])
        assert_held_to_the_end(work, app, client)
        assert process.wait(HANG_S) == 124


@pytest.mark.parametrize("form", ["background", "setsid", "daemon"])
def test_without_control_groups_all_is_ended_too(
    form: str, proxy: HAProxy, app: App, work: Work
) -> None:
    hidden = ["unshare", "--mount", "sh", "-c", 'umount -a -t cgroup2 && exec "$@"', "sh"]
    if subprocess.run([*hidden, "true"], check=False).returncode:
        pytest.skip("control groups cannot be hidden here")
    with holding(proxy, work, form, 2, hidden) as process:
        client = Client(proxy.ports[F])
        assert group_of(work.pid) is None
        assert_held_to_the_end(work, app, client)
        assert process.wait(HANG_S) == 124


def test_a_control_group_is_gone_when_the_hold_is(proxy: HAProxy, work: Work) -> None:
    with holding(proxy, work, "setsid", 600) as process:
        group = group_of(work.pid)
        if group is None:
            pytest.skip("no control group can be made here")
        process.terminate()
        assert process.wait(HANG_S) == 130
    assert not group.exists()


def test_a_stopped_stillgate_is_no_way_out(proxy: HAProxy, app: App, work: Work) -> None:
    with holding(proxy, work, "setsid", 2) as process:
        client = Client(proxy.ports[F])
        process.send_signal(signal.SIGSTOP)
        assert_held_to_the_end(work, app, client)
        process.send_signal(signal.SIGCONT)
        assert process.wait(HANG_S) == 124


def test_a_stopped_command_is_ended_and_not_only_stopped(
    proxy: HAProxy, app: App, work: Work, tmp_path: Path
) -> None:
    tidied = tmp_path / "tidied"
    leader = tmp_path / "leader"
    script = f"trap ': >{tidied}; exit 0' TERM; {work.words} & echo $$ >{leader}; "
    script += "while :; do sleep 0.01; done"
    words = [*COMMAND, *hold_words(proxy, 2), "sh", "-c", script]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: work.begun() and leader.exists(), "the command")
        client = Client(proxy.ports[F])
        for pid in (int(leader.read_text()), work.pid):
            os.kill(pid, signal.SIGSTOP)
        assert_held_to_the_end(work, app, client)
        assert process.wait(HANG_S) == 124
    # It got SIGTERM, and could act on it.
    assert tidied.exists()


def test_extend_moves_the_deadline_of_the_command_too(
    proxy: HAProxy, app: App, tmp_path: Path
) -> None:
    seconds = patient(3)
    over = tmp_path / "over"
    more = shlex.join([*COMMAND, "extend", F, "60", "-e", proxy.endpoints[0]])
    # It ends by itself, a second past the first deadline.
    script = f"{more} && sleep {seconds + 1} && touch {over}"
    words = hold(proxy, "--max-hold", f"{seconds:g}")
    done = run(*words, "sh", "-c", script)
    assert (done.returncode, over.exists()) == (0, True), done.stderr
    assert "Resumed after" in done.stderr and "; 0 leaked." in done.stderr


# --- who is killed --------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_killed_stillgate_takes_all_along(
    form: str, proxy: HAProxy, app: App, work: Work
) -> None:
    with holding(proxy, work, form, 4) as process:
        client = Client(proxy.ports[F])
        process.kill()
        wait_until(work.is_over, "the end of the command")
        assert app.arrivals() == [], "not only at the deadline"
        assert_held_to_the_end(work, app, client)


@pytest.mark.parametrize("which", [[0], [1], [0, 1]], ids=["outer", "inner", "both"])
@pytest.mark.parametrize("form", ["plain", "background", "setsid", "daemon"])
def test_a_killed_leash_ends_the_command_and_the_hold(
    form: str, which: list[int], proxy: HAProxy, app: App, work: Work
) -> None:
    with holding(proxy, work, form, 600) as process:
        client = Client(proxy.ports[F])
        if len(which) == 2 and form in ("setsid", "daemon") and group_of(work.pid) is None:
            pytest.skip("without a control group, what has left the session is lost with both")
        both = leashes(process.pid)
        # A group of their own: both at one stroke.
        if len(which) == 2:
            os.killpg(both[0], signal.SIGKILL)
        else:
            os.kill(both[which[0]], signal.SIGKILL)
        assert_held_to_the_end(work, app, client)
        assert process.wait(HANG_S) in (137, 143)


@pytest.mark.parametrize("which", [[0], [1], [0, 1]], ids=["outer", "inner", "both"])
def test_a_stopped_leash_is_woken_and_keeps_the_deadline(
    which: list[int], proxy: HAProxy, app: App, work: Work
) -> None:
    with holding(proxy, work, "setsid", 2.5) as process:
        client = Client(proxy.ports[F])
        both = leashes(process.pid)
        for one in which:
            os.kill(both[one], signal.SIGSTOP)
        assert_held_to_the_end(work, app, client)
        assert process.wait(HANG_S) == 124
        assert [one for one in both if state_of(one) not in ("", "Z")] == []


@pytest.mark.parametrize("which", [0, 1], ids=["outer", "inner"])
def test_half_a_leash_keeps_the_deadline_where_nobody_wakes_the_other_half(
    which: int, proxy: HAProxy, app: App, work: Work
) -> None:
    with holding(proxy, work, "daemon", 2.5) as process:
        client = Client(proxy.ports[F])
        both = leashes(process.pid)
        for one in (process.pid, both[which]):
            os.kill(one, signal.SIGSTOP)
        assert_held_to_the_end(work, app, client)
        process.send_signal(signal.SIGCONT)
        assert process.wait(HANG_S) == 124


# --- the end --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["background", "setsid", "daemon"])
def test_what_the_command_leaves_behind_is_ended_before_the_hold(
    form: str, proxy: HAProxy, app: App, work: Work, tmp_path: Path
) -> None:
    over = tmp_path / "over"
    script = FORMS[form].format(work.words).rpartition("sleep 600")[0]
    words = hold(proxy, "--max-hold", "600")
    waiting = f"while [ ! -e {over} ]; do sleep 0.02; done; exit 5"
    with subprocess.Popen([*COMMAND, *words, "sh", "-c", script + waiting]) as process:
        wait_until(work.begun, "the command")
        client = Client(proxy.ports[F])
        over.touch()
        assert_held_to_the_end(work, app, client)
        assert process.wait(HANG_S) == 5


def test_somebody_elses_resume_ends_what_has_left_the_session(proxy: HAProxy, work: Work) -> None:
    with holding(proxy, work, "daemon", 600) as process:
        there = ("-e", proxy.endpoints[0])
        assert run("resume", F, "--force", "--reason", "mine", *there).returncode == 0
        assert process.wait(HANG_S) == 124
        assert work.is_over()


# --- the beginning --------------------------------------------------------------------


def test_a_command_whose_name_is_no_utf8_is_run(proxy: HAProxy, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/migr\xe9\xff"
    with open(os.open(name, os.O_WRONLY | os.O_CREAT, 0o755), "wb") as file:
        file.write(b'#!/bin/sh\nprintf %s "$1"\n')
    words = [os.fsencode(word) for word in [*COMMAND, *hold(proxy)]]
    done = subprocess.run([*words, name, b"a\xfe"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"a\xfe"), done.stderr


@pytest.mark.parametrize("count", range(3, 40, 3))
def test_with_few_descriptors_it_runs_or_nothing_is_held(
    count: int, proxy: HAProxy, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    words = shlex.join([*COMMAND, *hold(proxy), "touch", str(ran)])
    done = subprocess.run(
        ["sh", "-c", f"ulimit -n {count}; exec {words}"], capture_output=True, check=False
    )
    assert (done.returncode == 0) == ran.exists(), done.stderr
    client = Client(proxy.ports[F])
    assert client.join() == 200


def test_without_proc_nothing_is_held(proxy: HAProxy, tmp_path: Path) -> None:
    hidden = ["unshare", "--mount", "sh", "-c", 'umount -l /proc && exec "$@"', "sh"]
    if subprocess.run([*hidden, "true"], check=False).returncode:
        pytest.skip("/proc cannot be hidden here")
    ran = tmp_path / "ran"
    words = [*hidden, *COMMAND, *hold(proxy), "touch", str(ran)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, ran.exists()) == (125, False)
    assert "/proc: No such file" in done.stderr
    assert Client(proxy.ports[F]).join() == 200


def test_a_leash_that_dies_before_the_command_takes_the_hold_along(
    proxy: HAProxy, app: App, tmp_path: Path
) -> None:
    # Something in flight keeps the suspend from its end.
    slow = Slow(proxy, 60_000)
    ran = tmp_path / "ran"
    words = [*COMMAND, *hold(proxy, "--drain-timeout", "60"), "touch", str(ran)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: len(leashes(process.pid)) == 2, "the leash")
        os.killpg(leashes(process.pid)[0], signal.SIGKILL)
        app.finish()
        _, talk = process.communicate(timeout=HANG_S)
    assert (process.returncode, ran.exists()) == (125, False)
    assert "the command was not run" in talk
    assert slow.join() == 200
    assert Client(proxy.ports[F]).join() == 200


def test_without_a_leash_nothing_is_held(
    proxy: HAProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLGATE_LEASH", str(tmp_path / "nowhere"))
    before = proxy.cli("show info")
    ran = tmp_path / "ran"
    done = run(*hold(proxy, "--json"), "touch", str(ran))
    document = json.loads(done.stdout)
    assert (done.returncode, document["error"]["code"]) == (125, "leash_failed")
    assert str(tmp_path / "nowhere") in document["error"]["message"]
    assert not ran.exists()
    # Nobody has even asked it anything.
    assert connections(proxy.cli("show info")) == connections(before) + 1


def connections(info: str) -> int:
    (line,) = [one for one in info.splitlines() if one.startswith("CumConns:")]
    return int(line.split()[1])
