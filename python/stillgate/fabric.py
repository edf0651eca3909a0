"""Tasks for Fabric: `from stillgate.fabric import check, suspend, resume, status, hold`.

In a fabfile that gives `fab suspend`, `fab resume` and so on, with settings under `stillgate:` in
fabric.yaml.

Whatever the number of endpoints, a task is one call. Its exit status is that of the command
`stillgate`. Called from a task of your own, each returns its Report (`hold`: its CommandResult),
None in a dry run, and raises invoke.exceptions.Exit where it fails.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, TypeVar, cast

from invoke import task

from stillgate.command import CommandResult
from stillgate.fabric_call import GATE_OPTIONS, TaskCall
from stillgate.report import Report

F = TypeVar("F", bound=Callable[..., Any])
_HELP = {
    "frontend": "A frontend, in place of the settings' frontends; again and again.",
    "reason": "Told to whoever finds the hold.",
    "method": "auto, gate or maxconn.",
    "accept-unproven": "Take a gate that is loaded for a proven one.",
    "on-expiry": "What a gate does at the deadline: release, or reject.",
    "max-waiting": "Above so many requests per frontend a gate answers 503.",
    "max-hold": "Seconds after which the hold ends by itself.",
    "drain-timeout": "Seconds to wait for what was let in before.",
    "no-lease": "Accept that nothing ends the hold if its owner dies.",
    "accept-hazard": "Overrule the table of releases that crash on resume.",
    "json": "One JSON document on standard output.",
    "ramp": "Seconds over which to open, in place of at once.",
    "limit": "Restore this limit, in place of the recorded one.",
    "wait-up": "Wait until a server is up in each backend.",
    "retry-for": "Seconds to try again what cannot be reached.",
    "run": "The command to run while the frontends are held, for /bin/sh.",
    "grace": "Seconds before the end of the hold at which the command is told to end.",
}

_GATE = ("method", "accept-unproven", "on-expiry", "max-waiting")


def _task(*flags: str) -> Callable[[F], F]:
    """Invoke's task with these flags' help, in types that Invoke itself does not tell."""
    texts = {name: _HELP[name] for name in ("frontend", *flags, "json")}
    return cast(Callable[[F], F], task(iterable=["frontend"], positional=[], help=texts))


# --- the tasks ------------------------------------------------------------------------


@_task(*_GATE, "max-hold", "accept-hazard")
def check(
    c: Any,
    frontend: Any = None,
    method: Any = None,
    accept_unproven: bool = False,
    on_expiry: Any = None,
    max_waiting: Any = None,
    max_hold: Any = None,
    accept_hazard: bool = False,
    json: bool = False,
) -> Optional[Report]:
    """Tell all that would stop or endanger a hold; change nothing."""
    flags = {
        "frontends": frontend,
        "method": method,
        "accept_unproven": accept_unproven,
        "on_expiry": on_expiry,
        "max_waiting": max_waiting,
        "max_hold": max_hold,
        "accept_hazard": accept_hazard,
    }
    return TaskCall("check", c, flags, json).report(*GATE_OPTIONS, "accept_hazard", "max_hold")


@_task(*_GATE, "reason", "max-hold", "drain-timeout", "no-lease", "accept-hazard")
def suspend(
    c: Any,
    frontend: Any = None,
    method: Any = None,
    accept_unproven: bool = False,
    on_expiry: Any = None,
    max_waiting: Any = None,
    reason: Any = None,
    max_hold: Any = None,
    drain_timeout: Any = None,
    no_lease: bool = False,
    accept_hazard: bool = False,
    json: bool = False,
) -> Optional[Report]:
    """Hold the frontends at every endpoint, or at none."""
    flags = {
        "frontends": frontend,
        "method": method,
        "accept_unproven": accept_unproven,
        "on_expiry": on_expiry,
        "max_waiting": max_waiting,
        "reason": reason,
        "max_hold": max_hold,
        "drain_timeout": drain_timeout,
        "no_lease": no_lease,
        "accept_hazard": accept_hazard,
    }
    return TaskCall("suspend", c, flags, json).report(
        *GATE_OPTIONS, "no_lease", "max_hold", "drain_timeout", "accept_hazard", "reason"
    )


@_task("ramp", "limit", "wait-up", "retry-for", "accept-hazard")
def resume(
    c: Any,
    frontend: Any = None,
    ramp: Any = None,
    limit: Any = None,
    wait_up: bool = False,
    retry_for: Any = None,
    accept_hazard: bool = False,
    json: bool = False,
) -> Optional[Report]:
    """Let the frontends through again, with the limits that stood before."""
    flags = {
        "frontends": frontend,
        "ramp": ramp,
        "limit": limit,
        "wait_up": wait_up,
        "retry_for": retry_for,
        "accept_hazard": accept_hazard,
    }
    return TaskCall("resume", c, flags, json).report(
        "ramp", "limit", "wait_up", "accept_hazard", "retry_for"
    )


@_task()
def status(c: Any, frontend: Any = None, json: bool = False) -> Optional[Report]:
    """Tell what is held, by whom, and how long still; change nothing."""
    return TaskCall("status", c, {"frontends": frontend}, json).report()


@_task(*_GATE, "run", "grace", "reason", "max-hold", "drain-timeout", "accept-hazard")
def hold(
    c: Any,
    run: Any = None,
    frontend: Any = None,
    grace: Any = None,
    method: Any = None,
    accept_unproven: bool = False,
    on_expiry: Any = None,
    max_waiting: Any = None,
    reason: Any = None,
    max_hold: Any = None,
    drain_timeout: Any = None,
    accept_hazard: bool = False,
    json: bool = False,
) -> Optional[CommandResult]:
    """Suspend, run a command, resume; the command is ended before the hold is."""
    flags = {
        "frontends": frontend,
        "grace": grace,
        "method": method,
        "accept_unproven": accept_unproven,
        "on_expiry": on_expiry,
        "max_waiting": max_waiting,
        "reason": reason,
        "max_hold": max_hold,
        "drain_timeout": drain_timeout,
        "accept_hazard": accept_hazard,
    }
    return TaskCall("hold", c, flags, json).hold(run)
