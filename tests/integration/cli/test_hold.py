"""`stillgate hold -- COMMAND` and `stillgate status` as an operator types them."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from stillgate import Fleet
from support.app import App
from support.clients.load import Load
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F, Slow
from support.haproxy.versions import SAFE
from support.patience import HANG_S, patient
from support.process import running_in_group, wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")
SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "docs" / "schema.json").read_text())
COMMAND = [sys.executable, "-m", "stillgate"]


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60, **options
    )


def run_json(*arguments: str) -> tuple[int, dict[str, Any], str]:
    verb, *rest = arguments
    done = run(verb, "--json", *rest)
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert document["ok"] == (done.returncode == 0)
    return done.returncode, document, done.stderr


# --- hold -----------------------------------------------------------------------------


@pytest.mark.parametrize("label", SAFE)
def test_under_load_nobody_fails_and_the_command_sees_it_held(
    label: str, haproxy: Start, app: App, load: Callable[..., Load], tmp_path: Path
) -> None:
    proxy = haproxy(label, servers=[app.port], maxconn=300)
    clients = load(proxy.ports[F], rate=100)
    clients.wait_for(30)
    work = tmp_path / "migrate"
    work.write_text(
        "#!/bin/sh\n"
        f'"{sys.executable}" -m stillgate exec "show stat -1 1 -1" -e {proxy.endpoints[0]} '
        f"> {tmp_path}/seen\n"
        "sleep 0.5\n"
    )
    work.chmod(0o755)
    there = ["--max-hold", "60", "--progress", "none", "-e", proxy.endpoints[0]]
    done = run("hold", F, *there, "--", str(work))
    assert (done.returncode, done.stdout) == (0, "")
    held, resumed = done.stderr.splitlines()
    assert held.startswith("held: 1 switch, commit window ")
    assert resumed.startswith("stillgate: Resumed after ") and resumed.endswith("; 0 leaked.")
    row = (tmp_path / "seen").read_text().splitlines()[1].split(",")
    assert row[6] == "0"  # slim
    already = len(clients.records())
    clients.wait_for(already + 50)
    everything = clients.stop()
    assert [one for one in everything if not one.ok] == []
    assert max(one.finished_at - one.sent_at for one in everything) >= 0.5
    assert proxy.limit(F) == 300


def test_everything_of_the_command_passes_through(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    script = "cat; echo word >&2; exit 7"
    options = ("hold", F, "-e", proxy.endpoints[0], "--", "sh", "-c", script)
    done = run(*options, input="typed")
    assert (done.returncode, done.stdout) == (7, "typed")
    assert "\nword\n" in done.stderr
    # What looks like options of ours belongs to the command.
    done = run("hold", F, "-e", proxy.endpoints[0], "--", "echo", "--json", "--", "-e")
    assert (done.returncode, done.stdout) == (0, "--json -- -e\n")
    assert proxy.limit(F) == 100


def test_the_document_has_standard_output_for_itself(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    options = ("hold", F, "--max-hold", "9", "-e", proxy.endpoints[0], "--")
    status, document, talk = run_json(*options, "sh", "-c", "echo word; exit 3")
    assert (status, document["status"]) == (3, 3)
    assert "word\n" in talk
    assert document["command"] == {"status": 3, "ended_by_deadline": False}
    (held,), (resumed,) = document["suspend"]["switches"], document["resume"]["switches"]
    assert (held["verdict"], held["lease"], resumed["verdict"]) == ("held", "guard+wait", "resumed")
    (hold,) = document["suspend"]["holds"]
    assert hold["max_hold_s"] == 9.0 and hold["deadline"] > hold["started_at"]


@pytest.mark.parametrize(
    "script", ["sleep 60", "trap '' TERM; while :; do sleep 0.05; done", "sleep 60 & wait"]
)
def test_the_deadline_ends_the_command_and_then_the_hold(script: str, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    options = (
        "hold",
        F,
        "--max-hold",
        str(patient(1.5)),
        "--grace",
        "1",
        "-e",
        proxy.endpoints[0],
        "--",
    )
    status, document, _ = run_json(*options, "sh", "-c", script)
    assert (status, document["command"]["ended_by_deadline"]) == (124, True)
    assert proxy.limit(F) == 100


@pytest.mark.parametrize(
    "command, status", [("/nowhere/migrate", 127), ("nosuchcommand", 127), ("/etc/passwd", 126)]
)
def test_a_command_that_cannot_be_run_holds_nothing(
    command: str, status: int, haproxy: Start
) -> None:
    proxy = haproxy("3.0")
    told, document, _ = run_json("hold", F, "-e", proxy.endpoints[0], "--", command)
    assert (told, document["error"]["field"]) == (status, "command")
    assert proxy.limit(F) == 100


def test_a_refused_hold_runs_nothing_and_is_125(haproxy: Start, tmp_path: Path) -> None:
    proxy = haproxy("2.6")
    ran = tmp_path / "ran"
    options = ("-e", proxy.endpoints[0], "--", "touch", str(ran))
    status, document, _ = run_json("hold", F, *options)
    assert (status, document["suspend"]["switches"][0]["error"]["code"]) == (125, "crash_hazard")
    assert (document["command"], document["resume"]) == (None, None)
    done = run("hold", F, *options)
    assert (done.returncode, done.stdout) == (125, "")
    assert "crash_hazard" in done.stderr
    assert not ran.exists()


@pytest.mark.parametrize(
    "arguments, field",
    [
        ((F, "--grace", "5", "--max-hold", "5", "-e", "/nowhere", "--", "true"), "grace"),
        ((F, "--max-hold", "0", "-e", "/nowhere", "--", "true"), "max_hold"),
        ((F, "-e", "/nowhere"), ""),
        (("bad name", "-e", "/nowhere", "--", "true"), "frontend"),
    ],
)
def test_wrong_usage_is_2_and_nothing_is_run(arguments: tuple[str, ...], field: str) -> None:
    status, document, _ = run_json("hold", *arguments)
    assert (status, document["error"]["field"]) == (2, field)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_the_command_and_the_hold(
    number: signal.Signals, haproxy: Start, tmp_path: Path
) -> None:
    proxy = haproxy("3.0")
    leader = tmp_path / "leader"
    script = f"echo $$ > {leader}; sleep 60"
    # Who runs the tests in the background of a script has SIGINT and SIGQUIT ignored.
    shell = ["env", f"--default-signal={number.name[3:]}"]
    command = [*shell, *COMMAND, "hold", F, "-e", proxy.endpoints[0], "--", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holding:
        wait_until(lambda: leader.exists() and leader.read_text() != "", "the command")
        assert proxy.limit(F) == 0
        holding.send_signal(number)
        holding.communicate(timeout=60)
    assert (holding.returncode, proxy.limit(F)) == (130, 100)
    pid = int(leader.read_text())
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the command")


def test_who_is_killed_takes_the_command_along(haproxy: Start, tmp_path: Path) -> None:
    """What changes a database must not go on when nobody keeps requests from it any more."""
    proxy = haproxy("3.0")
    leader = tmp_path / "leader"
    script = f"echo $$ > {leader}; sleep 60 & wait"
    options = ["--max-hold", str(patient(2)), "-e", proxy.endpoints[0]]
    command = [*COMMAND, "hold", F, *options, "--", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holding:
        wait_until(lambda: leader.exists() and leader.read_text() != "", "the command")
        # Started and watched: until then nobody knows of it.
        wchan = Path(f"/proc/{holding.pid}/wchan")
        wait_until(lambda: "poll" in wchan.read_text(), "the watch over it")
        holding.kill()
        holding.communicate(timeout=60)
    group = int(leader.read_text())
    wait_until(lambda: running_in_group(group) == [], "the end of the command")
    wait_until(lambda: proxy.limit(F) == 100, "the end of the hold")


@pytest.mark.parametrize("method", ["maxconn", "gate"])
def test_somebody_elses_resume_ends_the_command(
    method: str, haproxy: Start, haproxy_binaries: dict[str, Binary], app: App, tmp_path: Path
) -> None:
    version = haproxy_binaries["3.0"].version
    lines = gate_options(F, tmp_path / "gate", version, servers=[app.port])
    proxy = haproxy("3.0", **(lines if method == "gate" else {}))
    begun = tmp_path / "begun"
    endpoints = ["-e", proxy.endpoints[0]]
    options = ["--method", method, "--max-hold", "600", *endpoints]
    command = [*COMMAND, "hold", F, *options, "--", "sh", "-c", f"touch {begun}; sleep 600"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as holding:
        wait_until(begun.exists, "the command")
        assert run("resume", F, "--force", "--reason", "mine", *endpoints).returncode == 0
        _, talk = holding.communicate(timeout=60)
    assert holding.returncode == 124
    assert "the command was ended" in talk
    assert "no other could be started" not in talk


# --- where nothing can be told --------------------------------------------------------


@pytest.mark.parametrize("how", ["> /dev/full", ">&-", "| true"])
@pytest.mark.parametrize("form", ["", "--json"])
def test_what_was_done_is_in_the_status_though_it_cannot_be_told(
    form: str, how: str, haproxy: Start
) -> None:
    """A script that takes a hold for none, or the other way round, does harm."""
    proxy = haproxy("3.0")
    stillgate = " ".join(COMMAND)
    there = f"{form} -e {proxy.endpoints[0]}"

    def shell(words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", words], capture_output=True, text=True, check=False
        )

    done = shell(f"{stillgate} suspend {F} {there} {how}")
    assert (done.returncode, proxy.limit(F)) == (0, 0), done.stderr
    assert "Traceback" not in done.stderr
    # What only tells has failed.
    assert shell(f"{stillgate} status {F} {there} {how}").returncode == 1
    assert shell(f"{stillgate} resume {F} {there} {how}").returncode == 0
    assert proxy.limit(F) == 100
    done = shell(f"{stillgate} hold {F} {there} -- sh -c 'exit 7' {how}")
    assert (done.returncode, proxy.limit(F)) == (7, 100), done.stderr


def test_standard_error_on_a_full_disk_keeps_no_command_from_its_work(
    haproxy: Start, tmp_path: Path
) -> None:
    proxy = haproxy("3.0")
    command = [*COMMAND, "hold", F, "-e", proxy.endpoints[0], "--", "touch", str(tmp_path / "done")]
    with open("/dev/full", "w") as full:
        assert subprocess.run(command, stderr=full, check=False).returncode == 0
    assert (tmp_path / "done").exists()


def test_under_nohup_a_hold_outlives_its_terminal(haproxy: Start, tmp_path: Path) -> None:
    proxy = haproxy("3.0")
    begun, over = tmp_path / "begun", tmp_path / "over"
    script = f"touch {begun}; while [ ! -e {over} ]; do sleep 0.02; done"
    command = [*COMMAND, "hold", F, "-e", proxy.endpoints[0], "--", "sh", "-c", script]
    with subprocess.Popen(["nohup", *command], stdout=subprocess.PIPE) as holding:
        wait_until(begun.exists, "the command")
        holding.send_signal(signal.SIGHUP)
        assert proxy.limit(F) == 0
        over.touch()
        holding.communicate(timeout=60)
    assert (holding.returncode, proxy.limit(F)) == (0, 100)


def test_a_hold_whose_haproxy_dies_is_told(haproxy: Start, tmp_path: Path) -> None:
    proxies = [haproxy("3.0"), haproxy("3.0")]
    proxies[1].may_end = True
    fleet = [option for proxy in proxies for option in ("-e", proxy.endpoints[0])]
    script = f"kill -9 {proxies[1].pid}"
    status, document, _ = run_json("hold", F, *fleet, "--", "sh", "-c", script)
    assert (status, document["command"]["status"]) == (125, 0)
    assert [one["verdict"] for one in document["resume"]["switches"]] == ["resumed", "unknown"]
    assert proxies[0].limit(F) == 100


# --- what a person sees ---------------------------------------------------------------


def talk_of(command: list[str]) -> str:
    """Standard error of a command that finds a terminal there."""
    ours, theirs = pty.openpty()
    heard: list[bytes] = []

    def listen() -> None:
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                return
            heard.append(piece)

    listener = threading.Thread(target=listen)
    listener.start()
    subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=False, timeout=60)
    os.close(theirs)
    listener.join(HANG_S)
    os.close(ours)
    return b"".join(heard).decode()


def test_a_terminal_sees_what_still_runs_while_it_drains(haproxy: Start, app: App) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    slow = Slow(proxy, round(1000 * patient(2)))
    talk = talk_of([*COMMAND, "suspend", F, "--no-lease", "-e", proxy.endpoints[0]])
    assert "draining: 1 requests in flight" in talk
    assert slow.join() == 200
    Fleet(proxy.endpoints).resume(F)


def test_a_terminal_sees_how_much_of_the_hold_is_left(haproxy: Start, app: App) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    options = ["--max-hold", "600", "-e", proxy.endpoints[0], "--", "sleep", "1.5"]
    talk = talk_of([*COMMAND, "hold", F, *options])
    # Under maxconn, on this machine: the kernel tells.
    assert " s of 600, 0 waiting, 0 leaked, 1 of 1 HAProxies" in talk


# --- status ---------------------------------------------------------------------------


def test_status_tells_whose_hold_it_is(haproxy: Start) -> None:
    proxy = haproxy("3.0", maxconn=77)
    fleet = ("-e", proxy.endpoints[0])
    status, document, _ = run_json("status", *fleet)
    assert (status, document["holds"]) == (0, [])
    assert [one["verdict"] for one in document["switches"]] == ["open"]
    run("suspend", F, "--no-lease", "--reason", "migration 42", *fleet)
    status, document, _ = run_json("status", *fleet)
    (one,) = document["switches"]
    assert (one["verdict"], one["limit_before"], one["leaked"]) == ("held", 77, 0)
    assert document["holds"][0]["reason"] == "migration 42"
    table = run("status", F, *fleet).stdout
    assert "migration 42" in table and "1 of 1 switches held" in table
    run("resume", F, *fleet)


def test_status_of_who_cannot_be_asked_is_1(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    status, document, _ = run_json("status", "-e", proxy.endpoints[0], "-e", "/nowhere")
    assert status == 1
    assert [one["verdict"] for one in document["switches"]] == ["open", "unknown"]


def test_watch_looks_again_until_ctrl_c(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    command = [*COMMAND, "status", "--watch", "--json", "-e", proxy.endpoints[0]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        seen = 0
        for line in watching.stdout:
            seen += '"action": "status"' in line
            if seen == 2:
                break
        watching.send_signal(signal.SIGINT)
        watching.stdout.read()
    assert watching.returncode == 130
