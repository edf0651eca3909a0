"""The fleet's verbs for Fabric's tasks: with the lease where the fleet has it, else without.

To go when every tree has the lease: then these are the fleet's own methods, and HoldExpired.
"""

from __future__ import annotations

import inspect
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence, TypeVar

from stillgate import errors
from stillgate.errors import InputError
from stillgate.fleet import Fleet
from stillgate.report import Report

T = TypeVar("T")
EXPIRED: Any = getattr(errors, "HoldExpired", ())
_MAX_HOLD = 15.0  # seconds


def verb_of(fleet: Fleet, action: str) -> Callable[..., Report]:
    verb: Optional[Callable[..., Report]] = getattr(fleet, action, None)
    if verb is None:
        raise InputError("bad_option", f"{action}: this release cannot", "action")
    return verb


def ask(verb: Callable[..., T], names: Sequence[str], told: Mapping[str, Any]) -> T:
    """What a verb does not know is refused and not dropped: somebody counts on it."""
    known = inspect.signature(verb).parameters
    for name in told:
        if name not in known:
            raise InputError("bad_option", f"{name}: this release cannot", name)
    return verb(*names, **told)


@dataclass(frozen=True)
class _Held:
    """A hold without a lease, whose deadline is kept by ending the command alone."""

    report: Report
    deadline: float

    @property
    def remaining(self) -> float:
        return self.deadline - time.monotonic()


@contextmanager
def suspended(fleet: Fleet, names: Sequence[str], told: Mapping[str, Any]) -> Iterator[Any]:
    known = inspect.signature(fleet.suspended).parameters
    if "max_hold" in known:
        with ask(fleet.suspended, names, told) as held:
            yield held
        return
    deadline = time.monotonic() + float(told.get("max_hold", _MAX_HOLD))
    options = {"no_lease": True, **{key: told[key] for key in told if key in known}}
    with ask(fleet.suspended, names, options) as report:
        yield _Held(report, deadline)
