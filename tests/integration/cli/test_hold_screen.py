"""What a hold shows while its command runs, through a real terminal: whose keys they are, who has
the terminal, and what is shown where there is none.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from stillgate import Fleet
from support.command import COMMAND, SCHEMA, run
from support.haproxy.holds import F
from support.process import wait_until
from support.screen import LINES, Terminal

if TYPE_CHECKING:
    from conftest import Start

    from support.haproxy.server import HAProxy

pytestmark = pytest.mark.usefixtures("state")
THE_COMMANDS = "Ctrl-C ends the command and resumes; what is typed is the command's (--keys)"
KEYS = "r end the command and resume   e extend   q leave this screen"
UNTIL = "while [ ! -e {} ]; do sleep 0.05; done"
# Takes the terminal for itself, as a pager does, until its input has a line.
DRIVER = """
import os, sys, termios, tty
before = termios.tcgetattr(0)
tty.setraw(0)
print("driving", end="\\r\\n", flush=True)
told = os.read(0, 1)
termios.tcsetattr(0, termios.TCSANOW, before)
print("got", told.decode(), flush=True)
while not os.path.exists(sys.argv[1]):
    import time; time.sleep(0.05)
"""


def hold_words(proxy: HAProxy, *options: str) -> list[str]:
    return ["hold", F, "--max-hold", "300", *options, "-e", f"lb1={proxy.endpoints[0]}", "--"]


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def has_screen(lines: list[str]) -> bool:
    return any(line.startswith("HELD ") for line in lines)


def test_a_hold_keeps_the_last_lines_for_its_screen(haproxy: Start) -> None:
    # As many lines as would scroll anything away that is not kept.
    script = "for i in $(seq 1 60); do echo line $i; sleep 0.05; done"
    with Terminal(*hold_words(haproxy("3.0")), *shell(script)) as terminal:
        lines = terminal.wait_for(
            lambda lines: any(line.startswith("lb1 ") for line in lines)
            and any(line.startswith("line ") for line in lines),
            "both",
        )
        held = next(at for at, line in enumerate(lines) if "HELD" in line)
        assert held >= LINES // 2
        assert not any(line.startswith("line ") for line in lines[held:])
        assert lines[-1] == THE_COMMANDS
        assert terminal.finish() == 0
        shown = terminal.lines()
        assert any(line.startswith("stillgate: Resumed after ") for line in shown), shown
        assert "line 60" in shown
        assert not any(line.startswith("lb1 ") for line in shown)


def test_what_is_typed_is_the_commands(haproxy: Start) -> None:
    """It would be asked for a yes, and keys would steal it."""
    proxy = haproxy("3.0")
    script = "printf 'Drop it? '; read answer; echo \"got: $answer\"; sleep 600"
    with Terminal(*hold_words(proxy), *shell(script)) as terminal:
        terminal.wait_for(has_screen, "the screen")
        assert terminal.goes_by_lines()
        terminal.press("reqy\n")
        terminal.wait_for_words("got: reqy")
        terminal.wait_for_words("HELD ")
        assert proxy.limit(F) == 0
        terminal.press("\x03")
        assert terminal.finish() == 130
        assert proxy.limit(F) == 100


def test_keys_extend_a_hold_and_end_its_command_asked_once(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    # It sees that it has no standard input: what is typed is not for it.
    script = "cat; echo nothing to read; sleep 600"
    with Terminal(*hold_words(proxy, "--keys"), *shell(script)) as terminal:
        terminal.wait_for_words("nothing to read")
        lines = terminal.wait_for_words(KEYS)
        assert any("of 300, " in line for line in lines)
        terminal.press("e")
        terminal.wait_for_words("Extend the hold by 15 s? y/n")
        terminal.press("y")
        terminal.wait_for_words("of 315, ")
        terminal.press("r")
        terminal.wait_for_words("End the command and resume, as Ctrl-C does? y/n")
        terminal.press("n")
        terminal.wait_for_words(KEYS)
        assert proxy.limit(F) == 0
        terminal.press("r")
        terminal.wait_for_words("? y/n")
        terminal.press("y")
        assert terminal.finish() == 130
        assert proxy.limit(F) == 100
        assert any("traffic flows" in line for line in terminal.lines()), terminal.lines()
        assert terminal.goes_by_lines()


def test_the_screen_can_be_left_and_the_hold_goes_on(haproxy: Start, tmp_path: Path) -> None:
    proxy = haproxy("3.0")
    over = tmp_path / "over"
    script = f"{UNTIL.format(over)}; echo the command is done"
    with Terminal(*hold_words(proxy, "--keys"), *shell(script)) as terminal:
        terminal.wait_for_words(KEYS)
        terminal.press("q")
        terminal.wait_for_words("Leave this screen? The command and the hold go on. y/n")
        terminal.press("y")
        terminal.wait_for_words("the screen is left; the command and the hold go on")
        terminal.wait_for(lambda lines: not has_screen(lines), "no screen")
        wait_until(terminal.goes_by_lines, "the terminal as it was")
        assert proxy.limit(F) == 0
        over.touch()
        assert terminal.finish() == 0
        assert "the command is done" in terminal.lines()
        assert proxy.limit(F) == 100


def test_where_the_commands_input_is_no_terminal_keys_are_the_screens(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    reading, writing = os.pipe()
    os.write(writing, b"from the pipe\n")
    script = 'read word; echo "got $word"; sleep 600'
    with Terminal(*hold_words(proxy), *shell(script), stdin=reading) as terminal:
        os.close(reading)
        terminal.wait_for_words("got from the pipe")
        terminal.wait_for_words(KEYS)
        terminal.press("r")
        terminal.wait_for_words("? y/n")
        terminal.press("y")
        assert terminal.finish() == 130
        assert proxy.limit(F) == 100
        assert terminal.goes_by_lines()
    os.close(writing)


def test_a_command_that_drives_the_terminal_has_it(haproxy: Start, tmp_path: Path) -> None:
    proxy = haproxy("3.0")
    over, driver = tmp_path / "over", tmp_path / "driver.py"
    driver.write_text(DRIVER)
    script = f"sleep 1.5; exec {sys.executable} {driver} {over}"
    with Terminal(*hold_words(proxy), *shell(script)) as terminal:
        terminal.wait_for(has_screen, "the screen")
        terminal.wait_for_words("driving")
        terminal.wait_for(lambda lines: not has_screen(lines), "no screen")
        terminal.press("r")
        terminal.wait_for_words("got r")
        terminal.wait_for(has_screen, "the screen again")
        over.touch()
        assert terminal.finish() == 0


def test_ctrl_z_leaves_the_shell_its_terminal_and_fg_brings_the_screen_back(
    haproxy: Start, tmp_path: Path
) -> None:
    proxy = haproxy("3.0")
    over = tmp_path / "over"
    words = [*COMMAND, *hold_words(proxy, "--keys"), *shell(UNTIL.format(over))]
    line = " ".join(f"'{word}'" for word in words)
    with Terminal("--norc", "-i", program=["bash"]) as terminal:
        terminal.press(f"PS1='at the prompt'; {line}\n")
        terminal.wait_for_words(KEYS)
        terminal.press("\x1a")
        terminal.wait_for_words("at the prompt")
        terminal.wait_for(lambda lines: not has_screen(lines), "no screen")
        # The whole screen is the shell's: what it prints comes down to the last line.
        terminal.press("seq 1 60; echo 'the' end\n")
        lines = terminal.wait_for_words("the end")
        assert "60" in lines[-3:], lines
        assert proxy.limit(F) == 0
        terminal.press("fg\n")
        terminal.wait_for_words(KEYS)
        terminal.press("e")
        terminal.wait_for_words("Extend the hold by 15 s? y/n")
        terminal.press("n")
        over.touch()
        terminal.wait_for_words("Resumed after")
        terminal.press("exit\n")
        assert terminal.finish() == 0


def test_in_the_background_nothing_is_drawn_and_no_key_is_taken(
    haproxy: Start, tmp_path: Path
) -> None:
    proxy = haproxy("3.0")
    over = tmp_path / "over"
    words = [*COMMAND, *hold_words(proxy), *shell(f"echo it is held; {UNTIL.format(over)}")]
    line = " ".join(f"'{word}'" for word in words)
    with Terminal("--norc", "-i", program=["bash"]) as terminal:
        terminal.press(f"{line} </dev/null &\n")
        terminal.wait_for_words("it is held")
        wait_until(lambda: Fleet(proxy.endpoints).status(F).holds != [], "the hold")
        for number in range(3):
            terminal.press(f"echo r; sleep 0.6; echo q''{number}y\n")
            lines = terminal.wait_for_words(f"q{number}y")
            assert not has_screen(lines)
        over.touch()
        terminal.wait_for_words("Resumed after")
        terminal.press("exit\n")
        assert terminal.finish() == 0


def test_on_a_small_terminal_it_is_a_line_and_the_questions_are_seen(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    words = [*hold_words(proxy, "--keys"), "sleep", "600"]
    with Terminal(*words, size=(38, 8)) as terminal:
        terminal.wait_for(has_screen, "the line")
        terminal.press("r")
        terminal.wait_for_words("End the command and resume")
        terminal.press("y")
        assert terminal.finish() == 130
        assert proxy.limit(F) == 100


@pytest.mark.parametrize(
    "options, words",
    [
        (["--keys"], "keys: standard error must be a terminal"),
        (["--progress", "screen"], "progress: standard error is no terminal"),
        (["--keys", "--progress", "none"], "keys: go with the screen, not with another progress"),
    ],
)
def test_a_screen_needs_a_terminal_and_else_nothing_is_held(
    options: list[str], words: str, haproxy: Start
) -> None:
    proxy = haproxy("3.0")
    done = run("hold", F, *options, "-e", proxy.endpoints[0], "--", "true")
    assert done.returncode == 2 and words in done.stderr
    assert proxy.limit(F) == 100


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_hold_without_a_terminal_says_a_line_a_second(form: list[str], haproxy: Start) -> None:
    done = run(*hold_words(haproxy("3.0"), *form), "sleep", "2.5")
    assert done.returncode == 0
    if form:
        first, *told = done.stderr.splitlines()
        assert first.startswith("held: ") and len(told) >= 2
        for document in map(json.loads, told):
            jsonschema.validate(document, SCHEMA)
            assert document["switches"][0]["verdict"] == "held"
            totals = document["totals"]
            assert totals["words"].startswith(f"HELD {totals['held_s']:.1f} s of 300, ")
            assert totals["held_s"] + totals["left_s"] == pytest.approx(300)
            assert (totals["leaked"], totals["held"], totals["haproxies"]) == (0, 1, 1)
            assert totals["waiting"] == document["switches"][0]["waiting"]
        assert json.loads(done.stdout)["action"] == "hold"
    else:
        lines = [line for line in done.stderr.splitlines() if " HELD " in line]
        assert len(lines) >= 2 and all(" of 300, " in line for line in lines)
        assert done.stdout == ""


def test_it_can_be_silent_and_is_looked_at_all_the_same(haproxy: Start) -> None:
    """The report afterwards has what was seen."""
    proxy = haproxy("3.0")
    done = run(*hold_words(proxy, "--progress", "none"), "sleep", "2.5")
    assert done.returncode == 0 and "HELD" not in done.stderr
    folder = Path(os.environ["STILLGATE_STATE_DIR"]) / "measured"
    (measured,) = folder.glob("*.jsonl")
    assert '"action":"status"' in measured.read_text()
