"""Lists of results: each prints as one table."""

from __future__ import annotations

from typing import Generic, List, TypeVar

from stillgate.results.outcome import Answer, Outcome
from stillgate.results.printing import Printed

T = TypeVar("T")


class Outcomes(Printed, List[Outcome]):
    """A list of `Outcome`, one for each endpoint, in order. It prints as a table; where only one
    endpoint was asked, as its reply.
    """


class Answers(Printed, List[Answer[T]], Generic[T]):
    """A list of `Answer`, one for each endpoint, in order. It prints as a table."""
