"""What a hold is told of its command: refused before anything is sent, with the field named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Optional

import pytest

from stillgate import InputError
from stillgate.console.held_command import HeldCommand
from stillgate.console.wishes import Wishes
from stillgate.options import of_verb
from stillgate.run_until import CommandResult


@pytest.mark.parametrize(
    "options, field",
    [
        ({"grace": 9.9}, None),
        ({"grace": 10.0}, "grace"),
        ({"undo_time": 1.0}, "undo_time"),
        ({"on_failure": "undo", "undo_time": 9.9}, None),
        ({"on_failure": "undo", "undo_time": 10.0}, "undo_time"),
        ({"on_failure": "undo", "undo_time": 5.0, "grace": 5.0}, "undo_time"),
        ({"on_failure": " "}, "on_failure"),
    ],
)
def test_a_hold_without_time_for_its_command_is_refused(options: Any, field: str) -> None:
    found = None
    try:
        Wishes(**options).check(10.0)
    except InputError as error:
        found = error.field
    assert found == field


def test_options_that_no_postgresql_reads_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "x" * 9000)
    Wishes().check(10.0)
    with pytest.raises(InputError, match="PGOPTIONS is too long"):
        Wishes(postgres=True).check(10.0)


def test_they_are_the_options_of_hold_that_are_no_arguments_of_a_call() -> None:
    shared = {"fleet", "endpoints", "frontends", "inventory", "json", "serve"}
    faces = {one.name for one in of_verb("hold") if one.of == "face"} - shared
    assert set(Wishes.names()) == faces
    for name in faces:
        (row,) = (one for one in of_verb("hold") if one.name == name)
        assert getattr(Wishes(), name) == row.default, name


class StoppedInItsCutover:
    """A hold whose cutover is ended by Ctrl-C; None: before that has begun."""

    def __init__(self, state: Optional[str]) -> None:
        cut = SimpleNamespace(cutover=SimpleNamespace(state=state))
        self.cutover = cut if state is not None else None
        self.cut_over = True
        self.mark = lambda what, words: None
        self.remaining = 30.0
        self.expired = False
        self.kept: Optional[float] = None
        self.told: Any = None

    def extend(self, seconds: float) -> None:
        pass

    def prove_cutover(self, keep: float) -> None:
        pass

    def apply_cutover(self, keep: float) -> None:
        self.kept = keep
        raise KeyboardInterrupt


def course_of(ran: list[Any], held: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A command that takes 20 s and succeeds, with an undo and a cutover."""

    def run(self: HeldCommand, leash: Any, held: Any, kept: float, grace: Any) -> CommandResult:
        ran.append(leash)
        held.remaining -= 20.0
        return CommandResult(0, False)

    monkeypatch.setattr(HeldCommand, "_run", run)
    monkeypatch.setattr(HeldCommand, "_arm", lambda self, held: None)
    monkeypatch.setattr(HeldCommand, "_arm_to_continue", lambda self, held: True)
    monkeypatch.setattr(HeldCommand, "_disarm", lambda self: True)
    fleet: Any = None
    course: Any = HeldCommand(fleet, ["x"], wishes=Wishes(on_failure="undo"))
    course._command, course._undoing, course._has_cutover = "command", "undo", True
    course._held = held
    return course


@pytest.mark.parametrize(
    ("state", "runs"),
    [("undone", ["command", "undo"]), (None, ["command", "undo"]), ("applied", ["command"])],
)
def test_ctrl_c_in_the_cutover_undoes_the_migration_unless_the_new_code_serves(
    state: Optional[str], runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Any] = []
    held = StoppedInItsCutover(state)
    with pytest.raises(KeyboardInterrupt):
        course_of(ran, held, monkeypatch)._course(held)
    assert ran == runs
    # A third of the hold as it was before the command.
    assert held.kept == 10.0 and not held.cut_over


def test_a_cutover_that_the_leash_cannot_be_told_of_is_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where no descriptor is to be had: the migration is undone inside the hold."""
    ran: list[Any] = []
    held = StoppedInItsCutover("applied")
    held.told = lambda: {}
    course = course_of(ran, held, monkeypatch)
    monkeypatch.undo()

    def used_up() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("os.pipe", used_up)
    assert not course._cut_over(held)
    assert course.error.code == "leash_failed" and "Too many open files" in str(course.error)
    assert held.kept is None


def test_ctrl_c_between_the_command_and_the_cutover_undoes_the_migration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[Any] = []
    held = StoppedInItsCutover(None)

    def stop(self: HeldCommand, held: Any) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(HeldCommand, "_cut_over", stop)
    with pytest.raises(KeyboardInterrupt):
        course_of(ran, held, monkeypatch)._course(held)
    assert ran == ["command", "undo"] and not held.cut_over
