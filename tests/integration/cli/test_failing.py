"""`stillgate hold` whose command fails: the undo, the hold that is kept, and the four words."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from stillgate import Fleet
from support.app import App
from support.haproxy.holds import F
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")
SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "docs" / "schema.json").read_text())
COMMAND = [sys.executable, "-m", "stillgate"]
WORDS = ("migration", "undo", "cutover", "traffic")


def hold(endpoint: str, script: str, *options: str) -> tuple[int, dict[str, Any], str]:
    command = [*COMMAND, "hold", "--json", F, *options, "-e", endpoint, "--", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert document["status"] == done.returncode
    return done.returncode, document, done.stderr


def words_of(document: dict[str, Any]) -> tuple[str, ...]:
    return tuple(document[word] for word in WORDS)


def heard_while_held(endpoint: str, file: Path) -> str:
    """A script that writes the frontend's limit at its time into the file."""
    ask = f"{shlex.join(COMMAND)} exec 'show stat -1 1 -1' -e {endpoint}"
    return f"{ask} | sed -n 2p | cut -d, -f7 >{file}"


# --- what the command is told ---------------------------------------------------------


def test_the_command_knows_its_hold_and_when_it_must_be_over(
    haproxy: Start, tmp_path: Path
) -> None:
    proxy = haproxy("3.0")
    told = tmp_path / "told"
    script = f'echo "$STILLGATE_HOLD_ID $STILLGATE_DEADLINE $STILLGATE_SECONDS" >{told}'
    began = time.time()
    options = ("--max-hold", "60", "--on-failure", "true", "--undo-time", "20")
    status, document, _ = hold(proxy.endpoints[0], script, *options)
    assert (status, words_of(document)) == (0, ("done", "none", "none", "released"))
    assert document["on_failure"] is None
    id_of, deadline, seconds = told.read_text().split()
    (made,) = document["suspend"]["holds"]
    assert id_of == made["id"]
    until = datetime.strptime(deadline, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    # The hold's end, less what is kept for the undo; times on record are in milliseconds.
    ends = datetime.strptime(made["deadline"], "%Y-%m-%dT%H:%M:%S.%fZ")
    left = ends.replace(tzinfo=timezone.utc).timestamp() - until.timestamp()
    assert left == pytest.approx(20, abs=0.5)
    assert 40 - (time.time() - began) - 0.1 <= float(seconds) <= 40


# --- undo -----------------------------------------------------------------------------


def test_the_undo_runs_inside_the_hold_and_the_status_is_the_commands(
    haproxy: Start, tmp_path: Path
) -> None:
    proxy = haproxy("3.0")
    limit = tmp_path / "limit"
    undo = f'test -n "$STILLGATE_HOLD_ID" && {heard_while_held(proxy.endpoints[0], limit)}'
    status, document, talk = hold(
        proxy.endpoints[0], "exit 3", "--max-hold", "60", "--on-failure", undo
    )
    assert (status, words_of(document)) == (3, ("failed", "done", "none", "released"))
    assert document["on_failure"] == {"status": 0, "ended_by_deadline": False}
    assert limit.read_text().strip() == "0"
    assert proxy.limit(F) == 100
    assert "the command failed; running --on-failure" in talk


def test_a_command_that_is_ended_leaves_the_undo_its_time(haproxy: Start, tmp_path: Path) -> None:
    proxy = haproxy("3.0")
    limit = tmp_path / "limit"
    share = patient(3)
    options = ("--max-hold", f"{share + 1.5}", "--grace", "0.5", "--undo-time", f"{share}")
    undo = heard_while_held(proxy.endpoints[0], limit)
    status, document, _ = hold(
        proxy.endpoints[0], "sleep 600", *options, "--on-failure", undo, "--keep-on-failure"
    )
    # Undone, there is nothing to keep it for.
    assert (status, words_of(document)) == (124, ("ended", "done", "none", "released"))
    assert limit.read_text().strip() == "0"


@pytest.mark.parametrize("undo, word", [("exit 4", "failed"), ("sleep 600", "ended")])
def test_an_undo_that_fails_has_a_status_of_its_own(undo: str, word: str, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    options = ("--max-hold", str(patient(1.5)), "--on-failure", undo)
    status, document, _ = hold(proxy.endpoints[0], "exit 3", *options)
    assert (status, words_of(document)) == (123, ("failed", word, "none", "released"))
    assert document["command"]["status"] == 3
    assert proxy.limit(F) == 100


def test_where_the_hold_is_over_it_is_too_late_for_the_undo(haproxy: Start, tmp_path: Path) -> None:
    proxy = haproxy("3.0")
    ran = tmp_path / "ran"
    release = f"{shlex.join(COMMAND)} resume {F} -e {proxy.endpoints[0]} >&2; sleep 600"
    status, document, _ = hold(
        proxy.endpoints[0], release, "--max-hold", "600", "--on-failure", f"touch {ran}"
    )
    assert (status, words_of(document)) == (123, ("ended", "missed", "none", "expired"))
    assert not ran.exists()


def test_ctrl_c_undoes_too(haproxy: Start, tmp_path: Path) -> None:
    proxy = haproxy("3.0")
    begun, limit = tmp_path / "begun", tmp_path / "limit"
    undo = heard_while_held(proxy.endpoints[0], limit)
    options = ["--max-hold", "600", "--on-failure", undo, "-e", proxy.endpoints[0]]
    shell = ["env", "--default-signal=INT"]
    command = [*shell, *COMMAND, "hold", F, *options, "--", "sh", "-c", f"touch {begun}; sleep 600"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as holding:
        wait_until(begun.exists, "the command")
        holding.send_signal(signal.SIGINT)
        holding.communicate(timeout=60)
    assert (holding.returncode, proxy.limit(F)) == (130, 100)
    assert limit.read_text().strip() == "0"


# --- a hold that is kept --------------------------------------------------------------


def keeping(endpoint: str, seconds: str) -> list[str]:
    options = ["--max-hold", seconds, "--keep-on-failure", "-e", endpoint]
    shell = ["env", "--default-signal=INT"]
    return [*shell, *COMMAND, "hold", F, *options, "--", "sh", "-c", "exit 3"]


def lines_of(process: subprocess.Popen[str]) -> list[str]:
    """Standard error, which grows as it comes."""
    lines: list[str] = []

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)

    threading.Thread(target=listen, daemon=True).start()
    return lines


@pytest.mark.parametrize("how", ["typed", "ctrl-c"])
def test_a_kept_hold_says_what_to_type_and_that_ends_it(how: str, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    with subprocess.Popen(
        keeping(proxy.endpoints[0], "600"), stderr=subprocess.PIPE, text=True
    ) as holding:
        lines = lines_of(holding)
        wait_until(lambda: any("For 60 s more:" in one for one in lines), "the words")
        (told,) = (one for one in lines if "stays held for" in one)
        assert proxy.limit(F) == 0
        if how == "typed":
            typed = shlex.split(told.rpartition("here): ")[2])
            assert typed[:3] == ["stillgate", "resume", F]
            subprocess.run([*COMMAND, *typed[1:]], stdout=subprocess.PIPE, check=True, timeout=60)
        else:
            holding.send_signal(signal.SIGINT)
        holding.wait(HANG_S)
    assert (holding.returncode, proxy.limit(F)) == (3 if how == "typed" else 130, 100)


def test_a_kept_hold_ends_at_its_deadline(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    began = time.monotonic()
    status, document, _ = hold(
        proxy.endpoints[0], "exit 3", "--max-hold", "1.5", "--keep-on-failure"
    )
    assert time.monotonic() - began >= 1.5
    assert (status, words_of(document)) == (3, ("failed", "none", "none", "expired"))
    assert (document["error"], proxy.limit(F)) == (None, 100)


# --- the release ----------------------------------------------------------------------


def test_a_dead_application_gets_no_traffic_from_a_hold(haproxy: Start, app: App) -> None:
    proxy = haproxy("3.0", servers=[app.port])
    maint = f"{shlex.join(COMMAND)} exec 'set server {F}_servers/s1 state maint' -e {{}} >&2"
    options = ("--max-hold", "60", "--wait-up", "--retry-for", "0.3")
    status, document, talk = hold(proxy.endpoints[0], maint.format(proxy.endpoints[0]), *options)
    assert (status, words_of(document)) == (125, ("done", "none", "none", "held"))
    assert document["resume"]["switches"][0]["error"]["code"] == "application_down"
    assert proxy.limit(F) == 0
    Fleet(proxy.endpoints).resume(F)
