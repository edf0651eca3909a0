"""Hold every request at every HAProxy of a fleet, and let them all through again.

    fleet = stillgate.Fleet(["unix:///run/haproxy/admin.sock"])
    fleet.execute("show info")
    fleet.suspend("balanced", no_lease=True)
    fleet.resume("balanced")

The functions of this module do the same for a fleet of the inventory, or for endpoints given on
the spot: stillgate.suspend("balanced", fleet="production").
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Iterable, List, Optional, Union

if TYPE_CHECKING:
    from stillgate.errors import (
        CheckRefused,
        EndpointFailed,
        HeldByOther,
        InputError,
        InventoryError,
        ReportError,
        StillgateError,
    )
    from stillgate.fleet import Fleet
    from stillgate.report import (
        Answer,
        Error,
        Finding,
        Hold,
        Info,
        Outcome,
        Report,
        StatRow,
        Switch,
        Timings,
    )

__all__ = [
    "Answer",
    "CheckRefused",
    "EndpointFailed",
    "Error",
    "Finding",
    "Fleet",
    "HeldByOther",
    "Hold",
    "Info",
    "InputError",
    "InventoryError",
    "Outcome",
    "Report",
    "ReportError",
    "StatRow",
    "StillgateError",
    "Switch",
    "Timings",
    "__version__",
    "check",
    "execute",
    "resume",
    "suspend",
]

_ERRORS = {
    "CheckRefused",
    "EndpointFailed",
    "HeldByOther",
    "InputError",
    "InventoryError",
    "ReportError",
    "StillgateError",
}

logging.getLogger("stillgate").addHandler(logging.NullHandler())


def _version() -> str:
    import importlib

    return str(importlib.import_module("stillgate._core").__version__)


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used: `import stillgate` alone is nearly free."""
    import importlib

    if name == "__version__":
        return _version()
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "fleet" if name == "Fleet" else "errors" if name in _ERRORS else "report"
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def _fleet(fleet: Union[str, Fleet, Iterable[str]]) -> Fleet:
    from stillgate.fleet import Fleet

    if isinstance(fleet, Fleet):
        return fleet
    return Fleet.load(fleet) if isinstance(fleet, str) else Fleet(fleet)


def execute(
    command: str, *, fleet: Union[str, Fleet, Iterable[str]], payload: Optional[str] = None
) -> List[Outcome]:
    """Fleet.execute; `fleet` is a name in the inventory, a Fleet, or endpoints."""
    return _fleet(fleet).execute(command, payload)


def check(*frontends: str, fleet: Union[str, Fleet, Iterable[str]], **options: Any) -> Report:
    """Fleet.check; `fleet` is a name in the inventory, a Fleet, or endpoints."""
    return _fleet(fleet).check(*frontends, **options)


def suspend(*frontends: str, fleet: Union[str, Fleet, Iterable[str]], **options: Any) -> Report:
    """Fleet.suspend; `fleet` is a name in the inventory, a Fleet, or endpoints."""
    return _fleet(fleet).suspend(*frontends, **options)


def resume(*frontends: str, fleet: Union[str, Fleet, Iterable[str]], **options: Any) -> Report:
    """Fleet.resume; `fleet` is a name in the inventory, a Fleet, or endpoints."""
    return _fleet(fleet).resume(*frontends, **options)
