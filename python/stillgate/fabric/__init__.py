"""Tasks for Fabric: `from stillgate.fabric import check, suspend, resume, status, hold, extend`.

In a fabfile that gives `fab suspend`, `fab resume` and so on; `from stillgate.fabric import ns` has
them all as a Collection. Settings stand under `stillgate:` in fabric.yaml.

Whatever the number of endpoints or hosts, a task is one call. Its exit status is that of the
command `stillgate`. Called from a task of your own, each returns its Report (`hold`: its
CommandResult), None in a dry run, and raises TaskFailed, an invoke.exceptions.Exit, where it fails.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple, TypeVar, cast

from fabric import task
from invoke import Collection

from stillgate.fabric.call import GATE_OPTIONS, TaskCall, TaskFailed
from stillgate.fabric.once_for_all_hosts import VerbTask
from stillgate.results.report import Report
from stillgate.run_until import CommandResult

__all__ = ["TaskFailed", "check", "extend", "hold", "ns", "resume", "status", "suspend"]

F = TypeVar("F", bound=Callable[..., Any])
_HELP = {
    "frontend": "A frontend, in place of the settings' frontends; again and again.",
    "json": "One JSON document on standard output.",
    "reason": "Told to whoever finds the hold.",
    "method": "auto, gate or maxconn.",
    "accept-unproven": "Take a gate that is loaded for a proven one.",
    "on-expiry": "What a gate does at the deadline: release, or reject.",
    "max-waiting": "Above so many requests per frontend a gate answers 503.",
    "max-hold": "Seconds after which the hold ends by itself.",
    "drain-timeout": "Seconds to wait for what was let in before.",
    "no-lease": "Accept that nothing ends the hold if its owner dies.",
    "accept-hazard": "Overrule the table of releases that crash on resume.",
    "ramp": "Seconds over which to open, in place of at once.",
    "limit": "Restore this limit, in place of the recorded one.",
    "wait-up": "Wait until a server is up in each backend.",
    "retry-for": "Seconds to try again what cannot be reached.",
    "run": "The command to run while the frontends are held, for /bin/sh.",
    "grace": "Seconds before the end of the hold at which the command is told to end.",
    "seconds": "By how many seconds to move the deadline.",
    "hold": "The id of one hold: this one, whosever it is, and no other.",
    "force": "Overrule the holder; wants a reason.",
    "on-event": "A shell command that gets a line for each event of a hold.",
    "event-format": "Of that line: json, syslog or journald.",
}

_GATE = ("method", "accept-unproven", "on-expiry", "max-waiting")
_EVENTS = ("on-event", "event-format")


def _task(*flags: str, positional: Tuple[str, ...] = ()) -> Callable[[F], F]:
    """Fabric's task with these flags' help, in types that Fabric itself does not tell."""
    texts = {name: _HELP[name] for name in ("frontend", *flags, "json")}
    made = task(iterable=["frontend"], positional=positional, help=texts, klass=VerbTask)
    return cast(Callable[[F], F], made)


def _flags(arguments: Dict[str, Any]) -> Dict[str, Any]:
    """A body's arguments by the names of the settings that they come before."""
    others = ("c", "json", "run", "frontend")
    named = {name: value for name, value in arguments.items() if name not in others}
    return {"frontends": arguments["frontend"], **named}


# --- the tasks ------------------------------------------------------------------------


@_task("max-hold", *_GATE, "accept-hazard", *_EVENTS)
def check(
    c: Any,
    frontend: Any = None,
    json: bool = False,
    max_hold: Any = None,
    method: Any = None,
    accept_unproven: bool = False,
    on_expiry: Any = None,
    max_waiting: Any = None,
    accept_hazard: bool = False,
    on_event: Any = None,
    event_format: Any = None,
) -> Optional[Report]:
    """Tell all that would stop or endanger a hold; change nothing."""
    call = TaskCall("check", c, _flags(locals()), json)
    return call.report(*GATE_OPTIONS, "accept_hazard", "max_hold")


@_task("reason", "max-hold", "drain-timeout", *_GATE, "no-lease", "accept-hazard", *_EVENTS)
def suspend(
    c: Any,
    frontend: Any = None,
    json: bool = False,
    reason: Any = None,
    max_hold: Any = None,
    drain_timeout: Any = None,
    method: Any = None,
    accept_unproven: bool = False,
    on_expiry: Any = None,
    max_waiting: Any = None,
    no_lease: bool = False,
    accept_hazard: bool = False,
    on_event: Any = None,
    event_format: Any = None,
) -> Optional[Report]:
    """Hold the frontends at every endpoint, or at none."""
    call = TaskCall("suspend", c, _flags(locals()), json)
    return call.report(
        *GATE_OPTIONS, "no_lease", "max_hold", "drain_timeout", "accept_hazard", "reason"
    )


@_task(
    *("reason", "ramp", "limit", "wait-up", "retry-for", "hold", "force"), "accept-hazard", *_EVENTS
)
def resume(
    c: Any,
    frontend: Any = None,
    json: bool = False,
    reason: Any = None,
    ramp: Any = None,
    limit: Any = None,
    wait_up: bool = False,
    retry_for: Any = None,
    hold: Any = None,
    force: bool = False,
    accept_hazard: bool = False,
    on_event: Any = None,
    event_format: Any = None,
) -> Optional[Report]:
    """Let the frontends through again, with the limits that stood before."""
    call = TaskCall("resume", c, _flags(locals()), json)
    return call.report(
        *("ramp", "limit", "wait_up", "accept_hazard", "retry_for", "hold", "force", "reason")
    )


@_task()
def status(c: Any, frontend: Any = None, json: bool = False) -> Optional[Report]:
    """Tell what is held, by whom, and how long still; change nothing."""
    return TaskCall("status", c, _flags(locals()), json).report()


@_task("seconds", "reason", "hold", "force", *_EVENTS, positional=("seconds",))
def extend(
    c: Any,
    seconds: Any,
    frontend: Any = None,
    json: bool = False,
    reason: Any = None,
    hold: Any = None,
    force: bool = False,
    on_event: Any = None,
    event_format: Any = None,
) -> Optional[Report]:
    """Move the deadline of the hold; only its holder may."""
    call = TaskCall("extend", c, _flags(locals()), json)
    return call.report("seconds", "hold", "force", "reason")


@_task("run", "grace", "reason", "max-hold", "drain-timeout", *_GATE, "accept-hazard", *_EVENTS)
def hold(
    c: Any,
    run: Any = None,
    frontend: Any = None,
    json: bool = False,
    grace: Any = None,
    reason: Any = None,
    max_hold: Any = None,
    drain_timeout: Any = None,
    method: Any = None,
    accept_unproven: bool = False,
    on_expiry: Any = None,
    max_waiting: Any = None,
    accept_hazard: bool = False,
    on_event: Any = None,
    event_format: Any = None,
) -> Optional[CommandResult]:
    """Suspend, run a command, resume; the command is ended before the hold is."""
    return TaskCall("hold", c, _flags(locals()), json).hold(run)


ns = Collection("stillgate", check, suspend, resume, status, extend, hold)
