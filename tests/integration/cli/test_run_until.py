"""Running a command until a deadline: real processes, and none of them left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Optional

import pytest

from stillgate.run_until import MOST_ENVIRONMENT, CommandResult, Leash, check_runnable
from support.patience import HANG_S, patient
from support.process import running_in_group, wait_until

LONG = 60.0  # seconds; no test lasts so long
DRIVER = """
import sys, time
from stillgate.run_until import Leash
arguments = sys.argv[1:]
try:
    with Leash(arguments[2:]) as leash:
        leash.start()
        until = time.monotonic() + float(arguments[0])
        done = leash.run(lambda: until - time.monotonic(), grace=float(arguments[1]))
except KeyboardInterrupt:
    sys.exit(99)
sys.exit(done.status)
"""


def run_until(
    argv: Sequence[str],
    seconds: float,
    *,
    stdout: Optional[IO[Any]] = None,
    **options: Any,
) -> CommandResult:
    with Leash(argv, stdout=stdout) as leash:
        leash.start()
        until = time.monotonic() + seconds
        return leash.run(lambda: until - time.monotonic(), **options)


def shell(script: str, *arguments: object) -> list[str]:
    return ["sh", "-c", script, "sh", *map(str, arguments)]


def number_in(file: Path) -> int:
    return int(file.read_text())


def said(file: Path, word: str = "\n") -> Callable[[], bool]:
    return lambda: file.exists() and word in file.read_text()


def assert_ended(group: int) -> None:
    """What was killed takes its moment to be gone, when its parent is gone already."""
    wait_until(lambda: running_in_group(group) == [], f"the end of group {group}")


@contextmanager
def driver(seconds: float, grace: float, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own that runs run_until; it exits with 99 after a KeyboardInterrupt."""
    command = [sys.executable, "-c", DRIVER, str(seconds), str(grace), *argv]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


# --- how it ends ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "script, status", [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_the_status_is_the_commands_own(script: str, status: int) -> None:
    assert run_until(shell(script), LONG) == CommandResult(status, False)


def test_a_whole_tree_is_ended_before_the_deadline(tmp_path: Path) -> None:
    leader = tmp_path / "leader"
    seconds, began = patient(1.0), time.monotonic()
    done = run_until(shell("echo $$ >$1; sleep 60 & sleep 60", leader), seconds, grace=0.5)
    assert done == CommandResult(124, True)
    # SIGTERM came half a second before the end and was enough.
    assert seconds - 0.5 <= time.monotonic() - began < seconds - 0.5 + patient(0.3)
    assert_ended(number_in(leader))


def test_one_that_ignores_sigterm_is_killed_in_time(tmp_path: Path) -> None:
    leader = tmp_path / "leader"
    seconds, began = patient(1.0), time.monotonic()
    done = run_until(shell("trap '' TERM; echo $$ >$1; sleep 60; :", leader), seconds, grace=0.5)
    assert done == CommandResult(124, True)
    # A moment before the deadline, which on a busy machine may be a moment behind it.
    assert -0.2 <= time.monotonic() - began - seconds < patient(0.0)
    assert_ended(number_in(leader))


def test_who_ends_well_within_the_grace_was_still_ended(tmp_path: Path) -> None:
    file = tmp_path / "word"
    script = "trap 'echo tidied >$1; exit 0' TERM; while :; do sleep 0.01; done"
    grace = patient(0.8)
    done = run_until(shell(script, file), patient(0.4) + grace, grace=grace)
    assert done == CommandResult(124, True)
    assert file.read_text() == "tidied\n"


def test_sigint_comes_before_sigterm_where_that_is_wanted(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    script = (
        "trap 'echo INT >>$1' INT; trap 'echo TERM >>$1; exit 0' TERM; "
        "while :; do sleep 0.01; done"
    )
    # A shell that starts with SIGINT ignored, as in the background of a script, cannot trap it.
    argv = ["env", "--default-signal=INT", *shell(script, heard)]
    grace = patient(0.8)
    done = run_until(argv, patient(0.4) + grace, grace=grace, gently=True)
    assert done == CommandResult(124, True)
    assert heard.read_text() == "INT\nTERM\n"


def test_the_command_has_what_its_environment_got_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "told"
    odd = 'spaces = "equals", \n two lines'
    argv = shell('printf "%s|%s|%s" "$ODD" "$EMPTY" "$HOME" >$1', file)
    assert run_until(argv, LONG, environment={"ODD": odd, "EMPTY": ""}).status == 0
    assert file.read_text() == f"{odd}||{os.environ.get('HOME', '')}"
    full = {"FULL": "x" * (MOST_ENVIRONMENT - len("FULL=") - 1)}
    assert run_until(shell('test "${#FULL}" -gt 16000'), LONG, environment=full).status == 0


def test_a_child_that_ignores_sigterm_is_killed_when_its_parent_has_ended(tmp_path: Path) -> None:
    leader = tmp_path / "leader"
    script = "(trap '' TERM; exec sleep 60) & echo $$ >$1; sleep 60"
    began = time.monotonic()
    assert run_until(shell(script, leader), patient(0.5) + 60.0, grace=60.0).status == 124
    assert time.monotonic() - began < patient(5)
    assert_ended(number_in(leader))


def test_what_a_command_leaves_behind_is_killed(tmp_path: Path) -> None:
    leader = tmp_path / "leader"
    done = run_until(shell("sleep 60 & echo $$ >$1; exit 3", leader), LONG)
    assert done == CommandResult(3, False)
    assert_ended(number_in(leader))


def test_a_grace_longer_than_the_time_ends_it_at_once() -> None:
    began = time.monotonic()
    assert run_until(["sleep", "60"], 5.0, grace=10.0) == CommandResult(124, True)
    assert time.monotonic() - began < patient(2)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_without_any_time_it_is_not_even_started(seconds: float, tmp_path: Path) -> None:
    done = run_until(["touch", str(tmp_path / "started")], seconds)
    assert (done, list(tmp_path.iterdir())) == (CommandResult(124, True), [])


def test_descriptors_and_handlers_are_as_before() -> None:
    def state() -> tuple[object, ...]:
        handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
        return len(os.listdir("/proc/self/fd")), handlers

    before = state()
    run_until(["true"], LONG)
    run_until(["sleep", "60"], 0.3, grace=0.2)
    run_until(["/nowhere/at/all"], LONG)
    assert state() == before
    wakeup = signal.set_wakeup_fd(-1)
    assert wakeup == -1


def test_a_thread_may_run_it() -> None:
    found: list[CommandResult] = []
    thread = threading.Thread(target=lambda: found.append(run_until(shell("exit 5"), LONG)))
    thread.start()
    thread.join(HANG_S)
    assert found == [CommandResult(5, False)]


# --- its input and output -------------------------------------------------------------


def test_input_and_output_pass_through_unchanged() -> None:
    given = bytes(range(256)) * 1000
    command = [sys.executable, "-c", DRIVER, "60", "1", "sh", "-c", "cat; echo talk >&2"]
    done = subprocess.run(command, input=given, capture_output=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == (given, b"talk\n")


def test_standard_output_can_go_elsewhere(tmp_path: Path, capfd: Any) -> None:
    with open(tmp_path / "out", "wb") as out:
        assert run_until(["echo", "word"], LONG, stdout=out).status == 0
    assert (tmp_path / "out").read_text() == "word\n"
    assert capfd.readouterr().out == ""


# --- what cannot be run ---------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders as the whole PATH: `first` has what cannot be run, `second` what can."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    for path, mode in ((first / "both", 0o644), (second / "both", 0o755), (first / "text", 0o644)):
        path.write_text("#!/bin/sh\nexit 42\n")
        path.chmod(mode)
    (first / "folder").mkdir()
    (first / "dangling").symlink_to("nowhere")
    (first / "round").symlink_to("round")
    monkeypatch.setenv("PATH", f"{tmp_path}/missing:{first}:{second}")
    monkeypatch.chdir(second)
    return tmp_path


@pytest.mark.parametrize(
    "name, status",
    [
        ("both", None),
        ("./both", None),
        ("text", 126),
        ("../first/text", 126),
        ("folder", 126),
        ("round", 126),
        ("dangling", 127),
        ("nothing", 127),
        ("./nothing", 127),
        ("both/below", 126),
        ("", 127),
    ],
)
def test_what_cannot_be_run_is_known_before(name: str, status: Optional[int], places: Path) -> None:
    assert check_runnable([name]) == status
    # Held against execvp itself; env has no word for an empty name.
    if name:
        own = subprocess.run(["/usr/bin/env", name], stderr=subprocess.DEVNULL, check=False)
        assert own.returncode == (status or 42)
    assert run_until([name], LONG) == CommandResult(status or 42, False)


def test_no_command_at_all_is_not_found() -> None:
    assert check_runnable([]) == 127


def test_what_the_kernel_cannot_load_is_126(tmp_path: Path) -> None:
    file = tmp_path / "garbage"
    file.write_bytes(b"\x01\x02\x03")
    file.chmod(0o755)
    assert run_until([str(file)], LONG) == CommandResult(126, False)


# --- Ctrl-C ---------------------------------------------------------------------------


def test_ctrl_c_reaches_the_command_and_then_the_caller(tmp_path: Path) -> None:
    file = tmp_path / "word"
    script = "trap 'echo stopped >$1; exit 0' INT; echo ready >$1; while :; do sleep 0.01; done"
    with driver(LONG, 30, *shell(script, file)) as process:
        wait_until(said(file), "the command")
        process.send_signal(signal.SIGINT)
        assert process.wait(HANG_S) == 99
    assert file.read_text() == "stopped\n"


@pytest.mark.parametrize("seconds, grace", [(LONG, 0.3), (2.0, 30.0)], ids=["grace", "deadline"])
def test_one_that_ignores_ctrl_c_is_killed(seconds: float, grace: float, tmp_path: Path) -> None:
    leader = tmp_path / "leader"
    script = "trap '' INT TERM; echo $$ >$1; sleep 60; :"
    seconds = patient(seconds)
    # A grace longer than the time would end it at once: here it starts with the signal.
    with driver(seconds, min(grace, seconds / 2), *shell(script, leader)) as process:
        wait_until(said(leader), "the command")
        before = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(HANG_S) == 99
        assert 0.2 < time.monotonic() - before < patient(2.0)
    assert_ended(number_in(leader))


def test_a_second_ctrl_c_waits_no_longer(tmp_path: Path) -> None:
    file = tmp_path / "words"
    script = "trap 'echo heard >>$1' INT; echo $$ >$1; while :; do sleep 0.01; done"
    with driver(LONG, 20, *shell(script, file)) as process:
        wait_until(said(file), "the command")
        leader = int(file.read_text().split()[0])
        process.send_signal(signal.SIGINT)
        wait_until(said(file, "heard"), "the first one's arrival")
        before = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(HANG_S) == 99
        assert time.monotonic() - before < patient(5)
    assert_ended(leader)


def test_ctrl_c_at_any_moment_leaves_nothing_running() -> None:
    mark = f"60.{os.getpid()}"
    for step in range(60):
        killer = threading.Timer(step * 0.0002, os.kill, (os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            killer.start()
            run_until(["sleep", mark], LONG, grace=1.0)
        killer.join()
    # A leash whose start was interrupted has the same words, and its moment to be gone.
    wait_until(lambda: not named(mark), "the end of all of them")


def named(word: str) -> list[Path]:
    """The processes that have it among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word.encode() in path.read_bytes().split(b"\0"):
                found.append(path)
    return found


def test_a_handler_that_does_not_raise_ends_nothing(tmp_path: Path) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, frame: seen.append(number))
    file = tmp_path / "word"
    try:
        # The command sends it to this process, and ends when it was heard.
        script = "kill -HUP $2; echo sent >$1; exit 4"
        assert run_until(shell(script, file, os.getpid()), LONG) == CommandResult(4, False)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert seen == [signal.SIGHUP]


def test_an_ignored_signal_stays_ignored_in_the_command() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_until(shell("kill -HUP $$; exit 6"), LONG).status == 6
    finally:
        signal.signal(signal.SIGHUP, before)
