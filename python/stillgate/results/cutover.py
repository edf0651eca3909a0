"""A cutover, as it is asked for and as it came out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Mapping, Optional

from stillgate.results.outcome import Error

__all__ = ["Cutover", "CutoverChange", "CutoverResult"]


@dataclass(frozen=True)
class Cutover:
    """What is to serve. `servers` are `BACKEND/SERVER` with ready, drain or maint, `weights` the
    same with 0 to 256, `maps` their files with keys and values. The old values are kept on record
    by `name`.
    """

    name: str
    servers: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def told(self) -> Dict[str, Any]:
        """For the compiled module."""
        return asdict(self)


@dataclass(frozen=True)
class CutoverChange:
    """One change at one endpoint: `what`, such as `server app/green1 state`; the values before, the
    one that was wanted and the one that was read last (None: unknown); how often it was written.
    `state` is unchanged, applied, undone or unknown.
    """

    endpoint: str
    what: str
    before: Optional[str]
    wanted: str
    now: Optional[str]
    written: int
    state: str
    error: Optional[Error]
    endpoint_name: str = ""


@dataclass(frozen=True)
class CutoverResult:
    """What became of a cutover: `state` is possible (a dry run, a check), refused (nothing was
    changed), applied (on every HAProxy), undone (everywhere) or unknown (it may be in effect
    on some). `unshown` says in words what counts as up although no check shows it: servers without
    a check, with `fall 1`, or that `ready_first` would have checked first. `back`: it is the old
    values that were wanted.
    """

    name: str
    state: str
    changes: List[CutoverChange]
    unshown: List[str] = field(default_factory=list)
    back: bool = False
