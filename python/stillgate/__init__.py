"""Hold every request at every HAProxy of a fleet, and release them all::

    fleet = stillgate.Fleet(["unix:///run/haproxy/admin.sock"])
    fleet.execute("show info")
    with fleet.suspended("balanced", max_hold=15) as hold:
        migrate()                               # resumed however the block ends
    print(fleet.status("balanced"))             # a table; in a notebook, HTML

    @fleet.suspended("balanced", max_hold=15)   # each call runs in its own hold
    def migrate(): ...

The functions of this module do the same for a fleet of the inventory, or for endpoints given in
the call: `stillgate.suspend("balanced", fleet="production")`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Iterable, Optional, Union

if TYPE_CHECKING:
    from stillgate import aio as aio  # noqa: F401
    from stillgate.errors import (
        CheckRefused,
        EndpointFailed,
        HeldByOther,
        HoldExpired,
        InputError,
        InventoryError,
        ReportError,
        StillgateError,
        StillHeld,
        TooLate,
    )
    from stillgate.fleet import Fleet
    from stillgate.past_holds import history
    from stillgate.results.cutover import Cutover, CutoverChange, CutoverResult
    from stillgate.results.haproxy import Info, StatRow
    from stillgate.results.hold import Event, Hold, PastHold, PastHolds
    from stillgate.results.lists import Answers, Outcomes
    from stillgate.results.outcome import Answer, Error, Outcome, Timings
    from stillgate.results.rehearsal import (
        Cut,
        Fills,
        Herd,
        Rehearsal,
        RehearsedHaproxy,
        WaitsAfter,
    )
    from stillgate.results.report import Finding, GateCounters, HoldEnd, OldWorkers, Report, Switch
    from stillgate.suspension import Suspending, Suspension

__all__ = [
    "Answer",
    "Answers",
    "CheckRefused",
    "Cut",
    "Cutover",
    "CutoverChange",
    "CutoverResult",
    "EndpointFailed",
    "Error",
    "Event",
    "Fills",
    "Finding",
    "Fleet",
    "GateCounters",
    "HeldByOther",
    "Herd",
    "Hold",
    "HoldEnd",
    "HoldExpired",
    "Info",
    "InputError",
    "InventoryError",
    "OldWorkers",
    "Outcome",
    "Outcomes",
    "PastHold",
    "PastHolds",
    "RehearsedHaproxy",
    "Rehearsal",
    "Report",
    "ReportError",
    "StatRow",
    "StillHeld",
    "StillgateError",
    "Suspending",
    "Suspension",
    "Switch",
    "Timings",
    "TooLate",
    "WaitsAfter",
    "__version__",
    "check",
    "execute",
    "extend",
    "history",
    "rehearse",
    "resume",
    "status",
    "suspend",
    "suspended",
]

_NAMES = {
    "errors": (
        "CheckRefused",
        "EndpointFailed",
        "HeldByOther",
        "HoldExpired",
        "InputError",
        "InventoryError",
        "ReportError",
        "StillHeld",
        "StillgateError",
        "TooLate",
    ),
    "fleet": ("Fleet",),
    "past_holds": ("history",),
    "results.cutover": ("Cutover", "CutoverChange", "CutoverResult"),
    "results.haproxy": ("Info", "StatRow"),
    "results.hold": ("Event", "Hold", "PastHold", "PastHolds"),
    "results.lists": ("Answers", "Outcomes"),
    "results.outcome": ("Answer", "Error", "Outcome", "Timings"),
    "results.rehearsal": (
        "Cut",
        "Fills",
        "Herd",
        "RehearsedHaproxy",
        "Rehearsal",
        "WaitsAfter",
    ),
    "results.report": ("Finding", "GateCounters", "HoldEnd", "OldWorkers", "Report", "Switch"),
    "suspension": ("Suspending", "Suspension"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

logging.getLogger("stillgate").addHandler(logging.NullHandler())


def _version() -> str:
    import importlib

    return str(importlib.import_module("stillgate._core").__version__)


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import stillgate` is nearly free."""
    import importlib

    if name == "__version__":
        return _version()
    if name == "aio":
        return importlib.import_module(f"{__name__}.aio")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOMES[name].startswith("results."):
        importlib.import_module(f"{__name__}.tables")  # by which they print
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


_Named = Union[str, "Fleet", Iterable[str]]


def _fleet(fleet: _Named) -> Fleet:
    from stillgate.fleet import Fleet

    if isinstance(fleet, Fleet):
        return fleet
    return Fleet.load(fleet) if isinstance(fleet, str) else Fleet(fleet)


def execute(command: str, *, fleet: _Named, payload: Optional[str] = None) -> Outcomes:
    """Fleet.execute; `fleet` is a name in the inventory, a Fleet, or endpoints."""
    return _fleet(fleet).execute(command, payload)


def check(*frontends: str, fleet: _Named, **options: Any) -> Report:
    """Fleet.check; `fleet` is a name in the inventory, a Fleet, or endpoints."""
    return _fleet(fleet).check(*frontends, **options)


def rehearse(*frontends: str, fleet: _Named, **options: Any) -> Rehearsal:
    """Fleet.rehearse; `fleet` is a name in the inventory, a Fleet, or endpoints."""
    return _fleet(fleet).rehearse(*frontends, **options)


def suspend(*frontends: str, fleet: _Named, **options: Any) -> Report:
    """Fleet.suspend; `fleet` is a name in the inventory, a Fleet, or endpoints."""
    return _fleet(fleet).suspend(*frontends, **options)


def resume(*frontends: str, fleet: _Named, **options: Any) -> Report:
    """Fleet.resume; `fleet` is a name in the inventory, a Fleet, or endpoints."""
    return _fleet(fleet).resume(*frontends, **options)


def extend(*frontends: str, seconds: float, fleet: _Named, **options: Any) -> Report:
    """Fleet.extend; `fleet` is a name in the inventory, a Fleet, or endpoints."""
    return _fleet(fleet).extend(*frontends, seconds=seconds, **options)


def status(*frontends: str, fleet: _Named) -> Report:
    """Fleet.status; `fleet` is a name in the inventory, a Fleet, or endpoints."""
    return _fleet(fleet).status(*frontends)


def suspended(*frontends: str, fleet: _Named, **options: Any) -> Suspending:
    """Fleet.suspended; `fleet` is a name in the inventory, a Fleet, or endpoints."""
    return _fleet(fleet).suspended(*frontends, **options)
