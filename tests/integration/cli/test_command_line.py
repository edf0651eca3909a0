"""The command `stillgate` as an operator types it: real HAProxies, and peers that are silent.

Its JSON is held against docs/schema.json, its exit status against the design's table.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from support.command import COMMAND, SCHEMA, F, only, run, run_json
from support.haproxy.faulty_peer import Conversation, FaultyPeer
from support.haproxy.server import Frontend
from support.patience import patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

NOBODY = "/nowhere/a.sock"


@pytest.fixture(autouse=True)
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLGATE_STATE_DIR", str(tmp_path / "state"))


# --- exec -----------------------------------------------------------------------------


def test_one_endpoint_gives_its_reply_as_text(haproxy_version: Binary, haproxy: Start) -> None:
    proxy = haproxy(haproxy_version)
    done = run("exec", "show info", "-e", proxy.endpoints[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert f"\nPid: {proxy.pid}\n" in done.stdout


def test_many_give_their_answers_whole_and_the_failures_last(haproxy: Start) -> None:
    proxy = haproxy("3.0", unix_sockets=2)
    good, other = proxy.endpoints
    there = ["-e", f"lb1={good}", "-e", NOBODY, "-e", f"lb2={other}"]
    done = run("exec", "show info", *there)
    assert done.returncode == 1
    answers, failures = done.stdout.split("FAILED a\n")
    assert answers.index("# lb1\n") < answers.index("# lb2\n")
    assert answers.count(f"\nPid: {proxy.pid}\n") == 2
    assert "no_such_socket: " in failures
    assert failures.splitlines()[-1] == "2 of 3 answered, 1 FAILED"
    raw = run("exec", "show info", "--raw", *there)
    assert raw.stdout.startswith("Name: HAProxy\n") and "#" not in raw.stdout.split("Pid")[0]
    assert "FAILED a\n" in raw.stderr


def test_exec_as_json_is_in_input_order(haproxy_version: Binary, haproxy: Start) -> None:
    proxy = haproxy(haproxy_version, tcp_socket=True)
    unix, tcp = proxy.endpoints
    status, document = run_json("exec", "show info", "-e", tcp, "-e", NOBODY, "-e", unix)
    assert status == 1
    outcomes = document["outcomes"]
    assert [one["endpoint"] for one in outcomes] == [tcp, f"unix://{NOBODY}", unix]
    assert [one["error"] and one["error"]["code"] for one in outcomes] == [
        None,
        "no_such_socket",
        None,
    ]
    timings = outcomes[0]["timings"]
    assert 0 <= timings["connected_ms"] <= timings["sent_ms"] <= timings["answered_ms"]


def test_a_fleet_of_the_inventory(haproxy: Start, tmp_path: Path) -> None:
    proxy = haproxy("3.0")
    path = tmp_path / "fleets.toml"
    path.write_text(
        f'[fleet.production]\nfrontends = ["{F}"]\nendpoints = ["{proxy.endpoints[0]}"]\n'
    )
    options = ("--fleet", "production", "--inventory", str(path))
    assert run_json("exec", "show info", *options)[0] == 0
    status, document = run_json("check", *options)
    assert (status, only(document)["frontend"]) == (0, F)
    status, document = run_json("check", "--fleet", "productoin", "--inventory", str(path))
    assert (status, document["error"]["code"]) == (2, "bad_inventory")


@pytest.mark.parametrize("given", ["file", "-"])
def test_a_payload_from_a_file_and_from_standard_input(
    given: str, haproxy: Start, tmp_path: Path
) -> None:
    (tmp_path / "map").write_text("")
    line = f"http-request set-header X %[path,map({tmp_path}/map)]"
    proxy = haproxy("3.0", frontends=[Frontend(F, lines=(line,))])
    payload = "first one\nsecond two\n"
    (tmp_path / "payload").write_text(payload)
    source = "-" if given == "-" else str(tmp_path / "payload")
    fleet = ("-e", proxy.endpoints[0])
    done = run("exec", f"add map {tmp_path}/map", "--payload", source, *fleet, given=payload)
    assert done.returncode == 0
    shown = run("exec", f"show map {tmp_path}/map", *fleet).stdout
    assert "first one" in shown and "second two" in shown


# --- check, suspend, resume -----------------------------------------------------------


@pytest.mark.parametrize("label", ["2.2", "3.0", "sid"])
def test_suspend_and_resume(label: str, haproxy: Start) -> None:
    proxy = haproxy(label, maxconn=77)
    fleet = ("-e", proxy.endpoints[0])
    assert run_json("check", F, *fleet)[0] == 0
    status, document = run_json("suspend", F, "--no-lease", "--reason", "migration", *fleet)
    assert status == 0
    switch = only(document)
    assert (switch["verdict"], switch["method"], switch["lease"]) == ("held", "maxconn", "none")
    assert (switch["limit_before"], switch["limit_now"], proxy.limit(F)) == (77, 0, 0)
    (hold,) = document["holds"]
    assert (hold["id"], hold["reason"]) == (switch["hold_id"], "migration")
    status, document = run_json("resume", F, *fleet)
    assert (status, only(document)["verdict"], proxy.limit(F)) == (0, "resumed", 77)


def test_a_second_suspend_is_4_and_says_whose_it_is(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fleet = ("-e", proxy.endpoints[0])
    assert run("suspend", F, "--no-lease", *fleet).returncode == 0
    status, document = run_json("suspend", F, "--no-lease", *fleet)
    error = only(document)["error"]
    assert (status, error["code"]) == (4, "already_held")
    assert "@" in error["message"]
    done = run("suspend", F, "--no-lease", *fleet)
    assert done.returncode == 4
    assert "already_held" in done.stdout
    assert run("resume", F, *fleet).returncode == 0
    assert proxy.limit(F) == 100


def test_a_hold_without_a_lease_must_be_asked_for(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    kinds: list[tuple[list[str], str]] = [([], "guard+wait"), (["--no-lease"], "none")]
    for options, lease in kinds:
        status, document = run_json("suspend", F, *options, "-e", proxy.endpoints[0])
        assert (status, only(document)["lease"]) == (0, lease)
        assert (document["holds"][0]["deadline"] is None) == (lease == "none")
        assert run("resume", F, "-e", proxy.endpoints[0]).returncode == 0
    assert proxy.limit(F) == 100


def test_a_release_that_would_crash_is_refused(haproxy: Start) -> None:
    proxy = haproxy("2.6")
    status, document = run_json("suspend", F, "--no-lease", "-e", proxy.endpoints[0])
    assert (status, only(document)["error"]["code"]) == (3, "crash_hazard")
    assert only(document)["verdict"] == "unchanged"
    assert proxy.limit(F) == 100


def test_the_hazard_can_be_accepted(haproxy: Start) -> None:
    proxy = haproxy("2.6")
    fleet = ("--accept-hazard", "-e", proxy.endpoints[0])
    assert run_json("suspend", F, "--no-lease", *fleet)[0] == 0
    # Nobody waits, so this release survives it.
    assert run_json("resume", F, *fleet)[0] == 0
    assert proxy.limit(F) == 100


def test_one_that_is_not_there_keeps_all_from_being_held(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    status, document = run_json("suspend", F, "--no-lease", "-e", proxy.endpoints[0], "-e", NOBODY)
    assert status in (1, 3)
    assert [switch["verdict"] for switch in document["switches"]].count("held") == 0
    assert proxy.limit(F) == 100


def test_resume_with_another_limit(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fleet = ("-e", proxy.endpoints[0])
    assert run("suspend", F, "--no-lease", *fleet).returncode == 0
    assert run("resume", F, "--limit", "55", *fleet).returncode == 0
    assert proxy.limit(F) == 55


# --- stopping, and talk on standard error ---------------------------------------------


def mute(conversation: Conversation) -> None:
    """Greets, and does not answer the command."""
    while (line := conversation.line()) != "show info":
        conversation.send(conversation.reply(line))
    conversation.sleep(60)


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_call_that_nobody_answers(
    number: signal.Signals, options: list[str]
) -> None:
    with FaultyPeer([mute]) as peer:
        arguments = ["exec", "show info", "-e", peer.endpoint, "--reply-timeout", "600", *options]
        process = subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: "show info" in peer.lines, "the command")
        before = time.monotonic()
        process.send_signal(number)
        out, talk = process.communicate(timeout=60)
        assert time.monotonic() - before < patient(0.8)
    assert process.returncode == 130
    assert talk.strip() == "stopped"
    if options:
        document = json.loads(out)
        jsonschema.validate(document, SCHEMA)
        assert document["error"]["code"] == "cancelled"
    else:
        assert out == ""


def test_a_terminal_sees_progress_of_what_takes_long() -> None:
    with FaultyPeer([mute]) as peer:
        arguments = ["exec", "show info", "-e", peer.endpoint, "--reply-timeout", str(patient(1.2))]
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=theirs, text=True
        ) as process:
            out, _ = process.communicate(timeout=60)
        os.close(theirs)
        talk = os.read(ours, 65536).decode()
        os.close(ours)
    assert "1 of 1 connected, 0 answered" in talk
    assert "reply_timeout" in out
    assert run("exec", "show info", "-e", NOBODY).stderr == ""
