"""Tasks for Fabric: `from stillgate.fabric import check, suspend, resume, status, hold, extend`,
`rehearse` and `cutover`.

In a fabfile that gives `fab suspend`, `fab resume` and so on; `from stillgate.fabric import ns` has
them all as a Collection. Write settings under `stillgate:` in fabric.yaml.

A task is one call, for any number of endpoints or hosts. Its exit status is that of the command
`stillgate`. If your own task calls one, it returns its Report (`hold`: its CommandResult; None in a
dry run), and raises TaskFailed, an invoke.exceptions.Exit, if it fails.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable, Optional, TypeVar, get_type_hints

from fabric import task
from invoke import Collection

from stillgate.fabric.call import TaskCall, TaskFailed
from stillgate.fabric.once_for_all_hosts import VerbTask
from stillgate.options import Choice, Flag, Option, Seconds, Whole, of_verb
from stillgate.results.rehearsal import Rehearsal
from stillgate.results.report import Report
from stillgate.run_until import CommandResult

__all__ = [
    "TaskFailed",
    "check",
    "cutover",
    "extend",
    "hold",
    "ns",
    "rehearse",
    "resume",
    "status",
    "suspend",
]

T = TypeVar("T")
_OWN_HELP = {
    "run": "The command to run while the frontends are held, for /bin/sh.",
    "name": "A cutover of the inventory, or with --serve the name of that one.",
}
_OWN_POSITIONAL = ("name",)


def _task(work: Callable[..., T]) -> Callable[..., T]:
    """Makes Fabric's task of the verb that `work` is named for, with the flags of
    stillgate.options. `work` gets the call and its own positional arguments.
    """
    verb = work.__name__
    rows = {
        one.word.replace("-", "_"): one for one in of_verb(verb) if one.fabric in ("both", "flag")
    }
    own = [*inspect.signature(work).parameters][1:]
    signature = _signature([*own, *sorted(rows, key=_place_of)], rows, get_type_hints(work))

    @functools.wraps(work)
    def body(*arguments: Any, **named: Any) -> T:
        bound = signature.bind(*arguments, **named)
        bound.apply_defaults()
        told = bound.arguments
        context = told.pop("c")
        extra = {name: told.pop(name) for name in own}
        flags = {rows[name].name: value for name, value in told.items()}
        return work(TaskCall(verb, context, flags, flags.pop("json")), **extra)

    body.__signature__ = signature  # type: ignore[attr-defined]
    made = task(
        iterable=[word for word in ("frontend", "serve") if word in rows],
        positional=[
            *(name for name in own if name in _OWN_POSITIONAL),
            *(name for name, one in rows.items() if _is_positional(one)),
        ],
        help={
            **{name: _OWN_HELP[name] for name in own},
            **{one.word: _help(one, verb) for one in rows.values()},
        },
        klass=VerbTask,
    )
    return made(body)  # type: ignore[no-any-return]


def _signature(names: list[str], rows: dict[str, Option], hints: dict[str, Any]) -> Any:
    """The signature, from which Fabric makes the flags."""
    parameters = [inspect.Parameter("c", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    for name in names:
        default: Any = None
        if name in rows and isinstance(rows[name].kind, Flag):
            default = False
        elif name in _OWN_POSITIONAL or (name in rows and _is_positional(rows[name])):
            default = inspect.Parameter.empty
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(inspect.Parameter(name, kind, default=default))
    return inspect.Signature(parameters, return_annotation=hints["return"])


def _is_positional(option: Option) -> bool:
    return option.argument and option.name != "frontends"


def _place_of(name: str) -> int:
    """The parameter of a flag; positional arguments of callers come first."""
    return {"seconds": 0, "frontend": 1, "json": 2}.get(name, 3)


def _help(option: Option, verb: str) -> str:
    """The help, with the metavar of the command line if there is one."""
    kind = option.kind
    may = ""
    if isinstance(kind, Seconds):
        may = f"  [seconds, {kind.least:g} to {kind.most:g}]"
    elif isinstance(kind, Whole):
        may = f"  [{kind.least} to {kind.most}]"
    elif isinstance(kind, Choice):
        may = f"  [{', '.join(kind.words)}]"
    return option.help_of(verb) + may


# --- the tasks ------------------------------------------------------------------------


@_task
def check(call: TaskCall) -> Optional[Report]:
    """Report what would stop or endanger a hold; change nothing."""
    return call.report()


@_task
def rehearse(call: TaskCall) -> Optional[Rehearsal]:
    """Watch the traffic, and say what a hold would do to it; hold nothing."""
    return call.rehearse()


@_task
def suspend(call: TaskCall) -> Optional[Report]:
    """Hold the frontends at every endpoint, or at none."""
    return call.report()


@_task
def resume(call: TaskCall) -> Optional[Report]:
    """Release the frontends, and restore the old limits."""
    return call.report()


@_task
def status(call: TaskCall) -> Optional[Report]:
    """Show what is held, by whom and for how long; change nothing."""
    return call.report()


@_task
def extend(call: TaskCall) -> Optional[Report]:
    """Move the deadline of the hold; only its holder may."""
    return call.report()


@_task
def cutover(call: TaskCall, name: Any) -> Optional[Report]:
    """Change what serves, at every endpoint or at none; no hold is needed."""
    return call.cutover(name)


@_task
def hold(call: TaskCall, run: Any = None) -> Optional[CommandResult]:
    """Suspend, run a command, resume. The command is ended before the hold ends."""
    return call.hold(run)


ns = Collection("stillgate", check, rehearse, suspend, resume, status, extend, cutover, hold)
