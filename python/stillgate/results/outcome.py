"""What came of one command at one endpoint: a reply or an error, with its timings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Optional, TypeVar

from stillgate.results.printing import tamed

__all__ = ["Answer", "Error", "Outcome", "Timings"]

T = TypeVar("T")


@dataclass(frozen=True)
class Error:
    """`code` is one of docs/errors.md; `partial` is what of a reply had come when it broke off."""

    code: str
    message: str
    haproxy: Optional[str] = None
    partial: Optional[str] = None

    def __str__(self) -> str:
        words = f" (HAProxy: {self.haproxy})" if self.haproxy else ""
        return tamed(f"{self.code}: {self.message}{words}")


@dataclass(frozen=True)
class Timings:
    """Milliseconds since the call began; None for what was not reached."""

    connected_ms: Optional[float]
    sent_ms: Optional[float]
    answered_ms: Optional[float]


@dataclass(frozen=True)
class Outcome:
    """What came of one command at one endpoint: exactly one of `reply` and `error` is set.
    `endpoint` is its URL, `endpoint_name` the short name that tables use.
    """

    endpoint: str
    reply: Optional[str]
    error: Optional[Error]
    timings: Timings
    endpoint_name: str = ""

    @property
    def ok(self) -> bool:
        """HAProxy answered, whatever its words."""
        return self.error is None


@dataclass(frozen=True)
class Answer(Generic[T]):
    """A typed outcome: exactly one of `value` and `error` is set."""

    endpoint: str
    value: Optional[T]
    error: Optional[Error]
    endpoint_name: str = ""
